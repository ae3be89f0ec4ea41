/** Known values: where numbers round, wrap, overflow or are not numbers, and functions against published tables. */
import { describe, expect, it } from "vitest";
import type { Attributes } from "../../ir/graph.js";
import type { TensorOpName } from "../../ir/tensor/index.js";
import type { DType } from "../../ir/tensor/value.js";
import { apply, tensor } from "./apply.js";

function unary(
  op: TensorOpName,
  numbers: readonly number[],
  attributes: Attributes = {},
  dtype: DType = "f32",
): number[] {
  return Array.from(apply(op, [tensor([numbers.length], numbers, dtype)], attributes).data);
}

function binary(op: TensorOpName, x: readonly number[], y: readonly number[], dtype: DType, attributes = {}): number[] {
  const args = [tensor([x.length], x, dtype), tensor([y.length], y, dtype)];
  return Array.from(apply(op, args, attributes).data);
}

const { NaN: NOT_A_NUMBER, POSITIVE_INFINITY: INFINITE } = Number;

describe("activations", () => {
  it("gelu in its three forms", () => {
    const at = [-3, -1, 0, 1, 3];
    const close = (approximation: string, wanted: readonly number[]) =>
      unary("gelu", at, { approximation }).forEach((y, i) => {
        expect(y).toBeCloseTo(wanted[i], 8);
      });
    close("erf", [-0.0040496941, -0.1586552539, 0, 0.8413447461, 2.9959503059]);
    close("tanh", [-0.0036373920817729943, -0.15880800939172324, 0, 0.8411919906082768, 2.996362607918227]);
    close(
      "quick",
      at.map((x) => x / (1 + Math.exp(-1.702 * x))),
    );
    expect(() => unary("gelu", at, { approximation: "other" })).toThrow(/other/);
  });

  it("stay finite far out", () => {
    expect(unary("sigmoid", [-1000, 1000])).toEqual([0, 1]);
    expect(unary("softplus", [-1000, 0, 1000])).toEqual([0, Math.LN2, 1000]);
    expect(unary("silu", [-1000, 1000])).toEqual([-0, 1000]);
    expect(unary("relu", [-1, 2, NOT_A_NUMBER])).toEqual([0, 2, NOT_A_NUMBER]);
  });
});

describe("casts", () => {
  const casts: readonly (readonly [DType, readonly number[], readonly number[]])[] = [
    [
      "i32",
      [1.9, -1.9, 2 ** 31, -(2 ** 31) - 1, NOT_A_NUMBER, INFINITE],
      [1, -1, -(2 ** 31), 2 ** 31 - 1, 0, 2 ** 31 - 1],
    ],
    ["u8", [255, 256, -1, 300.7, -INFINITE], [255, 0, 255, 44, 0]],
    ["i8", [127, 128, -129, -INFINITE], [127, -128, 127, -128]],
    ["i16", [32768, 65535], [-32768, -1]],
    ["i64", [2 ** 53, -1e30], [2 ** 53, -(2 ** 63)]],
    ["bool", [0, 0.5, -3, NOT_A_NUMBER], [0, 1, 1, 1]],
    ["f32", [0.1, 1e39], [Math.fround(0.1), INFINITE]],
    [
      "f16",
      [0.1, 65504, 65519, 65520, 2 ** -24, 2 ** -26, -1 - 2 ** -11],
      [0.0999755859375, 65504, 65504, INFINITE, 2 ** -24, 0, -1],
    ],
    ["bf16", [1 + 2 ** -8, 1 + 3 * 2 ** -8, 3.5e38], [1, 1 + 2 ** -6, INFINITE]],
  ];
  it.each(casts)("to %s", (dtype, from, wanted) => {
    expect(unary("cast", from, { dtype }, "f64")).toEqual(wanted);
  });
});

