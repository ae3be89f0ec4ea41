/**
 * Rows of a masked softmax that keep nothing, as the model file says them. A penalty is a number: where every key of a
 * row has one, the largest decides. What float32 makes of a score s and a penalty p:
 *
 * - p = −∞ everywhere: no row at all; NaN in the file, or zeros where it guards against it. Here 0.
 * - |p| beyond 2²⁷, or scores replaced by p: s is lost, and the keys with the largest penalty share evenly.
 * - smaller ones: s is left, so the row is a softmax over the keys with the largest penalty.
 *
 * Everything here is made of masks and constants: whoever knows the mask computes it in the clear.
 */
import type { Rewriter, TensorNode } from "../rewriter.js";
import { constantOf } from "../rules/common.js";

/** Scores are smaller than this; what is added to them and is below its negative says "not this one". */
export const FAR = 1000;

/** From here on a float32 has no bits for a score beside the penalty. */
export const DEEP = 2 ** 27;
/** Sums below are −∞ in float32. */
const OVERFLOW = -3.4028236e38;

/** What is put on scores that a mask drops. */
export interface Penalty {
  /** 0 where kept. */
  readonly node: TensorNode;
  /** All numbers that it may be where not kept, or undefined where an input gives them. */
  readonly depths: readonly number[] | undefined;
  /** Where the score was replaced by it; nowhere if undefined. */
  readonly replaced: TensorNode | undefined;
  /** Whether it, or part of it, was added to the score. */
  readonly added: boolean;
}

interface Masked {
  readonly node: TensorNode;
  readonly scores: TensorNode;
  readonly keep: TensorNode;
  /** A mask of −∞ that the softmax had already. */
  readonly given: TensorNode | undefined;
  readonly penalty: Penalty | undefined;
}

interface Found {
  readonly scores: TensorNode;
  readonly keep: TensorNode;
  /** The arguments of a softmax after its mask: the rows that keep nothing (or that there is none), and what shares. */
  readonly idle: readonly TensorNode[];
}

export function idleRows(masked: Masked, rewriter: Rewriter): Found {
  const { node, scores, keep, given, penalty } = masked;
  const nothing: Found = { scores, keep, idle: [] };
  if (rewriter.factsOf(keep).parameter) {
    return nothing; // chosen by secrets: every form would be computed on them
  }
  const rows = new Rows(node, rewriter);
  const none = rows.make("not", rows.over("reduceMaximum", keep));
  if (isFalse(none)) {
    return nothing;
  }
  if (penalty === undefined || penalty.depths?.every((depth) => depth === Number.NEGATIVE_INFINITY)) {
    return { ...nothing, idle: [none] };
  }
  if (given === undefined && penalty.depths?.length === 1) {
    const isLost = !penalty.added || penalty.depths[0] < -DEEP;
    return isLost
      ? { ...nothing, idle: [none, none] }
      : { scores, keep: rows.make("or", keep, none), idle: [rows.truth(0)] };
  }
  return rows.graded({ ...masked, penalty });
}

function isFalse(node: TensorNode): boolean {
  return constantOf(node)?.data.every((each) => each === 0) === true;
}

class Rows {
  constructor(
    private readonly node: TensorNode,
    private readonly rewriter: Rewriter,
  ) {}

  make(op: string, ...args: TensorNode[]): TensorNode {
    return this.rewriter.emit(op, args, {}, this.node.origin);
  }

  private scalar(value: number, like: TensorNode): TensorNode {
    return this.rewriter.scalar(value, like);
  }

  truth(value: 0 | 1): TensorNode {
    return this.rewriter.constant({ dtype: "bool", shape: [], data: Float64Array.of(value) }, this.node.origin);
  }

  /** A reduction over the softmax's axis, which stays with size one; what has no such axis is the same along it. */
  over(op: string, x: TensorNode): TensorNode {
    const axis = (this.node.attributes.axis as number) - this.node.type.shape.length + x.type.shape.length;
    if (axis < 0) {
      return x;
    }
    const isTruth = x.type.dtype === "bool";
    const numbers = isTruth ? this.rewriter.emit("cast", [x], { dtype: "i32" }, this.node.origin) : x;
    const found = this.rewriter.emit(op, [numbers], { axes: [axis], keep: true }, this.node.origin);
    return isTruth ? this.rewriter.emit("cast", [found], { dtype: "bool" }, this.node.origin) : found;
  }

  /** Penalties of several sizes: a row keeps, or shares among, the keys with the largest. */
  graded({ scores, keep, given, penalty }: Masked & { readonly penalty: Penalty }): Found {
    const lowest = this.scalar(Number.NEGATIVE_INFINITY, penalty.node);
    const sum = this.make(
      "select",
      this.make("less", penalty.node, this.scalar(OVERFLOW, penalty.node)),
      lowest,
      penalty.node,
    );
    const all = given === undefined ? sum : this.make("select", given, sum, lowest);
    const largest = this.over("reduceMaximum", all);
    const finite = this.make("greater", all, lowest);
    const near = this.make("greaterOrEqual", all, this.make("add", largest, this.scalar(-FAR / 2, largest)));
    const best = this.make("and", near, finite);
    const none = this.make("lessOrEqual", largest, this.scalar(-FAR, largest));
    const lost = this.lost(penalty, largest);
    const left = this.make("not", lost);
    const plain = this.make("and", this.make("and", none, left), best);
    const even = this.make("and", this.make("and", none, lost), best);
    const more = isFalse(plain) ? keep : this.make("or", keep, plain);
    // Said again where it is constant: what nobody may look at is never computed.
    const kept = given === undefined || more === keep ? more : this.make("and", more, given);
    const empty = this.make("equal", largest, lowest);
    const idle = this.make("and", none, this.make("or", lost, empty));
    const rest = isFalse(even) ? [idle] : [idle, even];
    const replaced = penalty.replaced === undefined ? undefined : this.make("and", plain, penalty.replaced);
    return {
      scores: replaced === undefined || isFalse(replaced) ? scores : this.without(scores, replaced),
      keep: kept,
      idle: isFalse(idle) ? [this.truth(0)] : rest,
    };
  }

  /** Whether the scores of a row that keeps nothing are lost beside its largest penalty. */
  private lost({ depths, added }: Penalty, largest: TensorNode): TensorNode {
    const always = !added || depths?.every((depth) => depth < -DEEP || depth === Number.NEGATIVE_INFINITY);
    const never = added && depths?.every((depth) => depth >= -DEEP || depth === Number.NEGATIVE_INFINITY);
    return always ? this.truth(1) : never ? this.truth(0) : this.make("less", largest, this.scalar(-DEEP, largest));
  }

  /** The scores, 0 where they were replaced by the penalty that is all there is in the row. */
  private without(scores: TensorNode, replaced: TensorNode): TensorNode {
    const dtype = scores.type.dtype;
    const factor = this.rewriter.emit("cast", [this.make("not", replaced)], { dtype }, this.node.origin);
    return this.make("multiply", scores, factor);
  }
}
