/**
 * Measured ranges as a plan carries them: every bound is a power of two or one of the seven steps between, away from
 * the values that were seen. So a range tells no more of weights and samples than it must, and a compile that is given
 * it again makes the same plan.
 */
import { exp2, log2 } from "../ir/real.js";
import type { Interval } from "./intervals.js";

const STEPS = 8;
/** What is smaller counts as nothing, or as this. */
const SMALLEST = 2 ** -64;

/** The least step ≥ x (`up`), or the largest ≤ x. Infinities and zero are their own. */
export function outward(x: number, up: boolean): number {
  if (x === 0 || !Number.isFinite(x)) {
    return x;
  }
  return x > 0 ? magnitude(x, up) : -magnitude(-x, !up);
}

export function outwardInterval([low, high]: Interval): Interval {
  return [outward(low, false), outward(high, true)];
}

function magnitude(x: number, up: boolean): number {
  if (x < SMALLEST) {
    return up ? SMALLEST : 0;
  }
  const at = (k: number) => exp2(k / STEPS);
  let k = Math.round(STEPS * log2(x));
  while (at(k) < x) {
    k++;
  }
  while (at(k) > x) {
    k--;
  }
  return up && at(k) < x ? at(k + 1) : at(k);
}
