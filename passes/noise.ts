/**
 * How much of its answer a model loses where values are rounded (NUMERICS.md, "Precision"): the secret program runs on
 * samples in the clear, once as it is and once with every value rounded that products and functions read, as if each
 * had so many fractional bits. The error grows with the unit, so that one run says it for every fraction.
 */
import type { Graph } from "../ir/graph.js";
import { seededNumbers } from "../ir/seeded.js";
import { type Evaluation, evaluateGraph, type TensorNode } from "../ir/tensor/index.js";
import { isFloat, sizeOf, type TensorType, type TensorValue } from "../ir/tensor/value.js";
import { copiedFrom } from "./rules/common.js";
import { tablesOf } from "./tabulate.js";

/** Ops whose arguments are opened at the fraction of values. */
const READERS: ReadonlySet<string> = new Set([
  "matmul",
  "multiply",
  "layerNorm",
  "rmsNorm",
  "geluEven",
  "gelu",
  "silu",
]);
/** Values that have fractions of their own. */
const APART: ReadonlySet<string> = new Set(["input", "constant", "softmaxBase2", "softmax"]);
/** Fractional bits that are tried: few, so that what they do is well above the doubles' own rounding. */
const TRIED_BITS = { values: 10, weights: 12 };
/**
 * What an output may be off by at most, in all: part of its largest value, or this, unless that is a large part of it
 * (a unit embedding's elements are small).
 */
const TOLERANCE = { relative: 2 ** -9, absolute: 0.02, part: 2 ** -6 };

/** The largest error of an output, as a part of its tolerance, where something has `bits` fractional bits. */
export interface ErrorAt {
  readonly error: number;
  readonly bits: number;
}

/** An output of zeros has no error that matters. */
const SMALLEST = 2 ** -20;

export interface RoundingError {
  readonly values: ErrorAt;
  readonly weights: ErrorAt;
  /** Elements that are rounded, of one sample. */
  readonly elements: number;
}

type Sample = (input: string) => TensorValue;

/** What rounding does to the outputs, as the worst of the samples shows it. `isWeight`: an input of the owner's. */
export function roundingError(
  graph: Graph<TensorType>,
  samples: readonly Sample[],
  isWeight: (input: string) => boolean,
  evaluation: Pick<Evaluation, "multiply"> = {},
): RoundingError {
  // An embedding's norm and its tables are given bits by what their rows are multiplied by.
  const apart = new Set(tablesOf(graph).flatMap(({ norm, rows, scales }) => [norm.args[0], ...rows, scales]));
  const read = new Set([...roundedNodes(graph)].filter((node) => !apart.has(node)));
  const isRounded = (node: TensorNode) => node.op === "input" && isWeight(String(node.attributes.name));
  const weights = new Set(graph.nodes.filter((node) => isRounded(node) && !apart.has(node)));
  const exact = samples.map((sample) => evaluateGraph(graph, sample, undefined, evaluation));
  const errorOf = (rounded: ReadonlySet<TensorNode>, bits: number, units: number): ErrorAt => {
    const errors = samples.map((sample, i) => {
      const random = seededNumbers(i + 1);
      const change = (node: TensorNode, value: TensorValue) =>
        rounded.has(node) ? noisy(value, units * 2 ** -bits, random) : value;
      const rough = evaluateGraph(graph, sample, undefined, { ...evaluation, change });
      return Math.max(...[...exact[i]].map(([name, value]) => partOfTolerance(value, rough.get(name)!)));
    });
    return { error: Math.max(0, ...errors), bits };
  };
  const elements = [...read].reduce((sum, { type }) => sum + sizeOf(type.shape), 0);
  return {
    // A shift of two halves leaves up to a unit more or less, an owner's rounding half of one.
    values: errorOf(read, TRIED_BITS.values, 1),
    weights: errorOf(weights, TRIED_BITS.weights, 1 / 2),
    elements,
  };
}

function roundedNodes({ nodes }: Graph<TensorType>): ReadonlySet<TensorNode> {
  const readers = nodes.filter(({ op }) => READERS.has(op));
  return new Set(readers.flatMap(({ args }) => args.filter((each) => isFloat(each.type.dtype) && !isApart(each))));
}

function isApart(node: TensorNode): boolean {
  const sources = copiedFrom(node);
  return APART.has(node.op) || (sources.length > 0 && sources.every(isApart));
}

/** A value and up to so many units more or less. */
function noisy(value: TensorValue, unit: number, random: () => number): TensorValue {
  return { ...value, data: Float64Array.from(value.data, (each) => each + (2 * random() - 1) * unit) };
}

function partOfTolerance({ data }: TensorValue, other: TensorValue): number {
  let [largest, error] = [0, 0];
  for (let i = 0; i < data.length; i++) {
    largest = Math.max(largest, Math.abs(data[i]));
    error = Math.max(error, Math.abs(data[i] - other.data[i]));
  }
  const { relative, absolute, part } = TOLERANCE;
  return error / Math.max(SMALLEST, Math.min(absolute, part * largest), relative * largest);
}
