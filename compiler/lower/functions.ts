/**
 * Elementary functions of secret values, on the interval that the argument's range gives (docs/accuracy.md has every
 * one's error). Functions of a positive value are selected among series by the value's magnitude (`power.ts`); e^x is
 * one split; sine and cosine are what a split computes by itself, on any range.
 */
import { atan, ceilLog2, cos, exp, exp2, floorLog2, ln, log1p, log2, pow, sin } from "../../ir/real.js";
import { ACCEPTED } from "../../passes/guard.js";
import { activated, type Piecewise } from "./activation.js";
import { inversePower } from "./buckets.js";
import { atLeast } from "./comparison.js";
import { constantOf, encodedScalar, fractionOf, type Lowering, type ShareNode, type TensorNode } from "./context.js";
import { WIDEST_DIGIT } from "./digits.js";
import { describeSeries, seriesAt } from "./fourier.js";
import { SOFTPLUS_GRIDS } from "./grids.js";
import { guard } from "./guard.js";
import { checkPositive, guardPositive, type Interval, intervalOf, positiveInterval } from "./interval.js";
import { addReal, timesPublic } from "./linear.js";
import { bucketSeries, onBuckets, power } from "./power.js";
import { ANGLE_BITS, angleOf, fitSeries, seriesOf } from "./series.js";

/** Bits of relative precision that a positive argument is read with, and that a result keeps. */
const RELATIVE_BITS = 14;
/** Bits beyond its fraction of a result that no product need follow. */
const LITTLE = 4;
/** Bits of a public factor that scales an argument. */
const SCALE_BITS = 20;

/** An argument with enough bits below the least value of it that a function reads, as far as it has them. */
function fineArgument(lowering: Lowering, argument: TensorNode, { low }: Interval): ShareNode {
  const wanted = Math.max(lowering.precision.activation, RELATIVE_BITS - floorLog2(low));
  const value = lowering.value(argument, wanted);
  return lowering.atFraction(value, Math.min(wanted, fractionOf(value)));
}

/** The same of a positive argument, guarded. */
export function positiveArgument(lowering: Lowering, argument: TensorNode, range: Interval): ShareNode {
  return guardPositive(lowering, fineArgument(lowering, argument, range), range, lowering.certainOf(argument));
}

/** The fraction at which scale·x^exponent keeps its relative precision where it is smallest. */
function fractionFor({ low, high }: Interval, exponent: number): number {
  const smallest = Math.min(pow(low, exponent), pow(high, exponent));
  return Math.min(30, Math.max(8, RELATIVE_BITS - floorLog2(smallest)));
}

/** x^exponent of a positive argument, masked. Two rounds. */
export function positivePower(lowering: Lowering, node: TensorNode, argument: TensorNode, exponent: number): ShareNode {
  const range = positiveInterval(lowering, node, argument);
  const x = positiveArgument(lowering, argument, range);
  return exponent < 0
    ? inverseOf(lowering, x, exponent, range)
    : power(lowering, x, exponent, range, fractionFor(range, exponent));
}

/** x^exponent, exponent < 0, of a value in an interval of positive numbers, in the ring of a small product. */
function inverseOf(lowering: Lowering, x: ShareNode, exponent: number, range: Interval): ShareNode {
  const fraction = fractionFor(range, exponent);
  return inversePower(lowering, x, { exponent, range, fraction, scale: 1, ring: fraction + LITTLE }, 1);
}

/** 1/x for an interval on one side of zero. Two rounds. */
export function lowerReciprocal(lowering: Lowering, node: TensorNode): ShareNode {
  return reciprocalOf(lowering, node, node.args[0]);
}

export function reciprocalOf(lowering: Lowering, node: TensorNode, argument: TensorNode): ShareNode {
  const { high } = intervalOf(lowering, argument);
  if (!(high < 0)) {
    return positivePower(lowering, node, argument, -1);
  }
  const [low] = lowering.ranges.get(argument)!;
  const range = { low: -high, high: -low };
  const x = lowering.emit("negate", [fineArgument(lowering, argument, range)]);
  const [least, most] = lowering.certainOf(argument);
  guardPositive(lowering, x, range, [-most, -least]);
  return lowering.emit("negate", [inverseOf(lowering, x, -1, range)]);
}

