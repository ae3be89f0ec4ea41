/** The interval of a tensor value as a function needs it: 1/x, √x and ln x are defined where it says so only. */
import { fail } from "../../ir/diagnostics.js";
import type { Lowering, ShareNode, TensorNode } from "./context.js";
import { guard } from "./guard.js";

export interface Interval {
  readonly low: number;
  readonly high: number;
}

/** The interval of a node. */
export function intervalOf(lowering: Lowering, node: TensorNode): Interval {
  const range = lowering.ranges.get(node);
  if (range === undefined) {
    throw new Error(`no range for ${node.op} '${node.origin}'`);
  }
  return { low: range[0], high: range[1] };
}

/** The widest ratio of a positive interval that the functions of it hold: 13 bits of digit, 12 of precision. */
const WIDEST_RATIO = 2 ** 24;

/**
 * The interval of an argument that must be positive. Throws E0404 where it may be zero or negative, or where it spans
 * more than fixed point tells apart.
 */
export function positiveInterval(lowering: Lowering, node: TensorNode, argument: TensorNode): Interval {
  return checkPositive(node, intervalOf(lowering, argument));
}

/** The interval itself, if it is positive and not too wide; E0404 otherwise. */
export function checkPositive(node: TensorNode, { low, high }: Interval): Interval {
  if (!(low > 0)) {
    throw fail({
      code: "E0404",
      what: `${node.op} of a value that may be ${low === 0 ? "zero" : "negative"}`,
      where: node.origin,
      why: `its argument lies in [${low.toPrecision(3)}, ${high.toPrecision(3)}]; outside, the result is noise`,
      fix: "calibrate with real inputs (--calibrate), or bound it in the model: clip it, or add an epsilon above 1e-4",
    });
  }
  if (!(high / low <= WIDEST_RATIO)) {
    throw fail({
      code: "E0404",
      what: `${node.op} of a value between ${low.toPrecision(3)} and ${high.toPrecision(3)}`,
      where: node.origin,
      why: "fixed point does not hold so wide a range of magnitudes with a useful precision",
      fix: "calibrate with real inputs (--calibrate), or clip the argument in the model",
    });
  }
  return { low, high };
}

/** What a guard may take of the margin at either end of a positive interval, as a factor. */
const BLUR = 1.5;

/**
 * Guards the interval of a positive value, of which a function is computed, at the ends that are measured and not
 * certain.
 */
export function guardPositive(
  lowering: Lowering,
  x: ShareNode,
  { low, high }: Interval,
  certain: readonly [low: number, high: number],
): ShareNode {
  const [isLowSure, isHighSure] = [certain[0] >= low, certain[1] <= high];
  if (!(isLowSure && isHighSure)) {
    const most = Math.min(Math.max(certain[1], high), FAR * high);
    guard(lowering, x, {
      lowest: isLowSure ? Number.NEGATIVE_INFINITY : low,
      low: isLowSure ? 0 : low * BLUR,
      high: isHighSure ? high : high / BLUR,
      highest: isHighSure ? Number.POSITIVE_INFINITY : high,
      reach: [Math.min(0, Math.max(certain[0], -FAR * high)), most],
    });
  }
  return x;
}

/** Values so many times as large as their interval are told from those in it. */
const FAR = 8;
