/**
 * How large every secret value may become (NUMERICS.md, "Ranges"). Two sources, intersected at every node: interval
 * arithmetic (`intervals.ts`), which is certain; and calibration inputs, run in the clear by whoever compiles, with
 * margin; or, where no weights are at hand, the structure: what the operators of trained transformers produce, stated
 * in the table below and in the plan's report, never silently.
 */
import type { Graph } from "../ir/graph.js";
import { type Evaluation, evaluateGraph, type TensorNode, traitsOf } from "../ir/tensor/index.js";
import { sizeOf, type TensorType, type TensorValue } from "../ir/tensor/value.js";
import { ACCEPTED } from "./guard.js";
import { extremes, type Facts, type Interval, intersection, intervalFrom } from "./intervals.js";
import { Observed, type VarianceRange } from "./observed.js";
import { outwardInterval } from "./outward.js";
import { type HeadRange, RowStatistics } from "./rows.js";
import { constantOf } from "./rules/common.js";

export interface RangeReport {
  readonly ranges: ReadonlyMap<TensorNode, Interval>;
  /** What interval arithmetic says of a node whose arguments are in their ranges. */
  readonly derived: ReadonlyMap<TensorNode, Interval>;
  /** What interval arithmetic says from the inputs alone: nothing can leave it. */
  readonly certain: ReadonlyMap<TensorNode, Interval>;
  /** Row variances (mean squares) of norm nodes, with epsilon. */
  readonly variances: ReadonlyMap<TensorNode, VarianceRange>;
  /** How far |x| may go in every channel (last axis) of an activation's argument, where samples showed it. */
  readonly reaches: ReadonlyMap<TensorNode, Float64Array>;
  /** The scores of softmaxes, head by head, where samples showed them. */
  readonly heads: ReadonlyMap<TensorNode, readonly HeadRange[]>;
}

/** An input of the secret program. */
export interface InputFacts {
  /** `state`: what earlier runs kept. */
  readonly owner: "model" | "data" | "public" | "state";
  /** One-hot rows, masks, and other small integers. */
  readonly integral: boolean;
  /** The last axis has a single 1, or none. */
  readonly oneHot: boolean;
  /** What its values cannot leave, whatever its owner gives: sines and cosines. */
  readonly interval?: Interval;
}

export type InputsOf = (name: string) => InputFacts;

/** Values may be larger than calibration saw by this factor (two bits). */
export const MARGIN = 4;
/** What was zero on every sample may be larger: bounds near zero come from dead inputs. */
const SMALLEST_BOUND = 0.5;

/** How samples are run, and who is told how far it is. */
export interface CalibrationRun extends Pick<Evaluation, "multiply" | "rooms"> {
  readonly onProgress?: ((done: number, all: number) => void) | undefined;
}

/** Ranges seen while the secret program runs on samples of its inputs, widened by the margin. */
export function calibratedRanges(
  graph: Graph<TensorType>,
  samples: readonly ((input: string) => TensorValue)[],
  inputOf: InputsOf,
  { multiply, rooms, onProgress, isMade = false }: CalibrationRun & { readonly isMade?: boolean } = {},
): RangeReport {
  const sourceOf = (node: TensorNode) => (node.op === "input" ? inputOf(node.attributes.name as string) : undefined);
  const isWeight = (node: TensorNode) => sourceOf(node)?.owner === "model";
  const isOneHot = (node: TensorNode) => sourceOf(node)?.oneHot === true;
  const seen = new Map<TensorNode, Interval>();
  const observed = new Observed();
  const rows = new RowStatistics();
  const observe = (node: TensorNode, value: TensorValue, args: readonly TensorValue[]) => {
    if (isOneHot(node) || (isWeight(node) && seen.has(node))) {
      return;
    }
    const known = isRearranged(node) && node.args[0].op !== "input" ? seen.get(node.args[0]) : undefined;
    const found = known ?? extremes(value, node.op === "input" ? undefined : FINITE);
    seen.set(node, widened(seen.get(node), found));
    observed.see(node, args);
    if (node.op === "softmaxBase2") {
      rows.observe(node, args[0], args[1]);
    }
  };
  for (const [i, sample] of samples.entries()) {
    observed.next();
    evaluateGraph(graph, sample, undefined, { observe, multiply, rooms });
    onProgress?.(i + 1, samples.length);
  }
  const facts: Facts = {
    valueOf: (node) => (isWeight(node) ? samples[0]?.(node.attributes.name as string) : constantOf(node)),
    isOneHot,
  };
  const marginOf = (node: TensorNode, range: Interval) =>
    isMade && node.op === "input" ? ofBothSigns(withMargin(range)) : withMargin(range);
  const measured = (node: TensorNode): Interval =>
    facts.isOneHot(node)
      ? [0, 1]
      : (sourceOf(node)?.interval ?? (isWeight(node) ? seen.get(node)! : marginOf(node, seen.get(node)!)));
  const [variances, reaches, heads] = [observed.variances(isMade), observed.reaches(isMade), rows.ranges()];
  return { ...propagate(graph, facts, measured, outwardInterval), variances, reaches, heads };
}

