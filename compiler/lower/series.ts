/**
 * A Fourier series on a masked value: `series` reads a signed integer modulo 2^angle, so a period is a power of two in
 * units of the argument. A factor a (odd, free: an integer multiple is local) stretches the argument and makes the
 * period 2^p / a: a period near 2.7 windows needs the fewest harmonics (docs/accuracy.md measures it).
 */
import { exp, ln } from "../../ir/real.js";
import { encodedScalar, type Lowering, type ShareNode } from "./context.js";
import { type FourierSeries, fitFourier, type Parity, seriesAt } from "./fourier.js";

/** Bits of the angle: the cosine table has 2^ANGLE_BITS entries, a quarter of them in the plan. */
export const ANGLE_BITS = 16;
/** Fractional bits of the coefficients as integers. */
const COEFFICIENT_BITS = 24;

export interface Stretch {
  /** The odd factor a. */
  readonly factor: number;
  /** log2 of the period of a·x. */
  readonly exponent: number;
}

const RIDGE = 1e-10;
const GRID = 400;

/** Factors of a stretch. A factor costs nothing but bits of the argument that a series does not read. */
const LARGEST_FACTOR = 31;

/** The stretch whose period 2^p/a is nearest to a wanted period, with a small factor. */
export function stretchFor(period: number): Stretch {
  let best: Stretch = { factor: 1, exponent: 0 };
  const distance = ({ factor, exponent }: Stretch) => Math.abs(ln(2 ** exponent / factor / period));
  for (let factor = 1; factor <= LARGEST_FACTOR; factor += 2) {
    for (let exponent = -12; exponent <= 12; exponent++) {
      if (distance({ factor, exponent }) < distance(best) - 1e-9) {
        best = { factor, exponent };
      }
    }
  }
  return best;
}

/** A series fitted for the stretch; the argument of the fitted function is x itself. */
export interface FittedSeries {
  readonly stretch: Stretch;
  readonly series: FourierSeries;
}

/** How much less an error counts at the ends of the window than where values are, if it is said where they are. */
const LEAST_WEIGHT = 0.2;

/**
 * Fits with the smallest number of harmonics that reaches `tolerance` on the window (at most 16). `typical` is the
 * standard deviation of the arguments, where it is known: the fit is then better where they are.
 */
export function fitSeries(
  compute: (x: number) => number,
  window: readonly [number, number],
  period: number,
  parity: Parity,
  tolerance: number,
  typical = Number.POSITIVE_INFINITY,
): FittedSeries {
  const stretch = stretchFor(period);
  const exact = 2 ** stretch.exponent / stretch.factor;
  const weight = (x: number) => Math.max(LEAST_WEIGHT, exp(-((x / typical) * (x / typical)) / 4));
  const seriesWith = (harmonics: number) => fitFourier(compute, window, exact, harmonics, parity, RIDGE, weight);
  let series = seriesWith(2);
  for (let harmonics = 3; harmonics <= 16 && errorOf(compute, window, series) > tolerance; harmonics++) {
    series = seriesWith(harmonics);
  }
  return { stretch, series };
}

/** The largest error on the window, whatever the weights of the fit. */
function errorOf(
  compute: (x: number) => number,
  [low, high]: readonly [number, number],
  series: FourierSeries,
): number {
  let most = 0;
  for (let i = 0; i <= GRID; i++) {
    const x = low + ((high - low) * i) / GRID;
    most = Math.max(most, Math.abs(seriesAt(series, x) - compute(x)));
  }
  return most;
}

/** The argument of a series: a·x at the fraction that makes one period 2^ANGLE_BITS units. */
export function angleOf(lowering: Lowering, x: ShareNode, stretch: Stretch): ShareNode {
  const fraction = ANGLE_BITS - stretch.exponent;
  const stretched =
    stretch.factor === 1
      ? x
      : lowering.emit("multiplyConstant", [x], { value: encodedScalar(stretch.factor, 0), fraction: 0 });
  return lowering.atFraction(stretched, fraction);
}

export interface TableBits {
  readonly publicFraction: number;
  readonly secretFraction: number;
}

/** <F(x)> without a round; additive at fraction public + secret. `scale` multiplies the function. */
export function seriesOf(
  lowering: Lowering,
  angle: ShareNode,
  fitted: FittedSeries,
  bits: TableBits,
  scale = 1,
): ShareNode {
  return lowering.emit("series", [angle], seriesAttributes(fitted.series, bits, scale));
}

export function seriesAttributes(series: FourierSeries, bits: TableBits, scale: number) {
  const encode = (c: number) => Math.round(c * scale * 2 ** COEFFICIENT_BITS);
  return {
    angle: ANGLE_BITS,
    frequencies: series.cosines.map((_, i) => i + 1),
    drops: series.cosines.map(() => 0),
    cosines: series.cosines.map(encode),
    sines: series.sines.map(encode),
    constant: encode(series.constant),
    coefficientFraction: COEFFICIENT_BITS,
    publicFraction: bits.publicFraction,
    secretFraction: bits.secretFraction,
    ring: 0,
  };
}
