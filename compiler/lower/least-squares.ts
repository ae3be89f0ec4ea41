/**
 * Small dense least squares for fits: normal equations and Cholesky's factorisation, Lawson's reweighting for the
 * smallest largest error, Levenberg and Marquardt's steps for what enters a fit non-linearly. Only + − × ÷ √.
 */

/** A matrix by rows. */
export type Rows = readonly (readonly number[])[];

/** Solves min |A x − b|² + Σ ridge·x_i². */
export function leastSquares(rows: Rows, targets: readonly number[], ridge: number): number[] {
  const n = rows[0].length;
  const normal = Array.from({ length: n }, () => new Float64Array(n));
  const right = new Float64Array(n);
  rows.forEach((row, k) => {
    for (let i = 0; i < n; i++) {
      right[i] += row[i] * targets[k];
      for (let j = 0; j <= i; j++) {
        normal[i][j] += row[i] * row[j];
      }
    }
  });
  for (let i = 0; i < n; i++) {
    normal[i][i] += ridge;
  }
  return solveCholesky(normal, right);
}

/** Solves M x = b for a symmetric positive M, of which the lower half is read and overwritten. */
export function solveCholesky(matrix: Float64Array[], right: Float64Array): number[] {
  const n = right.length;
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = matrix[i][j];
      for (let k = 0; k < j; k++) {
        sum -= matrix[i][k] * matrix[j][k];
      }
      matrix[i][j] = i === j ? Math.sqrt(Math.max(sum, SMALLEST_PIVOT)) : sum / matrix[j][j];
    }
  }
  const x = Array.from(right);
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < i; k++) {
      x[i] -= matrix[i][k] * x[k];
    }
    x[i] /= matrix[i][i];
  }
  for (let i = n - 1; i >= 0; i--) {
    for (let k = i + 1; k < n; k++) {
      x[i] -= matrix[k][i] * x[k];
    }
    x[i] /= matrix[i][i];
  }
  return x;
}

/** A column that depends on others leaves a pivot of rounding errors. */
const SMALLEST_PIVOT = 1e-280;

export interface LinearFit {
  readonly coefficients: readonly number[];
  /** The largest |A x − b|. */
  readonly error: number;
}

const LAWSON_ROUNDS = 60;
/** Keeps coefficients small where frequencies are alike. */
const WEIGHTED_RIDGE = 1e-9;

/** The linear fit with nearly the smallest largest error: least squares, weighted anew by the errors (Lawson 1961). */
export function lawson(rows: Rows, targets: readonly number[], ridge: number): LinearFit {
  const scales = rows[0].map((_, j) => Math.max(1e-30, ...rows.map((row) => Math.abs(row[j]))));
  const scaled = rows.map((row) => row.map((each, j) => each / scales[j]));
  let weights = targets.map(() => 1 / targets.length);
  let best: LinearFit = { coefficients: [], error: Number.POSITIVE_INFINITY };
  for (let round = 0; round < LAWSON_ROUNDS; round++) {
    const x = weightedSquares(scaled, targets, weights, ridge);
    const errors = scaled.map((row, i) => Math.abs(dot(row, x) - targets[i]));
    const error = Math.max(...errors);
    if (error < best.error) {
      best = { coefficients: x.map((each, j) => each / scales[j]), error };
    }
    const next = weights.map((weight, i) => weight * (errors[i] + 1e-3 * error));
    const total = next.reduce((sum, each) => sum + each, 0);
    weights = total > 0 ? next.map((each) => each / total) : weights;
  }
  return best;
}

function weightedSquares(rows: Rows, targets: readonly number[], weights: readonly number[], ridge: number): number[] {
  const roots = weights.map(Math.sqrt);
  return leastSquares(
    rows.map((row, i) => row.map((each) => each * roots[i])),
    targets.map((each, i) => each * roots[i]),
    ridge,
  );
}

/** The fit with the smallest weighted sum of squares. */
export function weighted(rows: Rows, targets: readonly number[], weights: readonly number[]): LinearFit {
  const coefficients = weightedSquares(rows, targets, weights, WEIGHTED_RIDGE);
  return { coefficients, error: Math.max(...rows.map((row, i) => Math.abs(dot(row, coefficients) - targets[i]))) };
}

export function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) {
    sum += a[i] * b[i];
  }
  return sum;
}

const STEPS = 60;
const TRIES = 8;
const DIFFERENCE = 1e-5;
const ENOUGH = 0.999;

/** Parameters with a small |residual|², from `start` downhill (Levenberg, Marquardt; numerical derivatives). */
export function levenberg(residual: (p: readonly number[]) => ArrayLike<number>, start: readonly number[]): number[] {
  let p = [...start];
  let r = residual(p);
  let size = dot(r, r);
  let damping = 1e-2;
  for (let step = 0; step < STEPS; step++) {
    const columns = p.map((_, i) => {
      const at = (by: number) => residual(p.map((each, k) => (k === i ? each + by : each)));
      const [after, before] = [at(DIFFERENCE), at(-DIFFERENCE)];
      const slopes = new Float64Array(after.length);
      for (let k = 0; k < slopes.length; k++) {
        slopes[k] = (after[k] - before[k]) / (2 * DIFFERENCE);
      }
      return slopes;
    });
    const hessian = columns.map((a) => columns.map((b) => dot(a, b)));
    const gradient = columns.map((column) => -dot(column, r));
    let next: { p: number[]; r: ArrayLike<number>; size: number } | undefined;
    for (let i = 0; i < TRIES && next === undefined; i++) {
      const damped = hessian.map((row, k) =>
        Float64Array.from(row, (each, l) => (k === l ? each * (1 + damping) + 1e-12 : each)),
      );
      const move = solveCholesky(damped, Float64Array.from(gradient));
      const moved = p.map((each, k) => each + move[k]);
      const there = residual(moved);
      const smaller = dot(there, there);
      if (smaller < size) {
        next = { p: moved, r: there, size: smaller };
        damping /= 4;
      } else {
        damping *= 4;
      }
    }
    if (next === undefined) {
      return p;
    }
    const done = next.size > ENOUGH * size;
    ({ p, r, size } = next);
    if (done) {
      return p;
    }
  }
  return p;
}
