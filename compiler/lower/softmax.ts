/**
 * Softmax to base 2 (the pass `approximate` puts log₂e into the scores), profile `fourier`, NUMERICS.md:
 *
 *     c = coarse maximum of the row (3 rounds) · e = 2^−(c − s) (2 rounds) · Σe (local) · 1/Σe (2 rounds, beside e·V)
 *
 * The rows stay unnormalised: whoever multiplies them with V scales the product's rows, which are shorter.
 */

import { fail } from "../../ir/diagnostics.js";
import { ceilLog2, exp2 } from "../../ir/real.js";
import { sizeOf } from "../../ir/tensor/value.js";
import { inversePower } from "./buckets.js";
import { atLeast, comparedScores, tournament } from "./comparison.js";
import {
  constantOf,
  encode,
  encodedScalar,
  fractionOf,
  type Lowering,
  type ShareNode,
  shapeOf,
  type TensorNode,
} from "./context.js";
import { joinedSeconds, rangeExponentFor, WIDEST_DIGIT, zeroWords } from "./digits.js";
import { addReal } from "./linear.js";
import { reshapeTo } from "./movement.js";
import { countRing, GROUPS, missedBuckets, REACHED_BITS } from "./reached.js";
import type { UnnormalisedRows } from "./rows.js";
import { type Packing, pack, partsOf, perRow, unpack } from "./structure.js";
import { comparisonBits } from "./thresholds.js";
import { tournamentPlan } from "./tournament.js";

/** Bits of the exponential's tables and of its result. */
const EXPONENTIAL = { publicFraction: 21, secretFraction: 13, fraction: 15 };
/** 2^−t is selected for t in [0, 24): three values of the digit of t above 8 units. */
const DIGITS_OF_EXPONENT = 3;
const CUT_UNITS = 3;
/** Integer bits of t, at least. */
const EXPONENT_RANGE = 8;
/** log2 of the bucket width of the coarse maximum: it exceeds the maximum by less than two buckets. */
const BUCKET_EXPONENT = 1;
const RECIPROCAL_FRACTION = 18;
/** The product with V is opened and widened beside 1/Σ. */
const ROUNDS_OF_PRODUCT = 2;

/** The scores of a softmax before they are lowered, as far as their price depends on them. */
export interface ScoresForm {
  /** [..., rows, columns]. */
  readonly shape: readonly number[];
  readonly bound: number;
  /** Says that the scores come packed, without those that a constant mask excludes. */
  readonly packing: Packing | undefined;
}

export interface Scores extends ScoresForm {
  /** Masked. */
  readonly value: ShareNode;
  readonly mask: Mask | undefined;
  readonly idle: IdleRows;
  readonly origin: string;
}

/** Rows of a softmax with their maximum. */
export function maximumRows(lowering: Lowering, scores: Scores): UnnormalisedRows {
  const { shape, mask, packing } = scores;
  const { idleNode, evenNode } = scores.idle;
  const columns = shape.at(-1)!;
  const open = mask?.open === true ? mask.value : undefined;
  const { isExact, forms } = maximumForm(lowering, scores);
  lowering.chose("a softmax row's maximum", isExact ? TOURNAMENT : COUNTERS, forms);
  const distanceOf = isExact ? exactDistance : coarseDistance;
  const { distance, bound } = distanceOf(lowering, scores);
  const idle = idleNode === undefined || mask?.open !== false ? undefined : idleNode;
  const beyond = idle === undefined ? distance : distantRows(lowering, distance, idle, packing);
  const packed = exponential(lowering, beyond, idle === undefined ? bound : bound + VANISHING, open);
  const own = packing === undefined ? packed : unpack(lowering, packed, packing);
  const numerators = evenNode === undefined ? own : withShares(lowering, own, evenNode);
  lowering.bounded(numerators, 1.01);
  const sums = lowering.emit("sum", [numerators], { axis: shape.length - 1 });
  const sum = idleNode === undefined || evenNode !== undefined ? sums : withIdleRows(lowering, sums, idleNode);
  const range = { low: 2 ** (-2 * 2 ** BUCKET_EXPONENT), high: columns * 1.01 };
  const form = { exponent: -1, range, fraction: RECIPROCAL_FRACTION, scale: 1 };
  const reciprocal = inversePower(lowering, sum, form, ROUNDS_OF_PRODUCT);
  return { numerators, bound: columns * 1.01, reciprocal: reshapeTo(lowering, reciprocal, [...shapeOf(sum), 1]) };
}

