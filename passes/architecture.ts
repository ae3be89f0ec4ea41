/**
 * Values that follow from a model's architecture, whatever its training was: masks, triangles, positions, tables of
 * sines and cosines of positions. A tensor of such values is structure, not a weight, and the compiler may look at it.
 */
import { acos, asin, cos, log2, sin } from "../ir/real.js";
import { roundToMantissa } from "../ir/tensor/numeric.js";
import type { TensorValue } from "../ir/tensor/value.js";

/** From here on a negative number of few digits is a mask's: exporters use -1e4, -65504, -1e9, -3.4e38 and -inf. */
const MASKED = -9984; // -1e4 in bfloat16
/** No weight is so small: types' last numbers and parts of them. */
const SURELY_MASKED = -1e30;
const HALF_LAST = -65504;

/**
 * Whether x is what is added where a mask drops: a negative number with one or two digits and then zeros, a power of
 * two or a type's last number; or one of them in scores that are divided by a root of a dimension.
 */
export function isPenalty(x: number, dimensions: ReadonlySet<number> = new Set()): boolean {
  if (x > MASKED) {
    return false;
  }
  const isRound = (n: number): boolean => {
    const short = Number(n.toPrecision(2));
    const power = 2 ** Math.round(log2(-n));
    return [short, HALF_LAST, -power].some((each) => isRounded(n, each));
  };
  return x <= SURELY_MASKED || isRound(x) || [...dimensions].some((n) => isRound(x * Math.sqrt(n)));
}

/** float32 constants of different exporters agree so well. */
export const CLOSE = 1e-6;

/** Whether x is a number as float32, float16 or bfloat16 hold it. */
export function isRounded(x: number, exact: number): boolean {
  const close = (n: number) => Math.abs(x - n) <= CLOSE * Math.abs(exact);
  return close(exact) || close(roundToMantissa(exact, 10, -14, 65504)) || close(roundToMantissa(exact, 7, -126, 3e38));
}

/** What the values are, where they follow from the architecture. */
export function architecturalValues(value: TensorValue): string | undefined {
  if (isMask(value.data)) {
    return "the values of a mask";
  }
  if (isCount(value.data)) {
    return "positions";
  }
  return isTriangle(value) ? "a triangle of ones" : isWaveTable(value) ? "sines or cosines of positions" : undefined;
}

/** All 0 or what a mask drops with, with one of these. */
function isMask(data: TensorValue["data"]): boolean {
  return data.every((x) => x === 0 || isPenalty(x)) && data.some((x) => x < 0);
}

/**
 * What stacks of triangles of ones hold at an element: lower ones and upper ones, with their diagonal and without, of
 * rows that are the first or, behind a cache, the last of as many as there are columns.
 */
export function trianglesOf(rows: number, columns: number): readonly ((flat: number) => 0 | 1)[] {
  const offsets = new Set([0, columns - rows].flatMap((past) => [past - 1, past, past + 1]));
  const distance = (flat: number) => (flat % columns) - (Math.floor(flat / columns) % rows);
  return [...offsets].flatMap((offset) => [
    (flat: number) => (distance(flat) <= offset ? 1 : 0),
    (flat: number) => (distance(flat) >= offset ? 1 : 0),
  ]);
}

/** A stack of lower or of upper triangles of ones. */
function isTriangle({ shape, data }: TensorValue): boolean {
  const [rows, columns] = shape.slice(-2);
  if (shape.length < 2 || rows < 2 || columns < 2 || !data.includes(1) || !data.includes(0)) {
    return false;
  }
  return trianglesOf(rows, columns).some((at) => data.every((x, flat) => x === at(flat)));
}

/** a, a + 1, a + 2, …, perhaps repeated. */
function isCount(data: ArrayLike<number>): boolean {
  if (data.length < 2 || !Number.isInteger(data[0])) {
    return false;
  }
  for (let i = 1; i < data.length; i++) {
    if (data[i] !== data[i - 1] + 1) {
      return false;
    }
  }
  return true;
}

/** Sines of float32 positions up to a few thousand are off by this much at most. */
const WAVE_ERROR = 2e-3;
const FEWEST_POSITIONS = 4;

/**
 * Is each column over the first long axis sin(pθ) or cos(pθ) for p = 0, 1, 2, …? Then the table follows from θ, a
 * rotary or sinusoidal position table. θ is found from row 1, where it is at most one turn's quarter or known by its
 * cosine, and checked on all rows.
 */
export function isWaveTable({ shape, data }: TensorValue): boolean {
  const axis = shape.findIndex((n) => n > 1);
  const positions = shape[axis];
  const columns = shape.slice(axis + 1).reduce((product, n) => product * n, 1);
  if (axis === -1 || positions < FEWEST_POSITIONS || columns < 2) {
    return false;
  }
  for (let column = 0; column < columns; column++) {
    const at = (p: number): number => data[p * columns + column];
    const wave = at(0) === 0 ? sin : at(0) === 1 ? cos : undefined;
    if (wave === undefined || !isWave(wave, at, positions)) {
      return false;
    }
  }
  return true;
}

function isWave(wave: (x: number) => number, at: (p: number) => number, positions: number): boolean {
  const first = at(1);
  if (!(Math.abs(first) <= 1)) {
    return false;
  }
  const angles = wave === sin ? [asin(first), Math.PI - asin(first)] : [acos(first)];
  // One row fixes θ only to rounding, and rounding grows with p: later rows refine it.
  return angles.some((angle) => {
    let theta = angle;
    for (let p = 2; p < positions; p++) {
      const error = at(p) - wave(p * theta);
      if (!(Math.abs(error) <= WAVE_ERROR)) {
        return false;
      }
      const slope = wave === sin ? cos(p * theta) : -sin(p * theta);
      if (Math.abs(slope) > 0.5) {
        theta += error / slope / p;
      }
    }
    return true;
  });
}
