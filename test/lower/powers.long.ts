/**
 * Functions of positive values of many magnitudes, swept in steps of an eighth of an octave from far below what was
 * measured to far above: every answer is right, or the overflow guard withholds it. The argument is a product, so that
 * it leaves its range where the inputs do not.
 */
import { describe, expect, it } from "vitest";
import { simulate } from "../../client/local/simulation.js";
import { runOwners } from "../../client/owners.js";
import { planDigest } from "../../ir/plan/codec.js";
import { compileText, floats } from "./support.js";

const COUNT = 32;
const STEP = 1 / 8;
const BEYOND = 4;

const FUNCTIONS: Readonly<Record<string, (x: number) => number>> = {
  reciprocal: (x) => 1 / x,
  reciprocalSquareRoot: (x) => 1 / Math.sqrt(x),
  squareRoot: Math.sqrt,
  logarithm: Math.log,
};

/** Two factors of these products, as far apart as `apart` octaves. */
function factors(product: (i: number) => number, apart: (i: number) => number) {
  const factor = (sign: number) => floats([COUNT], (i) => Math.sqrt(product(i)) * 2 ** ((sign * apart(i)) / 2));
  return new Map([
    ["a", factor(1)],
    ["b", factor(-1)],
  ]);
}

function planFor(op: string, least: number, octaves: number) {
  const type = `f32[${COUNT}]`;
  const text = `%0 = input {name = "a", dtype = "f32", shape = [${COUNT}]} : ${type}
%1 = input {name = "b", dtype = "f32", shape = [${COUNT}]} : ${type}
%2 = multiply %0, %1 : ${type} @ "product"
%3 = ${op} %2 : ${type} @ "function"
output "y" = %3`;
  const inputs = factors(
    (i) => least * 2 ** ((octaves * i) / (COUNT - 1)),
    (i) => (i % 2) * 12 - 6,
  );
  const calibration = Array.from({ length: 16 }, () => inputs);
  return compileText({ text, weights: new Map(), inputs }, { shared: ["a", "b"], calibration });
}

describe.each(Object.entries(FUNCTIONS))("%s", (op, of) => {
  it.each([3, 7, 12, 16, 19])("of values over %d octaves", async (octaves) => {
    const [wrong, answered]: [string[], number[]] = [[], []];
    for (const mantissa of [1, 1.23, 1.55, 1.9]) {
      const least = mantissa * 2 ** -Math.floor(octaves / 2);
      const { plan, weights } = planFor(op, least, octaves);
      for (let at = -BEYOND; at <= octaves + BEYOND; at += STEP) {
        const value = (i: number) => least * 2 ** (at + (STEP * i) / COUNT);
        const run = runOwners(
          plan,
          factors(value, () => 0),
          weights,
        );
        const outputs = await simulate({ plan, digest: planDigest(plan) }, run, 1).then(
          (outcome) => outcome.outputs,
          () => undefined,
        );
        if (outputs !== undefined) {
          answered.push(at);
          const off = Array.from(
            outputs.get("y")!.data,
            (y, i) => Math.abs(y - of(value(i))) / Math.max(1, of(value(i))),
          );
          if (Math.max(...off) > 0.02) {
            wrong.push(`${op} from ${least}: off by ${Math.max(...off)} at 2^${at} times that`);
          }
        }
      }
    }
    expect(wrong).toEqual([]);
    // All that was measured is answered.
    expect(answered.length).toBeGreaterThan((4 * octaves) / STEP);
  });
});
