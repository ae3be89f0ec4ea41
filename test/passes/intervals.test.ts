/** Interval arithmetic is sound: whatever the arguments, every op's result lies in the interval that theirs give. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Attributes, Builder, type Node } from "../../ir/graph.js";
import { TENSOR, TENSOR_OPS, type TensorOpName } from "../../ir/tensor/index.js";
import type { TensorType, TensorValue } from "../../ir/tensor/value.js";
import { extremes, type Facts, type Interval, intervalFrom } from "../../passes/intervals.js";
import { apply, tensor } from "../tensor/apply.js";
import { EXAMPLES } from "../tensor/examples.js";

/** Results are rounded to single precision, intervals are not. */
const ROUNDING = 1e-6;

const NO_FACTS: Facts = { valueOf: () => undefined, isOneHot: () => false };

function nodeOf(op: TensorOpName, args: readonly TensorValue[], attributes: Attributes): Node<TensorType> {
  const builder = new Builder<TensorType>(TENSOR);
  const inputs = args.map(({ dtype, shape }, i) => builder.emit("input", [], { name: `x${i}`, dtype, shape }));
  return builder.emit(op, inputs, attributes);
}

function expectInside(value: TensorValue, [low, high]: Interval, what: string): void {
  for (const x of value.data) {
    const slack = ROUNDING * Math.max(1, Math.abs(x));
    expect(!Number.isFinite(x) || (x >= low - slack && x <= high + slack), `${what}: ${x} in [${low}, ${high}]`).toBe(
      true,
    );
  }
}

const VALUES = (Object.keys(TENSOR_OPS) as TensorOpName[]).filter((op) => !["input", "parameter"].includes(op));

test.each(VALUES)("%s", (op) => {
  fc.assert(
    fc.property(EXAMPLES[op], ({ args, attributes }) => {
      const node = nodeOf(op, args, attributes);
      const interval = intervalFrom(
        node,
        args.map((value) => extremes(value)),
        NO_FACTS,
      );
      expectInside(apply(op, args, attributes), interval, op);
    }),
    { numRuns: 60 },
  );
});

describe("products of matrices", () => {
  const random = (shape: readonly number[]) =>
    fc
      .array(fc.double({ min: -4, max: 4, noNaN: true }), {
        minLength: shape[0] * shape[1],
        maxLength: shape[0] * shape[1],
      })
      .map((numbers) => tensor(shape, numbers, "f64"));

  const boundOf = (
    build: (x: Node<TensorType>, emit: Builder<TensorType>["emit"]) => Node<TensorType>,
    w: TensorValue,
  ) => {
    const builder = new Builder<TensorType>(TENSOR);
    const emit = builder.emit.bind(builder);
    const x = builder.emit("input", [], { name: "x", dtype: "f64", shape: [3, 5] });
    const rows = build(x, emit);
    const node = builder.emit("matmul", [rows, builder.emit("constant", [], { value: w })]);
    const facts: Facts = { valueOf: (each) => each.attributes.value as TensorValue | undefined, isOneHot: () => false };
    const rowInterval = intervalFrom(rows, [[-20, 20]], facts);
    return { facts, node, interval: intervalFrom(node, [rowInterval, extremes(w)], facts) };
  };

  test.each(["softmax", "layerNorm", "rmsNorm", "negate"] as const)("of rows of %s with a known matrix", (op) => {
    const attributes = { softmax: { axis: 1 }, layerNorm: { epsilon: 1e-5 }, rmsNorm: { epsilon: 1e-5 }, negate: {} }[
      op
    ];
    fc.assert(
      fc.property(random([3, 5]), random([5, 4]), (x, w) => {
        const { interval } = boundOf((input, emit) => emit(op, [input], attributes), w);
        expectInside(apply("matmul", [apply(op, [x], attributes), w]), interval, op);
      }),
      { numRuns: 60 },
    );
  });

  test("are as tight as rows of a norm allow", () => {
    const w = tensor([5, 1], [1, 1, 1, 1, 1], "f64");
    const { interval } = boundOf((x, emit) => emit("rmsNorm", [x], { epsilon: 1e-5 }), w);
    expect(interval[1]).toBeCloseTo(5, 6);
    const alternating = tensor([5, 1], [3, -3, 3, -3, 3], "f64");
    const mean = boundOf((x, emit) => emit("softmax", [x], { axis: 1 }), alternating);
    expect(mean.interval).toEqual([-3, 3]);
  });
});

