/**
 * Calibration (NUMERICS.md, "Ranges"): what the compiler knows of the size of values. Real inputs are best. Where none
 * are given and the model is small, the compiler makes inputs itself (`synthetic.ts`); where the model is large or its
 * weights are not at hand, it takes the structure's word.
 */

import { evaluateGraph, Rooms, type WeightStore } from "../ir/tensor/index.js";
import { sizeOf, type TensorValue } from "../ir/tensor/value.js";
import type { Placed } from "../passes/place.js";
import {
  type CalibrationRun,
  calibratedRanges,
  type InputsOf,
  type RangeReport,
  structuralRanges,
} from "../passes/range.js";
import { type ModelInputs, syntheticSamples } from "./synthetic.js";

/** Multiply-adds of a secret program up to which the compiler calibrates by itself. */
const SMALL_MODEL = 3e8;

export type { ModelInputs } from "./synthetic.js";

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
  const runs = samples ?? syntheticSamples(placed);
  // One sample's values at a time: one-hot rows are large.
  let latest: { readonly of: ModelInputs; readonly values: ReadonlyMap<string, TensorValue> } | undefined;
  const rooms = new Rooms();
  const dataOf = (inputs: ModelInputs) => {
    if (latest?.of !== inputs) {
      latest?.values.forEach(({ data }) => {
        rooms.give(data);
      });
      latest = { of: inputs, values: evaluateGraph(placed.data, inputs, weights, { ...run, rooms }) };
    }
    return latest.values;
  };
  const lookups = runs.map((inputs) => (name: string) => {
    const binding = placed.bindings.find(({ input }) => input === name)!;
    return (binding.owner === "model" ? model : dataOf(inputs)).get(binding.output)!;
  });
  const report = calibratedRanges(placed.secret, lookups, inputOf, { ...run, rooms });
  // Ids at random attend to nothing: how far scores rise above their mean is learnt from real inputs only.
  return samples === undefined
    ? { report: { ...report, heads: new Map() }, method: "synthetic inputs" }
    : { report, method: "given inputs" };
}

/** Multiply-adds of the secret program's products in the clear. */
function macsOf(placed: Placed): number {
  let macs = 0;
  for (const node of placed.secret.nodes) {
    macs += node.op === "matmul" ? sizeOf(node.type.shape) * node.args[0].type.shape.at(-1)! : 0;
  }
  return macs;
}
