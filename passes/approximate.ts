/**
 * Chooses how the non-linear functions are computed (NUMERICS.md). Profile `fourier`: softmax to base 2, with log₂e in
 * the scores, where a later canonicalisation merges it into the scale and the owner into the query weights; profile
 * `puma`: softmax to base e. Both along the last axis. Rare functions are written with common ones (`decompose.ts`);
 * the others are approximated where they are lowered.
 */
import { type Graph, rewrite } from "../ir/graph.js";
import { TENSOR } from "../ir/tensor/index.js";
import { scalar, type TensorType } from "../ir/tensor/value.js";
import { decomposed } from "./decompose.js";
import { padRank } from "./shapes.js";

export function approximate(graph: Graph<TensorType>, profile: "fourier" | "puma" = "fourier"): Graph<TensorType> {
  return rewrite(graph, TENSOR, (node, args, builder) => {
    if (node.op !== "softmax") {
      return decomposed(node, args, builder);
    }
    const emit = (op: string, from: readonly (typeof node)[], attributes = {}) =>
      builder.emit(op, from, attributes, node.origin);
    const rank = node.type.shape.length;
    const axis = node.attributes.axis as number;
    const swap = swapWithLast(rank, axis);
    const ranked = (x: typeof node) =>
      x.type.shape.length === rank ? x : emit("reshape", [x], { shape: padRank(x.type.shape, rank) });
    const toLast = (x: typeof node) => (axis === rank - 1 ? x : emit("transpose", [ranked(x)], { permutation: swap }));
    if (profile === "puma") {
      const natural = (rank: number) => emit("softmax", args.map(toLast), { axis: rank - 1 });
      return axis === rank - 1 ? undefined : toLast(natural(rank));
    }
    const log2e = emit("constant", [], { value: scalar(Math.LOG2E, node.type.dtype) });
    const scores = emit("multiply", [toLast(args[0]), log2e]);
    const rows = emit("softmaxBase2", [scores, ...args.slice(1).map(toLast)]);
    return toLast(rows);
  });
}

function swapWithLast(rank: number, axis: number): number[] {
  const permutation = Array.from({ length: rank }, (_, i) => i);
  permutation[axis] = rank - 1;
  permutation[rank - 1] = axis;
  return permutation;
}
