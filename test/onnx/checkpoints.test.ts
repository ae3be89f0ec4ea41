/**
 * A Hugging Face folder is a model: what the front end makes of it answers as Hugging Face's own models do
 * (checkpoints.json, by models/checkpoints.py).
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { importCheckpoint } from "../../compiler/checkpoint.js";
import { sizeOf, type TensorValue } from "../../ir/tensor/value.js";
import { evaluateModel } from "./support.js";

interface Case {
  readonly config: Readonly<Record<string, unknown>> & { readonly architectures: readonly string[] };
  readonly weights: Readonly<Record<string, readonly number[]>>;
  readonly inputs: Readonly<Record<string, readonly (readonly number[])[]>>;
  readonly outputs: Readonly<Record<string, readonly number[]>>;
}

const CASES: readonly Case[] = JSON.parse(readFileSync(join(import.meta.dirname, "checkpoints.json"), "utf8"));
const caseOf = (name: string): Case => CASES.find(({ config }) => config.architectures[0] === name)!;

const root = mkdtempSync(join(tmpdir(), "pumac-checkpoints-"));
afterAll(() => rmSync(root, { recursive: true }));
let folders = 0;

/** The numbers that models/checkpoints.py makes of a name. */
function weight(name: string, shape: readonly number[]): Float32Array {
  const seed = [...name].reduce((sum, letter, i) => sum + (i + 1) * letter.charCodeAt(0), 0);
  const isNorm = name.endsWith(".weight") && (name.toLowerCase().includes("norm") || name.includes(".ln_"));
  const value = (i: number): number =>
    (isNorm ? 1 : 0) + (((i * 7919 + seed * 104729 + i * i * 31) % 1009) / 1009) * 0.8 - 0.4;
  return Float32Array.from({ length: sizeOf(shape) }, (_, i) => value(i));
}

type Encoding = "F32" | "F16" | "BF16";

/** A power of two less, a few bits of mantissa: exact in every encoding. */
function encoded(values: Float32Array, dtype: Encoding): Uint8Array {
  if (dtype === "F32") {
    return new Uint8Array(values.buffer);
  }
  const words = new Uint32Array(values.buffer);
  const half = (word: number): number => {
    const exponent = ((word >>> 23) & 255) - 112;
    return exponent <= 0 ? 0 : ((word >>> 16) & 0x8000) | (exponent << 10) | ((word >>> 13) & 0x3ff);
  };
  return new Uint8Array(Uint16Array.from(words, (word) => (dtype === "BF16" ? word >>> 16 : half(word))).buffer);
}

function safetensors(
  tensors: ReadonlyMap<string, readonly [readonly number[], Float32Array]>,
  dtype: Encoding,
): Buffer {
  const header: Record<string, unknown> = { __metadata__: { format: "pt" } };
  const pieces: Uint8Array[] = [];
  let at = 0;
  for (const [name, [shape, values]] of tensors) {
    const bytes = encoded(values, dtype);
    header[name] = { dtype, shape, data_offsets: [at, at + bytes.length] };
    at += bytes.length;
    pieces.push(bytes);
  }
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, ...pieces]);
}

interface Saved {
  readonly dtype?: Encoding;
  readonly shards?: number;
  readonly rename?: (name: string) => string;
  readonly change?: (values: Float32Array) => Float32Array;
  readonly config?: Readonly<Record<string, unknown>>;
}

/** The folder that save_pretrained would write. */
function saved({ config, weights }: Case, { dtype = "F32", shards = 1, ...options }: Saved = {}): string {
  const folder = join(root, `model-${folders++}.5`);
  mkdirSync(folder);
  writeFileSync(join(folder, "config.json"), JSON.stringify({ ...config, ...options.config }));
  const { rename = (name: string) => name, change = (values: Float32Array) => values } = options;
  const all = Object.entries(weights).map(
    ([name, shape]) => [rename(name), [shape, change(weight(name, shape))]] as const,
  );
  if (shards === 1) {
    writeFileSync(join(folder, "model.safetensors"), safetensors(new Map(all), dtype));
    return folder;
  }
  const nameOf = (shard: number): string => `model-0000${shard + 1}-of-0000${shards}.safetensors`;
  for (let shard = 0; shard < shards; shard++) {
    const part = all.filter((_, i) => i % shards === shard);
    writeFileSync(join(folder, nameOf(shard)), safetensors(new Map(part), dtype));
  }
  const map = Object.fromEntries(all.map(([name], i) => [name, nameOf(i % shards)]));
  writeFileSync(join(folder, "model.safetensors.index.json"), JSON.stringify({ metadata: {}, weight_map: map }));
  return folder;
}

function inputsOf({ inputs }: Case): Map<string, TensorValue> {
  return new Map(
    Object.entries(inputs).map(([name, rows]) => [
      name,
      { dtype: "i64", shape: [rows.length, rows[0].length], data: Float64Array.from(rows.flat()) },
    ]),
  );
}

