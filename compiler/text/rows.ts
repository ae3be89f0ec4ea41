/**
 * Which axis of a value has the tokens: of every value that is made of them row by row. A cache can be made for a model
 * whose rows meet in causal attention only; what else mixes them is refused with its place.
 */
import { fail } from "../../ir/diagnostics.js";
import { traitsOf } from "../../ir/tensor/index.js";
import type { TensorGraph, TensorNode } from "../../passes/rewriter.js";
import { integersOf } from "../../passes/rules/common.js";
import { reshapeGroups } from "../../passes/shapes.js";

/** By node, for those that depend on the tokens: the axis that has a row for each. */
export type RowAxes = ReadonlyMap<TensorNode, number>;

/** E0402 where rows of tokens meet otherwise than in products of attention. */
export function rowAxes(graph: TensorGraph, tokens: TensorNode): RowAxes {
  const axes = new Map<TensorNode, number>([[tokens, tokens.type.shape.length - 1]]);
  for (const node of graph.nodes) {
    if (node !== tokens && node.args.some((argument) => axes.has(argument))) {
      const axis = axisOf(node, axes);
      if (axis === undefined || node.type.shape[axis] !== tokens.type.shape.at(-1)) {
        throw mixing(node);
      }
      axes.set(node, axis);
    }
  }
  return axes;
}

function mixing({ op, origin }: TensorNode): Error {
  return fail({
    code: "E0402",
    what: `no cache can be made for this model: '${op}' mixes the rows of its tokens`,
    where: origin,
    why: "tokens may meet in causal attention only",
    fix: "export the model with its cache (past_key_values), or compile it without --context",
  });
}

/** Whether both factors are made of tokens: scores, and what is weighted with them. */
export function isAttention({ op, args }: TensorNode, axes: RowAxes): boolean {
  return op === "matmul" && args.every((argument) => axes.has(argument));
}

function axisOf(node: TensorNode, axes: RowAxes): number | undefined {
  const { pattern } = traitsOf(node);
  const rank = node.type.shape.length;
  const aligned = node.args.flatMap((argument) => {
    const axis = axes.get(argument);
    return axis === undefined ? [] : [axis + rank - argument.type.shape.length];
  });
  const common = aligned.every((axis) => axis === aligned[0]) ? aligned[0] : undefined;
  const axis = axes.get(node.args[0]);
  switch (node.op) {
    case "matmul":
      return axisOfProduct(node, axes);
    case "embedding":
      return axes.has(node.args[0]) ? undefined : axes.get(node.args[1]);
    case "gather":
      return axis === undefined && node.attributes.axis === 0 ? axes.get(node.args[1]) : undefined;
    case "transpose":
      return axis === undefined ? undefined : integersOf(node, "permutation").indexOf(axis);
    case "reshape":
      return axis === undefined ? undefined : reshapedAxis(node, axis);
    case "broadcast":
      return common;
    case "concatenate":
      return common === node.attributes.axis ? undefined : common;
    case "slice":
      return common;
  }
  if (pattern === "elementwise") {
    return common;
  }
  const own = pattern === "reduction" ? integersOf(node, "axes") : [(node.attributes.axis as number) ?? rank - 1];
  const isKept = pattern === "rowwise" || (pattern === "reduction" && node.attributes.keep === true);
  return isKept && axis !== undefined && !own.includes(axis) ? axis : undefined;
}

function axisOfProduct({ args, type }: TensorNode, axes: RowAxes): number | undefined {
  const rank = type.shape.length;
  const [left, right] = args.map((each) => {
    const axis = axes.get(each);
    return axis === undefined ? undefined : axis + rank - each.type.shape.length;
  });
  if (left !== undefined && right !== undefined) {
    return left === rank - 2 && right >= rank - 2 ? left : undefined;
  }
  return left !== undefined ? (left === rank - 1 ? undefined : left) : right === rank - 2 ? undefined : right;
}

/** Where the axis stands after a reshape that leaves it whole. */
function reshapedAxis({ args: [x], type }: TensorNode, axis: number): number | undefined {
  const groups = reshapeGroups(x.type.shape, type.shape);
  const group = groups?.find(({ from: [start, end] }) => axis >= start && axis < end);
  if (group === undefined) {
    return undefined;
  }
  const real = (shape: readonly number[], [start, end]: readonly [number, number]) =>
    shape.flatMap((size, i) => (i >= start && i < end && size !== 1 ? [i] : []));
  const [before, after] = [real(x.type.shape, group.from), real(type.shape, group.to)];
  return before.length === 1 && before[0] === axis && after.length === 1 ? after[0] : undefined;
}
