/**
 * A real encoder (all-MiniLM-L6-v2, beside the checkout), at default options on ranges of inputs that the compiler
 * makes itself, and calibrated on texts: none of its 40 reference sentences is withheld by the overflow guard, and
 * every embedding is right.
 */
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";
import { calibrationInputs } from "../../analysis/data/calibration.js";
import { rolesOf } from "../../analysis/data/evaluation.js";
import { runModelOwner } from "../../client/owners.js";
import { compileModel } from "../../compiler/compile.js";
import { planDigest } from "../../ir/plan/codec.js";

const DATA = process.env.PUMAC_DATA ?? resolve(import.meta.dirname, "../../../shared/data");
const MODEL = join(DATA, "minilm/model.onnx");

interface Sentence {
  readonly ids: readonly number[];
  readonly embedding: readonly number[];
}

const TOKENIZER = join(DATA, "minilm/tokenizer.json");
const INPUTS = ["input_ids", "attention_mask", "token_type_ids"];

test.skipIf(!existsSync(MODEL)).each([
  { how: "without calibration", tokens: 32, samples: undefined, most: 4e-3 },
  { how: "calibrated", tokens: 128, samples: join(DATA, "minilm/calibration.jsonl"), most: 2e-3 },
])("MiniLM: no false alarm on its reference sentences, $how", async ({ tokens, samples, most }) => {
  const reference = readFileSync(join(DATA, "minilm/reference.json"), "utf8");
  const { sentences } = JSON.parse(reference) as { readonly sentences: readonly Sentence[] };
  const types = new Map(INPUTS.map((name) => [name, { dtype: "i64" as const, shape: [1, tokens] }]));
  const given = samples === undefined ? [] : [{ data: samples, tokenizer: TOKENIZER }];
  const calibration = await calibrationInputs(given, types);
  const dims = { batch_size: 1, sequence_length: tokens };
  const { plan, weights } = await compileModel(MODEL, { dims, ...(calibration.length > 0 && { calibration }) });
  const roles = rolesOf({ plan, digest: planDigest(plan) }, runModelOwner(plan, weights));
  const row = (at: (i: number) => number) => {
    const data = Float64Array.from({ length: tokens }, (_, i) => at(i));
    return { dtype: "i64" as const, shape: [1, tokens], data };
  };
  const alarmed: number[] = [];
  for (const [index, { ids, embedding }] of sentences.entries()) {
    const inputs = new Map([
      ["input_ids", row((i) => ids[i] ?? 0)],
      ["attention_mask", row((i) => (i < ids.length ? 1 : 0))],
      ["token_type_ids", row(() => 0)],
    ]);
    const { outputs, alarm } = await roles(inputs, index);
    if (alarm) {
      alarmed.push(index);
    }
    const { data } = outputs.get("sentence_embedding")!;
    const errors = embedding.map((each, i) => Math.abs(each - data[i]));
    expect(Math.max(...errors), `sentence ${index}`).toBeLessThan(most);
  }
  expect(alarmed).toEqual([]);
});
