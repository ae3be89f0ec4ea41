/**
 * Activations as curves on windows: which frequencies serve a function on which window stands in `grids.ts`, what their
 * coefficients are is fitted here. On a wide window an even function that grows like |x|/2 is a triangle wave whose
 * corners, at 0 and at half the period, are rounded alike: odd harmonics only, with amplitudes that fall faster than
 * any power. Its terms grow with the window, not with its square.
 */
import { cos, log2 } from "../../ir/real.js";
import type { Parity, WaveFit } from "./fourier.js";
import { wavesWith } from "./waves.js";

/** A set of frequencies, in units of 2π/2^(the curve's headroom), and the window on which it serves. */
export interface Grid {
  readonly window: number;
  readonly frequencies: readonly number[];
}

/** A function by itself, its parity, and the windows on which series hold it to about a thousandth. */
export interface Curve {
  readonly name: string;
  readonly compute: (x: number) => number;
  readonly parity: Parity;
  /** One period of the slowest wave is 2^headroom: the argument is opened in so many integer bits. */
  readonly headroom: number;
  readonly grids: readonly Grid[];
  /** Where the function is |x|/2 beyond this, a triangle wave with rounded corners continues the grids. */
  readonly corner?: number;
  /** Arguments lie anywhere on a window; else most are of unit size. */
  readonly isSpread?: true;
}

/** Periods of triangle waves, as powers of two. */
const TRIANGLES: readonly number[] = [5, 6, 7];
/** Terms are added until the wave is as near as the grids are. */
const TRIANGLE_TOLERANCE = 8e-4;
const MOST_TERMS = 40;
const TRIANGLE_SAMPLES = 4096;

/** The windows that a curve's forms hold, ascending. */
export function windowsOf({ grids, corner, headroom }: Curve): readonly number[] {
  const narrow = grids.map(({ window }) => window);
  const periods = corner === undefined ? [] : TRIANGLES.filter((exponent) => exponent <= headroom);
  const wide = periods.map((exponent) => 2 ** (exponent - 1) - corner!);
  return [...narrow, ...wide.filter((window) => window > Math.max(...narrow))];
}

/** The form of a curve on one of its windows. */
export function wavesOn(curve: Curve, window: number): WaveFit {
  const { grids, compute, parity, headroom, corner, isSpread } = curve;
  const grid = grids.find((each) => each.window === window);
  return grid === undefined
    ? triangle(compute, Math.round(log2(window + corner!)) + 1, corner!, headroom)
    : wavesWith(compute, window, grid.frequencies, headroom, parity, isSpread);
}

/** The triangle wave of period 2^exponent with both corners as the function rounds them: a plain cosine transform. */
function triangle(compute: (x: number) => number, exponent: number, corner: number, headroom: number): WaveFit {
  const half = 2 ** (exponent - 1);
  const points = Array.from({ length: TRIANGLE_SAMPLES }, (_, i) => ((i + 0.5) / TRIANGLE_SAMPLES) * half);
  const exact = points.map(compute);
  const wave = points.map((x, i) => (x < half / 2 ? exact[i] : half / 2 - exact[TRIANGLE_SAMPLES - 1 - i]));
  const constant = half / 4;
  const value = new Float64Array(TRIANGLE_SAMPLES).fill(constant);
  const inside = points.filter((x) => x <= half - corner).length;
  const cosines: number[] = [];
  let error = Number.POSITIVE_INFINITY;
  while (cosines.length < MOST_TERMS && error > TRIANGLE_TOLERANCE) {
    const basis = points.map((x) => cos(((2 * cosines.length + 1) * Math.PI * x) / half));
    const coefficient = basis.reduce((sum, each, i) => sum + each * wave[i], 0) * (2 / TRIANGLE_SAMPLES);
    cosines.push(coefficient);
    error = 0;
    for (let i = 0; i < inside; i++) {
      value[i] += coefficient * basis[i];
      error = Math.max(error, Math.abs(value[i] - exact[i]));
    }
  }
  return {
    window: [corner - half, half - corner],
    headroom,
    constant,
    frequencies: cosines.map((_, i) => (2 * i + 1) * 2 ** (headroom - exponent)),
    cosines,
    sines: cosines.map(() => 0),
    error,
  };
}

/** "3 waves of periods up to 10.2": what a fit is, for reports. */
export function describeWaves({ frequencies, headroom }: WaveFit): string {
  return `${frequencies.length} waves of periods up to ${(2 ** headroom / frequencies[0]).toPrecision(3)}`;
}
