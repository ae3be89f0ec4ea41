/**
 * What must be exact: truth values and whole numbers, however they are combined, and inputs of which only a part is
 * read. A value at fraction 0 that went through `rescale` would be off by one for some masks.
 */
import { describe, expect, test } from "vitest";
import type { TensorValue } from "../../ir/tensor/value.js";
import { compileText, floats, runText, type TextModel } from "./support.js";

const N = 300;
const truths = (every: number): TensorValue => ({ ...floats([N], (i) => (i % every === 0 ? 1 : 0)), dtype: "bool" });

/** Truth values of the data owner (%0, %1), a comparison (%4) and `body` from %5 to the output. */
const model = (body: string): TextModel => ({
  text: `%0 = input {name = "a", dtype = "bool", shape = [${N}]} : bool[${N}]
%1 = input {name = "b", dtype = "bool", shape = [${N}]} : bool[${N}]
%2 = input {name = "x", dtype = "f32", shape = [${N}]} : f32[${N}]
%3 = constant {value = f32[] [0.5]} : f32[]
%4 = less %2, %3 : bool[${N}] @ "less"
${body}`,
  inputs: new Map([
    ["a", truths(2)],
    ["b", truths(3)],
    ["x", floats([N], (i) => (i % 7) / 7)],
  ]),
});
const SHARED = { shared: ["a", "b", "x"] };

describe("truth values", () => {
  test.each([
    ["of inputs", "%5 = and %0, %1", "%6 = or %5, %1", "%7 = xor %6, %0"],
    ["of inputs and comparisons", "%5 = and %0, %4", "%6 = or %5, %4", "%7 = xor %6, %1"],
    ["of products of them", "%5 = and %0, %1", "%6 = and %5, %4", "%7 = not %6"],
    ["of choices between them", "%5 = select %0, %1, %4", "%6 = select %4, %5, %0", "%7 = not %6"],
  ])("%s stay what they are", async (_, ...lines) => {
    const body = lines.map((line) => `${line} : bool[${N}]`).join("\n");
    const given = model(`${body}\noutput "y" = %7`);
    for (const seed of [1, 2, 3]) {
      expect((await runText(given, SHARED, seed)).error).toBe(0);
    }
  });

  test("that choose numbers cost the numbers no more than their rounding", async () => {
    const given = model(`%5 = and %0, %1 : bool[${N}]
%6 = select %5, %2, %3 : f32[${N}]
output "y" = %6`);
    expect((await runText(given, SHARED)).error).toBeLessThan(2 ** -12);
  });
});

describe("whole numbers", () => {
  test("that are cast, chosen, added and multiplied are exact", async () => {
    const type = `i64[${N}]`;
    const given = model(`%5 = constant {value = f32[] [10]} : f32[]
%6 = multiply %2, %5 : f32[${N}]
%7 = cast %6 {dtype = "i64"} : ${type}
%8 = constant {value = i64[] [3]} : i64[]
%9 = add %7, %8 : ${type}
%10 = multiply %9, %7 : ${type}
%11 = select %0, %10, %7 : ${type}
%12 = maximum %11, %8 : ${type}
%13 = oneHot %12 {depth = 40} : f32[${N},40]
output "number" = %12
output "row" = %13`);
    expect((await runText(given, SHARED)).error).toBe(0);
  });
});

describe("an input of which only a part is read", () => {
  const given: TextModel = {
    text: `%0 = input {name = "x", dtype = "f32", shape = [64]} : f32[64]
%1 = slice %0 {starts = [0], ends = [8], steps = [1]} : f32[8]
%2 = parameter {name = "w", dtype = "f32", shape = [8]} : f32[8]
%3 = multiply %1, %2 : f32[8]
output "y" = %3`,
    weights: new Map([["w", floats([8], (i) => i / 8)]]),
    inputs: new Map([["x", floats([64], (i) => (i < 8 ? i / 64 : 1000 * i))]]),
  };

  test("is shared in a ring that holds all of it", async () => {
    const { plan } = compileText(given, { shared: ["x"] });
    const { type } = plan.steps.find(({ op, attributes }) => op === "input" && attributes.name === "x")!;
    const { ring, fraction } = type as { ring: number; fraction: number };
    expect(2 ** (ring - fraction - 1)).toBeGreaterThan(63e3);
    expect((await runText(given, { shared: ["x"] })).error).toBeLessThan(2e-3);
  });
});
