/**
 * What of a JAX module is whose. Arguments and baked constants are told apart into weights (parameters of the model's
 * owner), data (inputs) and public structure (constants in the graph).
 *
 * An argument is a weight if its tree path says so (`params['dense']['kernel']`), or if the user names it. A baked
 * constant is a weight unless its values follow from the architecture: masks, triangles, counts, and tables of sines
 * and cosines of positions. When in doubt it is a weight: a plan must not hold one.
 */
import { acos, asin, cos, sin } from "../../ir/real.js";
import { isFloat, type TensorValue } from "../../ir/tensor/value.js";

/** Roots of tree paths under which JAX programs keep parameters. */
const WEIGHT_ROOT = /^\W*(?:p|params?|parameters|variables|vars|weights?|theta|state|model|w)\b/i;
const WEIGHT_KEY = /\b(?:params|parameters|weights)\b/i;
const DATA_ROOT = /^\W*(?:batch|inputs?|data|xs?|args?|kwargs)\b/i;

/** Does the tree path of an argument, as JAX writes it, say that it is a parameter? */
export function pathSaysWeight(path: string): boolean {
  if (DATA_ROOT.test(path) && !WEIGHT_KEY.test(path)) {
    return false;
  }
  return WEIGHT_ROOT.test(path) || WEIGHT_KEY.test(path);
}

/** Does one of the user's patterns name the argument? A pattern is its path, the start of one, `argN` or `N-M`. */
export function isNamed(patterns: readonly string[], path: string, index: number): boolean {
  return patterns.some((pattern) => {
    const between = /^(?:arg)?(\d+)(?:-(?:arg)?(\d+))?$/.exec(pattern);
    if (between !== null) {
      return index >= Number(between[1]) && index <= Number(between[2] ?? between[1]);
    }
    return path === pattern || (path.startsWith(pattern) && /^[[./]/.test(path.slice(pattern.length)));
  });
}

/** The keys under which a weights file may hold an argument: its path, without the root, or the path's keys joined. */
export function weightKeys(path: string): readonly string[] {
  const keys = [...path.matchAll(/\['([^']*)'\]|\["([^"]*)"\]|\.(\w+)/g)].map((m) => m[1] ?? m[2] ?? m[3]);
  const withoutRoot = keys[0] === "params" ? keys.slice(1) : keys;
  const lists = [keys, withoutRoot].filter((list) => list.length > 0);
  const joined = lists.flatMap((list) => [list.join("."), list.join("/")]);
  const suffix = path.replace(/^[^[.]*/, "");
  return [...new Set([path, suffix, ...joined])].filter((key) => key !== "");
}

/** The keys under which a weights file may hold an argument by its number. */
export function numberKeys(index: number): readonly string[] {
  return [`arg${String(index).padStart(3, "0")}`, `arg${index}`];
}

/** The least that is surely a mask: exporters use -1e4, -65504, -3.4e38 and -inf. */
const MASKED = -1e4;

/** May a float constant of rank 1 or more be in the plan? */
export function isPublicStructure(value: TensorValue): boolean {
  if (!isFloat(value.dtype) || value.data.length <= 1) {
    return true;
  }
  const data = value.data;
  const first = data[0];
  return (
    data.every((x) => Object.is(x, first) || x === first) ||
    data.every((x) => x === 0 || x === 1) ||
    (data.every((x) => x === 0 || x <= MASKED) && data.some((x) => x < 0)) ||
    isCount(data) ||
    isWaveTable(value)
  );
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
