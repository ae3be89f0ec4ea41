/**
 * x^exponent for a positive x over a wide range, two rounds: 1/x for softmax rows, 1/√x for norms (three rounds where
 * the range is very wide). PROTOCOL.md normalises first and needs four; here every bucket [low·4^i, low·4^(i+1)) has
 * its
 * own series of x itself, all opened beside the bits that say in which bucket x lies, and one sum of products selects:
 *
 *     round 1: open F_0(x), F_1(x), …, and b_0, b_1, …      round 2: open Σ b_i·F_i(x)
 *
 * It costs more bytes per value (a series per bucket), but there is one value per row. The bits come from one dealing
 * of a wide top digit, right up to half a digit, so each bucket's series is fitted that much wider.
 */
import { ceilLog2, exp2, floorLog2, log2, pow } from "../../ir/real.js";
import type { Lowering, ShareNode } from "./context.js";
import { coarseBits, coarseBitsPrice, type Span, sumAdditive } from "./digits.js";
import { describeSeries, type FourierSeries, fitFourier, seriesAt } from "./fourier.js";
import { ANGLE_BITS, angleOf, seriesAttributes, stretchFor } from "./series.js";

/** Buckets grow by this factor: a series of few harmonics covers a factor of 4. */
const BASE = 4;
/** Fractional bits of the dealt factors. Their rounding is most of the error: at 14 that of 1/x is four times it. */
const SECRET_FRACTION = 16;
const HARMONICS = 7;
/** Fractional bits of the finest public table. */
const WIDEST_TABLE = 24;

export interface PowerRange {
  readonly low: number;
  readonly high: number;
}

/** A bucket [start, 4·start) of the argument, and where a series of it must hold, in units of start. */
export interface Bucket {
  readonly start: number;
  readonly window: readonly [number, number];
  /** log2 of the period of a series of x itself. */
  readonly periodExponent: number;
}

/** A function on a bucket: magnitude·compute(x / start). `weight` makes its fit relative. */
export interface BucketFunction {
  /** Names `compute` and `weight`: where it is equal, so are they, and a fit on the same window is not made again. */
  readonly name: string;
  /** The function of x itself, for reports. */
  readonly label: string;
  readonly compute: (t: number) => number;
  readonly weight?: (t: number) => number;
  readonly magnitude: number;
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
  const compute = (t: number) => pow(t, exponent);
  if (range.high / range.low <= WIDEST_SERIES) {
    return lowering.bounded(
      onOneSeries(lowering, x, exponent, range, fraction, scale),
      scale * largestOf(range, exponent),
    );
  }
  const sum = onBuckets(lowering, x, range, (bucket) => {
    const magnitude = scale * pow(bucket.start, exponent);
    const weight = (t: number) => pow(t, -exponent);
    const relative = { name: `t^${exponent}`, label: powerLabel(exponent), compute, weight, magnitude };
    return bucketSeries(lowering, x, bucket, relative, fraction);
  });
  const ends = exponentsOf(range).map((end) => exp2(exponent * end));
  return lowering.bounded(sum, scale * Math.max(...ends));
}

/** Rounds of `power`, and bits that reach P2 for every value, its widening for a product included. */
export function powerPrice(
  lowering: Lowering,
  x: ShareNode,
  range: PowerRange,
  fraction: number,
  ring: number,
): { readonly rounds: number; readonly bits: number } {
  const word = fraction + 2 + SECRET_FRACTION + 1;
  const widening = 3 * Math.max(0, ring - fraction - 2);
  if (range.high / range.low <= WIDEST_SERIES) {
    return { rounds: 1, bits: 2 * USUAL_HARMONICS * word + widening };
  }
  const [lowExponent, highExponent] = exponentsOf(range);
  const count = Math.ceil((highExponent - lowExponent) / 2);
  const { rounds, bits } = coarseBitsPrice(lowering, x, range.high, lowExponent, count - 1);
  const values = count * (2 * HARMONICS + 3) * word;
  return { rounds: count === 1 ? 1 : rounds + 1, bits: values + bits + widening };
}

function largestOf({ low, high }: PowerRange, exponent: number): number {
  return Math.max(pow(low, exponent), pow(high, exponent));
}

/** Above this ratio a single series needs more harmonics than buckets do. */
const WIDEST_SERIES = 32;
const ONE_SERIES_TOLERANCE = 2e-5;
const MOST_HARMONICS = 20;

/** scale·x^exponent by one series on the whole interval: one round, nothing to select. */
function onOneSeries(
  lowering: Lowering,
  x: ShareNode,
  exponent: number,
  { low, high }: PowerRange,
  fraction: number,
  scale: number,
): ShareNode {
  const startExponent = floorLog2(low);
  const start = 2 ** startExponent;
  const window = [low / start, high / start] as const;
  const stretch = stretchFor(periodOf(high / low) * (window[1] - window[0]));
  const compute = (t: number) => pow(t, exponent);
  const weight = (t: number) => pow(t, -exponent);
  const series = lowering.fitted(`t^${exponent} on ${window}`, () => {
    const withHarmonics = (harmonics: number) =>
      fitFourier(compute, window, 2 ** stretch.exponent / stretch.factor, harmonics, "none", 1e-11, weight);
    let best = withHarmonics(LEAST_HARMONICS);
    for (let n = LEAST_HARMONICS + 1; n <= MOST_HARMONICS && best.maxError > ONE_SERIES_TOLERANCE; n++) {
      best = withHarmonics(n);
    }
    return best;
  });
  const magnitude = scale * pow(start, exponent);
  const relative = { name: `t^${exponent}`, label: powerLabel(exponent), compute, weight, magnitude };
  noteBucket(lowering, { start, window, periodExponent: 0 }, relative, series);
  const angle = angleOf(lowering, x, { factor: stretch.factor, exponent: stretch.exponent + startExponent });
  return tabled(lowering, angle, series, magnitude, fraction);
}

