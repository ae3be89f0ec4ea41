/**
 * Trained models give what they were trained for: both exports of the sentence classifier give the reference logits of
 * PyTorch, and the sorter and the story teller agree between their two exports.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { importOnnx } from "../../compiler/onnx/index.js";
import type { TensorValue } from "../../ir/tensor/value.js";
import { DATA, evaluateModel, expectClose } from "./support.js";

const BERT = join(DATA, "bert-sst2");
const LENGTH = 48;

function integers(values: readonly number[]): TensorValue {
  return { dtype: "i64", shape: [1, values.length], data: Float64Array.from(values) };
}

describe.skipIf(!existsSync(BERT))("bert-sst2 (PUMAC_DATA)", () => {
  it.each(["bert_sst2.legacy.op14.onnx", "bert_sst2.dynamo.op20.static48.onnx"])(
    "%s gives the reference logits",
    (file) => {
      const model = importOnnx(join(BERT, file), { dims: { b: 1, s: LENGTH } });
      const reference = JSON.parse(readFileSync(join(BERT, "reference.json"), "utf8"));
      for (const sentence of [0, 1, 7]) {
        const ids: number[] = reference.first_ids[sentence];
        const pad = (value: number): number[] => Array.from({ length: LENGTH }, (_, i) => (i < ids.length ? value : 0));
        const inputs = new Map([
          ["input_ids", integers(pad(0).map((_, i) => ids[i] ?? 0))],
          ["attention_mask", integers(pad(1))],
          ["token_type_ids", integers(pad(0).map(() => 0))],
        ]);
        const logits = evaluateModel(model, inputs).get(model.graph.outputs[0].name);
        const wanted: TensorValue = {
          dtype: "f32",
          shape: [1, 2],
          data: Float64Array.from(reference.logits[sentence]),
        };
        expectClose(logits, wanted, 1e-4, `sentence ${sentence}`);
      }
    },
  );
});

const PAIRS = [
  ["gpt-nano-sort", "gpt-nano-sort.legacy.op14.onnx", "gpt-nano-sort.dynamo.op20.static11.onnx", 11],
  ["llama-stories260k", "stories260K.legacy.op14.onnx", "stories260K.dynamo.op18.static32.onnx", 32],
] as const;

describe.skipIf(!existsSync(join(DATA, PAIRS[0][0])))("trained decoders (PUMAC_DATA)", () => {
  it.each(PAIRS)("%s: both exports agree", (folder, first, second, length) => {
    const inputs = new Map([
      ["input_ids", integers(Array.from({ length }, (_, i) => (i * 7) % 3))],
      ["attention_mask", integers(Array(length).fill(1))],
    ]);
    const run = (file: string): TensorValue => {
      const model = importOnnx(join(DATA, folder, file), { dims: { b: 1, s: length } });
      return evaluateModel(model, inputs).get("logits") as TensorValue;
    };
    const logits = run(first);
    expect(Math.max(...logits.data)).toBeGreaterThan(1);
    expectClose(run(second), logits, 1e-3, folder);
  });
});