export interface IdleRows {
  readonly idleNode?: TensorNode;
  readonly evenNode?: TensorNode;
}

/** The rows that keep nothing, where there may be such, and what shares evenly in them. */
export function idleRowsOf({ args: [, , idle, even] }: TensorNode): IdleRows {
  const isNever = idle === undefined || constantOf(idle)?.data.every((each) => each === 0) === true;
  return isNever ? {} : { idleNode: idle, ...(even === undefined ? {} : { evenNode: even }) };
}

/** 2^-t is 0 from here on. */
const VANISHING = 32;

/** A secret mask lowers all scores of a row that keeps nothing alike: what puts them out of reach is local. */
function distantRows(
  lowering: Lowering,
  distance: ShareNode,
  idle: TensorNode,
  packing: Packing | undefined,
): ShareNode {
  const rows = lowering.value(idle, 0);
  const spread = packing === undefined ? rows : pack(lowering, rows, shapeOf(distance).slice(0, -1), packing);
  const far = lowering.emit("multiplyConstant", [spread], { value: encodedScalar(VANISHING, 0), fraction: 0 });
  return lowering.emit("add", [distance, lowering.atFraction(far, fractionOf(distance))]);
}

/** In rows that keep nothing the numerators are what shares evenly. */
export function withShares(lowering: Lowering, numerators: ShareNode, even: TensorNode): ShareNode {
  return lowering.emit("add", [numerators, lowering.atFraction(lowering.value(even, 0), fractionOf(numerators))]);
}

/** A row that keeps nothing has the sum 1, so that its reciprocal is one. */
export function withIdleRows(lowering: Lowering, sums: ShareNode, idle: TensorNode): ShareNode {
  const rows = reshapeTo(lowering, lowering.value(idle, 0), idle.type.shape.slice(0, -1));
  return lowering.emit("add", [sums, lowering.atFraction(rows, fractionOf(sums))]);
}

interface Distance {
  /** How far every score is below its row's maximum or a little more, masked. */
  readonly distance: ShareNode;
  readonly bound: number;
}

function coarseDistance(lowering: Lowering, scores: Scores): Distance {
  const { mask, packing, shape } = scores;
  const { value, bound } = mask === undefined || mask.open ? scores : maskedScores(lowering, scores, mask);
  const open = mask?.open === true ? mask.value : undefined;
  const maximum = coarseMaximum(lowering, value, bound, packing?.lengths ?? [shape.at(-1)!], open);
  const reference = packing === undefined ? maximum : perRow(lowering, maximum, packing);
  return { distance: lowering.emit("subtract", [reference, value]), bound: 2 * bound };
}

/** Distances beyond this are as good as any: the power is 0. */
const DEEPEST = 31;

/** Beyond this the comparisons of the exact maximum have no bits left for a score's fraction. */
const LARGEST_SCORE = 2 ** 20;

/** Bits to P2 of one score that is kept from falling too far below: the comparison, and the product with its bit. */
function keptNearBits(bound: number, fraction: number): number {
  return comparisonBits(bound, fraction) + 3 * (fraction + ceilLog2(bound + 1) + 2);
}

/** Bits to P2 of 2^−t: a digit and three bits, their products with the power, and its opening. */
const POWER_BITS = 2 ** (EXPONENT_RANGE - CUT_UNITS) + 2 * DIGITS_OF_EXPONENT + (DIGITS_OF_EXPONENT + 2) * 50;
const POWER_ROUNDS = 2;

interface MaximumForm {
  /** Whether a tournament finds the maximum, not counters. */
  readonly isExact: boolean;
  /** What rows take up to their powers. */
  readonly seconds: number;
  /** The same of each form. */
  readonly forms: Readonly<Record<string, number>>;
}

/** The forms of a maximum, as a plan names them. */
const TOURNAMENT = "a tournament";
const COUNTERS = "counters of buckets";

/**
 * How the rows' maximum is found fastest on the network that the plan is for: counters grow with the scores' range,
 * comparisons with its logarithm.
 */
