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
const TRIED_BITS = 10;
/** What an output may be off by at most, in all: part of its largest value, or this. */
const TOLERANCE = { relative: 2 ** -9, absolute: 0.02 };

export interface RoundingError {
  /** The largest error of an output, as a part of its tolerance, where values have `bits` fractional bits. */
  readonly error: number;
  readonly bits: number;
  /** Elements that are rounded, of one sample. */
  readonly elements: number;
}

type Sample = (input: string) => TensorValue;

/** What rounding does to the outputs, as the worst of the samples shows it. */
export function roundingError(
  graph: Graph<TensorType>,
  samples: readonly Sample[],
  evaluation: Pick<Evaluation, "multiply"> = {},
): RoundingError {
  const rounded = roundedNodes(graph);
  const errors = samples.map((sample, i) => {
    const random = seededNumbers(i + 1);
    const exact = evaluateGraph(graph, sample, undefined, evaluation);
    const change = (node: TensorNode, value: TensorValue) => (rounded.has(node) ? noisy(value, random) : value);
    const rough = evaluateGraph(graph, sample, undefined, { ...evaluation, change });
    return Math.max(...[...exact].map(([name, value]) => partOfTolerance(value, rough.get(name)!)));
  });
  const elements = [...rounded].reduce((sum, { type }) => sum + sizeOf(type.shape), 0);
  return { error: Math.max(0, ...errors), bits: TRIED_BITS, elements };
}

function roundedNodes({ nodes }: Graph<TensorType>): ReadonlySet<TensorNode> {
  const readers = nodes.filter(({ op }) => READERS.has(op));
  return new Set(readers.flatMap(({ args }) => args.filter((each) => isFloat(each.type.dtype) && !isApart(each))));
}

function isApart(node: TensorNode): boolean {
  const sources = copiedFrom(node);
  return APART.has(node.op) || (sources.length > 0 && sources.every(isApart));
}

/** A value and up to a unit more or less, as a shift of two halves leaves it. */
function noisy(value: TensorValue, random: () => number): TensorValue {
  const unit = 2 ** -TRIED_BITS;
  return { ...value, data: Float64Array.from(value.data, (each) => each + (2 * random() - 1) * unit) };
}

function partOfTolerance({ data }: TensorValue, other: TensorValue): number {
  let [largest, error] = [0, 0];
  for (let i = 0; i < data.length; i++) {
    largest = Math.max(largest, Math.abs(data[i]));
    error = Math.max(error, Math.abs(data[i] - other.data[i]));
  }
  return error / Math.max(TOLERANCE.absolute, TOLERANCE.relative * largest);
}