/** x/y: a public divisor is a public factor, a secret one costs a reciprocal (two rounds) and a product. */
export function lowerDivide(lowering: Lowering, node: TensorNode): ShareNode {
  const [x, y] = node.args;
  const divisor = constantOf(y);
  if (divisor !== undefined) {
    return timesPublic(lowering, lowering.value(x), {
      ...divisor,
      data: Float64Array.from(divisor.data, (c) => 1 / c),
    });
  }
  const inverse = reciprocalOf(lowering, node, y);
  const dividend = constantOf(x);
  if (dividend !== undefined) {
    return timesPublic(lowering, inverse, dividend);
  }
  return lowering.emit("multiply", [lowering.masked(x), inverse], { drop: 0 });
}

/** What is added below a square root that may be of zero: its error there is 2^-8. */
const ROOT_EPSILON = 2 ** -14;

/** √x; where x may be 0 it is x/√(x + ε), one product more. */
export function lowerSquareRoot(lowering: Lowering, node: TensorNode): ShareNode {
  return squareRootOf(lowering, node, node.args[0]);
}

export function squareRootOf(lowering: Lowering, node: TensorNode, argument: TensorNode): ShareNode {
  const { low, high } = intervalOf(lowering, argument);
  if (low !== 0 && !(low > 0 && low < ROOT_EPSILON)) {
    return positivePower(lowering, node, argument, 0.5);
  }
  const range = { low: ROOT_EPSILON / 2, high: high + ROOT_EPSILON };
  const x = fineArgument(lowering, argument, range);
  // What is negative has no root in the model either.
  guardPositive(lowering, x, range, [range.low, lowering.certainOf(argument)[1]]);
  const inverse = inverseOf(lowering, addReal(lowering, x, ROOT_EPSILON), -0.5, range);
  return lowering.emit("multiply", [x, inverse], { drop: 0 });
}

export function lowerReciprocalSquareRoot(lowering: Lowering, node: TensorNode): ShareNode {
  return positivePower(lowering, node, node.args[0], -0.5);
}

/** ln x on a positive interval. Two rounds. */
export function lowerLogarithm(lowering: Lowering, node: TensorNode): ShareNode {
  const range = positiveInterval(lowering, node, node.args[0]);
  return logarithmOf(lowering, positiveArgument(lowering, node.args[0], range), range);
}

/** ln(1 + x) where 1 + x is positive. */
export function lowerLogarithmPlusOne(lowering: Lowering, node: TensorNode): ShareNode {
  const argument = intervalOf(lowering, node.args[0]);
  const range = checkPositive(node, { low: argument.low + 1, high: argument.high + 1 });
  const x = addReal(lowering, fineArgument(lowering, node.args[0], range), 1);
  const [least, most] = lowering.certainOf(node.args[0]);
  return logarithmOf(lowering, guardPositive(lowering, x, range, [least + 1, most + 1]), range);
}

/** ln x = ln start + ln(x / start) on every bucket; masked. */
export function logarithmOf(lowering: Lowering, x: ShareNode, range: Interval): ShareNode {
  const value = onBuckets(lowering, x, range, (bucket) => {
    const shape = { name: "ln t", label: "ln x", compute: ln, magnitude: 1 };
    return addReal(lowering, bucketSeries(lowering, x, bucket, shape, RELATIVE_BITS), ln(bucket.start));
  });
  return lowering.bounded(value, Math.max(1, Math.abs(ln(range.low)), Math.abs(ln(range.high))));
}

/** e^x − 1 as a difference: near 0 as exact as e^x is. */
export function lowerExponentialMinusOne(lowering: Lowering, node: TensorNode): ShareNode {
  return addReal(lowering, exponentialOf(lowering, node, Math.LOG2E, lowering.boundOf(node) + 1), -1);
}

/** e^x (one round); 2^x with factor 1. */
export function lowerExponential(lowering: Lowering, node: TensorNode): ShareNode {
  return exponentialOf(lowering, node, node.op === "exponential2" ? 1 : Math.LOG2E, lowering.boundOf(node));
}

function exponentialOf(lowering: Lowering, node: TensorNode, factor: number, bound: number): ShareNode {
  const [argument] = node.args;
  // The result's range is often much tighter than the argument's, of which it is the power. An argument that was only
  // seen negative says no more than that.
  const highest = lowering.ranges.get(argument)![1] * factor;
  const high = highest > 0 ? Math.min(highest, log2(bound)) : log2(bound);
  const { low } = intervalOf(lowering, argument);
  const x = lowering.masked(argument);
  const [, most] = lowering.certainOf(argument);
  if (most * factor > high) {
    // Of the result's margin, two octaves, one is accepted; of the argument's a half.
    const accepted = highest > 0 && high > OWN * highest ? high / 2 : high - 1;
    guardTop(lowering, x, accepted / factor, topOf(high) / factor, lowering.boundOf(argument));
  }
  return powerOfTwo(lowering, x, { low: low * factor, high }, factor);
}

