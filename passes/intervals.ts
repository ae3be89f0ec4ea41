/**
 * Interval arithmetic on tensor graphs (NUMERICS.md, "Ranges"): from the intervals that the elements of an op's
 * arguments lie in, the one that its result's do. Every rule is sound: no real input gives a value outside. An op
 * without a rule is unbounded.
 */

import { cosh, ln, log1p, pow } from "../ir/real.js";
import { TENSOR, type TensorNode } from "../ir/tensor/index.js";
import { type DType, isFloat, sizeOf, type TensorValue } from "../ir/tensor/value.js";

export type Interval = readonly [low: number, high: number];

/** What is known of some values besides their interval. */
export interface Facts {
  /** The value of a weight or of a constant, where whoever asks may read it. */
  readonly valueOf: (node: TensorNode) => TensorValue | undefined;
  /** Whether an input's rows (last axis) are one-hot, or zero. */
  readonly isOneHot: (node: TensorNode) => boolean;
}

type Rule = (args: readonly Interval[], node: TensorNode, facts: Facts) => Interval;

const UNBOUNDED: Interval = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];

const image =
  (low: number, high: number): Rule =>
  () => [low, high];
const same: Rule = ([x]) => x;
const truth = image(0, 1);
const hull = (...all: readonly Interval[]): Interval => [
  Math.min(...all.map(([low]) => low)),
  Math.max(...all.map(([, high]) => high)),
];

/** 0·∞ is 0 here: the infinite end stands for values that are finite. */
const times = (x: number, y: number) => (x === 0 || y === 0 ? 0 : x * y);
const product = ([a, b]: Interval, [c, d]: Interval): Interval => {
  const ends = [times(a, c), times(a, d), times(b, c), times(b, d)];
  return [Math.min(...ends), Math.max(...ends)];
};
const scaled = (x: Interval, factor: number): Interval => product(x, [factor, factor]);
const sum = ([a, b]: Interval, [c, d]: Interval): Interval => [a + c, b + d];

/** The op's own meaning at the ends. */
const increasing: Rule = ([[low, high]], node) => {
  const type = { dtype: "f64", shape: [2] } as const;
  const ends = TENSOR.ops[node.op].evaluate([{ ...type, data: Float64Array.of(low, high) }], node.attributes, type);
  return [ends.data[0], ends.data[1]];
};
const magnitudes = ([low, high]: Interval): Interval => [
  low <= 0 && high >= 0 ? 0 : Math.min(Math.abs(low), Math.abs(high)),
  Math.max(Math.abs(low), Math.abs(high)),
];
/** Of functions that are defined on positive values only, decreasing or increasing. */
const onPositive = ([low, high]: Interval, f: (x: number) => number): Interval => {
  const ends = [f(Math.max(0, low)), f(Math.max(0, high))];
  return [Math.min(...ends), Math.max(...ends)];
};
const inverse = ([low, high]: Interval): Interval =>
  low < 0 && high > 0
    ? UNBOUNDED
    : [high === 0 ? Number.NEGATIVE_INFINITY : 1 / high, low === 0 ? Number.POSITIVE_INFINITY : 1 / low];
/** x·g(x) for a gate g between 0 and 1: between min(x, 0), at least its minimum, and max(x, 0). */
const gated =
  (least: number): Rule =>
  ([[low, high]]) => [Math.max(least, Math.min(low, 0)), Math.max(0, high)];

function power([x, y]: readonly Interval[]): Interval {
  const [exponent, other] = y;
  if (exponent !== other) {
    return UNBOUNDED;
  }
  if (Number.isInteger(exponent) && exponent >= 0) {
    const [low, high] = exponent % 2 === 0 ? magnitudes(x) : x;
    return [pow(low, exponent), pow(high, exponent)];
  }
  if (x[0] < 0 && Number.isInteger(exponent)) {
    return x[1] > 0 ? UNBOUNDED : inverse(power([x, [-exponent, -exponent]]));
  }
  return onPositive(x, (value) => pow(value, exponent));
}

