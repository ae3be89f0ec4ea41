/**
 * The interval of a tensor value as a function needs it: 1/x, √x and log x are only defined where the interval says so.
 * Ranges may be wider than what the operators promise by themselves, so that is used too: e^x > 0, x² ≥ 0, a sum with a
 * positive epsilon is at least epsilon.
 */
import { fail } from "../../ir/diagnostics.js";
import { sizeOf } from "../../ir/tensor/value.js";
import { constantOf, type Lowering, type TensorNode } from "./context.js";

export interface Interval {
  readonly low: number;
  readonly high: number;
}

/** What an operator promises of its least value, from the least values of its arguments. */
type Least = (node: TensorNode, least: (argument: number) => number, lowering: Lowering) => number;

const NOTHING = Number.NEGATIVE_INFINITY;
const same: Least = (_, least) => least(0);
const notNegative: Least = () => 0;

const LEAST: Readonly<Record<string, Least>> = {
  exponential: (_, least) => Math.exp(least(0)),
  exponential2: (_, least) => 2 ** least(0),
  sigmoid: notNegative,
  softmax: notNegative,
  softmaxBase2: notNegative,
  softplus: notNegative,
  relu: (_, least) => Math.max(0, least(0)),
  absolute: (_, least) => Math.max(0, least(0)),
  squareRoot: (_, least) => Math.sqrt(Math.max(0, least(0))),
  add: (_, least) => least(0) + least(1),
  maximum: (_, least) => Math.max(least(0), least(1)),
  minimum: (_, least) => Math.min(least(0), least(1)),
  clamp: (node, least) => Math.max(least(0), node.attributes.low as number),
  multiply: leastProduct,
  divide: (node, least) => {
    const divisors = constantOf(node.args[1])?.data ?? [0];
    return divisors.every((c) => c > 0) && least(0) >= 0 ? least(0) / Math.max(...divisors) : NOTHING;
  },
  power: (node, least) => {
    const exponent = constantOf(node.args[1])?.data[0] ?? Number.NaN;
    return least(0) > 0 && exponent > 0 ? least(0) ** exponent : exponent % 2 === 0 ? 0 : NOTHING;
  },
  reduceMean: same,
  reduceMaximum: same,
  reduceMinimum: same,
  reduceSum: (node, least) => (least(0) * sizeOf(node.args[0].type.shape)) / sizeOf(node.type.shape),
  reshape: same,
  transpose: same,
  broadcast: same,
  slice: same,
  reverse: same,
  cast: same,
  gather: same,
};

function leastProduct(node: TensorNode, least: (argument: number) => number): number {
  const [x, y] = node.args;
  if (x === y) {
    return Math.max(0, least(0)) ** 2;
  }
  return least(0) >= 0 && least(1) >= 0 ? least(0) * least(1) : NOTHING;
}

/** The interval of a node: its range, and what its operators promise. */
export function intervalOf(lowering: Lowering, node: TensorNode): Interval {
  const known = new Map<TensorNode, number>();
  const leastOf = (at: TensorNode): number => {
    const done = known.get(at);
    if (done !== undefined) {
      return done;
    }
    const constant = constantOf(at);
    const promised =
      constant === undefined
        ? (LEAST[at.op]?.(at, (i) => leastOf(at.args[i]), lowering) ?? NOTHING)
        : Float64Array.from(constant.data).reduce((least, c) => Math.min(least, c), Number.POSITIVE_INFINITY);
    const least = Math.max(promised, lowering.ranges.get(at)?.[0] ?? NOTHING);
    known.set(at, least);
    return least;
  };
  const high = lowering.ranges.get(node)?.[1] ?? Number.POSITIVE_INFINITY;
  return { low: leastOf(node), high };
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
