/**
 * How large every secret value may become (NUMERICS.md, "Ranges"): from calibration inputs, run in the clear by whoever
 * compiles, with margin; or, where no weights are at hand, from the structure: what the operators of trained
 * transformers produce, stated in the table below and in the plan's report, never silently.
 */
import type { Graph, Node } from "../ir/graph.js";
import { TENSOR } from "../ir/tensor/index.js";
import type { TensorType, TensorValue } from "../ir/tensor/value.js";

type TensorNode = Node<TensorType>;

export type Interval = readonly [number, number];

export interface VarianceRange {
  readonly low: number;
  readonly high: number;
}

export interface RangeReport {
  readonly ranges: ReadonlyMap<TensorNode, Interval>;
  /** Row variances (mean squares) of norm nodes, with epsilon. */
  readonly variances: ReadonlyMap<TensorNode, VarianceRange>;
}

/** Values may be larger than calibration saw by this factor (two bits), variances by its square root both ways. */
const MARGIN = 4;
const VARIANCE_MARGIN = 8;
/** Nothing is planned smaller than this: bounds near zero come from dead inputs. */
const SMALLEST_BOUND = 0.5;

/** Ranges seen while the secret program runs on samples of its inputs, widened by the margin. */
export function calibratedRanges(
  graph: Graph<TensorType>,
  samples: readonly ((input: string) => TensorValue)[],
): RangeReport {
  const ranges = new Map<TensorNode, [number, number]>();
  const variances = new Map<TensorNode, VarianceRange>();
  for (const sample of samples) {
    observe(graph, sample, (node, value, args) => {
      widenRange(ranges, node, value);
      if (node.op === "layerNorm" || node.op === "rmsNorm") {
        widenVariance(variances, node, args[0]);
      }
    });
  }
  for (const [node, seen] of ranges) {
    ranges.set(node, withMargin(seen));
  }
  for (const [node, { low, high }] of variances) {
    const epsilon = node.attributes.epsilon as number;
    variances.set(node, {
      low: Math.max(low / VARIANCE_MARGIN, epsilon, high * 2 ** -24),
      high: high * VARIANCE_MARGIN + epsilon,
    });
  }
  return { ranges: exactRanges(graph, ranges), variances };
}

/**
 * What may be, from what was seen. Values of both signs may become larger on either side; values of one sign keep it,
 * and may come nearer to zero by the margin too: 1/x, ln x and √x of them have a domain.
 */
function withMargin([low, high]: Interval): [number, number] {
  if (low > high) {
    return [-SMALLEST_BOUND, SMALLEST_BOUND];
  }
  const bound = Math.max(SMALLEST_BOUND, MARGIN * Math.max(Math.abs(low), Math.abs(high)));
  if (low >= 0 && high > 0) {
    return [low / MARGIN, bound];
  }
  return high < 0 ? [-bound, high / MARGIN] : [-bound, bound];
}

/** Runs a graph, calling back with every node's value; values die after their last use. */
function observe(
  graph: Graph<TensorType>,
  sample: (input: string) => TensorValue,
  callback: (node: TensorNode, value: TensorValue, args: readonly TensorValue[]) => void,
): void {
  const values = new Map<TensorNode, TensorValue>();
  const lastUse = new Map<TensorNode, number>();
  graph.nodes.forEach((node, i) => {
    for (const argument of node.args) {
      lastUse.set(argument, i);
    }
  });
  graph.nodes.forEach((node, i) => {
    const args = node.args.map((argument) => values.get(argument)!);
    const value =
      node.op === "input"
        ? sample(node.attributes.name as string)
        : TENSOR.ops[node.op].evaluate(args, node.attributes, node.type);
    callback(node, value, args);
    values.set(node, value);
    for (const argument of node.args) {
      if (lastUse.get(argument) === i) {
        values.delete(argument);
      }
    }
  });
}

function widenRange(ranges: Map<TensorNode, [number, number]>, node: TensorNode, value: TensorValue): void {
  let [low, high] = ranges.get(node) ?? [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const x of value.data) {
    // What is infinite (a mask's −∞, the padding of a maximum) is no number of a range.
    if (Math.abs(x) !== Number.POSITIVE_INFINITY) {
      low = x < low ? x : low;
      high = x > high ? x : high;
    }
  }
  ranges.set(node, [low, high]);
}

