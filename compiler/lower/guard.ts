/**
 * Guards of intervals that a formula relies on: a series' window, the range of a variance, the exponents that a sum of
 * exponentials reads. What lies outside would not wrap, it would be computed wrongly; the run's overflow guard says so
 * to the data owner (`passes/guard.ts` guards the rings). Fit, digit and guard of a value must come from one interval:
 * what is fitted must hold as far outside of what is guarded as the guard is blurred.
 */
import { floorLog2 } from "../../ir/real.js";
import { sizeOf } from "../../ir/tensor/value.js";
import { GUARD, GUARD_BITS } from "../../passes/guard.js";
import { type Lowering, type ShareNode, shapeOf } from "./context.js";
import { spanBit } from "./digits.js";

/** Values of [low, high] never alarm; those further outside than `blur` always do. Either end may be infinite. */
export interface GuardedInterval {
  readonly low: number;
  readonly high: number;
  readonly blur: number;
}

/**
 * Guards a value, masked or to be opened anyway, of which |x| ≤ `bound` holds in its ring. No round on anybody's way:
 * nothing waits for the bits but the verdict.
 */
export function guard(lowering: Lowering, x: ShareNode, bound: number, interval: GuardedInterval): void {
  if (!lowering.isGuarded) {
    return;
  }
  const { low, high, blur } = interval;
  const exponent = floorLog2(blur) - 1;
  const bucket = 2 ** exponent;
  // A border is right to half a bucket on either side.
  const borders = [Math.floor(low / bucket - 0.5) * bucket, Math.ceil(high / bucket + 0.5) * bucket] as const;
  lowering.apart(GUARD, () => {
    const inside = spanBit(lowering, lowering.remasked(x), bound, exponent, borders);
    const bits = lowering.emit("complement", [inside]);
    const flat = lowering.emit("reshape", [bits], { shape: [sizeOf(shapeOf(bits))] });
    lowering.alarms.push(lowering.emit("randomCombination", [flat], { bits: GUARD_BITS }));
  });
}
