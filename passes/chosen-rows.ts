/**
 * Elements taken, or put, where an index says that is not known when the plan is made: the index becomes one-hot rows,
 * which its owner makes in the clear if he knows it and comparisons make if nobody does, and the choice a product with
 * them. Nobody else learns what is chosen. `place` asks for it; what costs nothing there stays as it is.
 */
import { isFloat, sizeOf } from "../ir/tensor/value.js";
import type { Emit, TensorNode } from "./rewriter.js";
import { constantOf } from "./rules/common.js";
import { inverse } from "./shapes.js";

/** The node as a product with one-hot rows, made of these arguments; undefined where it has no such form. */
export function chosenRows(node: TensorNode, args: readonly TensorNode[], emit: Emit): TensorNode | undefined {
  const chooser = isFloat(node.type.dtype) ? CHOOSERS[node.op] : undefined;
  return chooser?.(node, args, emit);
}

const CHOOSERS: Readonly<
  Record<string, (node: TensorNode, args: readonly TensorNode[], emit: Emit) => TensorNode | undefined>
> = {
  embedding: (_, [table, index], emit) => takeRows(table, index, 0, emit),
  gather: (node, [x, index], emit) => takeRows(x, index, node.attributes.axis as number, emit),
  gatherND: takePoints,
  gatherElements: takeElements,
  scatterElements: putElements,
};

function oneHot(index: TensorNode, depth: number, emit: Emit): TensorNode {
  return emit("oneHot", [index], { depth });
}

function reshaped(x: TensorNode, shape: readonly number[], emit: Emit): TensorNode {
  return x.type.shape.join() === shape.join() ? x : emit("reshape", [x], { shape });
}

function turned(x: TensorNode, permutation: readonly number[], emit: Emit): TensorNode {
  return permutation.every((axis, i) => axis === i) ? x : emit("transpose", [x], { permutation });
}

/** x[…, index, …] along an axis: the index's shape stands in the axis' place. */
function takeRows(x: TensorNode, index: TensorNode, axis: number, emit: Emit): TensorNode {
  const { shape } = x.type;
  const others = shape.map((_, i) => i).filter((i) => i !== axis);
  const rest = others.map((i) => shape[i]);
  const rows = reshaped(turned(x, [axis, ...others], emit), [shape[axis], sizeOf(rest)], emit);
  const places = index.type.shape.length === 0 ? reshaped(index, [1], emit) : index;
  const taken = emit("matmul", [oneHot(places, shape[axis], emit), rows]);
  const rank = index.type.shape.length;
  const indexAxes = Array.from({ length: rank }, (_, i) => i);
  const restAxes = others.map((_, i) => rank + i);
  const apart = reshaped(taken, [...index.type.shape, ...rest], emit);
  return turned(apart, [...restAxes.slice(0, axis), ...indexAxes, ...restAxes.slice(axis)], emit);
}

/** gatherND: the indexed axes become one, and their indices one number. */
function takePoints(node: TensorNode, [x, index]: readonly TensorNode[], emit: Emit): TensorNode | undefined {
  if (node.attributes.batch !== 0) {
    return undefined;
  }
  const { shape, dtype } = index.type;
  const depth = shape.at(-1)!;
  const sizes = x.type.shape.slice(0, depth);
  const scalar = (value: number) => emit("constant", [], { value: { dtype, shape: [], data: Float64Array.of(value) } });
  const components = sizes.map((size, i) => {
    const starts = shape.map((_, axis) => (axis === shape.length - 1 ? i : 0));
    const ends = shape.map((n, axis) => (axis === shape.length - 1 ? i + 1 : n));
    const part = emit("slice", [index], { starts, ends, steps: shape.map(() => 1) });
    const one = reshaped(part, shape.slice(0, -1), emit);
    const wrapped = emit("select", [emit("less", [one, scalar(0)]), emit("add", [one, scalar(size)]), one]);
    const stride = sizeOf(sizes.slice(i + 1));
    return stride === 1 ? wrapped : emit("multiply", [wrapped, scalar(stride)]);
  });
  const place = components.reduce((sum, each) => emit("add", [sum, each]));
  const rows = reshaped(x, [sizeOf(sizes), ...x.type.shape.slice(depth)], emit);
  return takeRows(rows, place, 0, emit);
}

/** gatherElements: for every element a one-hot row over the axis; for whole rows one that they share. */
function takeElements(node: TensorNode, [x, index]: readonly TensorNode[], emit: Emit): TensorNode | undefined {
  const axis = node.attributes.axis as number;
  const rank = x.type.shape.length;
  const fits = x.type.shape.every((n, i) => i === axis || n === index.type.shape[i]);
  if (!fits) {
    return undefined;
  }
  const [source] = index.op === "broadcast" ? index.args : [index];
  const own = [...new Array<number>(rank - source.type.shape.length).fill(1), ...source.type.shape];
  if (axis === rank - 2 && own[rank - 1] === 1) {
    const batch = index.type.shape.slice(0, axis);
    const column = emit("broadcast", [reshaped(source, own, emit)], { shape: [...batch, index.type.shape[axis], 1] });
    const rows = oneHot(reshaped(column, [...batch, index.type.shape[axis]], emit), x.type.shape[axis], emit);
    return emit("matmul", [rows, x]);
  }
  const last = [...x.type.shape.keys()].filter((i) => i !== axis).concat(axis);
  const moved = turned(x, last, emit);
  const rows = oneHot(turned(index, last, emit), x.type.shape[axis], emit);
  const columns = reshaped(moved, [...moved.type.shape, 1], emit);
  const taken = emit("matmul", [rows, columns]);
  return turned(reshaped(taken, taken.type.shape.slice(0, -1), emit), inverse(last), emit);
}

/** scatterElements: Σ of one-hot rows times updates, over what was there unless they are added to it. */
function putElements(node: TensorNode, [x, index, updates]: readonly TensorNode[], emit: Emit): TensorNode | undefined {
  const axis = node.attributes.axis as number;
  const reduction = node.attributes.reduction ?? "none";
  const fits = x.type.shape.every((n, i) => i === axis || n === index.type.shape[i]);
  if (!fits || (reduction !== "none" && reduction !== "add")) {
    return undefined;
  }
  const last = [...x.type.shape.keys()].filter((i) => i !== axis).concat(axis);
  const rows = oneHot(turned(index, last, emit), x.type.shape[axis], emit);
  const weights = turned(updates, last, emit);
  const line = (values: TensorNode) => {
    const { shape } = values.type;
    const sum = emit("matmul", [reshaped(values, [...shape.slice(0, -1), 1, shape.at(-1)!], emit), rows]);
    return turned(reshaped(sum, [...shape.slice(0, -1), x.type.shape[axis]], emit), inverse(last), emit);
  };
  const put = line(weights);
  const before = constantOf(x);
  if (before?.data.every((value) => value === 0) === true) {
    return put;
  }
  if (reduction === "add") {
    return emit("add", [x, put]);
  }
  const ones = { dtype: weights.type.dtype, shape: [], data: Float64Array.of(1) };
  const counts = line(emit("broadcast", [emit("constant", [], { value: ones })], { shape: weights.type.shape }));
  return emit("add", [emit("subtract", [x, emit("multiply", [x, counts])]), put]);
}
