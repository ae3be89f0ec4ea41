/** Evaluates one op of the tensor language on values, and reads elements by index. */
import { type Attributes, Builder, type Graph } from "../../ir/graph.js";
import { TENSOR, type TensorOpName } from "../../ir/tensor/index.js";
import type { DType, TensorType, TensorValue } from "../../ir/tensor/value.js";

export function apply(op: TensorOpName, args: readonly TensorValue[], attributes: Attributes = {}): TensorValue {
  const { infer, evaluate } = TENSOR.ops[op];
  return evaluate(args, attributes, infer(args, attributes));
}

export function tensor(shape: readonly number[], numbers: readonly number[], dtype: DType = "f32"): TensorValue {
  return { dtype, shape, data: Float64Array.from(numbers) };
}

/** A graph of one op whose arguments are inputs. */
export function graphOf(op: TensorOpName, args: readonly TensorType[], attributes: Attributes): Graph<TensorType> {
  const builder = new Builder(TENSOR);
  const inputs = args.map(({ dtype, shape }, i) => builder.emit("input", [], { name: `x${i}`, dtype, shape }));
  return builder.finish([{ name: "y", node: builder.emit(op, inputs, attributes, "test") }]);
}

/** The element at an index, axes that the tensor lacks or holds once passed over, as a broadcast reads it. */
export function at(x: TensorValue, index: readonly number[]): number {
  const missing = index.length - x.shape.length;
  const flat = x.shape.reduce((sum, n, i) => sum * n + (n === 1 ? 0 : index[i + missing]), 0);
  return x.data[flat];
}

/** Every index of a shape, row-major. */
export function indicesOf(shape: readonly number[]): number[][] {
  return shape.reduce<number[][]>(
    (indices, n) => indices.flatMap((index) => Array.from({ length: n }, (_, i) => [...index, i])),
    [[]],
  );
}