test("an op without a rule, and 1/x through zero, are unbounded", () => {
  const x = tensor([2], [-1, 2], "f64");
  expect(intervalFrom(nodeOf("tangent", [x], {}), [[-1, 2]], NO_FACTS)).toEqual([-Infinity, Infinity]);
  expect(intervalFrom(nodeOf("reciprocal", [x], {}), [[-1, 2]], NO_FACTS)).toEqual([-Infinity, Infinity]);
  expect(intervalFrom(nodeOf("reciprocal", [x], {}), [[0, 2]], NO_FACTS)).toEqual([0.5, Infinity]);
  expect(intervalFrom(nodeOf("reciprocal", [x], {}), [[-2, 0]], NO_FACTS)).toEqual([-Infinity, -0.5]);
});

describe("formulas written by hand", () => {
  const VALUE = fc
    .array(fc.double({ min: -30, max: 30, noNaN: true }), { minLength: 12, maxLength: 12 })
    .map((numbers) => tensor([3, 4], numbers, "f64"));
  const emitted = (axes: readonly number[], keep: boolean, extreme: "reduceMaximum" | "reduceMinimum") => {
    const builder = new Builder<TensorType>(TENSOR);
    const x = builder.emit("input", [], { name: "x", dtype: "f64", shape: [3, 4] });
    const reduced = builder.emit(extreme, [x], { axes, keep });
    const shape = [3, 4].map((n, axis) => (axes.includes(axis) ? 1 : n));
    const difference = builder.emit("subtract", [x, builder.emit("reshape", [reduced], { shape })]);
    const power = builder.emit("exponential", [difference]);
    return { difference, power, total: builder.emit("reduceSum", [power], { axes, keep }) };
  };

  test.each([
    [[1], true],
    [[1], false],
    [[0], false],
    [[0, 1], true],
  ])("x − max x over %j, kept %j, is at most 0, and its powers add up to 1 or more", (axes, keep) => {
    fc.assert(
      fc.property(VALUE, (x) => {
        const { difference, power, total } = emitted(axes, keep, "reduceMaximum");
        const range = intervalFrom(difference, [extremes(x), extremes(x)], NO_FACTS);
        expect(range[1]).toBe(0);
        const sum = intervalFrom(total, [intervalFrom(power, [range], NO_FACTS)], NO_FACTS);
        expect(sum[0]).toBeGreaterThanOrEqual(1);
        const largest = apply("reshape", [apply("reduceMaximum", [x], { axes, keep: true })], {
          shape: [3, 4].map((n, axis) => (axes.includes(axis) ? 1 : n)),
        });
        const less = apply("subtract", [x, largest]);
        expectInside(less, range, "difference");
        expectInside(apply("reduceSum", [apply("exponential", [less])], { axes, keep }), sum, "sum");
      }),
      { numRuns: 40 },
    );
  });

  test("x − min x is not negative", () => {
    const { difference } = emitted([1], true, "reduceMinimum");
    expect(
      intervalFrom(
        difference,
        [
          [-3, 5],
          [-3, 5],
        ],
        NO_FACTS,
      ),
    ).toEqual([0, 8]);
  });

  test("a maximum that is not of the same rows says nothing", () => {
    const builder = new Builder<TensorType>(TENSOR);
    const x = builder.emit("input", [], { name: "x", dtype: "f64", shape: [4, 4] });
    const rows = builder.emit("reduceMaximum", [x], { axes: [0], keep: false });
    const across = builder.emit("subtract", [x, builder.emit("reshape", [rows], { shape: [4, 1] })]);
    expect(
      intervalFrom(
        across,
        [
          [-3, 5],
          [-3, 5],
        ],
        NO_FACTS,
      ),
    ).toEqual([-8, 8]);
  });
});