const LEAST_HARMONICS = 4;
const USUAL_HARMONICS = 10;

/** The period, in units of the interval, with the fewest harmonics: longer where the function bends less. */
function periodOf(ratio: number): number {
  return Math.max(1.3, 2.9 - 0.33 * log2(ratio));
}

export function powerLabel(exponent: number): string {
  const roots: Readonly<Record<string, string>> = { "-1": "1/x", "-0.5": "1/√x", "0.5": "√x" };
  return roots[exponent] ?? `x^${exponent}`;
}

/**
 * The function that `term` computes on each bucket of x in [low, high], selected by bits; masked. Two rounds, or three;
 * one for a single bucket.
 */
export function onBuckets(
  lowering: Lowering,
  x: ShareNode,
  range: PowerRange,
  term: (bucket: Bucket) => ShareNode,
): ShareNode {
  const [lowExponent, highExponent] = exponentsOf(range);
  const count = Math.ceil((highExponent - lowExponent) / 2);
  const borders = Array.from({ length: count - 1 }, (_, i) => 2 ** (lowExponent + 2 * i + 2));
  const spans = [Number.NEGATIVE_INFINITY, ...borders].map(
    (from, i): Span => [from, borders[i] ?? Number.POSITIVE_INFINITY],
  );
  const bits = count === 1 ? [] : coarseBits(lowering, x, range.high, lowExponent, spans);
  const slack = 2 ** lowExponent / 2;
  const values = spans.map((_, i) => {
    const from = lowExponent + 2 * i;
    const start = 2 ** from;
    const window = [(i === 0 ? start : start - slack) / start, BASE + slack / start] as const;
    return term({ start, window, periodExponent: from + 3 });
  });
  if (count === 1) {
    return values[0];
  }
  const terms = values.map((value, i) => lowering.emit("timesBit", [bits[i], value]));
  return lowering.remasked(sumAdditive(lowering, terms));
}

function exponentsOf({ low, high }: PowerRange): [number, number] {
  const lowExponent = floorLog2(low);
  return [lowExponent, Math.max(lowExponent + 1, ceilLog2(high))];
}

/** A function on a bucket by one series of x, opened and at `fraction` bits. */
export function bucketSeries(
  lowering: Lowering,
  x: ShareNode,
  bucket: Bucket,
  given: BucketFunction,
  fraction: number,
): ShareNode {
  const { name, compute, weight, magnitude } = given;
  const series = lowering.fitted(`${name} on ${bucket.window}`, () =>
    fitFourier(compute, bucket.window, 8, HARMONICS, "none", 1e-11, weight),
  );
  noteBucket(lowering, bucket, given, series);
  const angle = lowering.atFraction(x, ANGLE_BITS - bucket.periodExponent);
  return tabled(lowering, angle, series, magnitude, fraction);
}

/** A series of an angle, opened and at `fraction` bits. */
function tabled(
  lowering: Lowering,
  angle: ShareNode,
  series: FourierSeries,
  magnitude: number,
  fraction: number,
): ShareNode {
  // The tables hold numbers near 1; the power of two that makes them so goes into the label.
  const shift = Math.round(log2(magnitude));
  const publicFraction = Math.min(WIDEST_TABLE, Math.max(4, fraction + 1 + shift));
  const bits = { publicFraction, secretFraction: SECRET_FRACTION };
  const table = lowering.emit("series", [angle], seriesAttributes(series, bits, magnitude / 2 ** shift));
  const value = lowering.emit("relabel", [table], { fraction: publicFraction + SECRET_FRACTION - shift });
  return lowering.atFraction(value, fraction);
}

/** One formula for every function, with the buckets of all values; a bucket's window is in units of its start. */
function noteBucket(
  lowering: Lowering,
  { start, window }: Bucket,
  { label, name, compute, weight, magnitude }: BucketFunction,
  series: FourierSeries,
): void {
  const [from, to] = window.map((end) => end * start);
  lowering.formulas.add(`buckets ${name}`, `${from} ${to}`, () => ({
    function: label,
    profile: "fourier",
    form: `${describeSeries(series)} times the bucket's start, a factor of ${BASE} wide`,
    distance: weight === undefined ? "absolute" : "relative",
    outside: "noise: ranges keep arguments inside",
    section: "Profile `fourier`",
    coefficients: [start, series.constant, ...series.cosines, ...series.sines],
    pieces: [
      {
        from,
        to,
        value: (x) => magnitude * seriesAt(series, x / start),
        exact: (x) => magnitude * compute(x / start),
      },
    ],
  }));
}
