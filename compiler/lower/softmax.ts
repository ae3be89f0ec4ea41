/**
 * Softmax to base 2 (the pass `approximate` puts log₂e into the scores), profile `fourier`, NUMERICS.md:
 *
 *     c = coarse maximum of the row (3 rounds) · e = 2^−(c − s) (2 rounds) · Σe (local) · 1/Σe (2 rounds, beside e·V)
 *
 * The rows stay unnormalised: whoever multiplies them with V scales the product's rows, which are shorter.
 */
import { fractionOf, type Lowering, type ShareNode, shapeOf, type TensorNode } from "./context.js";
import { rangeExponentFor } from "./digits.js";
import { addReal } from "./linear.js";
import { reshapeTo } from "./movement.js";
import { power } from "./power.js";

/** Bits of the exponential's tables and of its result. */
const EXPONENTIAL = { publicFraction: 20, secretFraction: 13, fraction: 14 };
/** 2^−t is selected for t in [0, 24): three values of the digit of t above 8 units. */
const DIGITS_OF_EXPONENT = 3;
const CUT_UNITS = 3;
/** Ring of t: 8 integer bits. */
const EXPONENT_RANGE = 8;
/** log2 of the bucket width of the coarse maximum: it exceeds the maximum by less than two buckets. */
const BUCKET_EXPONENT = 1;
const RECIPROCAL_FRACTION = 18;

/** A row-wise unnormalised softmax: rows = numerators · reciprocal. */
export interface Unnormalised {
  /** [..., n], masked, in [0, 1]. */
  readonly numerators: ShareNode;
  /** [..., 1], masked, 1 / row sum. */
  readonly reciprocal: ShareNode;
}

export function lowerSoftmax(lowering: Lowering, node: TensorNode): Unnormalised {
  const [scoresNode, keepNode] = node.args;
  const keep = keepNode === undefined ? undefined : lowering.value(keepNode, 0);
  const scores = lowering.masked(scoresNode);
  const maximum = coarseMaximum(lowering, scores, lowering.boundOf(scoresNode), keep);
  const distance = lowering.emit("subtract", [maximum, scores]);
  const numerators = exponential(lowering, distance, keep);
  const count = shapeOf(numerators).at(-1)!;
  const sum = lowering.emit("sum", [numerators], { axis: shapeOf(numerators).length - 1 });
  const range = { low: 2 ** (-2 * 2 ** BUCKET_EXPONENT), high: count * 1.01 };
  const reciprocal = power(lowering, sum, -1, range, RECIPROCAL_FRACTION);
  return { numerators, reciprocal: reshapeTo(lowering, reciprocal, [...shapeOf(sum), 1]) };
}

/** rows = numerators · reciprocal, where somebody needs them normalised. */
export function normalised(lowering: Lowering, { numerators, reciprocal }: Unnormalised): ShareNode {
  return lowering.emit("multiply", [numerators, reciprocal]);
}

/** [..., n] → [..., 1] masked, above every kept element by less than two buckets. Three rounds. */
function coarseMaximum(lowering: Lowering, x: ShareNode, bound: number, keep: ShareNode | undefined): ShareNode {
  const shape = shapeOf(x);
  const count = shape.at(-1)!;
  const fraction = fractionOf(x);
  const rangeExponent = Math.max(BUCKET_EXPONENT + 2, rangeExponentFor(bound, BUCKET_EXPONENT));
  const width = rangeExponent - BUCKET_EXPONENT;
  const counter = Math.max(2, Math.ceil(Math.log2(count + 1)));
  const value = lowering.emit("reduce", [x], { ring: rangeExponent + fraction });
  const mask = keep === undefined ? [] : [keep];
  const counts = lowering.emit("coarseCount", [value, ...mask], { width, ring: counter, segments: [count] });
  const opened = lowering.remasked(counts);
  const hot = lowering.emit("digits", [opened], { at: 0, width: counter });
  const none = lowering.emit("equals", [hot, opened], { at: 0, offset: 0, difference: 0 });
  const some = lowering.emit("remaskBits", [lowering.emit("complement", [none])]);
  const reached = lowering.emit("toArithmetic", [some], { ring: 0, fraction: 0 });
  const buckets = lowering.emit("sum", [reached], { axis: shapeOf(reached).length - 1 });
  const height = lowering.emit("relabel", [buckets], { fraction: -BUCKET_EXPONENT });
  const maximum = addReal(lowering, lowering.additive(height, fraction), -(2 ** (rangeExponent - 1)));
  return lowering.bounded(lowering.remasked(maximum), 2 ** rangeExponent);
}

/** 2^−t for t ≥ 0, masked; exactly zero where not kept. Two rounds. */
function exponential(lowering: Lowering, t: ShareNode, keep: ShareNode | undefined): ShareNode {
  const cut = fractionOf(t) + CUT_UNITS;
  const ring = fractionOf(t) + EXPONENT_RANGE;
  const value = lowering.emit("reduce", [t], { ring });
  const hot = lowering.emit("digits", [value], { at: cut, width: ring - cut });
  const bits = Array.from({ length: DIGITS_OF_EXPONENT }, (_, difference) =>
    lowering.emit("remaskBits", [lowering.emit("equals", [hot, value], { at: cut, offset: 0, difference })]),
  );
  const { publicFraction, secretFraction, fraction } = EXPONENTIAL;
  const e = lowering.emit("exponential", [value, ...bits], { cut, publicFraction, secretFraction, ring: 0 });
  const kept = keep === undefined ? e : lowering.emit("timesPublic", [e, keep]);
  return lowering.bounded(lowering.atFraction(lowering.bounded(kept, 1.01), fraction), 1.01);
}
