/**
 * The trained classifier of models/bert-sst2 on SST-2, by the simulated roles: what `npm run accuracy` and its test
 * sample share. onnxruntime's logits for every sentence of the development set lie beside the model; the sentences
 * themselves may not be copied and are read from the folder that PUMAC_DATA names.
 *
 * A sentence longer than the plan's tokens is cut to the first ones and the closing [SEP], as for the reference.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { dataInputs, runOwners } from "../cli/owners.js";
import type { LoadedPlan } from "../cli/plan-file.js";
import { simulate } from "../cli/simulation.js";
import { loadEncoder } from "../cli/text.js";
import type { WeightStore } from "../ir/tensor/index.js";
import type { TensorValue } from "../ir/tensor/value.js";

export const TOKENS = 48;

/** One sentence of the development set, with onnxruntime's logits; `label` where the sentences are at hand. */
export interface Sentence {
  readonly ids: readonly number[];
  readonly reference: readonly number[];
  readonly label: number | undefined;
}

export interface Sst2 {
  readonly sentences: readonly Sentence[];
  /** False where only the token ids of the first 20 sentences are there. */
  readonly isWhole: boolean;
}

interface ReferenceFile {
  readonly first_ids: readonly (readonly number[])[];
  readonly logits: readonly (readonly number[])[];
}

/** The development set: all of it where `data` (PUMAC_DATA) holds sst2/dev.tsv, else the bundled first sentences. */
export function readSst2(model: string, data: string): Sst2 {
  const reference = JSON.parse(readFileSync(join(model, "reference.json"), "utf8")) as ReferenceFile;
  const path = join(data, "sst2", "dev.tsv");
  if (!existsSync(path)) {
    const cut = (ids: readonly number[]) =>
      ids.length <= TOKENS ? ids : [...ids.slice(0, TOKENS - 1), ...ids.slice(-1)];
    const sentences = reference.first_ids.map((ids, i) => ({
      ids: cut(ids),
      reference: reference.logits[i],
      label: undefined,
    }));
    return { sentences, isWhole: false };
  }
  const encoder = loadEncoder(join(model, "tokenizer.json"));
  const lines = readFileSync(path, "utf8").trimEnd().split("\n").slice(1);
  const sentences = lines.map((line, i) => {
    const [label, text] = line.split("\t");
    return { ids: encoder.encode(text, TOKENS), reference: reference.logits[i], label: Number(label) };
  });
  return { sentences, isWhole: true };
}

/** The private logits of one sentence; `seed` makes the run reproducible. */
export async function classify(
  loaded: LoadedPlan,
  weights: WeightStore,
  ids: readonly number[],
  seed: number,
): Promise<readonly number[]> {
  const inputs = new Map<string, TensorValue>();
  for (const [name, type] of dataInputs(loaded.plan)) {
    const valueAt = (i: number): number => {
      if (i >= ids.length || /type/.test(name)) {
        return 0;
      }
      return /mask/.test(name) ? 1 : ids[i];
    };
    inputs.set(name, { ...type, data: Float64Array.from({ length: TOKENS }, (_, i) => valueAt(i)) });
  }
  const { outputs } = await simulate(loaded, runOwners(loaded.plan, inputs, weights), seed);
  const [logits] = outputs.values();
  return [...logits.data];
}

/** Wilson's score interval of a proportion at 95 % (JASA 1927). */
export function wilsonInterval(hits: number, count: number): readonly [number, number] {
  const z = 1.96;
  const share = hits / count;
  const spread = 1 + z ** 2 / count;
  const middle = (share + z ** 2 / (2 * count)) / spread;
  const half = (z / spread) * Math.sqrt((share * (1 - share)) / count + z ** 2 / (4 * count ** 2));
  return [Math.max(0, middle - half), Math.min(1, middle + half)];
}

export interface Accuracy {
  readonly count: number;
  /** Sentences with onnxruntime's label. */
  readonly agreed: number;
  /** Sentences with the data set's label, by the private and by the plain logits; undefined without labels. */
  readonly correct: { readonly privately: number; readonly plainly: number } | undefined;
  readonly largestError: number;
  /** Mean over sentences of the larger error of the two logits. */
  readonly meanError: number;
}

/** Sums up private logits against the sentences that they are of, in the same order. */
export function compareLogits(sentences: readonly Sentence[], logits: readonly (readonly number[])[]): Accuracy {
  const labelOf = (pair: readonly number[]): number => Number(pair[1] > pair[0]);
  const done = logits.map((given, i) => ({ given, ...sentences[i] }));
  const errors = done.map(({ given, reference }) => Math.max(...given.map((x, i) => Math.abs(x - reference[i]))));
  const countOf = (isHit: (each: (typeof done)[number]) => boolean): number => done.filter(isHit).length;
  return {
    count: done.length,
    agreed: countOf(({ given, reference }) => labelOf(given) === labelOf(reference)),
    correct: done.some(({ label }) => label === undefined)
      ? undefined
      : {
          privately: countOf(({ given, label }) => labelOf(given) === label),
          plainly: countOf(({ reference, label }) => labelOf(reference) === label),
        },
    largestError: errors.reduce((most, each) => Math.max(most, each), 0),
    meanError: errors.reduce((sum, each) => sum + each, 0) / errors.length,
  };
}
