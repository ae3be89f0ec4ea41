/** Each operator set's own rules: what was an attribute and became an input, and what changed its meaning. */
import { describe, it } from "vitest";
import { type CaseInput, compareWithRuntime, type OperatorCase } from "./oracle.js";

const f32 = (...shape: number[]): CaseInput => ({ shape });
const fixed = (...values: number[]): CaseInput => ({ shape: [values.length], values, dtype: "i64", fixed: true });
const number = (value: number): CaseInput => ({ shape: [], values: [value], dtype: "f32", fixed: true });
const int = (integer: number) => ({ integer });
const ints = (...integers: number[]) => ({ integers });
const X = f32(2, 3, 4);

function test(
  op: string,
  opset: number,
  inputs: OperatorCase["inputs"],
  outputs: OperatorCase["outputs"],
  attributes: OperatorCase["attributes"] = {},
): OperatorCase {
  return { op, opset, inputs, outputs, attributes };
}

const CASES: Record<string, OperatorCase> = {
  "Softmax flattens": test("Softmax", 11, [X], [[2, 3, 4]], { axis: int(1) }),
  "Softmax by default": test("Softmax", 11, [X], [[2, 3, 4]]),
  "Softmax of one axis": test("Softmax", 13, [X], [[2, 3, 4]], { axis: int(1) }),
  "LogSoftmax flattens": test("LogSoftmax", 11, [X], [[2, 3, 4]], { axis: int(1) }),
  "Split by attribute": test(
    "Split",
    11,
    [X],
    [
      [2, 3, 1],
      [2, 3, 3],
    ],
    { axis: int(2), split: ints(1, 3) },
  ),
  "Split in equal parts": test(
    "Split",
    11,
    [X],
    [
      [2, 3, 2],
      [2, 3, 2],
    ],
    { axis: int(-1) },
  ),
  "Split by input": test(
    "Split",
    13,
    [X, fixed(1, 3)],
    [
      [2, 3, 1],
      [2, 3, 3],
    ],
    { axis: int(2) },
  ),
  "Split by count": test("Split", 18, [f32(7)], [[3], [3], [1]], { num_outputs: int(3) }),
  "ReduceSum by attribute": test("ReduceSum", 11, [X], [[2, 4]], { axes: ints(1), keepdims: int(0) }),
  "ReduceSum by input": test("ReduceSum", 13, [X, fixed(-1)], [[2, 3, 1]]),
  "ReduceSum of nothing": test("ReduceSum", 13, [X, fixed()], [[2, 3, 4]], { noop_with_empty_axes: int(1) }),
  "ReduceMean by attribute": test("ReduceMean", 17, [X], [[2, 3, 1]], { axes: ints(-1) }),
  "ReduceMean by input": test("ReduceMean", 18, [X, fixed(0, 2)], [[1, 3, 1]]),
  "ReduceMax of all": test("ReduceMax", 13, [X], [[1, 1, 1]]),
  "Squeeze by attribute": test("Squeeze", 11, [f32(2, 1, 3, 1)], [[2, 3, 1]], { axes: ints(1) }),
  "Squeeze all": test("Squeeze", 13, [f32(2, 1, 3, 1)], [[2, 3]]),
  "Unsqueeze by attribute": test("Unsqueeze", 11, [X], [[1, 2, 3, 1, 4]], { axes: ints(0, 3) }),
  "Unsqueeze by input": test("Unsqueeze", 13, [X, fixed(-1, 1)], [[2, 1, 3, 4, 1]]),
  "Clip by attribute": test("Clip", 10, [X], [[2, 3, 4]], { min: { number: -0.5 }, max: { number: 0.25 } }),
  "Clip by input": test("Clip", 13, [X, null, number(0.1)], [[2, 3, 4]]),
  "Slice by attribute": test("Slice", 9, [X], [[2, 2, 4]], { starts: ints(-2), ends: ints(1000), axes: ints(1) }),
  "Slice to the end": test("Slice", 13, [X, fixed(1), fixed(2 ** 63), fixed(2)], [[2, 3, 3]]),
  "Slice backwards": test("Slice", 13, [X, fixed(-1), fixed(-(2 ** 63)), fixed(2), fixed(-2)], [[2, 3, 2]]),
  "Pad by attribute": test("Pad", 10, [X], [[3, 3, 6]], { pads: ints(1, 0, 0, 0, 0, 2), value: { number: 7 } }),
  "Pad by reflection": test("Pad", 13, [X, fixed(0, 1, 2, 0, 0, 3)], [[2, 4, 9]], { mode: { string: "reflect" } }),
  "Pad at the edge": test("Pad", 13, [X, fixed(0, 1, 2, 0, 0, 0)], [[2, 4, 6]], { mode: { string: "edge" } }),
  "TopK by attribute": {
    ...test(
      "TopK",
      9,
      [X],
      [
        [2, 3, 2],
        [2, 3, 2],
      ],
      { k: int(2) },
    ),
    dtypes: ["f32", "i64"],
  },
  "Reshape copies zeros": test("Reshape", 13, [X, fixed(0, -1)], [[2, 12]]),
  "Expand both ways": test("Expand", 13, [f32(2, 1, 4), fixed(3, 1)], [[2, 3, 4]]),
  "Gemm with a row": test("Gemm", 11, [f32(3, 2), f32(3, 4), f32(4)], [[2, 4]], {
    transA: int(1),
    alpha: { number: 0.5 },
    beta: { number: 2 },
  }),
  "Conv with padding and groups": test("Conv", 11, [f32(1, 4, 5, 5), f32(6, 2, 3, 3), f32(6)], [[1, 6, 3, 3]], {
    group: int(2),
    strides: ints(2, 2),
    auto_pad: { string: "SAME_UPPER" },
  }),
  "Conv with dilation": test("Conv", 11, [f32(1, 2, 7), f32(3, 2, 3)], [[1, 3, 5]], {
    dilations: ints(2),
    pads: ints(1, 1),
  }),
  "MaxPool rounding up": test("MaxPool", 12, [f32(1, 2, 5, 5)], [[1, 2, 3, 3]], {
    kernel_shape: ints(2, 2),
    strides: ints(2, 2),
    ceil_mode: int(1),
  }),
  "AveragePool with padding": test("AveragePool", 11, [f32(1, 2, 5, 5)], [[1, 2, 3, 3]], {
    kernel_shape: ints(3, 3),
    strides: ints(2, 2),
    pads: ints(1, 1, 1, 1),
  }),
  "LayerNormalization of two axes": test("LayerNormalization", 17, [X, f32(3, 4), f32(3, 4)], [[2, 3, 4]], {
    axis: int(1),
  }),
  InstanceNormalization: test("InstanceNormalization", 11, [f32(2, 3, 5), f32(3), f32(3)], [[2, 3, 5]]),
  "OneHot along axis 1": {
    ...test(
      "OneHot",
      11,
      [
        { shape: [2, 3], values: [0, 2, -1, 1, 7, 3], dtype: "i64" },
        { shape: [], values: [4], dtype: "i64", fixed: true },
        { shape: [2], values: [-1, 5], dtype: "f32" },
      ],
      [[2, 4, 3]],
      { axis: int(1) },
    ),
  },
  "Gelu by tanh": test("Gelu", 20, [X], [[2, 3, 4]], { approximate: { string: "tanh" } }),
};

