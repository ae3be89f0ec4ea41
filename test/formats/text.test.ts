/** Text as inputs: tokenised as the model's own tokenizer does, padded and cut to the plan's length. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type Cut, loadEncoder, type OnCut, textInputs } from "../../formats/text.js";
import type { TensorType } from "../../ir/tensor/value.js";

const MODEL = join(import.meta.dirname, "..", "..", "models", "bert-sst2");
const DATA = process.env.PUMAC_DATA ?? join(import.meta.dirname, "..", "..", "..", "shared", "data");
const SENTENCES = join(DATA, "sst2", "dev.tsv");

const encoder = loadEncoder(join(MODEL, "tokenizer.json"));
const inputs = (length: number, rows = 1): ReadonlyMap<string, TensorType> =>
  new Map(
    ["input_ids", "attention_mask", "token_type_ids"].map((name) => [name, { dtype: "i64", shape: [rows, length] }]),
  );

const inputsOf = async (texts: readonly string[], types: ReadonlyMap<string, TensorType>, onCut?: OnCut) =>
  textInputs(encoder.paddingId, await encoder.encode(texts), types, onCut);

describe("text", () => {
  it("becomes ids, mask and types, padded on the right", async () => {
    const values = await inputsOf(["A movie."], inputs(8));
    expect([...values.get("input_ids")!.data]).toEqual([2, 33, 188, 16, 3, 0, 0, 0]);
    expect([...values.get("attention_mask")!.data]).toEqual([1, 1, 1, 1, 1, 0, 0, 0]);
    expect([...values.get("token_type_ids")!.data]).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
  });

  it("is no longer than the plan, unless somebody wants it cut: with its closing special token kept", async () => {
    const [{ ids }] = await encoder.encode(["A movie. A movie."]);
    const whole = ids.length;
    await expect(inputsOf(["A movie. A movie."], inputs(whole))).resolves.toBeDefined();
    await expect(inputsOf(["A movie. A movie."], inputs(whole - 1))).rejects.toThrow(/has 8 tokens, the plan takes 7/);
    const cuts: Cut[] = [];
    const values = await inputsOf(["A movie. A movie."], inputs(4), (cut) => cuts.push(cut));
    expect(cuts).toEqual([{ text: 1, tokens: whole, length: 4 }]);
    expect([...values.get("input_ids")!.data]).toEqual([2, 33, 188, 3]);
    expect([...values.get("attention_mask")!.data]).toEqual([1, 1, 1, 1]);
  });

  it("fills the rows of a batch, as many as the plan has", async () => {
    const values = await inputsOf(["A movie.", "movie"], inputs(5, 2));
    expect([...values.get("input_ids")!.data]).toEqual([2, 33, 188, 16, 3, 2, 188, 3, 0, 0]);
    await expect(inputsOf(["A movie."], inputs(5, 2))).rejects.toThrow("1 texts were given, the plan takes 2");
  });

  it("has no place in a plan of pixels", async () => {
    const pixels = new Map<string, TensorType>([["pixel_values", { dtype: "f32", shape: [1, 3, 8, 8] }]]);
    await expect(inputsOf(["A movie."], pixels)).rejects.toThrow("no input of the plan takes text");
  });

  it.skipIf(!existsSync(SENTENCES))("is tokenised as in training (the first 20 sentences of SST-2)", async () => {
    const { first_ids } = JSON.parse(readFileSync(join(MODEL, "reference.json"), "utf8")) as { first_ids: number[][] };
    const lines = readFileSync(SENTENCES, "utf8").split("\n").slice(1, 21);
    const tokens = await encoder.encode(lines.map((line) => line.split("\t")[1]));
    expect(tokens.map(({ ids }) => ids)).toEqual(first_ids);
  });
});

describe("token ids are those of Python's tokenizers (models/tokenizer_texts.py)", () => {
  const folder = join(import.meta.dirname, "..", "fixtures", "tokenizers");
  const kinds = readdirSync(folder).filter((file) => file !== "texts.json");
  const texts = JSON.parse(readFileSync(join(folder, "texts.json"), "utf8")) as [string, Record<string, number[]>][];

  it("600 texts are there, and every kind of tokenizer has its share", () => {
    expect(new Set(texts.map(([text]) => text)).size).toBe(600);
    expect(kinds).toHaveLength(7);
  });

  it.each(kinds)("%s", async (file) => {
    const kind = file.replace(".json", "");
    const own = texts.filter(([, ids]) => kind in ids);
    expect(own.length).toBeGreaterThan(150);
    const tokens = await loadEncoder(join(folder, file)).encode(own.map(([text]) => text));
    const differing = own.filter(([, ids], i) => ids[kind].join() !== tokens[i].ids.join()).map(([text]) => text);
    expect(differing).toEqual([]);
  });
});
