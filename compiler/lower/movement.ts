/**
 * Movements: the same elements in another order. They are local on every form of a value (PROTOCOL.md, "shape moves");
 * transposes, broadcasts and slices are one strided `view`, gathers with public indices one `take`.
 */
import { fail } from "../../ir/diagnostics.js";
import { broadcastStrides, sameShape, stridesOf } from "../../ir/shape.js";
import { wrapIndex } from "../../ir/tensor/ops/movement.js";
import { sizeOf } from "../../ir/tensor/value.js";
import { ACCEPTED } from "../../passes/guard.js";
import {
  constantOf,
  fractionOf,
  isSource,
  type Lowering,
  type ShareNode,
  shapeOf,
  type TensorNode,
} from "./context.js";

export function reshapeTo(lowering: Lowering, x: ShareNode, shape: readonly number[]): ShareNode {
  return sameShape(shape, shapeOf(x)) ? x : lowering.emit("reshape", [x], { shape });
}

/** numpy broadcast of a share value to a shape. */
export function broadcastTo(lowering: Lowering, x: ShareNode, shape: readonly number[]): ShareNode {
  return lowering.emit("view", [x], { shape, strides: broadcastStrides(shapeOf(x), shape), offset: 0 });
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

/** All parts as masked values: of what is kept for later runs the new rows are opened, and no others. */
export function lowerKeptRows(lowering: Lowering, node: TensorNode): ShareNode {
  const parts = node.args.map((part) => lowering.masked(part));
  return lowering.emit("concatenate", parts, { axis: node.attributes.axis });
}

/**
 * Padding with a public number; an infinite one is the end of the argument's range, which no element passes, or of what
 * the overflow guard lets pass.
 */
export function lowerPad(lowering: Lowering, node: TensorNode): ShareNode {
  const { low, high, value } = node.attributes as { low: number[]; high: number[]; value: number };
  const end = lowering.boundOf(node.args[0]) * (lowering.isGuarded ? ACCEPTED : 1);
  const finite = Number.isFinite(value) ? value : Math.sign(value) * end;
  return padded(lowering, lowering.value(node.args[0]), low, high, finite);
}

/** x with `low` and `high` more elements around it on every axis, in x's form: copies of one public number. */
export function padded(
  lowering: Lowering,
  x: ShareNode,
  low: readonly number[],
  high: readonly number[],
  value: number,
): ShareNode {
  const fraction = fractionOf(x);
  const data = Float64Array.of(Math.round(value * 2 ** fraction));
  const attributes = { value: { dtype: "i64", shape: [], data } as const, ring: 0, fraction };
  let whole = x;
  for (const [axis, before] of low.entries()) {
    const around = [before, high[axis]].map((count) => {
      const shape = shapeOf(whole).with(axis, count);
      const one = lowering.bounded(lowering.emit("constant", [], attributes), Math.abs(value));
      const all = lowering.emit("view", [one], { shape, strides: shape.map(() => 0), offset: 0 });
      return count === 0 ? [] : [x.type.kind === "additive" ? lowering.additive(all, fraction) : all];
    });
    const parts = [...around[0], whole, ...around[1]];
    whole = parts.length === 1 ? whole : lowering.emit("concatenate", parts, { axis });
  }
  return whole;
}

/** A view with two axes swapped. */
export function swapped(lowering: Lowering, x: ShareNode, first: number, second: number): ShareNode {
  if (first === second) {
    return x;
  }
  const [shape, strides] = [[...shapeOf(x)], stridesOf(shapeOf(x))];
  [shape[first], shape[second]] = [shape[second], shape[first]];
  [strides[first], strides[second]] = [strides[second], strides[first]];
  return lowering.emit("view", [x], { shape, strides, offset: 0 });
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
  // Of one part: the parts before the axis are read alike.
  const flat: number[] = [];
  for (const raw of indices.data) {
    const index = wrapIndex(raw, length);
    for (let i = 0; i < inner; i++) {
      flat.push(index * inner + i);
    }
  }
  return lowering.emit("take", [x], { indices: flat, shape: node.type.shape });
}