/** x − y; x less its own largest element is not positive, less its smallest not negative. */
function difference([x, y]: readonly Interval[], node: TensorNode): Interval {
  if (node.args[0] === node.args[1]) {
    return [0, 0];
  }
  const [low, high] = sum(x, [-y[1], -y[0]]);
  const isBelow = axesOfExtreme(node, "reduceMaximum") !== undefined;
  const isAbove = axesOfExtreme(node, "reduceMinimum") !== undefined;
  return [isAbove ? Math.max(0, low) : low, isBelow ? Math.min(0, high) : high];
}

/** The axes of x − max(x), if a node is that, with every maximum at the elements that it is of. */
function axesOfExtreme({ op, args: [x, y] }: TensorNode, extreme: string): readonly number[] | undefined {
  const reduced = y?.op === "reshape" || y?.op === "broadcast" ? y.args[0] : y;
  if (op !== "subtract" || reduced.op !== extreme || reduced.args[0] !== x) {
    return undefined;
  }
  const axes = reduced.attributes.axes as readonly number[];
  const kept = x.type.shape.map((n, axis) => (axes.includes(axis) ? 1 : n));
  const inPlace = y.op === "broadcast" ? reduced.attributes.keep === true : isSameShape(y.type.shape, kept);
  return inPlace ? axes : undefined;
}

const isSameShape = (a: readonly number[], b: readonly number[]) =>
  a.length === b.length && a.every((n, axis) => n === b[axis]);

/** Whether a sum over axes is of e^(x − max x) over the same ones: a term is 1, and none is negative. */
function holdsOne({ args: [powers], attributes }: TensorNode): boolean {
  const isPower = powers.op === "exponential" || powers.op === "exponential2";
  const axes = isPower ? axesOfExtreme(powers.args[0], "reduceMaximum") : undefined;
  return axes?.every((axis) => (attributes.axes as readonly number[]).includes(axis)) === true;
}

/** Short floats round by less than 2^-7, integers truncate and wrap where they do not hold the number. */
function converted([low, high]: Interval, dtype: DType): Interval {
  if (isFloat(dtype)) {
    const short = dtype === "f16" || dtype === "bf16" ? 2 ** -7 : 0;
    return [low - Math.abs(low) * short, high + Math.abs(high) * short];
  }
  if (dtype === "bool") {
    return [0, 1];
  }
  const bits = Number(dtype.slice(1));
  const type: Interval = dtype.startsWith("u") ? [0, 2 ** bits - 1] : [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1];
  return low > type[0] - 1 && high < type[1] + 1 ? [Math.trunc(low), Math.trunc(high)] : type;
}

function count(node: TensorNode): number {
  return sizeOf(node.args[0].type.shape) / sizeOf(node.type.shape);
}

const lastOf = (node: TensorNode) => node.args[0].type.shape.at(-1) ?? 1;

