/**
 * Protects: a plan answers only what it was made for. The data's owner hears, alone and before anything is offered,
 * which element of which input is no row, no mask, or outside the range; the last good value beside each passes.
 */
import { describe, expect, it } from "vitest";
import { checkedData } from "../../client/checks.js";
import type { Binding } from "../../ir/plan/types.js";
import { TENSOR } from "../../ir/tensor/index.js";
import type { TensorValue } from "../../ir/tensor/value.js";
import { parse } from "../../ir/text.js";
import { planFor, randomProgram } from "../plan/support.js";

const PROGRAM = `
%0 = input {name = "ids", dtype = "i64", shape = [1, 2]} : i64[1,2]
%1 = oneHot %0 {depth = 5} : f32[1,2,5]
%2 = input {name = "mask", dtype = "i64", shape = [2]} : i64[2]
%3 = cast %2 {dtype = "bool"} : bool[2]
%4 = input {name = "x", dtype = "f32", shape = [2]} : f32[2]
%5 = input {name = "lengths", dtype = "i64", shape = [2]} : i64[2]
%6 = constant {value = i64[2] [0, 1]} : i64[2]
%7 = less %6, %5 : bool[2]
%8 = input {name = "penalty", dtype = "f32", shape = [2]} : f32[2]
%9 = constant {value = f32[] [-1000]} : f32[]
%10 = greater %8, %9 : bool[2]
%11 = constant {value = f32[] [0]} : f32[]
%12 = select %10, %8, %11 : f32[2]
output "rows" = %1
output "keep" = %3
output "x" = %4
output "before" = %7
output "kept" = %10
output "rest" = %12
`;

const BINDINGS: readonly Binding[] = [
  { input: "rows", owner: "data", output: "rows" },
  { input: "x", owner: "data", output: "x", range: [-2, 3] },
  { input: "rest", owner: "data", output: "rest", range: [0.5, 4] },
];

const GOOD = { ids: [0, 4], mask: [0, 1], x: [-2, 3], lengths: [0, 7], penalty: [0, Number.NEGATIVE_INFINITY] };

function said(changed: Partial<Record<keyof typeof GOOD, readonly number[]>>): string {
  const data = parse(PROGRAM, TENSOR);
  const plan = planFor(randomProgram(1));
  const types = new Map(data.nodes.map(({ attributes, type }) => [String(attributes.name), type]));
  const given = Object.entries({ ...GOOD, ...changed }).map(([name, numbers]): [string, TensorValue] => [
    name,
    { ...types.get(name)!, data: Float64Array.from(numbers) },
  ]);
  try {
    checkedData({ ...plan, owners: { ...plan.owners, data }, bindings: BINDINGS }, new Map(given));
    return "";
  } catch (error) {
    return String(error);
  }
}

describe("a data owner's checks", () => {
  it("let good inputs pass, up to the last good value", () => {
    expect(said({})).toBe("");
    expect(said({ ids: [-5, -1], mask: [1, 1], x: [0, 0], penalty: [4, -1000.5], lengths: [-3, 999] })).toBe("");
  });

  it.each([
    ["an id past the table", { ids: [4, 5] }, /element \[0, 1\] is 5, which is no row of a table of 5 rows/],
    ["an id before the table", { ids: [-6, 0] }, /element \[0, 0\] is -6/],
    ["a mask of 2", { mask: [1, 2] }, /element \[1\] is 2, which is no mask: 0 or 1/],
    ["a mask of -1", { mask: [-1, 0] }, /element \[0\] is -1/],
    ["a number above the range", { x: [0, 3.01] }, /element \[1\] is 3.01, which is outside of the range \[-2, 3\]/],
    ["a number below the range", { x: [-2.01, 0] }, /element \[0\] is -2.01/],
    ["an infinite number", { x: [Number.NEGATIVE_INFINITY, 0] }, /infinite: only a mask may be/],
    ["a penalty that is neither", { penalty: [0, -1] }, /element \[1\] is -1, which is outside of the range \[0, 4\]/],
  ])("refuse %s", (_, changed, says) => {
    expect(said(changed)).toMatch(says);
  });

  it("name the input where nothing else has a name", () => {
    expect(said({ penalty: [0, -1] })).toMatch(/at: {2}penalty\n/);
    expect(said({ ids: [4, 5] })).toMatch(/at: {2}ids\n/);
    expect(said({ ids: [4, 5] })).not.toContain("''");
  });

  it("say everything that is wrong with masks and numbers at once", () => {
    const text = said({ mask: [2, 0], x: [Number.NEGATIVE_INFINITY, 0] });
    expect(text).toContain("no mask");
    expect(text).toContain("infinite");
  });
});
