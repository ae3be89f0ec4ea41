/**
 * How far the scores of a softmax spread when a row is counted from a convex combination of its own scores (pass
 * `shift`): measured for every head, because heads of one layer differ by a factor of ten. The combination is the mean
 * over the kept keys and, for heads that look at it by default (attention sinks), the first key: its share is chosen
 * here, in 64ths, so that the plan's price is least. Heads that look at the token before, behind or at the row itself
 * count from that one. Σ_j 2^(s_j − ω·s) ≥ 1 is proved for every ω; the rest is measured.
 */
import type { Node } from "../ir/graph.js";
import { exp2, log2 } from "../ir/real.js";
import { broadcastStrides, stridesOf } from "../ir/shape.js";
import { sizeOf, type TensorType, type TensorValue } from "../ir/tensor/value.js";
import { isCentred } from "./shift.js";

type TensorNode = Node<TensorType>;

/** The scores of one head, in bits, counted from their combination: within [−down, up]. */
export interface HeadRange {
  /** The first key's weight in the combination beside the mean, in 64ths. */
  readonly first: number;
  /** The whole weight is on the key so many places behind the row's own; on the first key where that is not kept. */
  readonly neighbour?: number;
  readonly up: number;
  readonly down: number;
  /** log₂ of the largest sum of a row's powers; the least sum is 1. */
  readonly sum: number;
}

export const WHOLE_SHARE = 64;

/** What a row may be counted from. */
type Combination = Pick<HeadRange, "first" | "neighbour">;

/** What is tried: shares of the first key, and neighbours. */
const COMBINATIONS: readonly Combination[] = [
  ...[0, 8, 16, 24, 32, 40, 48, 56, WHOLE_SHARE].map((first) => ({ first })),
  ...[-1, 0, 1].map((neighbour) => ({ first: 0, neighbour })),
];

/** Bits beyond what samples showed: above, for the sum, and below, where a part of what was seen comes on top. */
const UP = 5;
const SUM = 5;
const DOWN = 10;
const DEEP = 0.14;

/** So much of these margins, at most, a guard may refuse. */
export const SPARE_BITS = 2.5;

/** What a bit of the spread and of the sum cost: dealt words are read against both, 1/Σ against the sum. */
const SPREAD_PRICE = 2;
const SUM_PRICE = 4.5;

interface Seen {
  up: number;
  down: number;
  sum: number;
}

const NOTHING = Number.NEGATIVE_INFINITY;

/** Collects the rows of every softmax while samples run. */
export class RowStatistics {
  private readonly heads = new Map<TensorNode, readonly Seen[][]>();
  /** Softmaxes of which a row was seen that does not keep the first key. */
  private readonly withoutFirst = new Set<TensorNode>();

  /** A softmax's scores, and its mask if it has one. */
  observe(node: TensorNode, scores: TensorValue, keep: TensorValue | undefined): void {
    const count = scores.shape.at(-3) ?? 1;
    const heads = this.heads.get(node) ?? Array.from({ length: count }, () => COMBINATIONS.map(nothing));
    this.heads.set(node, heads);
    const columns = scores.shape.at(-1)!;
    const rows = sizeOf(scores.shape) / columns;
    const perHead = scores.shape.at(-2) ?? 1;
    const kept = keptOf(scores, keep);
    for (let row = 0; row < rows; row++) {
      const seen = heads[Math.floor(row / perHead) % count];
      const isKept = kept(row);
      const start = row * columns;
      if (!isKept(0)) {
        this.withoutFirst.add(node);
      }
      const ofNeighbour = (offset: number) => {
        const column = (row % perHead) + offset;
        return scores.data[start + (column >= 0 && column < columns && isKept(column) ? column : 0)];
      };
      widen(seen, rowOf(scores.data, start, columns, isKept), ({ first, neighbour }) =>
        neighbour === undefined ? (first / WHOLE_SHARE) * scores.data[start] : ofNeighbour(neighbour),
      );
    }
  }

