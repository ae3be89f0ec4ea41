/**
 * The pass `approximate` keeps what a softmax means, on whatever axis, with a mask of whatever rank, and what masks
 * mean that stand elsewhere.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Attributes, Builder, type Graph } from "../../ir/graph.js";
import { evaluateGraph, TENSOR, type TensorOpName } from "../../ir/tensor/index.js";
import type { TensorType, TensorValue } from "../../ir/tensor/value.js";
import { approximate } from "../../passes/approximate.js";
import { apply, graphOf } from "../tensor/apply.js";
import { EXAMPLES } from "../tensor/examples.js";

it.each(["fourier", "puma"] as const)("softmax in profile %s", (profile) => {
  fc.assert(
    fc.property(EXAMPLES.softmax, ({ args, attributes }) => {
      const graph = approximate(graphOf("softmax", args, attributes), profile);
      const inputs = new Map(args.map((value, i) => [`x${i}`, value]));
      const [value, wanted] = [evaluateGraph(graph, inputs).get("y")!, apply("softmax", args, attributes)];
      expect(value.shape).toEqual(wanted.shape);
      expect(value.data.every((x, i) => Math.abs(x - wanted.data[i]) < 1e-9)).toBe(true);
    }),
  );
});

describe("what a mask drops to −∞ outside of a softmax", () => {
  const LOW = [Number.NEGATIVE_INFINITY, -3.4028234663852886e38];
  const ORDERS = [true, false];
  const cases = LOW.flatMap((low) => ORDERS.map((isKept) => [low, isKept] as const));

  /** y = op(select(mask, x, low)), or with the mask the other way round. */
  function masked(op: TensorOpName, low: number, isKept: boolean, attributes: Attributes): Graph<TensorType> {
    const builder = new Builder(TENSOR);
    const x = builder.emit("input", [], { name: "x", dtype: "f32", shape: [3, 5] });
    const mask = builder.emit("input", [], { name: "mask", dtype: "bool", shape: [5] });
    const far = builder.emit("constant", [], { value: { dtype: "f32", shape: [], data: Float64Array.of(low) } });
    const chosen = builder.emit("select", isKept ? [mask, x, far] : [mask, far, x]);
    return builder.finish([{ name: "y", node: builder.emit(op, [chosen], attributes, "test") }]);
  }

  const values = fc.array(fc.double({ min: -50, max: 50, noNaN: true }), { minLength: 15, maxLength: 15 });
  const masks = fc.array(fc.boolean(), { minLength: 5, maxLength: 5 });

  it.each([
    ["exponential", {}],
    ["topIndices", { axis: 1, count: 3, largest: true }],
    ["argmax", { axis: 1, keep: false, last: false }],
  ] as const)("%s: the same, without an infinite number", (op, attributes) => {
    for (const [low, isKept] of cases) {
      const before = masked(op, low, isKept, attributes);
      const after = approximate(before);
      const constants = after.nodes.flatMap((node) => (node.op === "constant" ? [node.attributes.value] : []));
      expect((constants as TensorValue[]).every(({ data }) => data.every((each) => Math.abs(each) < 1e30))).toBe(true);
      fc.assert(
        fc.property(values, masks, (data, keep) => {
          const inputs = new Map([
            ["x", { dtype: "f32" as const, shape: [3, 5], data: Float64Array.from(data) }],
            ["mask", { dtype: "bool" as const, shape: [5], data: Float64Array.from(keep, Number) }],
          ]);
          expect(evaluateGraph(after, inputs).get("y")).toEqual(evaluateGraph(before, inputs).get("y"));
        }),
      );
    }
  });
});
