/**
 * What an op of the tensor language has, and helpers of its rules. The language speaks about real numbers: shapes are
 * static, types are labels, and `evaluate` computes in doubles, written to be read.
 */
import { Refusal } from "../diagnostics.js";
import type { Attributes, Node, OpDefinition } from "../graph.js";
import { broadcastStrides, jointShape, sameShape } from "../shape.js";
import { type Arithmetic, PLAIN } from "./arithmetic.js";
import type { Traits } from "./traits.js";
import { type DType, sizeOf, type TensorType, type TensorValue } from "./value.js";

/** A node of a tensor graph. */
export type TensorNode = Node<TensorType>;

/** An entry of the tensor language's table. */
export interface TensorOp extends OpDefinition<TensorType> {
  /** What passes ask of the op besides its meaning. */
  readonly traits: Traits;
  /** The meaning: the value of a node of this type. Never changes its arguments. */
  readonly evaluate: (
    args: readonly TensorValue[],
    attributes: Attributes,
    type: TensorType,
    arithmetic?: Arithmetic,
  ) => TensorValue;
}

/** An error of the rules, without a place. */
export function refuse(condition: boolean, message: string): void {
  if (condition) {
    throw new Refusal(message);
  }
}

export function integer(attributes: Attributes, name: string): number {
  return attributes[name] as number;
}

export function integers(attributes: Attributes, name: string): readonly number[] {
  return attributes[name] as readonly number[];
}

/** The shape of numpy's broadcast. */
export function broadcastShapes(...shapes: readonly (readonly number[])[]): number[] {
  const joint = jointShape(...shapes);
  if (joint === undefined) {
    throw new Refusal(`shapes ${shapes.map((s) => `[${s.join(",")}]`).join(" and ")} do not broadcast`);
  }
  return joint;
}

/** Calls `visit(flat, offset)` for every element of `shape`, offset by `strides` from `start`, row-major. */
export function walk(
  shape: readonly number[],
  strides: readonly number[],
  start: number,
  visit: (flat: number, offset: number) => void,
): void {
  const count = sizeOf(shape);
  const index = new Array<number>(shape.length).fill(0);
  let offset = start;
  for (let flat = 0; flat < count; flat++) {
    visit(flat, offset);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      offset += strides[axis];
      if (++index[axis] < shape[axis]) {
        break;
      }
      offset -= strides[axis] * shape[axis];
      index[axis] = 0;
    }
  }
}

/** Up to here a loop copies faster than a call. */
const SHORT_ROW = 16;

/** The elements of `x` seen through a strided view of another shape; the last axis is an inner loop. */
export function viewOf(
  x: TensorValue,
  shape: readonly number[],
  strides: readonly number[],
  start: number,
  { room }: Arithmetic = PLAIN,
): Float64Array {
  const data = room(sizeOf(shape));
  const [length, step] = [shape.at(-1) ?? 1, strides.at(-1) ?? 0];
  const source = x.data;
  walk(shape.slice(0, -1), strides.slice(0, -1), start, (row, offset) => {
    const end = (row + 1) * length;
    if (step === 1 && length > SHORT_ROW) {
      data.set(source.subarray(offset, offset + length), row * length);
      return;
    }
    for (let to = row * length, from = offset; to < end; to++, from += step) {
      data[to] = source[from];
    }
  });
  return data;
}

/** The elements of `x` broadcast to a shape; the tensor's own where it has that shape. */
export function broadcastData(x: TensorValue, shape: readonly number[]): TensorValue["data"] {
  if (sameShape(x.shape, shape)) {
    return x.data;
  }
  if (x.data.length === 1) {
    return new Float64Array(sizeOf(shape)).fill(x.data[0]);
  }
  return viewOf(x, shape, broadcastStrides(x.shape, shape), 0);
}

/** The numbers as doubles: the tensor's own where they are. */
export function doublesOf(data: TensorValue["data"]): Float64Array {
  return data instanceof Float64Array ? data : new Float64Array(data);
}

/** A scalar function of every element. */
export function mapData(data: TensorValue["data"], compute: (x: number, i: number) => number): Float64Array {
  const result = new Float64Array(data.length);
  for (let i = 0; i < result.length; i++) {
    result[i] = compute(data[i], i);
  }
  return result;
}

export function tensorOf(type: TensorType, data: TensorValue["data"]): TensorValue {
  return { dtype: type.dtype, shape: type.shape, data };
}

export function isInteger(dtype: DType): boolean {
  return /^[iu]/.test(dtype);
}

export function axisOf(attributes: Attributes, shape: readonly number[], name = "axis"): number {
  const axis = integer(attributes, name);
  refuse(axis < 0 || axis >= Math.max(1, shape.length), `axis ${axis} of a tensor of rank ${shape.length}`);
  return axis;
}

/** Sizes before, of and after an axis. */
export function around(shape: readonly number[], axis: number): { outer: number; length: number; inner: number } {
  return { outer: sizeOf(shape.slice(0, axis)), length: shape[axis] ?? 1, inner: sizeOf(shape.slice(axis + 1)) };
}
