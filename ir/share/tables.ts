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

/** Bits of the finest cosine table. A finer angle turns the nearest entry by what is left. */
const FINEST_TABLE = 16;
/** From here on a table is fine enough to be turned: the square of half a step is below 2^-20. */
export const LEAST_TURNED = 12;
/** round(2 pi 2^16): a difference of 2^-32 turns in units of 2^-48. */
const TURN = 411775;

/** The table that a series of this angle reads. */
export function tableAngleOf(angle: number): number {
  return Math.min(angle, FINEST_TABLE);
}

/**
 * cos and sin of 2 pi frequency word / 2^angle at 30 bits, from a quarter table of 2^tableAngle steps: exact entries
 * where that is as fine as the angle, else the nearest entry at a, turned by the difference d: cos a - d sin a and
 * sin a + d cos a. All in integers, the same everywhere; the native kernels do the same.
 */
export function waveAt(
  quarter: Int32Array,
  tableAngle: number,
  angle: number,
  frequency: number,
  word: bigint,
): readonly [cosine: number, sine: number] {
  const offset = Number(BigInt.asUintN(angle, word) << BigInt(32 - angle)) | 0;
  const phase = Math.imul(offset, frequency) >>> 0;
  const step = 2 ** (32 - tableAngle);
  const index = Math.floor((phase + step / 2) / step);
  const cosine = cosineAt(quarter, tableAngle, index);
  const sine = cosineAt(quarter, tableAngle, index - 2 ** (tableAngle - 2));
  if (angle <= tableAngle) {
    return [cosine, sine];
  }
  const turn = BigInt(Math.floor(((phase - index * step) * TURN) / 256));
  const turned = (value: number) => Number((BigInt(value) * turn) >> 40n);
  return [cosine - turned(sine), sine + turned(cosine)];
}

/** cos(2 pi index / 2^angle) at 30 bits from its quarter table. */
function cosineAt(quarter: Int32Array, angle: number, index: number): number {
  const period = 2 ** angle;
  const rest = index % period;
  const i = rest < 0 ? rest + period : rest;
  const quadrant = period / 4;
  if (i <= quadrant) {
    return quarter[i];
  }
  if (i <= 2 * quadrant) {
    return -quarter[2 * quadrant - i];
  }
  return i <= 3 * quadrant ? -quarter[i - 2 * quadrant] : quarter[period - i];
}