/** Whether a node has the elements of its argument in another order. */
function isRearranged(node: TensorNode): boolean {
  const [x, ...others] = node.args;
  const isWhole = others.length === 0 && sizeOf(node.type.shape) === sizeOf(x?.type.shape ?? []);
  return isWhole && traitsOf(node).pattern === "movement";
}

/** What is infinite on the way (a mask's −∞, the padding of a maximum) is no number of a range. */
const FINITE: Interval = [-Number.MAX_VALUE, Number.MAX_VALUE];

function widened(range: Interval | undefined, [low, high]: Interval): Interval {
  return range === undefined ? [low, high] : [Math.min(range[0], low), Math.max(range[1], high)];
}

/**
 * Interval arithmetic forward, each node's interval intersected with what else is known of it. Of an
 * image that is small by itself nothing else is: a softmax over random scores is flat, one over a text may be near 1.
 * `carried`: what is measured is rounded outward; what is assumed tells nothing.
 */
function propagate(
  graph: Graph<TensorType>,
  facts: Facts,
  known: (node: TensorNode, args: readonly Interval[]) => Interval | undefined,
  carried: (interval: Interval) => Interval,
): Pick<RangeReport, "ranges" | "derived" | "certain"> {
  const ranges = new Map<TensorNode, Interval>();
  const derived = new Map<TensorNode, Interval>();
  const certain = new Map<TensorNode, Interval>();
  for (const node of graph.nodes) {
    const { precision, image } = traitsOf(node);
    const from = (args: readonly Interval[]) => {
      const interval = intervalFrom(node, args, facts);
      return precision === "exact" ? interval : loose(interval);
    };
    const args = node.args.map((argument) => ranges.get(argument)!);
    const own = from(args);
    const other = image === "numbers" ? known(node, args) : undefined;
    const held = image === "discrete" ? (interval: Interval) => interval : carried;
    derived.set(node, held(own));
    const sure = from(node.args.map((argument) => certain.get(argument)!));
    const isSure = precision === "formula" || (sure[0] >= own[0] && sure[1] <= own[1]);
    ranges.set(node, held(other === undefined ? own : intersection(other, isSure ? own : roomy(own))));
    // Of an input its owner checks the range before sharing.
    certain.set(node, node.op === "input" ? ranges.get(node)! : held(sure));
  }
  return { ranges, derived, certain };
}

/**
 * Twice as far from zero: of a measured range a part is accepted without alarm, and what arguments in their ranges make
 * must be accepted. A sum of a table and a small value, a score of which a public mask takes 100, have no other margin.
 */
function roomy([low, high]: Interval): Interval {
  return [low < 0 ? low / ACCEPTED : low * ACCEPTED, high > 0 ? high / ACCEPTED : high * ACCEPTED];
}

/** A result that is not as exact as its arguments may leave its interval by an error. */
const LOOSENESS = 2 ** -6;

/** A little wider; an interval on one side of zero stays there. */
function loose([low, high]: Interval): Interval {
  return [low - Math.abs(low) * LOOSENESS, high + Math.abs(high) * LOOSENESS];
}

