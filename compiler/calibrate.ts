/**
 * Calibration (NUMERICS.md, "Ranges"): what the compiler knows of the size of values. Real inputs are best. Where none
 * are given and the model is small, the compiler makes inputs itself (ids over the whole vocabulary, everything kept),
 * the same ones every time; where the model is large or its weights are not at hand, it takes the structure's word.
 */

import type { Node } from "../ir/graph.js";
import { cos, ln } from "../ir/real.js";
import { evaluateGraph, type WeightStore } from "../ir/tensor/index.js";
import { isFloat, sizeOf, type TensorType, type TensorValue } from "../ir/tensor/value.js";
import type { Placed } from "../passes/place.js";
import {
  type CalibrationRun,
  calibratedRanges,
  type InputsOf,
  type RangeReport,
  structuralRanges,
} from "../passes/range.js";
import { placedMaskInputs } from "./masks.js";

/** Multiply-adds of a secret program up to which the compiler calibrates by itself. */
const SMALL_MODEL = 3e8;
const SYNTHETIC_SAMPLES = 4;
/** Ids of so few kinds are token types: BERT has two. */
const MOST_TOKEN_TYPES = 2;

export type ModelInputs = ReadonlyMap<string, TensorValue>;

export interface Calibration {
  readonly report: RangeReport;
  readonly method: "given inputs" | "synthetic inputs" | "structure";
}

export function calibrate(
  placed: Placed,
  weights: WeightStore | undefined,
  samples: readonly ModelInputs[] | undefined,
  inputOf: InputsOf,
  run: CalibrationRun = {},
): Calibration {
  if (weights === undefined || (samples === undefined && macsOf(placed) > SMALL_MODEL)) {
    return { report: structuralRanges(placed.secret, inputOf), method: "structure" };
  }
  const model = evaluateGraph(placed.model, new Map(), weights, run);
  const runs = samples ?? Array.from({ length: SYNTHETIC_SAMPLES }, (_, i) => syntheticInputs(placed, i + 1));
  // One sample's values at a time: one-hot rows are large.
  let latest: { readonly of: ModelInputs; readonly values: ReadonlyMap<string, TensorValue> } | undefined;
  const dataOf = (inputs: ModelInputs) => {
    latest = latest?.of === inputs ? latest : { of: inputs, values: evaluateGraph(placed.data, inputs, weights) };
    return latest.values;
  };
  const lookups = runs.map((inputs) => (name: string) => {
    const binding = placed.bindings.find(({ input }) => input === name)!;
    return (binding.owner === "model" ? model : dataOf(inputs)).get(binding.output)!;
  });
  const report = calibratedRanges(placed.secret, lookups, inputOf, run);
  return { report, method: samples === undefined ? "synthetic inputs" : "given inputs" };
}

/** Multiply-adds of the secret program's products in the clear. */
function macsOf(placed: Placed): number {
  let macs = 0;
  for (const node of placed.secret.nodes) {
    macs += node.op === "matmul" ? sizeOf(node.type.shape) * node.args[0].type.shape.at(-1)! : 0;
  }
  return macs;
}

/** Inputs that exercise the model: uniform ids, full masks, ascending positions, normal floats. */
function syntheticInputs(placed: Placed, seed: number): ModelInputs {
  const depths = idDepths(placed);
  const masks = placedMaskInputs(placed);
  const numbers = uniform(seed);
  const inputs = placed.data.nodes.filter(({ op }) => op === "input");
  return new Map(
    inputs.map((node) => {
      const name = node.attributes.name as string;
      const kept = masks.has(name) || /mask/i.test(name) || node.type.dtype === "bool";
      const data = new Float64Array(sizeOf(node.type.shape));
      data.forEach((_, i) => {
        data[i] = kept ? 1 : syntheticNumber(name, node.type, i, depths.get(node), numbers);
      });
      return [name, { ...node.type, data }];
    }),
  );
}

function syntheticNumber(
  name: string,
  { dtype, shape }: TensorType,
  i: number,
  depth: number | undefined,
  numbers: () => number,
): number {
  const last = shape.at(-1) ?? 1;
  if (isFloat(dtype)) {
    return Math.sqrt(-2 * ln(numbers() + 1e-12)) * cos(2 * Math.PI * numbers());
  }
  if (/position/i.test(name)) {
    return i % last;
  }
  const type = /token_type|segment/i.test(name) || (depth !== undefined && depth <= MOST_TOKEN_TYPES);
  return type ? 0 : Math.floor(numbers() * (depth ?? 2));
}

/** How many values the ids of an input may take: the depth of the one-hot rows made of them. */
function idDepths(placed: Placed): ReadonlyMap<Node<TensorType>, number> {
  const depths = new Map<Node<TensorType>, number>();
  const sources = new Map<Node<TensorType>, Node<TensorType>>();
  for (const node of placed.data.nodes) {
    const source = node.op === "input" ? node : node.args.map((argument) => sources.get(argument)).find((each) => each);
    if (source !== undefined) {
      sources.set(node, source);
      if (node.op === "oneHot") {
        depths.set(source, Math.min(depths.get(source) ?? Number.POSITIVE_INFINITY, node.attributes.depth as number));
      }
    }
  }
  return depths;
}

/** A fixed sequence of numbers in [0, 1): Park and Miller's generator, good enough to exercise a model. */
function uniform(seed: number): () => number {
  let state = (seed * 7919) % 2147483647;
  return () => {
    state = (state * 48271) % 2147483647;
    return state / 2147483647;
  };
}
