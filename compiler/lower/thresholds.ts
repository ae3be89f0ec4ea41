/**
 * Exact comparisons with public thresholds: x and x − c have the same mask, so one dealing of the mask's digits answers
 * for every threshold (PROTOCOL.md, "comparison"). What is compared is the fixed-point value: exact at its fraction.
 */
import { MOST_JOINED, subsetsOf } from "../../ir/share/bits.js";
import type { Lowering, ShareNode } from "./context.js";
import { rangeExponentFor } from "./digits.js";

/** Bits of the widest digit. */
const WIDEST_DIGIT = 6;

/** Bits that one comparison of values of `ring` bits brings to P2, dealt and opened, with digits of `width` bits. */
function bitsWith(width: number, ring: number, thresholds: number): number {
  const count = Math.ceil((ring - 1) / width);
  const last = ring - 1 - (count - 1) * width;
  const hot = (count - 1) * 2 ** width + 2 ** last;
  let joined = 0;
  for (let n = 2; n <= count; n++) {
    joined += subsetsOf(n);
  }
  return hot + 1 + thresholds * (2 * (count - 1) + joined + 1);
}

/** The width of digits that makes comparisons cheapest, among those that one conjunction joins. */
function digitWidth(ring: number, thresholds: number): number {
  const widths = Array.from({ length: WIDEST_DIGIT }, (_, i) => i + 1);
  const joined = widths.filter((width) => width * MOST_JOINED >= ring - 1);
  const bits = (width: number) => bitsWith(width, ring, thresholds);
  return joined.reduce((best, width) => (bits(width) < bits(best) ? width : best), WIDEST_DIGIT);
}

/** Bits to P2 of one comparison of two values within ±bound at `fraction` bits. */
export function comparisonBits(bound: number, fraction: number): number {
  const ring = rangeExponentFor(bound, -fraction) + fraction;
  return bitsWith(digitWidth(ring, 1), ring, 1);
}

/** Bits of [x < c] for each public c, |x| ≤ bound; right to 2^-fraction. One round (none for a single digit). */
export function below(
  lowering: Lowering,
  x: ShareNode,
  bound: number,
  thresholds: readonly number[],
  fraction: number,
): readonly ShareNode[] {
  const reach = bound + Math.max(...thresholds.map(Math.abs));
  const rangeExponent = rangeExponentFor(reach, -fraction);
  const kept = Math.min(fraction, MOST_JOINED * WIDEST_DIGIT + 1 - rangeExponent);
  const ring = rangeExponent + kept;
  const width = digitWidth(ring, thresholds.length);
  const value = lowering.emit("reduce", [lowering.atFraction(x, kept)], { ring });
  const digits: Digit[] = [];
  for (let at = 0; at < ring - 1; at += width) {
    const cut = { at, width: Math.min(width, ring - 1 - at) };
    digits.push({ at, hot: lowering.emit("digits", [value], cut) });
  }
  return thresholds.map((threshold) => belowOne(lowering, value, digits, -Math.round(threshold * 2 ** kept)));
}

interface Digit {
  readonly at: number;
  readonly hot: ShareNode;
}

/** [x + offset < 0]: the top bits, and the borrow out of the digits below them. */
function belowOne(lowering: Lowering, value: ShareNode, digits: readonly Digit[], offset: number): ShareNode {
  const top = lowering.emit("topBit", [value], { offset });
  const less = digits.map(({ hot, at }) => lowering.emit("less", [hot, value], { at, offset }));
  const equal = digits
    .slice(1)
    .map(({ hot, at }) => lowering.emit("equals", [hot, value], { at, offset, difference: 0 }));
  return lowering.emit("exclusiveOr", [top, borrow(lowering, less, equal)]);
}

/** less_top ⊕ equal_top·less_next ⊕ …: the terms exclude each other, so XOR is OR. */
function borrow(lowering: Lowering, less: readonly ShareNode[], equal: readonly ShareNode[]): ShareNode {
  if (less.length === 1) {
    return less[0];
  }
  const maskedLess = less.slice(0, -1).map((bit) => lowering.emit("remaskBits", [bit]));
  const maskedEqual = equal.map((bit) => lowering.emit("remaskBits", [bit]));
  return maskedLess.reduce(
    (sum, bit, i) => lowering.emit("exclusiveOr", [sum, lowering.emit("conjunction", [bit, ...maskedEqual.slice(i)])]),
    less.at(-1)!,
  );
}

/** Masked bits of [x ≥ 0], right to 2^-fraction. */
export function atLeastZero(lowering: Lowering, x: ShareNode, bound: number, fraction: number): ShareNode {
  const [negative] = below(lowering, x, bound, [0], fraction);
  return lowering.emit("remaskBits", [lowering.emit("complement", [negative])]);
}
