/**
 * What a compile is calibrated on: single inputs, texts, and data sets, of which the first examples are taken. A model
 * of batch B takes B texts or examples at a time; a last batch is filled up with its last one.
 */
import { type GivenInputs, inputValues } from "../../client/inputs.js";
import type { ModelInputs } from "../../compiler/calibrate.js";
import type { TensorType } from "../../ir/tensor/value.js";
import { readExamples } from "./examples.js";

/** Inputs like those that a plan will meet: a labelled or unlabelled data set, or what a run could be given. */
export interface Samples extends GivenInputs {
  /** A data set: .tsv, .csv, .jsonl, .json or .npz. */
  readonly data?: string;
}

/** Examples of a data set that are run in the clear: enough to see how large values become. */
const MOST_EXAMPLES = 64;

/** The values of the model's inputs for every run that calibrates. E0201, E0202 and E0301 as for a run's inputs. */
export async function calibrationInputs(
  samples: readonly Samples[],
  types: ReadonlyMap<string, TensorType>,
): Promise<readonly ModelInputs[]> {
  const read = await Promise.all(samples.map((each) => inputsOf(each, types)));
  return read.flat();
}

async function inputsOf(samples: Samples, types: ReadonlyMap<string, TensorType>): Promise<readonly ModelInputs[]> {
  const { data, texts } = samples;
  if (data !== undefined) {
    const examples = await readExamples(data, samples.tokenizer, types);
    const indices = Array.from({ length: Math.min(examples.count, MOST_EXAMPLES) }, (_, i) => i);
    return batchesOf(indices, examples.batch).map((batch) => examples.inputs(batch));
  }
  if (texts !== undefined && texts.length > 0) {
    const [first] = types.values();
    const rows = first === undefined || first.shape.length < 2 ? 1 : first.shape[0];
    const batches = batchesOf(texts, rows);
    return Promise.all(
      batches.map((batch) => inputValues({ ...samples, texts: batch, onCut: () => undefined }, types)),
    );
  }
  return [await inputValues(samples, types)];
}

function batchesOf<T>(items: readonly T[], size: number): readonly (readonly T[])[] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) =>
    Array.from({ length: size }, (_, k) => items[Math.min(i * size + k, items.length - 1)]),
  );
}