/** What an owner gives may have either sign, whatever samples showed. */
function ofBothSigns([low, high]: Interval): Interval {
  const bound = Math.max(1, Math.abs(low), Math.abs(high));
  return [-bound, bound];
}

/**
 * What may be, from what was seen. Values of both signs may become larger on either side; values of one sign keep it,
 * and may come nearer to zero by the margin too: 1/x, ln x and √x of them have a domain.
 */
function withMargin([low, high]: Interval): Interval {
  if (low > high) {
    return [-SMALLEST_BOUND, SMALLEST_BOUND];
  }
  if (low >= 0 && high > 0) {
    return [low / MARGIN, high * MARGIN];
  }
  const bound = Math.max(SMALLEST_BOUND, MARGIN * Math.max(Math.abs(low), Math.abs(high)));
  return high < 0 ? [low * MARGIN, high / MARGIN] : [-bound, bound];
}

/**
 * What values of trained transformers are assumed to stay within where nothing is measured. A product is of a
 * normalised
 * value with a weight matrix; sums grow like those of independent values, so that a residual stream grows with the
 * root of its depth. The variances that a norm meets differ by less than `varianceSpread` between rows.
 */
export const ASSUMED = {
  weight: 4,
  embedding: 4,
  normalised: 16,
  product: 28,
  largest: 2048,
  varianceSpread: 2 ** -11,
} as const;

/** Ranges from the structure alone. */
export function structuralRanges(graph: Graph<TensorType>, inputOf: InputsOf): RangeReport {
  const variances = new Map<TensorNode, VarianceRange>();
  const facts: Facts = {
    valueOf: constantOf,
    isOneHot: (node) => node.op === "input" && inputOf(node.attributes.name as string).oneHot,
  };
  const assumed = (node: TensorNode, args: readonly Interval[]): Interval | undefined => {
    const bounds = args.map(([low, high]) => Math.max(Math.abs(low), Math.abs(high)));
    if (node.op === "layerNorm" || node.op === "rmsNorm") {
      const epsilon = node.attributes.epsilon as number;
      const high = Math.max(1, (bounds[0] * bounds[0]) / 16);
      variances.set(node, { low: Math.max(epsilon, high * ASSUMED.varianceSpread), high });
    }
    const bound = assumedBound(node, bounds, inputOf);
    return bound === undefined ? undefined : [-Math.min(bound, ASSUMED.largest), Math.min(bound, ASSUMED.largest)];
  };
  return {
    ...propagate(graph, facts, assumed, (interval) => interval),
    variances,
    reaches: new Map(),
    heads: new Map(),
  };
}

/** What is assumed of a node beyond what interval arithmetic says of it. */
function assumedBound(node: TensorNode, args: readonly number[], inputOf: InputsOf): number | undefined {
  switch (node.op) {
    case "input": {
      const { owner, integral } = inputOf(node.attributes.name as string);
      return integral ? 1 : owner === "model" ? ASSUMED.weight : ASSUMED.normalised;
    }
    case "layerNorm":
    case "rmsNorm":
      return ASSUMED.normalised;
    case "convolution":
      return ASSUMED.product;
    case "matmul":
      return node.args[0].op === "input" && args[0] === 1 ? ASSUMED.embedding : ASSUMED.product;
    case "add":
    case "subtract":
      return isBias(node, inputOf) ? Math.max(...args) : Math.sqrt(args[0] * args[0] + args[1] * args[1]);
    case "multiply":
      return Math.min(args[0] * args[1], Math.max(args[0], args[1], ASSUMED.product));
    case "reduceSum":
      return Math.max(...args) * 8;
    default:
      return undefined;
  }
}

/** A sum of a product with a row of the model's owner: `ASSUMED.product` is meant with the bias. */
function isBias(node: TensorNode, inputOf: InputsOf): boolean {
  return node.args.some(
    (argument) =>
      argument.op === "input" &&
      argument.type.shape.length === 1 &&
      inputOf(argument.attributes.name as string).owner === "model",
  );
}
