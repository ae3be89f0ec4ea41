/**
 * A Fourier series on a masked value: `series` reads a signed integer modulo 2^angle, so a period is a power of two in
 * units of the argument. A factor a (odd, free: an integer multiple is local) stretches the argument and makes the
 * period 2^p / a: a period near 2.7 windows needs the fewest harmonics (docs/accuracy.md measures it).
 */
import { encodedScalar, type Lowering, type ShareNode } from "./context.js";
import { type FourierSeries, fitFourier, type Parity } from "./fourier.js";

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

/** Factors of a stretch. A factor costs nothing but bits of the argument that a series does not read. */
const ODD_FACTORS = [1, 3, 5, 7, 9, 11, 13, 15] as const;

/** The stretch whose period 2^p/a is nearest to a wanted period, with a small factor. */
function stretchFor(period: number): Stretch {
  let best: Stretch = { factor: 1, exponent: 0 };
  const distance = ({ factor, exponent }: Stretch) => Math.abs(Math.log(2 ** exponent / factor / period));
  for (const factor of ODD_FACTORS) {
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

/** Fits with the smallest number of harmonics that reaches `tolerance` on the window (at most 16). */
export function fitSeries(
  compute: (x: number) => number,
  window: readonly [number, number],
  period: number,
  parity: Parity,
  tolerance: number,
): FittedSeries {
  const stretch = stretchFor(period);
  const exact = 2 ** stretch.exponent / stretch.factor;
  let series = fitFourier(compute, window, exact, 2, parity);
  for (let harmonics = 3; harmonics <= 16 && series.maxError > tolerance; harmonics++) {
    series = fitFourier(compute, window, exact, harmonics, parity);
  }
  return { stretch, series };
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
    cosines: series.cosines.map(encode),
    sines: series.sines.map(encode),
    constant: encode(series.constant),
    coefficientFraction: COEFFICIENT_BITS,
    publicFraction: bits.publicFraction,
    secretFraction: bits.secretFraction,
    ring: 0,
  };
}
