/**
 * The law of the share language: for every op, the three roles together equal `evaluate` within the declared ulp, and
 * the declared cost equals the bytes and rounds on the wire, exactly. Random rings, shapes, values and delivery orders.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Step } from "../../ir/plan/types.js";
import { seededNumbers } from "../../ir/seeded.js";
import { SHARE_OPS, type ShareOpName, type ShareValue } from "../../ir/share/index.js";
import { loadKernels } from "../../runtime/kernels/load.js";
import { createPortableKernels } from "../../runtime/kernels/portable.js";
import type { PartyName } from "../../runtime/transport.js";
import { costOf, depthsOf, planOf, runPlan, type Values } from "./harness.js";
import { errorOf, evaluate } from "./meaning.js";
import { programOf } from "./programs.js";

const RUNS = 25;

/** P1 runs the best kernels there are and P2 the portable ones, or the reverse: they must agree bit for bit. */
const { create } = loadKernels();
const kernelsFor = (seed: number) => (party: PartyName) =>
  (party === "P1") === (seed % 2 === 0) ? create : createPortableKernels;

function randomWords(random: () => number): Values {
  return (name, count) =>
    BigUint64Array.from({ length: count }, () => {
      const word = (BigInt(Math.floor(random() * 2 ** 32)) << 32n) | BigInt(Math.floor(random() * 2 ** 32));
      if (name.startsWith("flag")) {
        return word & 1n;
      }
      return name.startsWith("narrow") ? BigInt.asUintN(64, BigInt.asIntN(64, word) >> 63n) : word;
    });
}

/** What was shared: the words that the test chose, in the input's ring; zeros of what no run has kept. */
function inputOf({ attributes, type }: Step, { value }: ShareValue, known: Values): ShareValue {
  const bits = "ring" in type ? type.ring : 64;
  const words =
    attributes.owner === "state" ? new BigUint64Array(value.length) : known(String(attributes.name), value.length);
  return { type, value: words.map((word) => BigInt.asUintN(bits, word)) };
}

async function check(op: ShareOpName, seed: number): Promise<void> {
  const random = seededNumbers(seed);
  const graph = programOf(op, random);
  const plan = planOf(graph);
  const values = new Map<string, BigUint64Array>();
  const source = randomWords(random);
  const known: Values = (name, count) => {
    const words = values.get(name) ?? source(name, count);
    values.set(name, words);
    return words;
  };
  const outcome = await runPlan(plan, known, { seed, kernels: kernelsFor(seed) });
  for (const [index, step] of plan.steps.entries()) {
    const args = step.args.map(outcome.valueOf);
    const result = outcome.valueOf(index);
    const { error, allowed } = errorOf(step, args, result, (given, values) =>
      given.op === "input" ? inputOf(given, result, known) : evaluate(given, values),
    );
    expect(error, `${step.op} differs`).toBeLessThanOrEqual(allowed);
  }
  outcome.close();
  const costs = graph.nodes.map(costOf);
  const total = (pick: (cost: (typeof costs)[number]) => number) => costs.reduce((sum, cost) => sum + pick(cost), 0);
  const { P0, P1, P2 } = outcome.reports;
  expect(P0.sent).toEqual({ P0: 0, P1: 0, P2: total((cost) => cost.offline), model: 0, data: 0 });
  const evaluator = { P0: 0, model: 0, data: total((cost) => cost.output) };
  expect(P1.sent).toEqual({ ...evaluator, P1: 0, P2: total((cost) => cost.online) });
  expect(P2.sent).toEqual({ ...evaluator, P1: total((cost) => cost.online), P2: 0 });
  expect([P1.rounds, P2.rounds]).toEqual(Array(2).fill(Math.max(...depthsOf(graph).values())));
}

describe("the three roles equal the meaning, and cost what they say", () => {
  for (const op of Object.keys(SHARE_OPS) as ShareOpName[]) {
    test(op, async () => {
      await fc.assert(
        fc.asyncProperty(fc.integer({ min: 0, max: 2 ** 31 - 1 }), (seed) => check(op, seed)),
        { numRuns: RUNS },
      );
    });
  }
});
