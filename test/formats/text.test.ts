/** Text as inputs: tokenised as the model's own tokenizer does, padded and cut to the plan's length. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type Cut, encodeTexts, loadEncoder } from "../../formats/text.js";
import type { TensorType } from "../../ir/tensor/value.js";

const MODEL = join(import.meta.dirname, "..", "..", "models", "bert-sst2");
const DATA = process.env.PUMAC_DATA ?? join(import.meta.dirname, "..", "..", "..", "shared", "data");
const SENTENCES = join(DATA, "sst2", "dev.tsv");

const encoder = loadEncoder(join(MODEL, "tokenizer.json"));
const inputs = (length: number, rows = 1): ReadonlyMap<string, TensorType> =>
  new Map(
    ["input_ids", "attention_mask", "token_type_ids"].map((name) => [name, { dtype: "i64", shape: [rows, length] }]),
  );

describe("text", () => {
  it("becomes ids, mask and types, padded on the right", () => {
    const values = encodeTexts(encoder, ["A movie."], inputs(8));
    expect([...values.get("input_ids")!.data]).toEqual([2, 33, 188, 16, 3, 0, 0, 0]);
    expect([...values.get("attention_mask")!.data]).toEqual([1, 1, 1, 1, 1, 0, 0, 0]);
    expect([...values.get("token_type_ids")!.data]).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
  });

  it("is no longer than the plan, unless somebody wants it cut: with its closing special token kept", () => {
    const whole = encoder.encode("A movie. A movie.", 64).length;
    expect(() => encodeTexts(encoder, ["A movie. A movie."], inputs(whole))).not.toThrow();
    expect(() => encodeTexts(encoder, ["A movie. A movie."], inputs(whole - 1))).toThrow(
      /has 8 tokens, the plan takes 7/,
    );
    const cuts: Cut[] = [];
    const values = encodeTexts(encoder, ["A movie. A movie."], inputs(4), (cut) => cuts.push(cut));
    expect(cuts).toEqual([{ text: 1, tokens: whole, length: 4 }]);
    expect([...values.get("input_ids")!.data]).toEqual([2, 33, 188, 3]);
    expect([...values.get("attention_mask")!.data]).toEqual([1, 1, 1, 1]);
  });

  it("fills the rows of a batch, as many as the plan has", () => {
    const values = encodeTexts(encoder, ["A movie.", "movie"], inputs(5, 2));
    expect([...values.get("input_ids")!.data]).toEqual([2, 33, 188, 16, 3, 2, 188, 3, 0, 0]);
    expect(() => encodeTexts(encoder, ["A movie."], inputs(5, 2))).toThrow("1 texts were given, the plan takes 2");
  });

  it("has no place in a plan of pixels", () => {
    const pixels = new Map<string, TensorType>([["pixel_values", { dtype: "f32", shape: [1, 3, 8, 8] }]]);
    expect(() => encodeTexts(encoder, ["A movie."], pixels)).toThrow("no input of the plan takes text");
  });

  it.skipIf(!existsSync(SENTENCES))("is tokenised as in training (the first 20 sentences of SST-2)", () => {
    const { first_ids } = JSON.parse(readFileSync(join(MODEL, "reference.json"), "utf8")) as { first_ids: number[][] };
    const lines = readFileSync(SENTENCES, "utf8").split("\n").slice(1, 21);
    const ids = lines.map((line) => encoder.encode(line.split("\t")[1], 64));
    expect(ids).toEqual(first_ids);
  });
});
