/**
 * Movements: the same elements in another order. They are local on every form of a value (PROTOCOL.md, "shape moves");
 * transposes, broadcasts and slices are one strided `view`, gathers with public indices one `take`.
 */

import { fail } from "../../ir/diagnostics.js";
import { sizeOf } from "../../ir/tensor/value.js";
import {
  constantOf,
  fractionOf,
  isSource,
  type Lowering,
  type ShareNode,
  shapeOf,
  type TensorNode,
} from "./context.js";

export function stridesOf(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length).fill(1);
  for (let i = shape.length - 2; i >= 0; i--) {
    strides[i] = strides[i + 1] * shape[i + 1];
  }
  return strides;
}

export function reshapeTo(lowering: Lowering, x: ShareNode, shape: readonly number[]): ShareNode {
  const same = shape.length === shapeOf(x).length && shape.every((n, i) => n === shapeOf(x)[i]);
  return same ? x : lowering.emit("reshape", [x], { shape });
}

/** numpy broadcast of a share value to a shape. */
export function broadcastTo(lowering: Lowering, x: ShareNode, shape: readonly number[]): ShareNode {
  const from = shapeOf(x);
  const lead = shape.length - from.length;
  const own = stridesOf(from);
  const strides = shape.map((n, i) => (i < lead || (from[i - lead] === 1 && n !== 1) ? 0 : own[i - lead]));
  return lowering.emit("view", [x], { shape, strides, offset: 0 });
}

export function lowerReshape(lowering: Lowering, node: TensorNode): ShareNode {
  return reshapeTo(lowering, lowering.value(node.args[0]), node.type.shape);
}

export function lowerBroadcast(lowering: Lowering, node: TensorNode): ShareNode {
  return broadcastTo(lowering, lowering.value(node.args[0]), node.type.shape);
}

export function lowerTranspose(lowering: Lowering, node: TensorNode): ShareNode {
  const x = lowering.value(node.args[0]);
  const own = stridesOf(shapeOf(x));
  const strides = (node.attributes.permutation as readonly number[]).map((axis) => own[axis]);
  return lowering.emit("view", [x], { shape: node.type.shape, strides, offset: 0 });
}

export function lowerSlice(lowering: Lowering, node: TensorNode): ShareNode {
  const x = lowering.value(node.args[0]);
  const own = stridesOf(shapeOf(x));
  const starts = node.attributes.starts as readonly number[];
  const steps = node.attributes.steps as readonly number[];
  const offset = starts.reduce((sum, start, axis) => sum + start * own[axis], 0);
  const strides = own.map((stride, axis) => stride * steps[axis]);
  return lowering.emit("view", [x], { shape: node.type.shape, strides, offset });
}

export function lowerReverse(lowering: Lowering, node: TensorNode): ShareNode {
  const x = lowering.value(node.args[0]);
  const own = stridesOf(shapeOf(x));
  const axes = node.attributes.axes as readonly number[];
  const offset = axes.reduce((sum, axis) => sum + (shapeOf(x)[axis] - 1) * own[axis], 0);
  const strides = own.map((stride, axis) => (axes.includes(axis) ? -stride : stride));
  return lowering.emit("view", [x], { shape: node.type.shape, strides, offset });
}

/** All parts in one form: additive if any is, at the largest fraction. */
export function lowerConcatenate(lowering: Lowering, node: TensorNode): ShareNode {
  const fractions = node.args.filter((part) => !isSource(part)).map((part) => fractionOf(lowering.value(part)));
  const fraction = fractions.length === 0 ? lowering.precision.activation : Math.max(...fractions);
  const values = node.args.map((part) => lowering.value(part, fraction));
  const additive = values.some((value) => value.type.kind === "additive");
  const parts = values.map((value) =>
    additive ? lowering.additive(value, fraction) : lowering.atFraction(value, fraction),
  );
  return lowering.emit("concatenate", parts, { axis: node.attributes.axis });
}

/** Zero padding; another padding value is a public constant in the padded lanes. */
export function lowerPad(lowering: Lowering, node: TensorNode): ShareNode {
  const x = lowering.value(node.args[0]);
  const low = node.attributes.low as readonly number[];
  const inside = indicesOf(node.type.shape, (index) => flatIndex(index, low, shapeOf(x)));
  const padded = lowering.emit("take", [x], { indices: inside, shape: node.type.shape });
  const value = node.attributes.value as number;
  if (value === 0) {
    return padded;
  }
  const data = Float64Array.from(inside, (index) => (index < 0 ? Math.round(value * 2 ** fractionOf(x)) : 0));
  return lowering.emit("addConstant", [padded], { value: { dtype: "i64", shape: node.type.shape, data } });
}

/** Gather along an axis by public indices. */
export function lowerGather(lowering: Lowering, node: TensorNode): ShareNode {
  const [source, positions] = node.args;
  const indices = constantOf(positions);
  if (indices === undefined) {
    throw fail({
      code: "E0403",
      what: "a secret value is looked up at secret positions",
      where: node.origin,
      why: "only an embedding table may be indexed by secret ids",
      fix: "pass the indices as a constant, or declare them --public if they are no secret",
    });
  }
  const x = lowering.value(source);
  const axis = node.attributes.axis as number;
  const shape = shapeOf(x);
  const inner = sizeOf(shape.slice(axis + 1));
  const length = shape[axis];
  const flat: number[] = [];
  for (let outer = 0; outer < sizeOf(shape.slice(0, axis)); outer++) {
    for (const raw of indices.data) {
      const index = raw < 0 ? raw + length : raw;
      for (let i = 0; i < inner; i++) {
        flat.push((outer * length + index) * inner + i);
      }
    }
  }
  return lowering.emit("take", [x], { indices: flat, shape: node.type.shape });
}

function flatIndex(index: readonly number[], low: readonly number[], shape: readonly number[]): number {
  let flat = 0;
  for (let axis = 0; axis < shape.length; axis++) {
    const at = index[axis] - low[axis];
    if (at < 0 || at >= shape[axis]) {
      return -1;
    }
    flat = flat * shape[axis] + at;
  }
  return flat;
}

/** Calls `map` for every multi-index of a shape, row-major. */
function indicesOf(shape: readonly number[], map: (index: readonly number[]) => number): number[] {
  const result: number[] = [];
  const index = new Array<number>(shape.length).fill(0);
  for (let count = sizeOf(shape); count > 0; count--) {
    result.push(map(index));
    for (let axis = shape.length - 1; axis >= 0 && ++index[axis] === shape[axis]; axis--) {
      index[axis] = 0;
    }
  }
  return result;
}