/** From this part of an argument's own largest value on it is that which bounds the power. */
const OWN = 0.9;

/** Guards the upper end of an argument: the lower one is in its ring, and there is nothing below it. */
function guardTop(lowering: Lowering, x: ShareNode, high: number, highest: number, bound: number): void {
  const most = 2 * Math.max(bound, Math.abs(highest));
  guard(lowering, x, { lowest: Number.NEGATIVE_INFINITY, low: -most, high, highest, reach: [-most, most] });
}

/** The power of two above which a split of 2^x has no meaning. */
function topOf(high: number): number {
  return Math.ceil(high + 2 ** -8);
}

/** Bits of the split's tables, the digit above 8 units, and how many of its values are told apart: 2^-32 is 0. */
const EXPONENTIAL = { publicFraction: 24, secretFraction: 15 };
const CUT_UNITS = 3;
const MOST_SELECTED = 4;

/** Exponents further below the largest than this are made no smaller: the power is 0 to 24 bits. */
const DEEPEST_EXPONENT = 64;

/**
 * 2^(factor·x) for factor·x in [low, high], additive: 2^H · 2^-t, t = H − factor·x ≥ 0. One round; two more where the
 * interval is wider than what a digit can tell apart.
 */
export function powerOfTwo(lowering: Lowering, x: ShareNode, { low, high }: Interval, factor: number): ShareNode {
  const top = topOf(high);
  if (top - low > 2 ** (WIDEST_DIGIT + CUT_UNITS - 2)) {
    const floor = (top - DEEPEST_EXPONENT) / factor;
    const kept = atLeast(lowering, x, Math.max(Math.abs(low), Math.abs(high)) / factor, floor);
    return powerOfTwo(lowering, kept, { low: top - DEEPEST_EXPONENT, high }, factor);
  }
  const fraction = RELATIVE_BITS;
  const scaled =
    factor === 1
      ? lowering.emit("negate", [x])
      : lowering.emit("multiplyConstant", [x], { value: encodedScalar(-factor, SCALE_BITS), fraction: SCALE_BITS });
  const t = addReal(lowering, lowering.atFraction(scaled, fraction), top);
  const reach = Math.max(8, top - low + 2);
  notePowerOfTwo(lowering, { low, high: top });
  const ring = fraction + ceilLog2(reach) + 1;
  const cut = fraction + CUT_UNITS;
  const value = lowering.emit("reduce", [t], { ring });
  const hot = lowering.emit("digits", [value], { at: cut, width: ring - cut });
  const selected = Math.min(MOST_SELECTED, Math.ceil(reach / 2 ** CUT_UNITS) + 1);
  const bits = Array.from({ length: selected }, (_, difference) =>
    lowering.emit("remaskBits", [lowering.emit("equals", [hot, value], { at: cut, offset: 0, difference })]),
  );
  const e = lowering.emit("exponential", [value, ...bits], { cut, ...EXPONENTIAL, ring: 0 });
  const labelled = lowering.emit("relabel", [e], { fraction: fractionOf(e) - top });
  return lowering.bounded(labelled, 2 ** top);
}

function notePowerOfTwo(lowering: Lowering, { low, high }: Interval): void {
  const depth = high - 2 ** CUT_UNITS * MOST_SELECTED;
  lowering.formulas.add(`2^x below ${high}`, "", () => ({
    function: "2^x",
    profile: "fourier",
    form: `split at units, digit of ${2 ** CUT_UNITS} units`,
    distance: "absolute",
    outside: "0 below; noise above: ranges keep arguments inside",
    section: "Profile `fourier`",
    window: [Math.max(low, depth), high],
    coefficients: [high, MOST_SELECTED],
    pieces: [
      { from: depth, to: high, value: exp2, exact: exp2 },
      { from: depth - 32, to: depth, value: () => 0, exact: exp2 },
    ],
  }));
}

/** sin x or cos x: one harmonic whose period is the ring, so any range wraps as it should. No round. */
export function lowerTrigonometric(lowering: Lowering, node: TensorNode): ShareNode {
  const x = lowering.masked(node.args[0]);
  const turns = encodedScalar(1 / (2 * Math.PI), SCALE_BITS + 6);
  const scaled = lowering.emit("multiplyConstant", [x], { value: turns, fraction: SCALE_BITS + 6 });
  const angle = lowering.atFraction(scaled, ANGLE_BITS);
  const one = 2 ** 24;
  const cosine = node.op === "cosine";
  noteTrigonometric(lowering, cosine, lowering.boundOf(node.args[0]));
  return lowering.emit("series", [angle], {
    ...{ angle: ANGLE_BITS, frequencies: [1], drops: [0] },
    cosines: [cosine ? one : 0],
    sines: [cosine ? 0 : one],
    constant: 0,
    coefficientFraction: 24,
    publicFraction: 14,
    secretFraction: 14,
    ring: 0,
  });
}

