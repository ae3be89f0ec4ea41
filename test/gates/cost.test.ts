/**
 * The product's promise as gates: rounds and bytes of whole inferences, all weights secret, none of them read. The
 * limits are those that the project set itself before it had a compiler; a plan that exceeds one is a regression.
 * The slowest models run at a part of their depth, with the limit that this part has in the whole, and at full depth
 * with PUMAC_ALL=1.
 */
import { describe, expect, test } from "vitest";
import type { CompileOptions } from "../../compiler/compile.js";
import { ARCHITECTURES } from "../../compiler/onnx/architectures/index.js";
import { type CostReport, costReport } from "../../compiler/report.js";
import { compileArchitecture, shortened } from "./support.js";

interface Gate {
  readonly model: string;
  readonly tokens: number;
  readonly options: CompileOptions;
  readonly rounds: number;
  /** Online and offline, over all links. */
  readonly bytes: number;
  readonly online?: number;
}

const TOKEN = { reveal: ["token"] };

const GATES: readonly Gate[] = [
  { model: "bert-base", tokens: 128, options: {}, rounds: 400, bytes: 1.2e9, online: 0.5e9 },
  { model: "bert-base", tokens: 128, options: { profile: "puma" }, rounds: 700, bytes: 2.2e9 },
  { model: "bert-large", tokens: 128, options: {}, rounds: 800, bytes: 3.3e9 },
  { model: "gpt2", tokens: 32, options: TOKEN, rounds: 430, bytes: 0.27e9 },
  { model: "llama-7b", tokens: 8, options: TOKEN, rounds: 1100, bytes: 0.85e9 },
];

async function costOf({ model, tokens, options }: Gate, layers: number): Promise<CostReport["cost"]> {
  const { plan } = await compileArchitecture(shortened(model, layers), tokens, options);
  const { cost } = costReport(plan);
  return cost;
}

describe("rounds and bytes of whole inferences", () => {
  test.each(GATES)("$model, $tokens tokens, $options", async (gate) => {
    const cost = await costOf(gate, ARCHITECTURES[gate.model].layers);
    expect(cost.rounds).toBeLessThanOrEqual(gate.rounds);
    expect(cost.bytes.total).toBeLessThanOrEqual(gate.bytes);
    expect(cost.bytes.online).toBeLessThanOrEqual(gate.online ?? gate.bytes);
  });
});
