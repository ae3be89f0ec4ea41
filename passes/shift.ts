/**
 * The pass `shift`: a softmax does not change when a row's scores move together, so they may be counted from their own
 * mean, and then nothing needs their maximum: for any convex combination ω·s of a row's scores, Σ_j 2^(s_j − ω·s) ≥ 1
 * (Jensen: it is at least 2^H(ω)), and how far the scores rise above it is known from samples. The mean over the kept
 * keys is the same ω for all rows, hence work on the keys alone: s_j − ω·s = q·(k_j − Σ ω_i k_i), linear, with public
 * weights. (docs/protocol.md, "softmax without a maximum".)
 *
 * Only where the mask is public and the same for all rows: ω of a secret mask would have to be opened, and that of a
 * causal mask is another one for every row.
 */
import { Builder, usersOf } from "../ir/graph.js";
import { TENSOR } from "../ir/tensor/index.js";
import { scalar, type TensorType } from "../ir/tensor/value.js";
import type { TensorGraph, TensorNode } from "./rewriter.js";

export interface ShiftOptions {
  /** Whether samples will show how far scores rise above their mean; without them it says nothing. Default: no. */
  readonly measured?: boolean;
  /** Whether the input of this name is known to all; default: none is. */
  readonly isPublic?: (input: string) => boolean;
}

export function shift(graph: TensorGraph, options: ShiftOptions = {}): TensorGraph {
  const scores = options.measured === true ? centrable(graph, options.isPublic ?? (() => false)) : new Map();
  if (scores.size === 0) {
    return graph;
  }
  const builder = new Builder<TensorType>(TENSOR);
  const made = new Map<TensorNode, TensorNode>();
  const weights = new Map<TensorNode | number, TensorNode>();
  for (const node of graph.nodes) {
    const args = node.args.map((argument) => made.get(argument)!);
    const keep = scores.get(node);
    const keys =
      keep === undefined
        ? args[1]
        : centredKeys(builder, args[1], keep === "all" ? undefined : made.get(keep)!, weights);
    const given = keep === undefined ? args : [args[0], keys];
    made.set(node, builder.emit(node.op, given, node.attributes, node.origin));
  }
  return builder.finish(graph.outputs.map(({ name, node }) => ({ name, node: made.get(node)! })));
}

/** The products that are scores of one softmax only, with the mask whose kept keys the mean is over. */
function centrable(
  graph: TensorGraph,
  isPublic: (input: string) => boolean,
): ReadonlyMap<TensorNode, TensorNode | "all"> {
  const users = usersOf(graph);
  const outputs = new Set(graph.outputs.map(({ node }) => node));
  const found = new Map<TensorNode, TensorNode | "all">();
  for (const node of graph.nodes) {
    const [scores, keep] = node.args;
    const isOwn = node.op === "softmaxBase2" && scores.op === "matmul" && users.get(scores)!.length === 1;
    const rank = scores?.type.shape.length ?? 0;
    const isKnown = keep === undefined || (isOneRow(keep, rank) && isKnownToAll(keep, isPublic));
    if (isOwn && !outputs.has(scores) && scores.args[1].type.shape.length === rank && isKnown) {
      found.set(scores, keep ?? "all");
    }
  }
  return found;
}

/** A mask that is the same for all rows of the scores. */
function isOneRow({ type: { shape } }: TensorNode, rank: number): boolean {
  return shape.length > 0 && shape.length <= rank && (shape.at(-2) ?? 1) === 1 && shape.at(-1)! > 1;
}

/** Whether a value is made of public inputs and constants only. */
export function isKnownToAll(node: TensorNode, isPublic: (input: string) => boolean): boolean {
  const seen = new Set<TensorNode>([node]);
  for (const each of seen) {
    for (const argument of each.args) {
      seen.add(argument);
    }
  }
  return [...seen].every(
    ({ op, attributes }) => op !== "parameter" && (op !== "input" || isPublic(attributes.name as string)),
  );
}

/** Parts of the mean's weights: whole numbers of them are free, where 1/count would cost the bits of its fraction. */
const PARTS_LOG2 = 6;

/** Keys [..., d, n] less their mean over the kept ones of the last axis. `weights` remembers those of every mask. */
function centredKeys(
  builder: Builder<TensorType>,
  keys: TensorNode,
  keep: TensorNode | undefined,
  weights: Map<TensorNode | number, TensorNode>,
): TensorNode {
  const emit = (op: string, args: readonly TensorNode[], attributes: TensorNode["attributes"] = {}) =>
    builder.emit(op, args, attributes, keys.origin);
  const count = keys.type.shape.at(-1)!;
  const known = weights.get(keep ?? count) ?? meanWeights(builder, keep ?? count, keys);
  weights.set(keep ?? count, known);
  const sum = emit("reduceSum", [emit("multiply", [keys, known])], { axes: [keys.type.shape.length - 1], keep: true });
  const part = emit("constant", [], { value: scalar(2 ** -PARTS_LOG2, keys.type.dtype) });
  return emit("subtract", [keys, emit("multiply", [sum, part])]);
}

/**
 * How many of the mean's 64 parts every key has, nearly alike and in whole numbers: any convex combination will do. The
 * i-th of n kept keys has ⌊64·i/n⌋ − ⌊64·(i − 1)/n⌋ of them, which sum to 64 exactly; the others have none.
 */
function meanWeights(builder: Builder<TensorType>, keep: TensorNode | number, keys: TensorNode): TensorNode {
  const { dtype } = keys.type;
  const origin = typeof keep === "number" ? keys.origin : keep.origin;
  const emit = (op: string, args: readonly TensorNode[], attributes: TensorNode["attributes"] = {}) =>
    builder.emit(op, args, attributes, origin);
  if (typeof keep === "number") {
    const upTo = (i: number) => Math.floor((i * 2 ** PARTS_LOG2) / keep);
    const data = Float64Array.from({ length: keep }, (_, i) => upTo(i + 1) - upTo(i));
    return emit("constant", [], { value: { dtype, shape: [keep], data } });
  }
  const axis = keep.type.shape.length - 1;
  const real = (value: number) => emit("constant", [], { value: scalar(value, dtype) });
  const kept = emit("cast", [keep], { dtype });
  const count = emit("maximum", [emit("reduceSum", [kept], { axes: [axis], keep: true }), real(1)]);
  const place = emit("cumulativeSum", [kept], { axis, exclusive: false, reverse: false });
  const upTo = (i: TensorNode) =>
    emit("floor", [emit("divide", [emit("multiply", [i, real(2 ** PARTS_LOG2)]), count])]);
  return emit("subtract", [upTo(place), upTo(emit("subtract", [place, kept]))]);
}

/** Whether a softmax's scores are counted from the mean of their row, as this pass leaves them. */
export function isCentred(scores: TensorNode): boolean {
  const [keys, mean] = scores.op === "matmul" && scores.args[1].op === "subtract" ? scores.args[1].args : [];
  const sum = mean?.op === "multiply" ? mean.args[0] : undefined;
  const weighted = sum?.op === "reduceSum" && sum.args[0].op === "multiply" ? sum.args[0].args : [];
  const isOverKeys = (sum?.attributes.axes as readonly number[] | undefined)?.join() === String(rankOf(scores) - 1);
  return keys !== undefined && isOverKeys && weighted.includes(keys);
}

function rankOf({ type }: TensorNode): number {
  return type.shape.length;
}
