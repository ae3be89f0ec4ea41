/**
 * Wrong options end in words, never in "a mistake in pumac": whatever shapes, dimensions, values and outputs a user
 * asks for of a model, the compiler compiles or throws diagnostics.
 */
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type CompileOptions, compileModel } from "../../compiler/compile.js";
import { PumacError } from "../../ir/diagnostics.js";
import { OWN_FIXTURES } from "./support.js";

const BERT = "bert_cls.t5.legacy.eager.op11.dyn";
const LLAMA = "llama_lm.t5.legacy.eager.op14.dyn.ortall";
const VIT = "vit_cls.t5.legacy.eager.op14.dyn";

const dims = (batch: number, seq: number): CompileOptions => ({ dims: { batch, seq } });
const both = (batch: number, seq: number): CompileOptions => ({
  shapes: { input_ids: [batch, seq], attention_mask: [batch, seq] },
});
const one = { data: [1] };

const WRONG: readonly (readonly [string, string, CompileOptions])[] = [
  ...[BERT, LLAMA].flatMap((model) => [
    ["no row", model, dims(0, 4)] as const,
    ["no token", model, dims(1, 0)] as const,
    ["one token", model, dims(1, 1)] as const,
    ["longer than its positions", model, dims(1, 480)] as const,
    ["no token by shape", model, both(1, 0)] as const,
    ["a dimension below zero", model, dims(-1, 4)] as const,
    ["half a token", model, dims(1, 2.5)] as const,
    ["another rank", model, { ...dims(1, 4), shapes: { input_ids: [4] } }] as const,
    ["shapes that disagree", model, { ...dims(1, 4), shapes: { input_ids: [1, 4], attention_mask: [1, 5] } }] as const,
    ["batches that disagree", model, { shapes: { input_ids: [2, 4], attention_mask: [3, 4] } }] as const,
    ["all secret", model, { ...dims(1, 4), secret: ["input_ids", "attention_mask"] }] as const,
    ["all public", model, { ...dims(1, 4), public: ["input_ids", "attention_mask"] }] as const,
    ["a token", model, { ...dims(1, 4), reveal: ["token"] }] as const,
    ["a given mask", model, { ...dims(1, 4), values: { attention_mask: one } }] as const,
    ["given ids", model, { ...dims(1, 4), values: { input_ids: one } }] as const,
    ["an id that no table has", model, { ...dims(1, 4), values: { input_ids: { data: [1e9] } } }] as const,
    ["ids that are no numbers", model, { ...dims(1, 4), values: { input_ids: { data: [Number.NaN] } } }] as const,
    ["a value of another shape", model, { ...dims(1, 4), values: { input_ids: { data: [1, 2, 3] } } }] as const,
    ["a name that is none", model, { ...dims(1, 4), values: { none: one } }] as const,
  ]),
  ["another picture", VIT, { shapes: { pixel_values: [1, 3, 5, 5] } }],
  ["other channels", VIT, { shapes: { pixel_values: [1, 1, 32, 32] } }],
  ["no picture", VIT, { shapes: { pixel_values: [0, 3, 32, 32] } }],
  ["a flat picture", VIT, { shapes: { pixel_values: [3, 32, 32] } }],
  ["a token of a picture", VIT, { shapes: { pixel_values: [1, 3, 30, 30] }, reveal: ["token"] }],
];

describe("wrong options", () => {
  it.each(WRONG)("%s: %s", async (_, model, options) => {
    const outcome = await compileModel(join(OWN_FIXTURES, model, "model.onnx"), { ...options, weights: false }).then(
      ({ plan }) => plan.steps.length,
      (error: unknown) => (error instanceof PumacError ? error.diagnostics.map(({ code }) => code) : error),
    );
    expect(outcome).not.toBeInstanceOf(Error);
  });
});