function noteTrigonometric(lowering: Lowering, cosine: boolean, bound: number): void {
  const compute = cosine ? cos : sin;
  const turns = Math.round(2 ** (SCALE_BITS + 6) / (2 * Math.PI)) / 2 ** (SCALE_BITS + 6);
  lowering.formulas.add(`${cosine} ${bound}`, "", () => ({
    function: cosine ? "cos x" : "sin x",
    profile: "fourier",
    form: `itself, 1/2π to ${SCALE_BITS + 6} bits`,
    distance: "absolute",
    outside: "the same, its error growing with x",
    section: "Profile `fourier`",
    coefficients: [turns],
    pieces: [{ from: -bound, to: bound, value: (x) => compute(2 * Math.PI * turns * x), exact: compute }],
  }));
}

/** The largest |x| for which one short series gives arctan x. */
const WIDEST_ARC = 2;
/** Arguments up to this are told from those inside. */
const ARC_REACH = 16;
const ARC_TOLERANCE = 2e-4;
const ARC_BITS = { publicFraction: 14, secretFraction: 14 };

/** arctan x by a series where |x| is small; else 2 arctan(x / (1 + √(1 + x²))), whose argument is below one. */
export function lowerArcTangent(lowering: Lowering, node: TensorNode): ShareNode {
  const x = lowering.masked(node.args[0]);
  const bound = lowering.boundOf(node.args[0]);
  if (bound <= WIDEST_ARC) {
    if (lowering.certainBoundOf(node.args[0]) > bound) {
      const accepted = { low: -bound * ACCEPTED, high: bound * ACCEPTED };
      guard(lowering, x, { ...accepted, lowest: -bound, highest: bound, reach: [-ARC_REACH, ARC_REACH] });
    }
    return arcOf(lowering, x, bound, 1);
  }
  const range = { low: 1, high: bound * bound + 1 };
  const square = lowering.bounded(addReal(lowering, lowering.emit("multiply", [x, x], { drop: 0 }), 1), range.high);
  const root = power(lowering, lowering.atFraction(square, fractionOf(x)), 0.5, range, fractionFor(range, 0.5));
  const above = { low: 2, high: bound + 2 };
  const inverse = inverseOf(lowering, addReal(lowering, root, 1), -1, above);
  const ratio = lowering.bounded(lowering.emit("multiply", [x, inverse], { drop: 0 }), 1);
  return arcOf(lowering, lowering.atFraction(ratio, fractionOf(x)), 1, 2);
}

/** scale · arctan x for |x| ≤ bound. */
function arcOf(lowering: Lowering, x: ShareNode, bound: number, scale: number): ShareNode {
  const reach = Math.max(1, bound) + 2 ** -6;
  const fitted = fitSeries(atan, [-reach, reach], 2.7 * reach, "odd", ARC_TOLERANCE);
  lowering.formulas.add(`arctan ${reach}`, "", () => ({
    function: "arctan x",
    profile: "fourier",
    form: describeSeries(fitted.series),
    distance: "absolute",
    outside: "noise: ranges keep arguments inside",
    section: "Profile `fourier`",
    coefficients: [fitted.series.constant, ...fitted.series.sines],
    pieces: [{ from: -reach, to: reach, value: (x) => seriesAt(fitted.series, x), exact: atan }],
  }));
  return seriesOf(lowering, angleOf(lowering, x, fitted.stretch), fitted, ARC_BITS, scale);
}

/** ln(1 + e^x) = x/2 + an even function: x far above zero, 0 far below. */
const SOFTPLUS: Piecewise = {
  name: "softplus",
  slope: 0.5,
  offset: 0,
  curve: {
    name: "softplus",
    compute: (x) => log1p(exp(-Math.abs(x))) + Math.abs(x) / 2,
    parity: "even",
    headroom: 8,
    grids: SOFTPLUS_GRIDS,
  },
  above: [1, 0],
  below: [0, 0],
  window: 8,
  bucketExponent: 0,
};

export function lowerSoftplus(lowering: Lowering, node: TensorNode): ShareNode {
  return activated(lowering, node, SOFTPLUS);
}