  /** The best combination of every head of the softmaxes whose scores have one. */
  ranges(): ReadonlyMap<TensorNode, readonly HeadRange[]> {
    const all = [...this.heads].map(([node, heads]) => [node, heads.map((seen) => this.best(node, seen))] as const);
    return new Map(all.flatMap(([node, heads]) => (heads.every((each) => each !== undefined) ? [[node, heads]] : [])));
  }

  private best(node: TensorNode, seen: readonly Seen[]): HeadRange | undefined {
    const [scores] = node.args;
    const isSquare = scores.type.shape.at(-1) === scores.type.shape.at(-2);
    const isAllowed = ({ first, neighbour }: Combination) =>
      ((first === 0 && neighbour === undefined) || !this.withoutFirst.has(node)) &&
      (neighbour === undefined || isSquare) &&
      (first === WHOLE_SHARE || isCentred(scores));
    const candidates = seen.flatMap((each, i) => {
      const combination = COMBINATIONS[i];
      return isAllowed(combination) ? [withMargin(combination, each)] : [];
    });
    const price = ({ up, down, sum }: HeadRange) => SPREAD_PRICE * (up + down) + SUM_PRICE * sum;
    const [start] = candidates;
    return start && candidates.reduce((best, each) => (price(each) < price(best) ? each : best), start);
  }
}

function nothing(): Seen {
  return { up: NOTHING, down: NOTHING, sum: NOTHING };
}

function withMargin(combination: Combination, { up, down, sum }: Seen): HeadRange {
  const below = Math.max(0, down);
  return {
    ...combination,
    up: eighths(Math.max(0, up) + UP),
    down: eighths(below + Math.max(DOWN, DEEP * below)),
    sum: eighths(Math.max(0, sum) + SUM),
  };
}

/** Bits as a plan carries them: in eighths, no fewer (outward.ts). */
function eighths(bits: number): number {
  return Math.ceil(8 * bits) / 8;
}

/** For every row, whether it keeps an element. */
function keptOf(scores: TensorValue, keep: TensorValue | undefined): (row: number) => (column: number) => boolean {
  if (keep === undefined) {
    return () => () => true;
  }
  const strides = broadcastStrides(keep.shape, scores.shape);
  const own = stridesOf(scores.shape);
  const columns = scores.shape.at(-1)!;
  const step = strides.at(-1)!;
  return (row) => {
    let [rest, start] = [row * columns, 0];
    for (let axis = 0; axis < own.length - 1; axis++) {
      start += Math.floor(rest / own[axis]) * strides[axis];
      rest %= own[axis];
    }
    return (column) => keep.data[start + column * step] !== 0;
  };
}

interface Row {
  readonly least: number;
  readonly most: number;
  /** log₂ Σ 2^score. */
  readonly sum: number;
}

/** The kept scores of a row; undefined where none is. */
function rowOf(scores: ArrayLike<number>, start: number, columns: number, kept: (column: number) => boolean) {
  let [least, most] = [Number.POSITIVE_INFINITY, NOTHING];
  for (let column = 0; column < columns; column++) {
    if (kept(column)) {
      least = Math.min(least, scores[start + column]);
      most = Math.max(most, scores[start + column]);
    }
  }
  let sum = 0;
  for (let column = 0; column < columns; column++) {
    sum += kept(column) ? exp2(scores[start + column] - most) : 0;
  }
  return most === NOTHING ? undefined : { least, most, sum: most + log2(sum) };
}

/** Adds a row to what was seen with every combination of its scores. */
function widen(seen: readonly Seen[], row: Row | undefined, shiftOf: (combination: Combination) => number): void {
  if (row === undefined) {
    return;
  }
  for (const [i, each] of seen.entries()) {
    const shift = shiftOf(COMBINATIONS[i]);
    each.up = Math.max(each.up, row.most - shift);
    each.down = Math.max(each.down, shift - row.least);
    each.sum = Math.max(each.sum, row.sum - shift);
  }
}
