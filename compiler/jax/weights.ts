/**
 * What of a JAX module is whose. Arguments and baked constants are told apart into weights (parameters of the model's
 * owner), data (inputs) and public structure (constants in the graph).
 *
 * An argument is a weight if its tree path says so (`params['dense']['kernel']`), or if the user names it. A baked
 * constant is a weight unless its values follow from the architecture: masks, triangles, counts, and tables of sines
 * and cosines of positions. When in doubt it is a weight: a plan must not hold one.
 */
import { isFloat, type TensorValue } from "../../ir/tensor/value.js";
import { architecturalValues } from "../../passes/architecture.js";

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

/**
 * May a constant that is baked into the program stay in the graph for now? What is used as structure is told later, by
 * its use (the pass `publish`); here only the large ones that are surely weights are set apart.
 */
export function mayBeStructure(value: TensorValue): boolean {
  if (!isFloat(value.dtype) || value.data.length <= 1) {
    return true;
  }
  const first = value.data[0];
  const same = value.data.every((x) => Object.is(x, first) || x === first);
  return same || value.data.every((x) => x === 0 || x === 1) || architecturalValues(value) !== undefined;
}
