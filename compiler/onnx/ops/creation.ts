/**
 * Operators whose result is known once shapes are bound: constants, shapes, ranges. All of them fold.
 */

import { dtypeOf } from "../../../formats/onnx/tensor-proto.js";
import { isFloat, madeOf, scalar, sizeOf } from "../../../ir/tensor/value.js";
import { type Call, type OperatorFamily, rule } from "../call.js";
import type { Value } from "../emitter.js";
import { hasPublicValues } from "../structure.js";

/** The longest range that is written out. */
const LONGEST_RANGE = 2 ** 24;

/** Float tensors above this size in Constant nodes are weights, unless they look like a mask. */
const LARGEST_CONSTANT = 64;

/**
 * A Constant node is public, with one exception: some exporters write weights as Constant nodes, and a plan may hold
 * no weight, so a large float tensor that is no mask stays with the model's owner.
 */
function constant(call: Call): readonly Value[] {
  const { emitter } = call;
  const tensor = call.tensor("value");
  if (tensor !== undefined) {
    const value = { dtype: tensor.dtype, shape: tensor.shape, data: tensor.read() };
    const large = isFloat(tensor.dtype) && sizeOf(tensor.shape) > LARGEST_CONSTANT;
    const weight = large && !hasPublicValues(tensor) && !call.surroundings.isPublic(call.node.output[0]);
    return [weight ? call.surroundings.weight(call.node.output[0], tensor) : emitter.fixed(value)];
  }
  if (call.has("value_float")) {
    return [emitter.fixed(scalar(call.number("value_float", 0)))];
  }
  if (call.has("value_int")) {
    return [emitter.fixed(scalar(call.integer("value_int", 0), "i64"))];
  }
  const floats = call.numbers("value_floats");
  if (floats !== undefined) {
    return [emitter.fixed({ dtype: "f32", shape: [floats.length], data: Float64Array.from(floats) })];
  }
  const integers = call.integers("value_ints");
  if (integers !== undefined) {
    return [emitter.fixed({ dtype: "i64", shape: [integers.length], data: Float64Array.from(integers) })];
  }
  throw call.refuse("a constant that is no number", "strings and sparse tensors are not supported");
}

/** `start` and `end` (operator set 15) choose a part of the shape. */
function shapeOf(call: Call): readonly Value[] {
  const { shape } = call.input(0).type;
  const clamp = (n: number): number => Math.min(Math.max(n < 0 ? n + shape.length : n, 0), shape.length);
  const start = clamp(call.integer("start", 0));
  const end = clamp(call.integer("end", shape.length));
  return [call.emitter.integers(shape.slice(start, Math.max(start, end)))];
}

function constantOfShape(call: Call): readonly Value[] {
  const shape = Array.from(call.known(0, "shape").data);
  if (!shape.every((n) => Number.isSafeInteger(n) && n >= 0)) {
    throw call.malformed(`[${shape.join(", ")}] is no shape`);
  }
  const tensor = call.tensor("value");
  const { dtype } = tensor ?? { dtype: "f32" };
  return [call.emitter.filledLike({ dtype, shape: [], data: Float64Array.of(tensor?.read()[0] ?? 0) }, shape)];
}

function range(call: Call): readonly Value[] {
  const known = [0, 1, 2].map((i) => call.known(i, ["start", "limit", "step"][i]));
  const [start, limit, step] = known.map(({ data }) => data[0]);
  const count = Math.max(0, Math.ceil((limit - start) / step));
  if (!(count <= LONGEST_RANGE)) {
    throw call.refuse(`a range from ${start} to ${limit} by ${step}`, `it has more than ${LONGEST_RANGE} values`);
  }
  const data = Float64Array.from({ length: count }, (_, i) => start + i * step);
  return [call.emitter.fixed({ dtype: call.input(0).type.dtype, shape: [count], data, ...madeOf(known) })];
}

function eyeLike(call: Call): readonly Value[] {
  const { emitter } = call;
  const { shape, dtype } = call.input(0).type;
  const type = call.has("dtype") ? dtypeOf(call.requiredInteger("dtype"), call.label) : dtype;
  const [rows, columns] = shape;
  const diagonal = call.integer("k", 0);
  const vector = (n: number, across: readonly number[], from: number): Value =>
    emitter.integers(
      Array.from({ length: n }, (_, i) => i + from),
      across,
    );
  const same = emitter.emit("equal", [vector(rows, [rows, 1], diagonal), vector(columns, [1, columns], 0)]);
  return [emitter.cast(same, type)];
}

export const CREATION: OperatorFamily = {
  Constant: rule(1, constant),
  Shape: rule(1, shapeOf),
  Size: rule(1, (call) => [call.emitter.scalar(sizeOf(call.input(0).type.shape), "i64")]),
  ConstantOfShape: rule(9, constantOfShape),
  Range: rule(11, range),
  EyeLike: rule(9, eyeLike),
};
