/**
 * The integer tables that a plan carries, so that P1 and P2 compute bit-identical public factors: a quarter of a
 * cosine, and the powers 2^-u. Made once, at compile time; at run time nobody evaluates a floating-point function.
 */
import { cos, exp2 } from "../real.js";

/** Fractional bits of a series' coefficients. */
export const COEFFICIENT_FRACTION = 24;
/** Fractional bits of the tables' entries. */
export const TABLE_FRACTION = 30;

/** round(2^30 cos(2 pi i / 2^angle)) for i = 0 … 2^(angle-2): the first quadrant, both ends included. */
export function cosineQuarter(angle: number): Int32Array {
  const quarter = 2 ** (angle - 2);
  return Int32Array.from({ length: quarter + 1 }, (_, i) =>
    i === quarter ? 0 : Math.round(2 ** TABLE_FRACTION * cos((Math.PI / 2) * (i / quarter))),
  );
}

/** round(2^30 2^-(i / 2^fraction)) for i = 0 … 2^fraction - 1. */
export function negativePowers(fraction: number): Int32Array {
  const count = 2 ** fraction;
  return Int32Array.from({ length: count }, (_, i) => Math.round(exp2(TABLE_FRACTION - i / count)));
}

/** cos(2 pi index / 2^angle) at 30 bits from a quarter table of the finer angle `tableAngle`. */
export function cosineAt(quarter: Int32Array, tableAngle: number, angle: number, index: number): number {
  const period = 2 ** tableAngle;
  const fine = (index * 2 ** (tableAngle - angle)) % period;
  const i = fine < 0 ? fine + period : fine;
  const quadrant = period / 4;
  if (i <= quadrant) {
    return quarter[i];
  }
  if (i <= 2 * quadrant) {
    return -quarter[2 * quadrant - i];
  }
  return i <= 3 * quadrant ? -quarter[i - 2 * quadrant] : quarter[period - i];
}