const RULES: Readonly<Record<string, Rule>> = {
  constant: (_, node) => extremes(node.attributes.value as TensorValue),
  negate: ([[low, high]]) => [-high, -low],
  absolute: ([x]) => magnitudes(x),
  sign: increasing,
  reciprocal: ([x]) => inverse(x),
  squareRoot: ([x]) => onPositive(x, Math.sqrt),
  reciprocalSquareRoot: ([x]) => onPositive(x, (value) => 1 / Math.sqrt(value)),
  cubeRoot: increasing,
  exponential: increasing,
  exponential2: increasing,
  exponentialMinusOne: increasing,
  logarithm: ([x]) => onPositive(x, ln),
  logarithmPlusOne: ([[low, high]]) => [log1p(Math.max(-1, low)), log1p(Math.max(-1, high))],
  sine: image(-1, 1),
  cosine: image(-1, 1),
  arcSine: image(-Math.PI / 2, Math.PI / 2),
  arcCosine: image(0, Math.PI),
  arcTangent: increasing,
  hyperbolicSine: increasing,
  hyperbolicCosine: ([x]) => [cosh(magnitudes(x)[0]), cosh(magnitudes(x)[1])],
  arcHyperbolicSine: increasing,
  tangentHyperbolic: increasing,
  softCap: increasing,
  errorFunction: increasing,
  sigmoid: increasing,
  softplus: increasing,
  relu: increasing,
  gelu: gated(-0.171),
  geluEven: ([x]) => [0, magnitudes(x)[1] / 2],
  silu: gated(-0.2785),
  floor: increasing,
  ceiling: increasing,
  round: increasing,
  clamp: increasing,
  isNaN: truth,
  isInfinite: truth,
  not: truth,
  cast: ([x], node) => converted(x, node.type.dtype),
  add: ([x, y]) => sum(x, y),
  subtract: difference,
  multiply: ([x, y], node) => (node.args[0] === node.args[1] ? power([x, [2, 2]]) : product(x, y)),
  divide: ([x, y]) => product(x, inverse(y)),
  power,
  maximum: ([x, y]) => [Math.max(x[0], y[0]), Math.max(x[1], y[1])],
  minimum: ([x, y]) => [Math.min(x[0], y[0]), Math.min(x[1], y[1])],
  equal: truth,
  less: truth,
  lessOrEqual: truth,
  greater: truth,
  greaterOrEqual: truth,
  and: truth,
  or: truth,
  xor: truth,
  modulo: ([, y]) => [-magnitudes(y)[1], magnitudes(y)[1]],
  select: ([, x, y]) => hull(x, y),
  matmul: productOfMatrices,
  convolution: ([x, w, bias = [0, 0]], node) => {
    const isPadded = (node.attributes.pads as readonly number[]).some((pad) => pad > 0);
    const seen = isPadded ? hull(x, [0, 0]) : x;
    return sum(scaled(product(seen, w), sizeOf(node.args[1].type.shape.slice(1))), hull(bias));
  },
  reshape: same,
  transpose: same,
  broadcast: same,
  slice: same,
  reverse: same,
  concatenate: (args) => hull(...args),
  pad: ([x], node) => hull(x, [node.attributes.value as number, node.attributes.value as number]),
  gather: same,
  embedding: same,
  gatherElements: same,
  gatherND: same,
  scatterElements: ([x, , updates]) => hull(x, updates),
  scatterND: ([x, , updates]) => hull(x, updates),
  triangular: ([x]) => hull(x, [0, 0]),
  oneHot: truth,
  reduceSum: ([x], node) => {
    const [low, high] = scaled(x, count(node));
    return [holdsOne(node) ? Math.max(1, low) : low, high];
  },
  reduceMean: same,
  reduceMaximum: same,
  reduceMinimum: same,
  cumulativeSum: ([x], node) => hull([0, 0], x, scaled(x, node.type.shape[node.attributes.axis as number])),
  argmax: (_, node) => [0, node.args[0].type.shape[node.attributes.axis as number] - 1],
  argmin: (_, node) => [0, node.args[0].type.shape[node.attributes.axis as number] - 1],
  topValues: same,
  topIndices: (_, node) => [0, node.args[0].type.shape[node.attributes.axis as number] - 1],
  softmax: truth,
  softmaxBase2: truth,
  logSoftmax: ([[low, high]], node) => [low - high - ln(node.type.shape[node.attributes.axis as number]), 0],
  layerNorm: (_, node) => [-Math.sqrt(lastOf(node)), Math.sqrt(lastOf(node))],
  rmsNorm: (_, node) => [-Math.sqrt(lastOf(node)), Math.sqrt(lastOf(node))],
};

/** The interval of a node's elements. */
export function intervalFrom(node: TensorNode, args: readonly Interval[], facts: Facts): Interval {
  const [low, high] = RULES[node.op]?.(args, node, facts) ?? UNBOUNDED;
  return low <= high ? [low, high] : UNBOUNDED;
}

