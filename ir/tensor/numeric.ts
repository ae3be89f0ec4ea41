/** Scalar functions that JavaScript lacks, and the rounding of casts. */
import { floorLog2, log1p } from "../real.js";
import { erf, exp, sigmoid } from "./quick.js";
import type { DType } from "./value.js";

export function softplus(x: number): number {
  return Math.max(x, 0) + log1p(exp(-Math.abs(x)));
}

export function roundHalfEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  return rest < 0.5 || (rest === 0.5 && floor % 2 === 0) ? floor : floor + 1;
}

/** x·Φ(x) by erf. */
export function geluErf(x: number): number {
  return 0.5 * x * (1 + erf(x / Math.SQRT2));
}

/** x·(1 + tanh u)/2, which is x·sigmoid(2u). */
export function geluTanh(x: number): number {
  return x * sigmoid(2 * Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x));
}

/** x·sigmoid(1.702 x). */
function geluQuick(x: number): number {
  return x * sigmoid(1.702 * x);
}

const GELU: Readonly<Record<string, (x: number) => number>> = { erf: geluErf, tanh: geluTanh, quick: geluQuick };

export function gelu(approximation: string): (x: number) => number {
  const compute = GELU[approximation];
  if (compute === undefined) {
    throw new Error(`no gelu approximation '${approximation}'`);
  }
  return compute;
}

const INTEGER_BITS: Readonly<Record<string, number>> = {
  i64: 64,
  i32: 32,
  i16: 16,
  i8: 8,
  u64: 64,
  u32: 32,
  u16: 16,
  u8: 8,
};

/** The number that a cast to `dtype` gives: truncation and wrap for integers, rounding for short floats. */
export function castNumber(x: number, dtype: DType): number {
  switch (dtype) {
    case "f64":
      return x;
    case "f32":
      return Math.fround(x);
    case "bool":
      return x !== 0 ? 1 : 0;
    case "f16":
      return roundToMantissa(x, 10, -14, 65504);
    case "bf16":
      return roundToMantissa(x, 7, -126, 3.3895313892515355e38);
    default:
      return wrap(Math.trunc(Number.isNaN(x) ? 0 : x), INTEGER_BITS[dtype], dtype.startsWith("i"));
  }
}

/** Modulo 2^bits; infinities, and 64-bit integers, which doubles do not hold exactly, stop at the ends instead. */
function wrap(x: number, bits: number, signed: boolean): number {
  if (bits === 64 || !Number.isFinite(x)) {
    const [least, most] = signed ? [-(2 ** (bits - 1)), 2 ** (bits - 1)] : [0, 2 ** bits];
    return Math.max(least, Math.min(bits === 64 ? most : most - 1, x));
  }
  const modulus = 2 ** bits;
  const low = ((x % modulus) + modulus) % modulus;
  return signed && low >= modulus / 2 ? low - modulus : low;
}

/** The nearest number with so many bits of mantissa. */
export function roundToMantissa(x: number, mantissa: number, leastExponent: number, largest: number): number {
  if (!Number.isFinite(x) || x === 0) {
    return x;
  }
  const exponent = Math.max(leastExponent, floorLog2(Math.abs(x)));
  const unit = 2 ** (exponent - mantissa);
  const rounded = roundHalfEven(x / unit) * unit;
  return Math.abs(rounded) > largest ? Math.sign(x) * Number.POSITIVE_INFINITY : rounded;
}