const EINSUMS: readonly [string, number[][], number[]][] = [
  [
    "bhqd,bhkd->bhqk",
    [
      [2, 3, 4, 5],
      [2, 3, 6, 5],
    ],
    [2, 3, 4, 6],
  ],
  [
    "...ij,...jk->...ik",
    [
      [2, 3, 4],
      [2, 4, 5],
    ],
    [2, 3, 5],
  ],
  [
    "ij,jk",
    [
      [2, 3],
      [3, 4],
    ],
    [2, 4],
  ],
  ["ii->i", [[3, 3]], [3]],
  ["bij->b", [[2, 3, 4]], [2]],
  ["bij,j->bi", [[2, 3, 4], [4]], [2, 3]],
  ["i,j->ji", [[3], [4]], [4, 3]],
  [
    "ab,bc,cd->ad",
    [
      [2, 3],
      [3, 4],
      [4, 5],
    ],
    [2, 5],
  ],
  [
    "bthd,hde->bte",
    [
      [2, 3, 2, 4],
      [2, 4, 5],
    ],
    [2, 3, 5],
  ],
];

describe("operator sets", () => {
  it.each(Object.entries(CASES))("%s", (_, each) => compareWithRuntime(each));
});

describe("Einsum", () => {
  it.each(EINSUMS)("%s", (equation, shapes, output) =>
    compareWithRuntime(
      test(
        "Einsum",
        12,
        shapes.map((shape) => f32(...shape)),
        [output],
        { equation: { string: equation } },
      ),
    ),
  );
});