function widenVariance(variances: Map<TensorNode, VarianceRange>, node: TensorNode, x: TensorValue): void {
  const n = x.shape.at(-1)!;
  let { low, high } = variances.get(node) ?? { low: Number.POSITIVE_INFINITY, high: 0 };
  for (let row = 0; row < x.data.length; row += n) {
    const values = Float64Array.from(x.data.subarray(row, row + n));
    const mean = node.op === "rmsNorm" ? 0 : values.reduce((sum, v) => sum + v, 0) / n;
    const variance = values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / n;
    low = Math.min(low, variance);
    high = Math.max(high, variance);
  }
  variances.set(node, { low, high });
}

/** Public constants and functions with a bounded image need no margin. */
function exactRanges(graph: Graph<TensorType>, ranges: Map<TensorNode, [number, number]>): RangeReport["ranges"] {
  for (const node of graph.nodes) {
    const image = IMAGES[node.op];
    if (image !== undefined) {
      ranges.set(node, [image[0], image[1]]);
    }
  }
  return ranges;
}

/** An approximation may exceed 1 by its error, and a ring that ends at 1 would not hold that. */
const ONE = 1.01;

const IMAGES: Readonly<Record<string, Interval>> = {
  softmax: [0, ONE],
  softmaxBase2: [0, ONE],
  sigmoid: [0, ONE],
  tangentHyperbolic: [-ONE, ONE],
  errorFunction: [-ONE, ONE],
};

/**
 * What values of trained transformers are assumed to stay within where nothing is measured. A product is of a
 * normalised
 * value with a weight matrix; sums grow like those of independent values, so that a residual stream grows with the
 * root of its depth. The variances that a norm meets differ by less than `varianceSpread` between rows.
 */
const ASSUMED = {
  weight: 4,
  embedding: 4,
  normalised: 16,
  product: 28,
  largest: 2048,
  varianceSpread: 2 ** -11,
} as const;

/** Ranges from the structure alone. `ownerOf` says who gives an input. */
export function structuralRanges(
  graph: Graph<TensorType>,
  inputOf: (name: string) => { readonly owner: string; readonly integral: boolean },
): RangeReport {
  const bounds = new Map<TensorNode, number>();
  const variances = new Map<TensorNode, VarianceRange>();
  for (const node of graph.nodes) {
    const args = node.args.map((argument) => bounds.get(argument)!);
    const bound = assumedBound(node, args, inputOf);
    bounds.set(node, Math.min(bound, ASSUMED.largest));
    if (node.op === "layerNorm" || node.op === "rmsNorm") {
      const epsilon = node.attributes.epsilon as number;
      const high = Math.max(1, (args[0] / 4) ** 2);
      variances.set(node, { low: Math.max(epsilon, high * ASSUMED.varianceSpread), high });
    }
  }
  const ranges = new Map([...bounds].map(([node, bound]): [TensorNode, Interval] => [node, [-bound, bound]]));
  return { ranges, variances };
}

function assumedBound(
  node: TensorNode,
  args: readonly number[],
  inputOf: (name: string) => { readonly owner: string; readonly integral: boolean },
): number {
  const image = IMAGES[node.op];
  if (image !== undefined) {
    return image[1];
  }
  switch (node.op) {
    case "input": {
      const { owner, integral } = inputOf(node.attributes.name as string);
      return integral ? 1 : owner === "model" ? ASSUMED.weight : ASSUMED.normalised;
    }
    case "constant":
      return largestOf(node.attributes.value as TensorValue);
    case "argmax":
      return node.args[0].type.shape.at(-1)!;
    case "layerNorm":
    case "rmsNorm":
      return ASSUMED.normalised;
    case "convolution":
      return ASSUMED.product;
    case "matmul":
      return node.args[0].op === "input" && args[0] === 1 ? ASSUMED.embedding : ASSUMED.product;
    case "add":
    case "subtract":
      return isBias(node, inputOf) ? Math.max(...args) : Math.hypot(args[0], args[1]);
    case "multiply":
      return Math.min(args[0] * args[1], Math.max(args[0], args[1], ASSUMED.product));
    case "reduceSum":
      return Math.max(...args) * 8;
    default:
      return Math.max(SMALLEST_BOUND, ...args);
  }
}

/** A sum of a product with a row of the model's owner: `ASSUMED.product` is meant with the bias. */
function isBias(
  node: TensorNode,
  inputOf: (name: string) => { readonly owner: string; readonly integral: boolean },
): boolean {
  return node.args.some(
    (argument) =>
      argument.op === "input" &&
      argument.type.shape.length === 1 &&
      inputOf(argument.attributes.name as string).owner === "model",
  );
}

function largestOf(value: TensorValue): number {
  let largest = 0;
  for (const x of value.data) {
    largest = Math.max(largest, Math.abs(x));
  }
  return largest;
}
