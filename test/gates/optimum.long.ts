/** The planner's search beside the exact optimum, on models of two layers: the figures of docs/cost-model.md. */
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { compileModel } from "../../compiler/compile.js";
import { parseNetwork } from "../../compiler/network.js";
import { type planRings, searchRings } from "../../passes/plan-rings.js";
import { gapOf, SOLVED } from "./optimum.js";
import { compileArchitecture, shortened } from "./support.js";

/** What the compiler asked the pass last. */
const asked = vi.hoisted(() => ({ last: undefined as Parameters<typeof planRings> | undefined }));
vi.mock("../../passes/plan-rings.js", async (original) => {
  const pass = await original<typeof import("../../passes/plan-rings.js")>();
  const planRingsSeen: typeof planRings = (...given) => {
    asked.last = given;
    return pass.planRings(...given);
  };
  return { ...pass, planRings: planRingsSeen };
});

const BERT = join(import.meta.dirname, "..", "..", "models", "bert-sst2", "bert_sst2.legacy.op14.onnx");

function expectNear(most: number): void {
  const [graph, bounds, link] = asked.last!;
  const { found, optimum } = gapOf(searchRings(graph, bounds, link), link);
  process.stdout.write(`${found.toFixed(2)} ms, at best ${optimum.toFixed(2)} ms\n`);
  expect(found).toBeGreaterThan(optimum * (1 - 2 * SOLVED));
  expect(found / optimum - 1).toBeLessThan(most);
}

describe("no model is further from the optimum than", () => {
  it("the trained BERT of two layers: 0.5 %", async () => {
    await compileModel(BERT, { dims: { b: 1, s: 48 } });
    expectNear(0.005);
  });

  it.each([
    ["bert-base", 32, "lan", 0.005],
    ["bert-base", 128, "lan", 0.005],
    ["bert-base", 32, "400mbps,40ms", 0.005],
    ["gpt2", 32, "lan", 0.02],
  ] as const)("two layers of %s, %d tokens, %s: %d", async (name, tokens, network, most) => {
    await compileArchitecture(shortened(name, 2), tokens, { network: parseNetwork(network) });
    expectNear(most);
  });
});
