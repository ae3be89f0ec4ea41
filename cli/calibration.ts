/**
 * The inputs of `compile --calibrate`: test data folders, texts, and data sets, of which the first examples are taken.
 * A model of batch B takes B texts or examples at a time; a last batch is filled up with its last one.
 */
import { existsSync, statSync } from "node:fs";
import { readExamples } from "../analysis/data/examples.js";
import type { ModelInputs } from "../compiler/calibrate.js";
import type { TensorType } from "../ir/tensor/value.js";
import { readInputs } from "./inputs.js";

/** Examples of a data set that are run in the clear: enough to see how large values become. */
const MOST_EXAMPLES = 64;

/** The values of the model's inputs for every run that calibrates. */
export function readCalibration(
  sources: readonly string[],
  tokenizer: string | undefined,
  types: ReadonlyMap<string, TensorType>,
): readonly ModelInputs[] {
  const texts = sources.filter((source) => source.startsWith("text:"));
  const others = sources.filter((source) => !source.startsWith("text:"));
  const [first] = types.values();
  const rows = first === undefined || first.shape.length < 2 ? 1 : first.shape[0];
  const ofTexts = batchesOf(texts, rows).map((input) => readInputs({ input, tokenizer }, types));
  return [...ofTexts, ...others.flatMap((source) => readSource(source, tokenizer, types))];
}

function readSource(
  source: string,
  tokenizer: string | undefined,
  types: ReadonlyMap<string, TensorType>,
): readonly ModelInputs[] {
  if (!existsSync(source) || statSync(source).isDirectory()) {
    return [readInputs({ input: [], inputs: source, tokenizer }, types)];
  }
  const examples = readExamples(source, tokenizer, types);
  const places = Array.from({ length: Math.min(examples.count, MOST_EXAMPLES) }, (_, i) => i);
  return batchesOf(places, examples.batch).map((batch) => examples.inputs(batch));
}

function batchesOf<T>(items: readonly T[], size: number): readonly (readonly T[])[] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) =>
    Array.from({ length: size }, (_, k) => items[Math.min(i * size + k, items.length - 1)]),
  );
}
