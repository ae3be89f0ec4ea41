/**
 * The law of the share level: for every op, the three roles together equal `evaluate` within the declared ulp, and the
 * declared cost equals the bytes and rounds on the wire, exactly. Random rings, shapes, values and delivery orders.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { definitionOf } from "../../ir/graph.js";
import { SHARE, SHARE_OPS, type ShareOpName, type WordType } from "../../ir/share/index.js";
import { loadKernels } from "../../runtime/kernels/load.js";
import { createPortableKernels } from "../../runtime/kernels/portable.js";
import { seededNumbers } from "../../runtime/local-transport.js";
import type { PartyName } from "../../runtime/transport.js";
import { costOf, depthsOf, planOf, runPlan, type Values } from "./harness.js";
import { programOf } from "./programs.js";

const RUNS = 25;

/** P1 runs the best kernels there are and P2 the portable ones: public factors must agree bit for bit. */
const { create } = loadKernels();
const kernels = (party: PartyName) => (party === "P1" ? create : createPortableKernels);

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

/** Largest distance of two values modulo 2^ring. */
function distance(a: BigUint64Array, b: BigUint64Array, ring: number): bigint {
  return a.reduce((most, word, i) => {
    const gap = BigInt.asIntN(ring, word - b[i]);
    const size = gap < 0n ? -gap : gap;
    return size > most ? size : most;
  }, 0n);
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
  const outcome = await runPlan(plan, known, { seed, kernels });
  for (const [index, step] of plan.steps.entries()) {
    const args = step.args.map(outcome.valueOf);
    const result = outcome.valueOf(index);
    const definition = definitionOf(SHARE, step.op);
    const types = args.map((argument) => argument.type);
    const bits = "ring" in step.type ? step.type.ring : 64;
    const expected =
      step.op === "input"
        ? known(step.attributes.name as string, result.value.length).map((word) => BigInt.asUintN(bits, word))
        : definition.evaluate(args, step.attributes, step.type, (count) => new BigUint64Array(count)).value;
    expect(result.value.length).toBe(expected.length);
    const error = distance(result.value, expected, bits);
    expect(Number(error), `${step.op} differs`).toBeLessThanOrEqual(
      ulpOf(step.op as ShareOpName, types, step.attributes, step.type, args),
    );
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

/** The declared error; that of a product with a second factor is in units of the series, times that factor. */
function ulpOf(
  op: ShareOpName,
  types: Parameters<(typeof SHARE_OPS)[ShareOpName]["ulp"]>[0],
  attributes: Parameters<(typeof SHARE_OPS)[ShareOpName]["ulp"]>[1],
  type: Parameters<(typeof SHARE_OPS)[ShareOpName]["ulp"]>[2],
  args: readonly { readonly value: BigUint64Array }[],
): number {
  const ulp = SHARE_OPS[op].ulp(types, attributes, type);
  if (op !== "seriesTimes") {
    return ulp;
  }
  const { ring } = types[1] as WordType;
  const largest = args[1].value.reduce((most, word) => {
    const size = Math.abs(Number(BigInt.asIntN(ring, word)));
    return Math.max(most, size);
  }, 1);
  return ulp * largest;
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
