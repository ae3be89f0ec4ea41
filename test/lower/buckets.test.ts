/**
 * Powers of a positive value over a wide range: two rounds and a relative error below 5·10⁻⁴ everywhere, next to each
 * border of the buckets above all, and at both ends of the range.
 */
import { describe, expect, test } from "vitest";
import { costReport } from "../../analysis/cost.js";
import { floats, runText } from "./support.js";

const COUNT = 400;
/** Doublings from the least value on which buckets meet, and a part of a bucket to either side of it. */
const BORDERS = [3, 6, 9, 12, 15, 18, 21];
const NEAR = [0.7, 0.8, 0.9, 0.95, 0.99, 0.999, 1, 1.001, 1.01, 1.05, 1.1, 1.2, 1.3];

/** Values of [low, high], evenly spread in octaves, and some about every border. */
function valuesOf(low: number, high: number): number[] {
  const even = Array.from({ length: COUNT }, (_, i) => low * (high / low) ** (i / (COUNT - 1)));
  const start = 2 ** Math.floor(Math.log2(low));
  const near = BORDERS.flatMap((octaves) => NEAR.map((part) => start * 2 ** octaves * part));
  return [...even, ...near.filter((each) => each > low && each < high)];
}

const cases = [
  { op: "reciprocal", of: (x: number) => 1 / x, low: 1, high: 2 ** 14, bits: 2 },
  { op: "reciprocal", of: (x: number) => 1 / x, low: 0.3, high: 700, bits: 2 },
  { op: "reciprocal", of: (x: number) => 1 / x, low: 1.2, high: 2 ** 19, bits: 3 },
  { op: "reciprocal", of: (x: number) => 1 / x, low: 0.5, high: 2 ** 18, bits: 3 },
  { op: "reciprocalSquareRoot", of: (x: number) => 1 / Math.sqrt(x), low: 0.5, high: 20_000, bits: 2 },
];

/** Relative errors of a function on values, by a plan for what was measured. */
async function errorsOf(op: string, of: (x: number) => number, values: readonly number[], measured: readonly number[]) {
  const text = `%0 = input {dtype = "f32", name = "x", shape = [${values.length}]} : f32[${values.length}] @ "x"
%1 = parameter {dtype = "f32", name = "w", shape = [1]} : f32[1] @ "w"
%2 = multiply %0, %1 : f32[${values.length}] @ "product"
%3 = ${op} %2 : f32[${values.length}] @ "y"
output "y" = %3`;
  const given = (some: readonly number[]) => new Map([["x", floats([values.length], (i) => some[i % some.length])]]);
  // As many samples as it takes for margins of a quarter.
  const calibration = Array.from({ length: 16 }, () => given(measured));
  const weights = new Map([["w", floats([1], () => 1)]]);
  const { plan, outputs } = await runText({ text, inputs: given(values), weights }, { calibration });
  const { data } = given(values).get("x")!;
  return { plan, errors: Array.from(outputs.get("y")!.data, (y, i) => Math.abs(y / of(data[i]) - 1)) };
}

describe("powers over a wide range", () => {
  test.each(cases)("$op of $low to $high", async ({ op, of, low, high, bits }) => {
    const values = valuesOf(low, high);
    const { plan, errors } = await errorsOf(op, of, values, values);
    expect(plan.steps.some(({ op: step }) => step === "decays")).toBe(true);
    const selected = plan.steps.filter(({ op: step }) => step === "timesBits").map(({ args }) => args.length - 1);
    expect(Math.max(...selected)).toBe(bits);
    expect(costReport(plan).cost.rounds).toBe(3);
    expect(Math.max(...errors)).toBeLessThan(5e-4);
  });

  test("are right below all that was measured, as far as the guard lets a value pass", async () => {
    // About the start of a digit's circle, where the last of the small buckets closes it.
    for (const least of [1.1, 1.2, 1.3, 1.5, 1.7, 1.8]) {
      const measured = Array.from({ length: 30 }, (_, i) => least * 1.35 ** i);
      const below = Array.from({ length: 30 }, (_, i) => least * (0.37 + i / 1000));
      const { errors } = await errorsOf("reciprocal", (x) => 1 / x, below, measured);
      expect(Math.max(...errors), `from ${least}`).toBeLessThan(1e-3);
    }
  });
});
