/**
 * No plan overflows. Random programs with every input at the edge of its range are planned and run by the three roles;
 * what they reveal is the exact value but for rounding. And small programs as text, before and after the pass: after a
 * change that is meant, `BLESS=1 npx vitest run test/gates/plan-rings.test.ts` writes them anew.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DEFAULT_NETWORK, linkCost, parseNetwork } from "../../compiler/network.js";
import type { Graph } from "../../ir/graph.js";
import { seededNumbers } from "../../ir/seeded.js";
import { SHARE, type ShareType, type WordType } from "../../ir/share/index.js";
import { sizeOf } from "../../ir/tensor/value.js";
import { print } from "../../ir/text.js";
import { verify } from "../../ir/verify.js";
import { planRings } from "../../passes/plan-rings.js";
import { planOf, runPlan } from "../share/harness.js";
import { exactOutputs, type LooseProgram, looseProgram } from "./random-rings.js";
import { PROGRAMS } from "./small-programs.js";

const LINKS = [DEFAULT_NETWORK, parseNetwork("wan"), parseNetwork("20gbps,0.1ms")].map(linkCost);

/**
 * Inputs as large as their bounds allow: every other time all positive, so that products and sums are as large as
 * theirs, otherwise with random signs and a few of them anywhere within.
 */
function edgeInputs({ graph, bounds }: LooseProgram, random: () => number): ReadonlyMap<string, readonly bigint[]> {
  const inputs = graph.nodes.filter(({ op }) => op === "input");
  const aligned = random() < 0.5;
  return new Map(
    inputs.map((node) => {
      const { fraction, shape } = node.type as WordType;
      const most = Math.floor(bounds.get(node)! * 2 ** fraction);
      const anywhere = () => Math.round((random() < 0.2 ? random() : 1) * most) * (random() < 0.5 ? -1 : 1);
      const element = () => BigInt(aligned ? most : anywhere());
      return [node.attributes.name as string, Array.from({ length: sizeOf(shape) }, element)];
    }),
  );
}

async function expectExact(program: LooseProgram, planned: Graph<ShareType>, seed: number): Promise<void> {
  const inputs = edgeInputs(program, seededNumbers(seed));
  const plan = planOf(planned);
  const outcome = await runPlan(plan, (name) => BigUint64Array.from(inputs.get(name)!, (x) => BigInt.asUintN(64, x)), {
    seed,
  });
  const exact = exactOutputs(program.graph, (name) => inputs.get(name)!);
  for (const [i, step] of plan.steps.entries()) {
    if (step.op === "reveal") {
      const { value, error } = exact.get(step.attributes.name as string)!;
      const { ring } = step.type as WordType;
      outcome.valueOf(i).value.forEach((word, at) => {
        const off = BigInt.asIntN(ring, word) - value[at];
        expect(off < 0n ? -off : off, `${step.attributes.name}[${at}] in ${ring} bits`).toBeLessThanOrEqual(error[at]);
      });
    }
  }
  outcome.close();
}

function expectWithinWord(graph: Graph<ShareType>): void {
  expect(verify(graph, SHARE).map(String)).toEqual([]);
  const rings = graph.nodes.flatMap(({ type }) => ("ring" in type ? [type.ring] : []));
  expect(Math.min(...rings)).toBeGreaterThanOrEqual(1);
  expect(Math.max(...rings)).toBeLessThanOrEqual(64);
}

const widened = (graph: Graph<ShareType>) => graph.nodes.filter(({ op }) => op === "widen").length;

describe("random programs", () => {
  test("reveal the exact value but for rounding, at the edge of their ranges", async () => {
    let widens = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 2 ** 31 - 1 }),
        fc.integer({ min: 10, max: 60 }),
        async (seed, size) => {
          const program = looseProgram(seededNumbers(seed), size);
          const planned = planRings(program.graph, program.bounds, LINKS[seed % LINKS.length]);
          expectWithinWord(planned);
          widens += widened(planned);
          await expectExact(program, planned, seed);
        },
      ),
      { numRuns: 150 },
    );
    expect(widens).toBeGreaterThan(100);
  });
});

describe("small programs as text", () => {
  test.each(Object.keys(PROGRAMS))("%s", async (name) => {
    const program = PROGRAMS[name]();
    const planned = planRings(program.graph, program.bounds, linkCost(DEFAULT_NETWORK));
    expectWithinWord(planned);
    const text = `before:\n${print(program.graph, SHARE)}after:\n${print(planned, SHARE)}`;
    const file = join(import.meta.dirname, "golden", `${name}.txt`);
    if (process.env.BLESS === "1") {
      mkdirSync(join(import.meta.dirname, "golden"), { recursive: true });
      writeFileSync(file, text);
    }
    expect(text).toBe(readFileSync(file, "utf8"));
    for (const seed of [1, 2, 3]) {
      await expectExact(program, planned, seed);
    }
  });
});
