/**
 * A real encoder (all-MiniLM-L6-v2, beside the checkout) at 32 tokens, on ranges of a few of its reference sentences:
 * what it costs, and that the embedding of a sentence that no range was measured on is right, through three roles.
 */
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";
import { costReport } from "../../analysis/cost.js";
import { simulate } from "../../client/local/simulation.js";
import { runOwners } from "../../client/owners.js";
import { compileModel } from "../../compiler/compile.js";
import { planDigest } from "../../ir/plan/codec.js";
import type { TensorValue } from "../../ir/tensor/value.js";

const DATA = process.env.PUMAC_DATA ?? resolve(import.meta.dirname, "../../../shared/data");
const MODEL = join(DATA, "minilm/model.onnx");
const TOKENS = 32;

interface Sentence {
  readonly ids: readonly number[];
  readonly embedding: readonly number[];
}

function inputsOf({ ids }: Sentence): Map<string, TensorValue> {
  const row = (at: (i: number) => number): TensorValue => ({
    dtype: "i64",
    shape: [1, TOKENS],
    data: Float64Array.from({ length: TOKENS }, (_, i) => at(i)),
  });
  return new Map([
    ["input_ids", row((i) => ids[i] ?? 0)],
    ["attention_mask", row((i) => (i < ids.length ? 1 : 0))],
    ["token_type_ids", row(() => 0)],
  ]);
}

test.skipIf(!existsSync(MODEL))(
  "MiniLM: 52 MB and 138 rounds at 32 tokens, embeddings within 0.002",
  async () => {
    const reference = readFileSync(join(DATA, "minilm/reference.json"), "utf8");
    const { sentences } = JSON.parse(reference) as { readonly sentences: readonly Sentence[] };
    const [tested, ...others] = sentences;
    const { plan, weights } = await compileModel(MODEL, {
      dims: { batch_size: 1, sequence_length: TOKENS },
      calibration: others.slice(0, 16).map(inputsOf),
      reveal: ["sentence_embedding"],
    });
    const { rounds, bytes } = costReport(plan).cost;
    expect(rounds).toBeLessThanOrEqual(138);
    expect(bytes.total).toBeLessThan(52e6);
    expect(plan.formulas.some(({ form }) => form.includes("no maximum in"))).toBe(true);
    const owners = runOwners(plan, inputsOf(tested), weights);
    const { outputs } = await simulate({ plan, digest: planDigest(plan) }, owners, 1);
    const { data } = outputs.get("sentence_embedding")!;
    const errors = tested.embedding.map((each, i) => Math.abs(each - data[i]));
    expect(errors).toHaveLength(384);
    expect(Math.max(...errors)).toBeLessThan(2e-3);
  },
  300_000,
);
