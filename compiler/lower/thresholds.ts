/**
 * Exact comparisons with public thresholds: x and x − c have the same mask, so one dealing of the mask's digits answers
 * for every threshold (PROTOCOL.md, "comparison"). What is compared is the fixed-point value: exact at its fraction.
 */
import type { Lowering, ShareNode } from "./context.js";
import { rangeExponentFor } from "./digits.js";

/** Bits of a digit, and how many digits one conjunction joins. */
const DIGIT = 5;
const WIDE_DIGIT = 6;
const MOST_DIGITS = 6;

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
  const kept = Math.min(fraction, MOST_DIGITS * WIDE_DIGIT + 1 - rangeExponent);
  const ring = rangeExponent + kept;
  const width = ring - 1 > MOST_DIGITS * DIGIT ? WIDE_DIGIT : DIGIT;
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
