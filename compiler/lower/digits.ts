/**
 * Where a value lies, from one dealing of its mask's top digit (PROTOCOL.md, "coarse maximum"): with q = top digit of m
 * minus top digit of λ, without the borrow, (q − 1)·W ≤ x < (q + 1)·W for buckets of width W. Every question "is x in
 * these buckets" is then a local look-up, right up to one bucket at its borders.
 */
import type { Lowering, ShareNode } from "./context.js";

/** A dealt top digit of a value in a range of 2^rangeBits, cut into buckets of 2^-bucketBits. */
export interface CoarseDigit {
  readonly hot: ShareNode;
  /** The value, in the ring of the range. */
  readonly value: ShareNode;
  readonly width: number;
  readonly at: number;
  readonly fraction: number;
  /** log2 of the bucket width in reals. */
  readonly bucketExponent: number;
}

/**
 * Deals the top digit of x, |x| < 2^(rangeExponent−1) minus a bucket. Buckets are 2^bucketExponent wide; the digit has
 * rangeExponent − bucketExponent bits.
 */
export function coarseDigit(
  lowering: Lowering,
  x: ShareNode,
  rangeExponent: number,
  bucketExponent: number,
): CoarseDigit {
  const fraction = Math.max(1 - bucketExponent, 2);
  const scaled = lowering.atFraction(x, fraction);
  const value = lowering.emit("reduce", [scaled], { ring: rangeExponent + fraction });
  const width = rangeExponent - bucketExponent;
  const at = rangeExponent + fraction - width;
  const hot = lowering.emit("digits", [value], { at, width });
  return { hot, value, width, at, fraction, bucketExponent };
}

/**
 * Masked bits of [low ≤ x < high), right except within a bucket of a border; low or high may be infinite. A border is
 * rounded to a multiple of the bucket width.
 */
export function coarseBetween(lowering: Lowering, digit: CoarseDigit, low: number, high: number): ShareNode {
  const bucket = 2 ** digit.bucketExponent;
  const half = 2 ** (digit.at - 1);
  const limit = 2 ** (digit.width - 1);
  const first = low === Number.NEGATIVE_INFINITY ? -limit : Math.round(low / bucket) + 1;
  const last = high === Number.POSITIVE_INFINITY ? limit - 1 : Math.round(high / bucket);
  const size = 2 ** digit.width;
  const inside = lowering.emit("within", [digit.hot, digit.value], {
    at: digit.at,
    offset: half,
    from: ((first % size) + size) % size,
    count: Math.max(0, Math.min(size, last - first + 1)),
  });
  return lowering.emit("remaskBits", [inside]);
}

/** Bits that hold any |x| ≤ bound with a bucket to spare on both sides. */
export function rangeExponentFor(bound: number, bucketExponent: number): number {
  return Math.ceil(Math.log2(bound + 2 ** bucketExponent * 2)) + 1;
}

/**
 * [x < 0] exactly, up to the rounding to `fraction` bits: one dealing of digits of `width` bits, a look-up each, and
 * one
 * conjunction of high fan-in (PROTOCOL.md, "comparison"). One round (none if one digit is enough), result as bits.
 */
export function isNegative(
  lowering: Lowering,
  x: ShareNode,
  rangeExponent: number,
  fraction: number,
  width = 5,
): ShareNode {
  const ring = rangeExponent + fraction;
  const value = lowering.emit("reduce", [lowering.atFraction(x, fraction)], { ring });
  const top = lowering.emit("topBit", [value], { offset: 0 });
  const cuts: { at: number; width: number }[] = [];
  for (let at = 0; at < ring - 1; at += width) {
    cuts.push({ at, width: Math.min(width, ring - 1 - at) });
  }
  const hots = cuts.map((cut) => lowering.emit("digits", [value], cut));
  const less = hots.map((hot, i) => lowering.emit("less", [hot, value], { at: cuts[i].at, offset: 0 }));
  const equal = hots
    .slice(1)
    .map((hot, i) => lowering.emit("equals", [hot, value], { at: cuts[i + 1].at, offset: 0, difference: 0 }));
  const borrow = borrowOf(lowering, less, equal);
  return lowering.emit("exclusiveOr", [top, borrow]);
}

/** less_top ⊕ equal_top·less_next ⊕ …: the terms exclude each other, so XOR is OR. */
function borrowOf(lowering: Lowering, less: readonly ShareNode[], equal: readonly ShareNode[]): ShareNode {
  const count = less.length;
  if (count === 1) {
    return less[0];
  }
  const maskedLess = less.slice(0, -1).map((bit) => lowering.emit("remaskBits", [bit]));
  const maskedEqual = equal.map((bit) => lowering.emit("remaskBits", [bit]));
  return maskedLess.reduce(
    (borrow, bit, i) =>
      lowering.emit("exclusiveOr", [borrow, lowering.emit("conjunction", [bit, ...maskedEqual.slice(i)])]),
    less[count - 1],
  );
}

/** Σ of timesBit terms and others: all additive, at one fraction. */
export function sumAdditive(lowering: Lowering, terms: readonly ShareNode[]): ShareNode {
  return terms.slice(1).reduce((sum, term) => lowering.emit("add", [sum, term]), terms[0]);
}
