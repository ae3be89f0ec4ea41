/**
 * The pass `shift`: a softmax does not change when a row's scores move together, so they may be counted from their own
 * mean, and then nothing needs their maximum: for any convex combination ω·s of a row's scores, Σ_j 2^(s_j − ω·s) ≥ 1
 * (Jensen: it is at least 2^H(ω)), and how far the scores rise above it is known from samples. The mean over the kept
 * keys is the same ω for all rows, hence work on the keys alone: s_j − ω·s = q·(k_j − Σ ω_i k_i), linear, with public
 * weights 1/count. (docs/protocol.md, "softmax without a maximum".)
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
  const weights = new Map<TensorNode, TensorNode>();
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
function isKnownToAll(node: TensorNode, isPublic: (input: string) => boolean): boolean {
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

/** Keys [..., d, n] less their mean over the kept ones of the last axis. `weights` remembers those of every mask. */
function centredKeys(
  builder: Builder<TensorType>,
  keys: TensorNode,
  keep: TensorNode | undefined,
  weights: Map<TensorNode, TensorNode>,
): TensorNode {
  const emit = (op: string, args: readonly TensorNode[], attributes: TensorNode["attributes"] = {}) =>
    builder.emit(op, args, attributes, keys.origin);
  const last = { axes: [keys.type.shape.length - 1], keep: true };
  if (keep === undefined) {
    return emit("subtract", [keys, emit("reduceMean", [keys], last)]);
  }
  const known = weights.get(keep) ?? meanWeights(builder, keep, keys);
  weights.set(keep, known);
  return emit("subtract", [keys, emit("reduceSum", [emit("multiply", [keys, known])], last)]);
}

/** 1/count for the kept keys and 0 for the others. */
function meanWeights(builder: Builder<TensorType>, keep: TensorNode, keys: TensorNode): TensorNode {
  const emit = (op: string, args: readonly TensorNode[], attributes: TensorNode["attributes"] = {}) =>
    builder.emit(op, args, attributes, keep.origin);
  const kept = emit("cast", [keep], { dtype: keys.type.dtype });
  const count = emit("reduceSum", [kept], { axes: [keep.type.shape.length - 1], keep: true });
  const one = emit("constant", [], { value: scalar(1, keys.type.dtype) });
  return emit("divide", [kept, emit("maximum", [count, one])]);
}

/** Whether a softmax's scores are counted from the mean of their row, as this pass leaves them. */
export function isCentred(scores: TensorNode): boolean {
  const [keys, mean] = scores.op === "matmul" && scores.args[1].op === "subtract" ? scores.args[1].args : [];
  const reduced = mean?.op === "reduceSum" && mean.args[0].op === "multiply" ? mean.args[0].args : mean?.args;
  const isOverKeys = (mean?.attributes.axes as readonly number[] | undefined)?.join() === String(rankOf(scores) - 1);
  return keys !== undefined && mean?.op.startsWith("reduce") === true && isOverKeys && reduced!.includes(keys);
}

function rankOf({ type }: TensorNode): number {
  return type.shape.length;
}
