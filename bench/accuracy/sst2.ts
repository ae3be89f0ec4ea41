/**
 * The trained classifier of models/bert-sst2 on SST-2's development set. onnxruntime's logits for every sentence lie
 * beside the model; the sentences may not be copied and are read from the folder that PUMAC_DATA names. Without them
 * the first 20 are there, as token ids, without labels.
 *
 * A sentence longer than the plan's tokens is cut to the first ones and the closing [SEP], as for the reference.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { scoresOf, type Values } from "../../analysis/data/evaluation.js";
import { type Examples, readExamples } from "../../analysis/data/examples.js";
import { dataInputs } from "../../client/owners.js";
import type { TensorType } from "../../ir/tensor/value.js";
import { formulasAlone } from "./puma.js";
import { largestDifference, likeliest, type Prepared, type Profile, prepare, type Task } from "./task.js";

const TOKENS = 48;

const BOUNDS = { agreement: 0.995, error: 0.02, accuracy: 0.003 };

interface ReferenceFile {
  readonly first_ids: readonly (readonly number[])[];
  readonly logits: readonly (readonly number[])[];
}

/** `model`: the folder models/bert-sst2; `data`: PUMAC_DATA. */
export async function sst2Task(profile: Profile, model: string, data: string): Promise<Task> {
  const names = ["input_ids", "attention_mask", "token_type_ids"];
  const shapes = Object.fromEntries(names.map((name) => [name, [1, TOKENS]]));
  const prepared = await prepare(join(model, "bert_sst2.legacy.op14.onnx"), profile, shapes);
  const reference = JSON.parse(readFileSync(join(model, "reference.json"), "utf8")) as ReferenceFile;
  const path = join(data, "sst2", "dev.tsv");
  const types = dataInputs(prepared.plan);
  const examples = existsSync(path)
    ? await readExamples(path, join(model, "tokenizer.json"), types)
    : bundled(reference.first_ids, types);
  const { digest, rounds, bytes } = prepared;
  const run = sentenceRunner(prepared, examples, reference.logits);
  const about = { model: "BERT (2 layers), SST-2", unit: "sentences", against: "onnxruntime" } as const;
  const cost = { digest, rounds, bytes };
  return { set: "sst2", profile, ...about, ...cost, total: examples.count, batch: 1, bounds: BOUNDS, run };
}

function sentenceRunner(
  prepared: Prepared,
  { inputs, labels }: Examples,
  logits: ReferenceFile["logits"],
): Task["run"] {
  const output = scoresOf(prepared.plan, 1);
  const formulas = prepared.plan.profile === "puma" ? formulasAlone(prepared) : undefined;
  const read = (outputs: Values): ArrayLike<number> => outputs.get(output)!.data;
  return async (place) => {
    const given = inputs([place]);
    const privately = read((await prepared.roles(given, place + 1)).outputs);
    const [label, wanted] = [labels[place], logits[place]];
    const compare = (logits: ArrayLike<number>) => {
      const [mine, plain] = [likeliest(logits), likeliest(wanted)];
      const right = label === undefined ? undefined : { privately: mine === label, plainly: plain === label };
      return { agreed: mine === plain, right, error: largestDifference(logits, wanted) };
    };
    const alone = formulas && { formulas: compare(read(formulas(given))) };
    return [{ place, ...compare(privately), ...alone }];
  };
}

/** The bundled sentences as token ids. */
function bundled(sentences: ReferenceFile["first_ids"], types: ReadonlyMap<string, TensorType>): Examples {
  const cut = (ids: readonly number[]) =>
    ids.length <= TOKENS ? ids : [...ids.slice(0, TOKENS - 1), ...ids.slice(-1)];
  const numberAt = (name: string, ids: readonly number[], i: number): number =>
    i >= ids.length || /type/.test(name) ? 0 : /mask/.test(name) ? 1 : ids[i];
  return {
    count: sentences.length,
    labels: sentences.map(() => undefined),
    batch: 1,
    inputs: ([place]) => {
      const ids = cut(sentences[place]);
      const row = (name: string) => Float64Array.from({ length: TOKENS }, (_, i) => numberAt(name, ids, i));
      return new Map([...types].map(([name, type]) => [name, { ...type, data: row(name) }] as const));
    },
  };
}
