/**
 * Functions over doubles that give the same bits on every machine and in every version of Node. What decides a plan's
 * bytes (fits, tables, rings, ranges, folded constants) uses these, + − × ÷ and √, and nothing else: ECMAScript leaves
 * the last bits of Math.exp, Math.pow, `**` and their like to the engine, and V8 has changed them (`**` between
 * Node 22 and 24). From @stdlib: JavaScript ports of FreeBSD's msun and Cephes, in + − × ÷ √ and integers only.
 *
 * `2 ** n` for an integer n is exact everywhere (test/ir/real.test.ts) and may be written so; `exp2` is for the others.
 */
import acos from "@stdlib/math-base-special-acos";
import acosh from "@stdlib/math-base-special-acosh";
import asin from "@stdlib/math-base-special-asin";
import asinh from "@stdlib/math-base-special-asinh";
import atan from "@stdlib/math-base-special-atan";
import atanh from "@stdlib/math-base-special-atanh";
import cbrt from "@stdlib/math-base-special-cbrt";
import cos from "@stdlib/math-base-special-cos";
import cosh from "@stdlib/math-base-special-cosh";
import erf from "@stdlib/math-base-special-erf";
import exp from "@stdlib/math-base-special-exp";
import exp2 from "@stdlib/math-base-special-exp2";
import expm1 from "@stdlib/math-base-special-expm1";
import ln from "@stdlib/math-base-special-ln";
import log1p from "@stdlib/math-base-special-log1p";
import log2 from "@stdlib/math-base-special-log2";
import pow from "@stdlib/math-base-special-pow";
import sin from "@stdlib/math-base-special-sin";
import sinh from "@stdlib/math-base-special-sinh";
import tan from "@stdlib/math-base-special-tan";
import tanh from "@stdlib/math-base-special-tanh";

export {
  acos,
  acosh,
  asin,
  asinh,
  atan,
  atanh,
  cbrt,
  cos,
  cosh,
  erf,
  exp,
  exp2,
  expm1,
  ln,
  log1p,
  log2,
  pow,
  sin,
  sinh,
  tan,
  tanh,
};

const view = new DataView(new ArrayBuffer(8));

/** The largest integer n with 2^n ≤ x, exactly, for a finite x > 0; −∞ for 0. */
export function floorLog2(x: number): number {
  if (!(x > 0) || x === Number.POSITIVE_INFINITY) {
    return x === 0 ? Number.NEGATIVE_INFINITY : x > 0 ? x : Number.NaN;
  }
  view.setFloat64(0, x);
  const exponent = (view.getUint16(0) >> 4) & 0x7ff;
  return exponent === 0 ? floorLog2(x * 2 ** 52) - 52 : exponent - 1023;
}

/** The least integer n with x ≤ 2^n, exactly, for a finite x > 0; −∞ for 0. */
export function ceilLog2(x: number): number {
  const floor = floorLog2(x);
  return Number.isFinite(floor) && 2 ** floor !== x ? floor + 1 : floor;
}
