/**
 * x^exponent for a positive x over a wide range, two rounds (1/x for softmax rows, 1/√x for norms). PROTOCOL.md
 * normalises first and needs four; here every bucket [low·4^i, low·4^(i+1)) has its own series of x itself, all opened
 * beside the bits that say in which bucket x lies, and one sum of products selects:
 *
 *     round 1: open F_0(x), F_1(x), …, and b_0, b_1, …      round 2: open Σ b_i·F_i(x)
 *
 * It costs more bytes per value (a series per bucket), but there is one value per row. The bits come from one dealing of
 * a wide top digit, so they are right up to half a digit; each bucket's series is fitted that much wider.
 */
import type { Lowering, ShareNode } from "./context.js";
import { sumAdditive } from "./digits.js";
import { fitFourier } from "./fourier.js";
import { ANGLE_BITS, seriesAttributes } from "./series.js";

/** Buckets grow by this factor: a series of few harmonics covers a factor of 4. */
const BASE = 4;
const SECRET_FRACTION = 12;
const HARMONICS = 7;
/** Fractional bits of the finest public table. */
const WIDEST_TABLE = 24;
/** The widest digit that may be dealt: 2^13 bits per value. */
const WIDEST_DIGIT = 13;

export interface PowerRange {
  readonly low: number;
  readonly high: number;
}

/**
 * scale·x^exponent at `fraction` fractional bits, masked, for x in [low, high]. Below low and above high the result is
 * garbage (the range pass guarantees the interval). Two rounds.
 */
export function power(
  lowering: Lowering,
  x: ShareNode,
  exponent: number,
  range: PowerRange,
  fraction: number,
  scale = 1,
): ShareNode {
  const lowExponent = Math.floor(Math.log2(range.low));
  const highExponent = Math.max(lowExponent + 1, Math.ceil(Math.log2(range.high)));
  const digit = positiveDigit(lowering, x, lowExponent, highExponent);
  const count = Math.ceil((highExponent - lowExponent) / 2);
  const terms = Array.from({ length: count }, (_, i) => {
    const from = lowExponent + 2 * i;
    const bit = bucketBit(
      lowering,
      digit,
      i === 0 ? undefined : from,
      i === count - 1 ? undefined : lowExponent + 2 * i + 2,
    );
    const value = bucketSeries(lowering, x, exponent, lowExponent, i, fraction, scale);
    return lowering.emit("timesBit", [bit, value]);
  });
  const sum = lowering.remasked(sumAdditive(lowering, terms));
  return lowering.bounded(sum, scale * 2 ** (exponent * lowExponent));
}

interface PositiveDigit {
  readonly hot: ShareNode;
  readonly value: ShareNode;
  readonly at: number;
  readonly width: number;
  /** log2 of a bucket of the digit. */
  readonly unit: number;
}

/** The top digit of a value in [0, 2^highExponent), in units of 2^lowExponent (or coarser if that were too wide). */
function positiveDigit(lowering: Lowering, x: ShareNode, lowExponent: number, highExponent: number): PositiveDigit {
  const top = highExponent + 1;
  const unit = Math.max(lowExponent, top - WIDEST_DIGIT);
  const fraction = 2 - unit;
  const scaled = lowering.atFraction(x, fraction);
  const value = lowering.emit("reduce", [scaled], { ring: top + fraction });
  const width = top - unit;
  const hot = lowering.emit("digits", [value], { at: 2, width });
  return { hot, value, at: 2, width, unit };
}

/** Masked bit of [2^from ≤ x < 2^to), either may be open. */
function bucketBit(
  lowering: Lowering,
  digit: PositiveDigit,
  from: number | undefined,
  to: number | undefined,
): ShareNode {
  const size = 2 ** digit.width;
  const first = from === undefined ? 0 : Math.round(2 ** (from - digit.unit)) + 1;
  const last = to === undefined ? size - 1 : Math.round(2 ** (to - digit.unit));
  const inside = lowering.emit("within", [digit.hot, digit.value], {
    at: digit.at,
    offset: 2 ** (digit.at - 1),
    from: first,
    count: last - first + 1,
  });
  return lowering.emit("remaskBits", [inside]);
}

/** scale·x^exponent on bucket i, opened and at `fraction` bits. */
function bucketSeries(
  lowering: Lowering,
  x: ShareNode,
  exponent: number,
  lowExponent: number,
  i: number,
  fraction: number,
  scale: number,
): ShareNode {
  const start = 2 ** (lowExponent + 2 * i);
  const slack = 2 ** lowExponent / 2;
  const window: [number, number] = [(i === 0 ? start : start - slack) / start, BASE + slack / start];
  const periodExponent = lowExponent + 2 * i + 3;
  // The fit is relative: on the bucket scaled to [1, 4], weighted by 1 / f.
  const series = fitFourier(
    (t) => t ** exponent,
    window,
    8,
    HARMONICS,
    "none",
    1e-11,
    (t) => t ** -exponent,
  );
  const angle = lowering.atFraction(x, ANGLE_BITS - periodExponent);
  // The tables hold numbers near 1; the power of two that makes them so goes into the label.
  const magnitude = scale * start ** exponent;
  const shift = Math.round(Math.log2(magnitude));
  const publicFraction = Math.min(WIDEST_TABLE, Math.max(4, fraction + 1 + shift));
  const bits = { publicFraction, secretFraction: SECRET_FRACTION };
  const table = lowering.emit("series", [angle], seriesAttributes(series, bits, magnitude / 2 ** shift));
  const value = lowering.emit("relabel", [table], { fraction: publicFraction + SECRET_FRACTION - shift });
  return lowering.atFraction(value, fraction);
}