export function maximumForm(lowering: Lowering, { shape, bound, packing }: ScoresForm): MaximumForm {
  const columns = shape.at(-1)!;
  const rows = sizeOf(shape) / columns;
  const width = digitWidth(bound);
  const fraction = lowering.precision.activation;
  const kept = packing === undefined ? sizeOf(shape) : (rows / packing.rows) * packing.kept.length;
  const powers = lowering.seconds(POWER_ROUNDS, (kept * POWER_BITS) / 8);
  const { seconds } = tournamentPlan(lowering, columns, rows, comparedScores(bound, fraction));
  const exact = seconds + lowering.seconds(3, (kept * keptNearBits(2 * bound, fraction)) / 8);
  const counters = (kept + rows) * counterBits(columns);
  const isCounted = packing !== undefined || columns < LONG_ROW;
  const tested = joinedSeconds(lowering, rows * 2 ** width, isCounted ? DIGITS_OF_COUNTER : GROUPS, countRing(width));
  const counted = tested + lowering.seconds(3, (2 ** width * (isCounted ? counters : kept + rows * REACHED_BITS)) / 8);
  const possible = width > WIDEST_DIGIT ? Number.POSITIVE_INFINITY : counted;
  const isExact = width > WIDEST_DIGIT || (columns > 1 && exact < counted);
  const forms = { [TOURNAMENT]: powers + exact, [COUNTERS]: powers + possible };
  return { isExact, seconds: powers + (isExact ? exact : counted), forms };
}

/** From so many elements on the counters of a row cost more than its tests by random combinations. */
const LONG_ROW = 64;

/** A counter's test of zero, where it is cut. */
const DIGITS_OF_COUNTER = 2;

/** Bits of a counter of up to so many elements. */
function counterBits(count: number): number {
  return Math.max(2, ceilLog2(count + 1));
}

/** Below their exact maximum, and not further than counts. More rounds, and no counter for every bucket. */
function exactDistance(lowering: Lowering, scores: Scores): Distance {
  const { mask, packing } = scores;
  if (!(scores.bound <= LARGEST_SCORE)) {
    throw fail({
      code: "E0404",
      what: `softmax of scores up to ${scores.bound.toPrecision(3)}`,
      where: scores.origin,
      why: "comparisons of so large values leave no bits for a fraction; such scores are mostly masks as numbers",
      fix: "give the mask as zeros and ones, or clip the scores in the model",
    });
  }
  const { value, bound } = mask === undefined ? scores : maskedScores(lowering, scores, mask);
  const candidates = packing === undefined ? value : filled(lowering, value, packing, -bound);
  const maximum = tournament(lowering, candidates, bound);
  const reference =
    packing === undefined ? reshapeTo(lowering, maximum, [...shapeOf(maximum), 1]) : perRow(lowering, maximum, packing);
  const below = lowering.bounded(lowering.emit("subtract", [value, reference]), 2 * bound);
  const near = lowering.bounded(atLeast(lowering, below, 2 * bound, -DEEPEST), DEEPEST);
  return { distance: lowering.emit("negate", [near]), bound: DEEPEST };
}

/** Packed scores as a matrix, with a number that never is the largest where nothing was kept. */
function filled(lowering: Lowering, x: ShareNode, packing: Packing, filler: number): ShareNode {
  const { rows, columns, places } = packing;
  const data = Float64Array.from(places, (place) => (place < 0 ? filler : 0));
  const value = encode({ dtype: "f64", shape: [rows, columns], data }, fractionOf(x));
  return lowering.bounded(lowering.emit("addConstant", [unpack(lowering, x, packing)], { value }), -filler);
}

export interface Mask {
  /** 1 where kept, 0 elsewhere; masked at fraction 0. */
  readonly value: ShareNode;
  /** Whether P1 and P2 know it: a public input or a constant. */
  readonly open: boolean;
}

/** The part of a mask that packing has not dealt with, in the scores' form. */
export function maskOf(
  lowering: Lowering,
  keep: TensorNode,
  shape: readonly number[],
  packing: Packing | undefined,
): Mask | undefined {
  const { constant, input } = partsOf(keep);
  const open = input === undefined || lowering.isPublic(input);
  if (packing !== undefined) {
    const value = input === undefined ? undefined : lowering.value(input, 0);
    return value === undefined ? undefined : { value: pack(lowering, value, shape.slice(0, -2), packing), open };
  }
  const whole = lowering.value(input ?? keep, 0);
  const both = constant !== undefined && input !== undefined ? constantOf(constant) : undefined;
  const value = both === undefined ? whole : lowering.emit("multiplyConstant", [whole], { value: both, fraction: 0 });
  return { value, open };
}