describe("arithmetic", () => {
  it("divides integers toward zero and keeps signs of remainders as asked", () => {
    expect(binary("divide", [7, -7, 7, -7], [2, 2, -2, -2], "i32")).toEqual([3, -3, -3, 3]);
    expect(binary("modulo", [7, -7, 7, -7], [3, 3, -3, -3], "i32", { fmod: false })).toEqual([1, 2, -2, -1]);
    expect(binary("modulo", [7, -7, 7, -7], [3, 3, -3, -3], "i32", { fmod: true })).toEqual([1, -1, 1, -1]);
  });

  it("rounds halves to even", () => {
    expect(unary("round", [0.5, 1.5, 2.5, -0.5, -1.5, 0.4999, 7])).toEqual([0, 2, 2, 0, -2, 0, 7]);
  });

  it("passes NaN through maxima, minima and clamps", () => {
    expect(binary("maximum", [1, NOT_A_NUMBER], [NOT_A_NUMBER, 1], "f32")).toEqual([NOT_A_NUMBER, NOT_A_NUMBER]);
    expect(binary("minimum", [1, NOT_A_NUMBER], [NOT_A_NUMBER, 1], "f32")).toEqual([NOT_A_NUMBER, NOT_A_NUMBER]);
    expect(unary("clamp", [NOT_A_NUMBER, -5, 5, 0], { low: -1, high: 1 })).toEqual([NOT_A_NUMBER, -1, 1, 0]);
  });

  it("compares and tells what is no number", () => {
    expect(binary("less", [1, NOT_A_NUMBER, 2], [2, 0, 2], "f32")).toEqual([1, 0, 0]);
    expect(unary("isNaN", [NOT_A_NUMBER, INFINITE, 0])).toEqual([1, 0, 0]);
    expect(unary("isInfinite", [NOT_A_NUMBER, -INFINITE, 0])).toEqual([0, 1, 0]);
  });
});

describe("softmax", () => {
  const rows = (x: readonly number[], keep?: readonly number[]) =>
    Array.from(
      apply("softmax", [tensor([x.length], x), ...(keep === undefined ? [] : [tensor([x.length], keep, "bool")])], {
        axis: 0,
      }).data,
    );

  it("survives large scores and -infinity", () => {
    expect(rows([1000, 1000])).toEqual([0.5, 0.5]);
    expect(rows([0, -INFINITE, 0])).toEqual([0.5, 0, 0.5]);
    expect(rows([-INFINITE, -INFINITE])).toEqual([0, 0]);
  });

  it("gives nothing to what is masked, and 0 where all is", () => {
    expect(rows([5, 900, 5], [1, 0, 1])).toEqual([0.5, 0, 0.5]);
    expect(rows([1, 2, 3], [0, 0, 0])).toEqual([0, 0, 0]);
  });
});

describe("empty axes", () => {
  it("sum to the neutral element", () => {
    const empty = tensor([2, 0], []);
    const over = { axes: [1], keep: false };
    const reduced = (op: TensorOpName) => Array.from(apply(op, [empty], over).data);
    expect(reduced("reduceSum")).toEqual([0, 0]);
    expect(reduced("reduceProduct")).toEqual([1, 1]);
    expect(reduced("reduceMaximum")).toEqual([-INFINITE, -INFINITE]);
    expect(reduced("reduceMinimum")).toEqual([INFINITE, INFINITE]);
    expect(Array.from(apply("matmul", [empty, tensor([0, 3], [])]).data)).toEqual(new Array(6).fill(0));
  });
});

describe("indices", () => {
  it("outside the tensor are refused", () => {
    const x = tensor([3], [1, 2, 3]);
    expect(() => apply("gather", [x, tensor([1], [3], "i64")], { axis: 0 })).toThrow();
    expect(() => apply("gatherElements", [x, tensor([1], [-4], "i64")], { axis: 0 })).toThrow();
    expect(Array.from(apply("oneHot", [tensor([3], [0, -1, 7], "i64")], { depth: 2 }).data)).toEqual([
      1, 0, 0, 1, 0, 0,
    ]);
  });
});
