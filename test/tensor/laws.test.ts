/** What holds of every op of the tensor language: a loop over its table, with random arguments for each op. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { evaluateGraph, opsWhere, TENSOR, TENSOR_OPS, type TensorOpName } from "../../ir/tensor/index.js";

import { isFloat, sizeOf } from "../../ir/tensor/value.js";
import { parse, print } from "../../ir/text.js";
import { verify } from "../../ir/verify.js";
import { apply, at, graphOf, indicesOf, tensor } from "./apply.js";
import { EXAMPLES, type Example } from "./examples.js";

const NAMES = Object.keys(TENSOR_OPS) as TensorOpName[];
const COMPUTED = NAMES.filter((op) => op !== "input" && op !== "parameter");

function always(op: TensorOpName, law: (example: Example) => void): void {
  fc.assert(fc.property(EXAMPLES[op], law), { numRuns: 60 });
}

describe.each(NAMES)("%s", (op) => {
  it("is documented and makes graphs that verify, print and parse", () => {
    expect(TENSOR_OPS[op].doc).toMatch(/\.$/);
    always(op, ({ args, attributes }) => {
      const graph = graphOf(op, args, attributes);
      expect(verify(graph, TENSOR).map(String)).toEqual([]);
      expect(parse(print(graph, TENSOR), TENSOR)).toEqual(graph);
    });
  });
});

describe.each(COMPUTED)("%s evaluates", (op) => {
  it("to the shape and type that it infers", () => {
    always(op, ({ args, attributes }) => {
      const type = TENSOR_OPS[op].infer(args, attributes);
      const value = apply(op, args, attributes);
      expect({ dtype: value.dtype, shape: value.shape }).toEqual({ dtype: type.dtype, shape: type.shape });
      expect(value.data.length).toBe(sizeOf(type.shape));
      if (!isFloat(type.dtype)) {
        expect(value.data.every(Number.isInteger)).toBe(true);
      }
      if (type.dtype === "bool") {
        expect(value.data.every((x) => x === 0 || x === 1)).toBe(true);
      }
    });
  });

  it("without changing its arguments, and to the same from single precision", () => {
    always(op, ({ args, attributes }) => {
      const before = structuredClone(args);
      const value = apply(op, args, attributes);
      expect(args).toEqual(before);
      const single = args.map((each) => ({ ...each, data: Float32Array.from(each.data) }));
      expect(Float64Array.from(apply(op, single, attributes).data)).toEqual(Float64Array.from(value.data));
    });
  });

  it("in a graph as by itself", () => {
    always(op, ({ args, attributes }) => {
      const inputs = new Map(args.map((value, i) => [`x${i}`, value]));
      const result = evaluateGraph(graphOf(op, args, attributes), inputs).get("y");
      expect(result).toEqual(apply(op, args, attributes));
    });
  });
});

function elementwise(arguments_: number): readonly TensorOpName[] {
  const ops = opsWhere(({ traits, arity }) => traits.pattern === "elementwise" && arity[1] === arguments_);
  return ops as readonly TensorOpName[];
}

describe("element-wise ops", () => {
  it.each(elementwise(1))("%s treats every element alike", (op) => {
    always(op, ({ args: [x], attributes }) => {
      const each = Array.from(x.data, (value) => apply(op, [tensor([], [value], x.dtype)], attributes).data[0]);
      expect(Array.from(apply(op, [x], attributes).data)).toEqual(each);
    });
  });

  it.each([...elementwise(2), ...elementwise(3)])("%s broadcasts as numpy does", (op) => {
    always(op, ({ args, attributes }) => {
      const value = apply(op, args, attributes);
      const wanted = indicesOf(value.shape).map(
        (index) =>
          apply(
            op,
            args.map((x) => tensor([], [at(x, index)], x.dtype)),
            attributes,
          ).data[0],
      );
      expect(Array.from(value.data)).toEqual(wanted);
      const whole = args.map((x) => apply("broadcast", [x], { shape: value.shape }));
      expect(apply(op, whole, attributes)).toEqual(value);
    });
  });

  it("refuse shapes that do not broadcast and types that differ", () => {
    expect(() => apply("add", [tensor([2], [1, 2]), tensor([3], [1, 2, 3])])).toThrow(/do not broadcast/);
    expect(() => apply("add", [tensor([], [1], "f32"), tensor([], [1], "i64")])).toThrow(/differ/);
  });
});