function answers(folder: string, each: Case): ReadonlyMap<string, TensorValue> {
  const inputs = inputsOf(each);
  const [batch, sequence] = inputs.get("input_ids")!.shape;
  return evaluateModel(importCheckpoint(folder, { dims: { batch, sequence } }), inputs);
}

function expectAnswers(found: ReadonlyMap<string, TensorValue>, { outputs, inputs }: Case): void {
  expect([...found.keys()]).toEqual(Object.keys(outputs));
  const real = inputs.attention_mask.flat();
  for (const [name, wanted] of Object.entries(outputs)) {
    const { data } = found.get(name)!;
    expect(data.length).toBe(wanted.length);
    const each = wanted.length / real.length;
    // What a model says at a place of padding is nothing that anyone reads.
    const isRead = (i: number): boolean => !Number.isInteger(each) || real[Math.floor(i / each)] === 1;
    const worst = wanted.reduce((most, value, i) => (isRead(i) ? Math.max(most, Math.abs(value - data[i])) : most), 0);
    expect(worst, name).toBeLessThan(3e-5);
  }
}

describe("a Hugging Face folder", () => {
  it.each(CASES.map((each, i) => ({ each, name: `${i} ${each.config.architectures[0]}` })))("$name", ({ each }) => {
    expectAnswers(answers(saved(each), each), each);
  });

  it("may be sharded, a link, without architectures, or of TensorFlow's names", () => {
    const each = caseOf("BertForSequenceClassification");
    const rename = (name: string): string =>
      name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta");
    const link = join(root, "link");
    symlinkSync(saved(each, { shards: 3 }), link);
    for (const folder of [link, saved(each, { rename }), saved(each, { config: { architectures: undefined } })]) {
      expectAnswers(answers(folder, each), each);
    }
  });

  it.each(["F16", "BF16"] as const)("may have weights of %s", (dtype) => {
    const each = caseOf("LlamaForCausalLM");
    const change = (values: Float32Array): Float32Array => values.map((value) => Math.round(value * 16) / 16);
    const [wide, narrow] = [saved(each, { change }), saved(each, { change, dtype })].map((path) => answers(path, each));
    expect(narrow).toEqual(wide);
  });

  it("shows its head by its weights where the config names none", () => {
    const ambiguous = ["GPT2LMHeadModel"];
    for (const each of CASES.filter(({ config }) => !ambiguous.includes(config.architectures[0])).slice(0, 25)) {
      const folder = saved(each, { config: { architectures: undefined } });
      expect([...answers(folder, each).keys()], each.config.architectures[0]).toEqual(Object.keys(each.outputs));
    }
  });
});

describe("a folder that is no model of ours", () => {
  const bert = caseOf("BertForSequenceClassification");
  const dims = { batch: 1, sequence: 6 };
  const refusal = (folder: string, given: Readonly<Record<string, number>> = dims): string => {
    try {
      importCheckpoint(folder, { dims: given });
    } catch (error) {
      return String(error);
    }
    return "none";
  };

  it("is told with what to do", () => {
    expect(refusal(saved(bert, { config: { model_type: "t5" } }))).toMatch(/E0401.*t5/s);
    expect(refusal(saved(bert, { config: { architectures: ["BertForPreTraining"] } }))).toMatch(/E0401.*PreTraining/s);
    expect(refusal(saved(bert, { config: { position_embedding_type: "relative_key" } }))).toMatch(
      /E0402.*relative_key/s,
    );
    expect(refusal(saved(bert, { config: { hidden_act: "xielu" } }))).toMatch(/E0402.*xielu/s);
    expect(refusal(saved(bert, { config: { quantization_config: {} } }))).toMatch(/E0402.*quantised/s);
    const yarn = { rope_parameters: { rope_type: "yarn", factor: 2 } };
    expect(refusal(saved(caseOf("LlamaModel"), { config: yarn }))).toMatch(/E0402.*yarn/s);
    expect(refusal(saved(bert, { config: { hidden_size: 10 } }))).toMatch(/E0301.*is \[.*the config says/s);
    expect(refusal(saved(bert, { config: { num_hidden_layers: 3 } }))).toMatch(/E0301.*lack 'bert.encoder.layer.2/s);
    expect(refusal(saved(bert), { batch: 1, sequence: 13 })).toMatch(/E0202.*13 tokens.*12 positions/s);
    expect(refusal(saved(bert), { batch: 1 })).toMatch(/E0203.*sequence/s);
    const empty = mkdtempSync(join(root, "empty-"));
    expect(refusal(empty)).toMatch(/E0301.*config\.json/s);
    writeFileSync(join(empty, "config.json"), JSON.stringify(bert.config));
    writeFileSync(join(empty, "pytorch_model.bin"), "");
    expect(refusal(empty)).toMatch(/E0301.*pytorch_model\.bin/s);
    writeFileSync(join(empty, "exported.onnx"), "");
    expect(refusal(empty)).toMatch(/give the export in it: .*exported\.onnx/);
    writeFileSync(
      join(empty, "model.safetensors.index.json"),
      JSON.stringify({ weight_map: { a: "../a.safetensors" } }),
    );
    expect(refusal(empty)).toMatch(/E0304/);
  });
});
