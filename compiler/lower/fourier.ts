/**
 * Fourier extension: a smooth function on a window, fitted by a short cosine/sine series whose period is longer than
 * the window (NUMERICS.md, profile `fourier`; Boyd 2002 for the method). Inside the protocol suite such a series of
 * x = m − λ separates into public factors of m and dealt factors of λ, with no wrap, because the period divides the
 * ring (PROTOCOL.md, "split, trigonometric").
 *
 * The fit is regularised least squares: large coefficients would eat the precision of the integer tables.
 */
import { cos, sin } from "../../ir/real.js";
import { leastSquares } from "./least-squares.js";

export type Parity = "even" | "odd" | "none";

export interface FourierSeries {
  readonly period: number;
  readonly constant: number;
  /** Coefficients of cos(2πnx/period) and sin(2πnx/period), n = 1 … harmonics. */
  readonly cosines: readonly number[];
  readonly sines: readonly number[];
  /** The largest difference from the function on the window, over a dense grid, in reals. */
  readonly maxError: number;
}

/** A series of free frequencies (`waves.ts`). cos and sin coefficients are of x itself, not of x − mid. */
export interface WaveFit {
  readonly window: readonly [low: number, high: number];
  /** The period in x is 2^headroom: the argument has so many integer bits, sign included. */
  readonly headroom: number;
  readonly constant: number;
  /** The frequencies j_n, ascending. */
  readonly frequencies: readonly number[];
  readonly cosines: readonly number[];
  readonly sines: readonly number[];
  /** The largest difference from the function on the window. */
  readonly error: number;
}

/** A sum of exponentials c·e^(−a·t) (`inverses.ts`). */
export interface Decays {
  /** Rates of e^(−a·t), t = x / low. */
  readonly rates: readonly number[];
  readonly coefficients: readonly number[];
  /** The largest relative error. */
  readonly error: number;
}

const SAMPLES = 1601;

/**
 * Fits `harmonics` harmonics of `period` to a function on [low, high]. `ridge` bounds the coefficients; `weight` makes
 * the fit (and `maxError`) relative.
 */
export function fitFourier(
  compute: (x: number) => number,
  window: readonly [number, number],
  period: number,
  harmonics: number,
  parity: Parity = "none",
  ridge = 1e-10,
  weight: (x: number) => number = () => 1,
): FourierSeries {
  const basis = basisOf(period, harmonics, parity);
  const [low, high] = window;
  // Chebyshev points: dense at the ends, where least squares on a uniform grid is worst.
  const points = Array.from(
    { length: SAMPLES },
    (_, i) => (low + high) / 2 - ((high - low) / 2) * cos((Math.PI * i) / (SAMPLES - 1)),
  );
  const rows = points.map((x) => basis.map((f) => f(x) * weight(x)));
  const targets = points.map((x) => compute(x) * weight(x));
  const solution = leastSquares(rows, targets, ridge * SAMPLES);
  const value = (row: readonly number[]) => row.reduce((sum, f, i) => sum + f * solution[i], 0);
  const maxError = Math.max(...rows.map((row, i) => Math.abs(value(row) - targets[i])));
  return { period, maxError, ...unpack(solution, harmonics, parity) };
}

/** The series at a point. */
export function seriesAt({ period, constant, cosines, sines }: FourierSeries, x: number): number {
  const angle = (2 * Math.PI * x) / period;
  const term = (n: number) => cosines[n] * cos((n + 1) * angle) + sines[n] * sin((n + 1) * angle);
  return cosines.reduce((sum, _, n) => sum + term(n), constant);
}

/** "7 cosines of period 11.6": what a series is, for reports. */
export function describeSeries({ period, cosines, sines }: FourierSeries): string {
  const count = (all: readonly number[], name: string) => (all.some((c) => c !== 0) ? [`${all.length} ${name}`] : []);
  return `${[...count(cosines, "cosines"), ...count(sines, "sines")].join(" and ")} of period ${period.toPrecision(3)}`;
}

function basisOf(period: number, harmonics: number, parity: Parity): ((x: number) => number)[] {
  const angle = (x: number, n: number) => (2 * Math.PI * n * x) / period;
  const orders = Array.from({ length: harmonics }, (_, i) => i + 1);
  const cosines = orders.map((n) => (x: number) => cos(angle(x, n)));
  const sines = orders.map((n) => (x: number) => sin(angle(x, n)));
  return [...(parity === "odd" ? [] : [() => 1, ...cosines]), ...(parity === "even" ? [] : sines)];
}

function unpack(solution: readonly number[], harmonics: number, parity: Parity) {
  const zeros = new Array<number>(harmonics).fill(0);
  const sinesAt = parity === "odd" ? 0 : harmonics + 1;
  return {
    constant: parity === "odd" ? 0 : solution[0],
    cosines: parity === "odd" ? zeros : solution.slice(1, harmonics + 1),
    sines: parity === "even" ? zeros : solution.slice(sinesAt, sinesAt + harmonics),
  };
}
