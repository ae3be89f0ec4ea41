/**
 * Free-frequency series: F(x) ≈ c₀ + Σ A_n cos(ω_n (x − mid) − φ_n) on a window, ω_n = j_n·2π/2^h for any integers
 * j_n (PROTOCOL.md, "split, trigonometric"). Where harmonics of one period need 7 frequencies, free ones need 3. The
 * frequencies are fitted by variable projection (Golub and Pereyra 1973): the coefficients are what least squares
 * makes of them, Levenberg and Marquardt move them; then they are rounded to the grid and polished there, and Lawson's
 * weights make the largest error small. Amplitudes above 4 are avoided, because every factor of two is a bit of a word.
 */
import { cos, exp, log2, sin } from "../../ir/real.js";
import { fractionOf, type Lowering, type ShareNode } from "./context.js";
import type { Parity, WaveFit } from "./fourier.js";
import { dot, type LinearFit, lawson, leastSquares, levenberg, type Rows, weighted } from "./least-squares.js";

const POINTS = 161;
const RIDGE = 1e-8;
/** Where amplitudes begin to cost more than they are worth. */
const LARGE = 4;
const STARTS = [0.7, 0.9, 1.1, 1.3];

/** The basis functions of some frequencies on points relative to the window's middle. */
function basisOf(points: readonly number[], omegas: readonly number[], parity: Parity): Rows {
  return points.map((x) => {
    const row = parity === "odd" ? [] : [1];
    for (const omega of omegas) {
      if (parity !== "odd") {
        row.push(cos(omega * x));
      }
      if (parity !== "even") {
        row.push(sin(omega * x));
      }
    }
    return row;
  });
}

/** What a fit is made of: the function on its points, and what it is relative to the middle. */
interface Samples {
  readonly points: readonly number[];
  readonly targets: readonly number[];
  readonly parity: Parity;
  readonly grid: number;
}

function coefficientsOf({ points, targets, parity }: Samples, omegas: readonly number[]): [Rows, number[]] {
  const rows = basisOf(points, omegas, parity);
  return [rows, leastSquares(rows, targets, RIDGE * points.length)];
}

function residualOf(samples: Samples, omegas: readonly number[]): number[] {
  const [rows, x] = coefficientsOf(samples, omegas);
  return rows.map((row, i) => dot(row, x) - samples.targets[i]);
}

function lengthOf(x: number, y: number): number {
  return Math.sqrt(x * x + y * y);
}

function largest(values: readonly number[]): number {
  return values.reduce((most, each) => Math.max(most, Math.abs(each)), 0);
}

/** The frequencies rounded to the grid, no two alike. */
function rounded(omegas: readonly number[], grid: number): number[] {
  const chosen: number[] = [];
  for (const omega of omegas.map(Math.abs).sort((a, b) => a - b)) {
    const near = Math.max(1, Math.round(omega / grid));
    chosen.push(chosen.length > 0 && near <= chosen[chosen.length - 1] ? chosen[chosen.length - 1] + 1 : near);
  }
  return chosen;
}

/** Moves one frequency at a time by a step or two of the grid, as long as the largest error falls. */
function polished(
  samples: Samples,
  start: readonly number[],
): { readonly j: readonly number[]; readonly error: number } {
  const errorOf = (j: readonly number[]) =>
    largest(
      residualOf(
        samples,
        j.map((each) => each * samples.grid),
      ),
    );
  let best = { j: start, error: errorOf(start) };
  for (let moved = true; moved; ) {
    moved = false;
    for (let i = 0; i < start.length; i++) {
      for (const by of [1, -1, 2, -2]) {
        const j = best.j.map((each, k) => (k === i ? each + by : each));
        const fits = j[i] > 0 && new Set(j).size === j.length;
        const error = fits ? errorOf(j) : Number.POSITIVE_INFINITY;
        if (error < 0.999 * best.error) {
          best = { j, error };
          moved = true;
        }
      }
    }
  }
  return best;
}