/** The least and the largest of the elements within an interval; the wrong way round if there are none. */
export function extremes({ data }: TensorValue, [least, most] = UNBOUNDED): Interval {
  const values = data instanceof Float64Array ? data : new Float64Array(data);
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < values.length; i++) {
    const x = values[i];
    if (x >= low && x <= high) {
      continue; // nearly all: four times as fast as asking everything
    }
    low = x < low && x >= least ? x : low;
    high = x > high && x <= most ? x : high;
  }
  return [low, high];
}

/** What both say; `first` where they contradict each other, as intervals of rounded numbers may. */
export function intersection(first: Interval, second: Interval): Interval {
  const both = [Math.max(first[0], second[0]), Math.min(first[1], second[1])] as const;
  return both[0] <= both[1] ? both : first;
}

/**
 * Σ x_k·w_k. Rows that are weights of a mean (softmax, one-hot) stay within the second factor; rows of a norm have
 * length √n, so the product is at most that of the lengths; and where a factor's values are known, every column has
 * its own sum.
 */
function productOfMatrices([x, w]: readonly Interval[], node: TensorNode, facts: Facts): Interval {
  const n = lastOf(node);
  const general = scaled(product(x, w), n);
  const kind = rowsOf(node.args[0], facts);
  if (kind === "mean") {
    return intersection(general, hull(w, [0, 0]));
  }
  const value = facts.valueOf(node.args[1]);
  const lengthOfRow = kind === "norm" ? Math.sqrt(n) : Number.POSITIVE_INFINITY;
  if (value === undefined) {
    const most = lengthOfRow * Math.sqrt(n) * magnitudes(w)[1];
    return intersection(general, [-most, most]);
  }
  return intersection(general, columnwise(x, value, lengthOfRow));
}

/** The interval of x·W for x with elements in an interval and a length of at most `longest`. */
function columnwise([low, high]: Interval, { data, shape }: TensorValue, longest: number): Interval {
  const columns = shape.length === 1 ? 1 : shape.at(-1)!;
  const size = shape.length === 1 ? shape[0] : shape.at(-2)! * columns;
  let all: Interval = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let matrix = 0; matrix < data.length; matrix += size) {
    const [positive, negative, squares] = [0, 1, 2].map(() => new Float64Array(columns));
    for (let i = 0; i < size; i++) {
      const weight = data[matrix + i];
      const column = i % columns;
      positive[column] += weight > 0 ? weight : 0;
      negative[column] += weight < 0 ? weight : 0;
      squares[column] += weight * weight;
    }
    for (let column = 0; column < columns; column++) {
      const length = times(longest, Math.sqrt(squares[column]));
      const least = times(positive[column], low) + times(negative[column], high);
      const most = times(positive[column], high) + times(negative[column], low);
      all = hull(all, [Math.max(least, -length), Math.min(most, length)]);
    }
  }
  return all;
}

/** What the rows of a value are: weights of a mean (not negative, summing to at most 1), or of length √n. */
function rowsOf(node: TensorNode, facts: Facts): "mean" | "norm" | undefined {
  const rank = node.type.shape.length;
  if (node.op === "softmaxBase2" || (node.op === "softmax" && node.attributes.axis === rank - 1)) {
    return "mean";
  }
  if (node.op === "layerNorm" || node.op === "rmsNorm") {
    return "norm";
  }
  if (node.op === "input") {
    return facts.isOneHot(node) ? "mean" : undefined;
  }
  return keepsRows(node) ? rowsOf(node.args[0], facts) : undefined;
}

/** Movements after which every row is still a whole row. */
function keepsRows(node: TensorNode): boolean {
  const [rank, last] = [node.type.shape.length, node.type.shape.at(-1)];
  switch (node.op) {
    case "reshape":
    case "slice":
    case "broadcast":
      return rank > 0 && node.args[0].type.shape.at(-1) === last && last !== 1;
    case "transpose":
      return (node.attributes.permutation as readonly number[]).at(-1) === rank - 1;
    case "cast":
      return true;
    default:
      return false;
  }
}
