/** Whatever is taken or put at an index of an input means the same as a product with one-hot rows. */
import { describe, expect, test } from "vitest";
import { evaluateGraph, TENSOR } from "../../ir/tensor/index.js";
import type { TensorValue } from "../../ir/tensor/value.js";
import { parse } from "../../ir/text.js";
import { place } from "../../passes/place.js";
import { normal } from "../lower/support.js";
import { evaluatePlaced, expectClose, storeOf } from "./support.js";

const ints = (shape: readonly number[], ...data: number[]): TensorValue => ({
  dtype: "i64",
  shape,
  data: Float64Array.from(data),
});

/** x [2, 3, 4], secret; the index is `i`. */
const graph = (indexShape: string, lines: string, index = '{name = "i", dtype = "i64"') =>
  `%0 = input {name = "x", dtype = "f32", shape = [2, 3, 4]} : f32[2,3,4]
%1 = parameter {name = "w", dtype = "f32", shape = [4, 4]} : f32[4,4]
%2 = matmul %0, %1 : f32[2,3,4]
%3 = input ${index}, shape = [${indexShape}]} : i64[${indexShape}]
${lines}
output "y" = %9`;

const CASES: readonly (readonly [name: string, text: string, index: TensorValue])[] = [
  ["gather along the first axis", graph("2", "%9 = gather %2, %3 {axis = 0} : f32[2,3,4]"), ints([2], 1, -2)],
  ["gather in the middle", graph("2, 2", "%9 = gather %2, %3 {axis = 1} : f32[2,2,2,4]"), ints([2, 2], 0, 2, -1, 1)],
  ["gather along the last axis", graph("1", "%9 = gather %2, %3 {axis = 2} : f32[2,3,1]"), ints([1], 3)],
  ["gather of one", graph("", "%9 = gather %2, %3 {axis = 1} : f32[2,4]"), ints([], -3)],
  ["gatherND of rows", graph("2, 2", "%9 = gatherND %2, %3 {batch = 0} : f32[2,4]"), ints([2, 2], 0, -1, 1, 1)],
  ["gatherND of elements", graph("1, 3", "%9 = gatherND %2, %3 {batch = 0} : f32[1]"), ints([1, 3], 1, 2, -4)],
  [
    "gatherElements of whole rows",
    graph(
      "2, 1, 1",
      "%4 = broadcast %3 {shape = [2, 1, 4]} : i64[2,1,4]\n%9 = gatherElements %2, %4 {axis = 1} : f32[2,1,4]",
    ),
    ints([2, 1, 1], 2, 0),
  ],
  [
    "gatherElements",
    graph("2, 3, 2", "%9 = gatherElements %2, %3 {axis = 2} : f32[2,3,2]"),
    ints([2, 3, 2], 0, 1, 3, 3, 2, 0, 1, 0, 3, 1, 2, 2),
  ],
  [
    "scatterElements into zeros",
    graph(
      "2, 3, 2",
      `%4 = constant {value = f32[] [0]} : f32[]
%5 = broadcast %4 {shape = [2, 3, 6]} : f32[2,3,6]
%6 = slice %2 {starts = [0, 0, 1], ends = [2, 3, 3], steps = [1, 1, 1]} : f32[2,3,2]
%9 = scatterElements %5, %3, %6 {axis = 2} : f32[2,3,6]`,
    ),
    ints([2, 3, 2], 0, 5, 3, 1, 2, 0, 1, 0, 4, 1, 2, 3),
  ],
  [
    "scatterElements over what was there",
    graph(
      "2, 1, 4",
      `%6 = slice %2 {starts = [0, 1, 0], ends = [2, 2, 4], steps = [1, 1, 1]} : f32[2,1,4]
%9 = scatterElements %2, %3, %6 {axis = 1} : f32[2,3,4]`,
    ),
    ints([2, 1, 4], 0, 1, 2, 0, 2, 2, 1, 0),
  ],
];

describe.each(["data", "public", "secret"] as const)("an index that is %s", (known) => {
  test.each(CASES)("%s", (_, text, index) => {
    const given = parse(text, TENSOR);
    const inputs = new Map([
      ["x", normal([2, 3, 4])],
      ["i", index],
    ]);
    const weights = storeOf(new Map([["w", normal([4, 4], 1, 3)]]));
    const placed = place(given, {
      isPublic: (name) => name === "i" && known === "public",
      isShared: (name) => name === "i" && known === "secret",
    });
    expectClose(evaluatePlaced(placed, inputs, weights), evaluateGraph(given, inputs, weights), 1e-9, text);
    expect(placed.secret.nodes.filter(({ op }) => /^(gather|scatter)/.test(op))).toEqual([]);
  });
});