/** The largest amplitude of a series whose coefficients follow the constant, two for each frequency or one. */
function amplitudesOf(x: readonly number[], parity: Parity): number[] {
  const terms = parity === "odd" ? x : x.slice(1);
  return parity === "none"
    ? Array.from({ length: terms.length / 2 }, (_, n) => lengthOf(terms[2 * n], terms[2 * n + 1]))
    : terms.map(Math.abs);
}

/**
 * The best series of so many frequencies for a function on a window, in a period of 2^headroom. `parity` is the
 * function's about the window's middle: half the points and coefficients then do.
 */
export function fitWaves(
  compute: (x: number) => number,
  window: readonly [number, number],
  count: number,
  headroom: number,
  parity: Parity = "none",
): WaveFit {
  const [low, high] = window;
  const [middle, half] = [(low + high) / 2, (high - low) / 2];
  const grid = (2 * Math.PI) / 2 ** headroom;
  const from = parity === "none" ? -1 : 0;
  const points = Array.from(
    { length: POINTS },
    (_, i) => half * sin((Math.PI / 2) * (from + ((1 - from) * i) / (POINTS - 1))),
  );
  const samples: Samples = { points, targets: points.map((x) => compute(x + middle)), parity, grid };
  let best: { readonly j: readonly number[]; readonly cost: number } = { j: [], cost: Number.POSITIVE_INFINITY };
  for (const start of STARTS) {
    const apart = (start * 0.9 * Math.PI) / half;
    const omegas = levenberg(
      (p) => residualOf(samples, p),
      Array.from({ length: count }, (_, i) => (i + 0.5) * apart),
    );
    const { j, error } = polished(samples, rounded(omegas, grid));
    const [, coefficients] = coefficientsOf(
      samples,
      j.map((each) => each * grid),
    );
    const amplitude = largest(amplitudesOf(coefficients, parity));
    const cost = error * Math.max(1, amplitude / LARGE);
    best = cost < best.cost ? { j, cost } : best;
  }
  return finished(
    samples,
    [...best.j].sort((a, b) => a - b),
    window,
    headroom,
  );
}

/**
 * How much an error at an argument counts: most arguments of a trained network's activations are of unit size or less,
 * and each product behind one sums hundreds of its errors. A fit to these weights is two to three times nearer there
 * than the one with the smallest largest error, which is half as large again at the edge of the window.
 */
function importance(x: number): number {
  return exp((-x * x) / 2) + EVERYWHERE;
}

const EVERYWHERE = 0.2;

/** The best series of frequencies that are known, on a window about zero: everywhere on it, or best near zero. */
export function wavesWith(
  compute: (x: number) => number,
  half: number,
  frequencies: readonly number[],
  headroom: number,
  parity: Parity,
  isSpread = false,
): WaveFit {
  const points = Array.from({ length: POINTS }, (_, i) => half * sin((Math.PI / 2) * (i / (POINTS - 1))));
  const samples: Samples = { points, targets: points.map(compute), parity, grid: (2 * Math.PI) / 2 ** headroom };
  // Points lie closer together towards the edge: each stands for the piece of the window that is nearest to it.
  const weights = points.map((x, i) => importance(x) * cos((Math.PI / 2) * (i / (POINTS - 1))));
  const solve = (rows: Rows) => weighted(rows, samples.targets, weights);
  return finished(samples, frequencies, [-half, half], headroom, ...(isSpread ? [] : [solve]));
}

/** Coefficients for the chosen frequencies, Lawson's unless others are asked for, turned from x − middle to x. */
function finished(
  samples: Samples,
  frequencies: readonly number[],
  window: readonly [number, number],
  headroom: number,
  solve: (rows: Rows) => LinearFit = (rows) => lawson(rows, samples.targets, RIDGE / 100),
): WaveFit {
  const { points, parity, grid } = samples;
  const middle = (window[0] + window[1]) / 2;
  const omegas = frequencies.map((j) => j * grid);
  const { coefficients, error } = solve(basisOf(points, omegas, parity));
  const terms = parity === "odd" ? coefficients : coefficients.slice(1);
  const pair = (n: number): [number, number] =>
    parity === "none" ? [terms[2 * n], terms[2 * n + 1]] : parity === "odd" ? [0, terms[n]] : [terms[n], 0];
  const turned = omegas.map((omega, n) => {
    const [c, s] = pair(n);
    const [x, y] = [cos(omega * middle), sin(omega * middle)];
    return [c * x - s * y, c * y + s * x];
  });
  return {
    window,
    headroom,
    constant: parity === "odd" ? 0 : coefficients[0],
    frequencies,
    cosines: turned.map(([c]) => c),
    sines: turned.map(([, s]) => s),
    error,
  };
}