/** Scores, with those that a mask excludes pushed below every other one: (keep − 1)·depth is local. */
function maskedScores(
  lowering: Lowering,
  { value, bound }: Scores,
  mask: Mask,
): { readonly value: ShareNode; readonly bound: number } {
  const depth = Math.ceil(2 * bound + 32);
  const kept = lowering.emit("multiplyConstant", [mask.value], { value: encodedScalar(depth, 0), fraction: 0 });
  const lifted = lowering.atFraction(kept, fractionOf(value));
  const pushed = addReal(lowering, lowering.emit("add", [value, lifted]), -depth);
  return { value: lowering.bounded(pushed, bound + depth), bound: bound + depth };
}

/** Bits of the coarse maximum's digit. */
function digitWidth(bound: number): number {
  return Math.max(2, rangeExponentFor(bound, BUCKET_EXPONENT) - BUCKET_EXPONENT);
}

/**
 * [..., n], cut into rows of these lengths → [..., rows] masked, above every kept element of the row by less than two
 * buckets. Three rounds, or four.
 */
function coarseMaximum(
  lowering: Lowering,
  x: ShareNode,
  bound: number,
  segments: readonly number[],
  keep: ShareNode | undefined,
): ShareNode {
  const count = Math.max(...segments);
  const fraction = fractionOf(x);
  const width = digitWidth(bound);
  const rangeExponent = width + BUCKET_EXPONENT;
  noteMaximum(lowering);
  const value = lowering.emit("reduce", [x], { ring: rangeExponent + fraction });
  const isCounted = segments.length > 1 || count < LONG_ROW;
  const missed = isCounted
    ? missedByCount(lowering, value, width, counterBits(count), segments, keep)
    : missedBuckets(lowering, value, { ring: rangeExponent + fraction, width }, keep);
  const above = lowering.emit("sum", [missed], { axis: shapeOf(missed).length - 1 });
  const depth = lowering.emit("relabel", [lowering.emit("negate", [above])], { fraction: -BUCKET_EXPONENT });
  const maximum = addReal(lowering, lowering.additive(depth, fraction), 2 ** (rangeExponent - 1));
  return lowering.bounded(lowering.remasked(maximum), 2 ** rangeExponent);
}

/** One for each bucket that no element reaches, from counters of those that do. Two rounds, or three. */
function missedByCount(
  lowering: Lowering,
  value: ShareNode,
  width: number,
  counter: number,
  segments: readonly number[],
  keep: ShareNode | undefined,
): ShareNode {
  const mask = keep === undefined ? [] : [keep];
  const counts = lowering.emit("coarseCount", [value, ...mask], { width, ring: counter, segments });
  return zeroWords(lowering, lowering.remasked(counts), counter, countRing(width));
}

function noteExponential(lowering: Lowering): void {
  const depth = 2 ** CUT_UNITS * DIGITS_OF_EXPONENT;
  lowering.formulas.add("softmax exponential", "", () => ({
    function: "2^-t of a softmax",
    profile: "fourier",
    form: `split at units, digit of ${2 ** CUT_UNITS} units`,
    distance: "absolute",
    outside: "0 above; there is nothing below",
    section: "Profile `fourier`",
    window: [0, depth],
    coefficients: [DIGITS_OF_EXPONENT],
    pieces: [
      { from: 0, to: depth, value: (t) => exp2(-t), exact: (t) => exp2(-t) },
      { from: depth, to: 2 * depth, value: () => 0, exact: (t) => exp2(-t) },
    ],
  }));
}

/** How far the coarse maximum is above the maximum: it only has to be above, and not so far that powers vanish. */
function noteMaximum(lowering: Lowering): void {
  const bucket = 2 ** BUCKET_EXPONENT;
  lowering.formulas.add("softmax maximum", "", () => ({
    function: "maximum of a softmax's row",
    profile: "fourier",
    form: `buckets of ${bucket}: above it by 0 to ${2 * bucket}, which cancels`,
    distance: "absolute",
    outside: "noise: ranges keep scores inside",
    section: "Profile `fourier`",
    coefficients: [bucket],
    pieces: [0, 1].map((more) => ({
      from: -64,
      to: 64,
      value: (x: number) => bucket * (Math.floor(x / bucket) + 1 + more),
      exact: (x: number) => x,
    })),
  }));
}

/** 2^−t for 0 ≤ t < bound and some buckets, masked; exactly zero where not kept. Two rounds. */
function exponential(lowering: Lowering, t: ShareNode, bound: number, keep: ShareNode | undefined): ShareNode {
  noteExponential(lowering);
  const cut = fractionOf(t) + CUT_UNITS;
  const range = Math.max(EXPONENT_RANGE, ceilLog2(bound + 4 * 2 ** BUCKET_EXPONENT));
  const ring = fractionOf(t) + range;
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
