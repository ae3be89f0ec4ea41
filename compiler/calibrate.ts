/**
 * Calibration (NUMERICS.md, "Ranges"): what the compiler knows of the size of values. Real inputs are best. Where none
 * are given, the compiler makes inputs itself (`synthetic.ts`). Where the weights are not at hand it takes the
 * structure's word, and the plan is for cost only.
 */

import type { RangeSource } from "../ir/plan/types.js";
import { evaluateGraph, Rooms, type WeightStore } from "../ir/tensor/index.js";
import type { TensorValue } from "../ir/tensor/value.js";
import { type RoundingError, roundingError } from "../passes/noise.js";
import type { Placed } from "../passes/place.js";
import {
  type CalibrationRun,
  calibratedRanges,
  type InputsOf,
  MARGIN,
  type RangeReport,
  structuralRanges,
} from "../passes/range.js";
import { type ModelInputs, syntheticSamples } from "./synthetic.js";

export type { ModelInputs } from "./synthetic.js";

export interface Calibration {
  readonly report: RangeReport;
  readonly source: RangeSource;
  /** What rounding does to the outputs, where given inputs show it. */
  readonly rounding?: RoundingError;
}

/** So many inputs are asked what rounding does to the outputs. */
const ROUNDED = 2;

export function calibrate(
  placed: Placed,
  weights: WeightStore | undefined,
  samples: readonly ModelInputs[] | undefined,
  inputOf: InputsOf,
  run: CalibrationRun & { readonly made?: readonly ModelInputs[] | undefined } = {},
): Calibration {
  if (weights === undefined) {
    return assumedRanges(placed, inputOf, "structure");
  }
  const model = evaluateGraph(placed.model, new Map(), weights, run);
  const runs = samples ?? run.made ?? syntheticSamples(placed, model);
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
    const binding = placed.bindings.find(({ input }) => input === name);
    if (binding === undefined) {
      return inputs.get(name)!; // what earlier runs kept
    }
    return (binding.owner === "model" ? model : dataOf(inputs)).get(binding.output)!;
  });
  const report = calibratedRanges(placed.secret, lookups, inputOf, { ...run, rooms, isMade: samples === undefined });
  // Ids at random attend to nothing: how far scores rise above their mean is learnt from real inputs only.
  const inputs = runs.length;
  return samples === undefined
    ? { report: { ...report, heads: new Map() }, source: { method: "synthetic inputs", inputs, margin: MARGIN } }
    : {
        report,
        source: { method: "given inputs", inputs, margin: MARGIN },
        rounding: roundingError(
          placed.secret,
          lookups.slice(0, ROUNDED),
          (name) => placed.bindings.some(({ input, owner }) => input === name && owner === "model"),
          { multiply: run.multiply },
        ),
      };
}

/** Ranges from the structure alone: what trained transformers do, not what this one does. */
export function assumedRanges(
  placed: Placed,
  inputOf: InputsOf,
  method: "structure" | "structure by choice",
): Calibration {
  return { report: structuralRanges(placed.secret, inputOf), source: { method, inputs: 0, margin: 1 } };
}