const MOST_FREQUENCIES = 12;

/** The series with the fewest frequencies that reaches a tolerance on a window, or the best one. */
export function cheapestWaves(
  compute: (x: number) => number,
  window: readonly [number, number],
  headroom: number,
  tolerance: number,
  parity: Parity = "none",
): WaveFit {
  let best = fitWaves(compute, window, 1, headroom, parity);
  for (let count = 2; count <= MOST_FREQUENCIES && best.error > tolerance; count++) {
    const next = fitWaves(compute, window, count, headroom, parity);
    best = next.error < best.error ? next : best;
  }
  return best;
}

/** The series at a point. */
export function waveAt({ headroom, constant, frequencies, cosines, sines }: WaveFit, x: number): number {
  const omega = (2 * Math.PI) / 2 ** headroom;
  return frequencies.reduce(
    (sum, j, n) => sum + cosines[n] * cos(j * omega * x) + sines[n] * sin(j * omega * x),
    constant,
  );
}

/** Fractional bits of coefficients as integers. */
const COEFFICIENT_BITS = 24;
const WIDEST_PUBLIC = 24;
const WIDEST_SECRET = 30;

/**
 * <F(x)>, additive, without a round; x has any ring of `headroom` integer bits or more, of which the series reads the
 * lowest. `bits` is the precision: every term is right to about 2^−bits, and the result has 2·bits + log₂ of the
 * largest amplitude fraction bits. Of a smaller amplitude the dealt words are shorter.
 */
export function wavesOf(lowering: Lowering, x: ShareNode, fit: WaveFit, bits: number, constant = true): ShareNode {
  const { drops, most } = dropsOf(fit, bits);
  const encode = (c: number) => Math.round(c * 2 ** COEFFICIENT_BITS);
  return lowering.emit("series", [x], {
    angle: fit.headroom + fractionOf(x),
    frequencies: fit.frequencies,
    cosines: fit.cosines.map(encode),
    sines: fit.sines.map(encode),
    drops,
    constant: constant ? encode(fit.constant) : 0,
    coefficientFraction: COEFFICIENT_BITS,
    publicFraction: Math.min(WIDEST_PUBLIC, bits),
    secretFraction: bits + most,
    ring: 0,
  });
}

/** What the words of each frequency leave out, and the fraction bits that the largest amplitude adds. */
function dropsOf(fit: WaveFit, bits: number): { readonly drops: readonly number[]; readonly most: number } {
  const logs = fit.cosines.map((c, n) => Math.round(log2(Math.max(2 ** -bits, lengthOf(c, fit.sines[n])))));
  const most = Math.min(WIDEST_SECRET, Math.max(1, bits + Math.max(...logs))) - bits;
  return { drops: logs.map((each) => Math.max(0, Math.min(bits + most, most - each))), most };
}

/** Bits that are dealt of a series for every value, where its result is kept in `ring` bits at `fraction`. */
export function dealtBits(fit: WaveFit, bits: number, ring: number, fraction: number): number {
  const { drops, most } = dropsOf(fit, bits);
  const whole = ring + 2 * bits + most - fraction;
  return drops.reduce((sum, drop) => sum + 2 * (whole - drop), 0);
}

/** The largest absolute value that a series takes, anywhere. */
export function waveBound({ constant, cosines, sines }: WaveFit): number {
  return cosines.reduce((sum, c, n) => sum + lengthOf(c, sines[n]), Math.abs(constant));
}
