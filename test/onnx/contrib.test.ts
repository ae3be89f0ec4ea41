/** onnxruntime's fused operators mean what onnxruntime computes, in each of the forms that their inputs have. */
import { describe, it } from "vitest";
import { type CaseInput, compareWithRuntime, type OperatorCase } from "./oracle.js";

const domain = "com.microsoft";
const f32 = (...shape: number[]): CaseInput => ({ shape });
const i32 = (shape: number[], values: number[], fixed = false): CaseInput => ({ shape, values, dtype: "i32", fixed });
const i64 = (shape: number[], values: number[], fixed = false): CaseInput => ({ shape, values, dtype: "i64", fixed });
const int = (integer: number) => ({ integer });
const HEADS = { num_heads: int(2) };

/** Two rows of length 5, the second with two keys hidden. */
const MASK = i32([2, 5], [1, 1, 1, 1, 1, 1, 1, 1, 0, 0]);
const LENGTHS = i32([2], [5, 3]);

const attention = (
  inputs: (CaseInput | null)[],
  more: OperatorCase["attributes"] = {},
  outputs: OperatorCase["outputs"] = [[2, 5, 8]],
): OperatorCase => ({
  op: "Attention",
  domain,
  inputs: [f32(2, 5, 8), f32(8, 24), f32(24), ...inputs],
  outputs,
  attributes: { ...HEADS, ...more },
});

const ATTENTION: Record<string, OperatorCase> = {
  plain: attention([]),
  "raw mask": attention([MASK]),
  "mask by query": attention([
    i32(
      [2, 5, 5],
      Array.from({ length: 50 }, (_, i) => (i % 7 === 3 ? 0 : 1)),
    ),
  ]),
  lengths: attention([LENGTHS]),
  "ends and starts": attention([i32([4], [5, 4, 0, 1])]),
  "another filter value": attention([MASK], { mask_filter_value: { number: -50 } }),
  unidirectional: attention([], { unidirectional: int(1) }),
  "unidirectional with mask": attention([MASK], { unidirectional: int(1) }),
  scale: attention([], { scale: { number: 0.3 } }),
  bias: attention([null, null, f32(2, 2, 5, 5)]),
  "other sizes of values": {
    ...attention([]),
    inputs: [f32(2, 5, 8), f32(8, 20), f32(20)],
    outputs: [[2, 5, 4]],
    attributes: { ...HEADS, qkv_hidden_sizes: { integers: [8, 8, 4] } },
  },
  past: attention([null, f32(2, 2, 2, 3, 4)], { unidirectional: int(1) }, [
    [2, 5, 8],
    [2, 2, 2, 8, 4],
  ]),
};

const multiHead = (
  inputs: (CaseInput | null)[],
  outputs: OperatorCase["outputs"] = [[2, 3, 8]],
  more: OperatorCase["attributes"] = {},
): OperatorCase => ({
  op: "MultiHeadAttention",
  domain,
  inputs,
  outputs,
  attributes: { ...HEADS, ...more },
});
const QKV = [f32(2, 3, 8), f32(2, 5, 8), f32(2, 5, 8)];

const MULTI_HEAD: Record<string, OperatorCase> = {
  plain: multiHead(QKV),
  bias: multiHead([...QKV, f32(24)]),
  "padding mask": multiHead([...QKV, null, MASK]),
  lengths: multiHead([...QKV, null, LENGTHS]),
  "attention bias": multiHead([...QKV, null, null, f32(2, 2, 3, 5)]),
  "keys in heads": multiHead([f32(2, 3, 8), f32(2, 2, 5, 4), f32(2, 2, 5, 4)]),
  past: multiHead(
    [f32(2, 3, 8), f32(2, 3, 8), f32(2, 3, 8), null, null, null, f32(2, 2, 4, 4), f32(2, 2, 4, 4)],
    [
      [2, 3, 8],
      [2, 2, 7, 4],
      [2, 2, 7, 4],
    ],
  ),
  unidirectional: multiHead([f32(2, 5, 8), f32(2, 5, 8), f32(2, 5, 8)], [[2, 5, 8]], { unidirectional: int(1) }),
};

const CACHES = [f32(16, 8), f32(16, 8)];
const GROUPED = { num_heads: int(4), kv_num_heads: int(2) };
const grouped = (
  inputs: (CaseInput | null)[],
  outputs: OperatorCase["outputs"],
  more: OperatorCase["attributes"] = {},
): OperatorCase => ({
  op: "GroupQueryAttention",
  domain,
  inputs,
  outputs,
  attributes: { ...GROUPED, ...more },
});
const PROMPT = [f32(2, 5, 64), f32(2, 5, 32), f32(2, 5, 32), f32(2, 2, 0, 16), f32(2, 2, 0, 16)];
const FULL = i32([2, 1], [4, 4], true);
const TOTAL = i32([], [5], true);
const PRESENT = [
  [2, 5, 64],
  [2, 2, 5, 16],
  [2, 2, 5, 16],
];

const GROUP_QUERY: Record<string, OperatorCase> = {
  prompt: grouped([...PROMPT, FULL, TOTAL], PRESENT),
  "rotary prompt": grouped([...PROMPT, FULL, TOTAL, ...CACHES], PRESENT, { do_rotary: int(1) }),
  interleaved: grouped([...PROMPT, FULL, TOTAL, ...CACHES], PRESENT, { do_rotary: int(1), rotary_interleaved: int(1) }),
  "packed inputs": grouped([f32(2, 5, 128), null, null, f32(2, 2, 0, 16), f32(2, 2, 0, 16), FULL, TOTAL], PRESENT),
  window: grouped([...PROMPT, FULL, TOTAL], PRESENT, { local_window_size: int(2) }),
  softcap: grouped([...PROMPT, FULL, TOTAL], PRESENT, { softcap: { number: 2 } }),
  token: grouped(
    [
      f32(1, 1, 64),
      f32(1, 1, 32),
      f32(1, 1, 32),
      f32(1, 2, 4, 16),
      f32(1, 2, 4, 16),
      i32([1, 1], [4]),
      TOTAL,
      ...CACHES,
    ],
    [
      [1, 1, 64],
      [1, 2, 5, 16],
      [1, 2, 5, 16],
    ],
    { do_rotary: int(1) },
  ),
};

const rotary = (inputs: CaseInput[], output: number[], more: OperatorCase["attributes"] = {}): OperatorCase => ({
  op: "RotaryEmbedding",
  domain,
  inputs,
  outputs: [output],
  attributes: more,
});
const POSITIONS = i64([2, 3], [0, 1, 2, 4, 5, 6]);

const ROTARY: Record<string, OperatorCase> = {
  "three axes": rotary([f32(2, 3, 8), POSITIONS, f32(8, 2), f32(8, 2)], [2, 3, 8]),
  "four axes": rotary([f32(2, 2, 3, 4), POSITIONS, f32(8, 2), f32(8, 2)], [2, 2, 3, 4]),
  interleaved: rotary([f32(2, 2, 3, 4), POSITIONS, f32(8, 2), f32(8, 2)], [2, 2, 3, 4], { interleaved: int(1) }),
  offset: rotary([f32(2, 3, 8), i64([1], [3]), f32(8, 2), f32(8, 2)], [2, 3, 8]),
  "part of the features": rotary([f32(2, 3, 16), POSITIONS, f32(8, 2), f32(8, 2)], [2, 3, 16], {
    num_heads: int(2),
    rotary_embedding_dim: int(4),
  }),
};

const X = f32(2, 3, 8);
const EPSILON = { epsilon: { number: 1e-5 } };
const ids = i32([2, 3], [0, 4, 2, 5, 1, 1]);
const TABLES = [f32(6, 8), f32(10, 8)];

const REST: Record<string, OperatorCase> = {
  Gelu: { op: "Gelu", domain, inputs: [X], outputs: [[2, 3, 8]] },
  BiasGelu: { op: "BiasGelu", domain, inputs: [X, f32(8)], outputs: [[2, 3, 8]] },
  FastGelu: { op: "FastGelu", domain, inputs: [X], outputs: [[2, 3, 8]] },
  "FastGelu with bias": { op: "FastGelu", domain, inputs: [X, f32(8)], outputs: [[2, 3, 8]] },
  QuickGelu: { op: "QuickGelu", domain, inputs: [X], outputs: [[2, 3, 8]] },
  "QuickGelu as SiLU": {
    op: "QuickGelu",
    domain,
    inputs: [X],
    outputs: [[2, 3, 8]],
    attributes: { alpha: { number: 1 } },
  },
  SkipLayerNormalization: {
    op: "SkipLayerNormalization",
    domain,
    inputs: [X, X, f32(8), f32(8), f32(8)],
    outputs: [[2, 3, 8], null, null, [2, 3, 8]],
    attributes: EPSILON,
  },
  "SkipLayerNormalization, skip without batch": {
    op: "SkipLayerNormalization",
    domain,
    inputs: [X, f32(1, 3, 8), f32(8)],
    outputs: [[2, 3, 8]],
    attributes: EPSILON,
  },
  SkipSimplifiedLayerNormalization: {
    op: "SkipSimplifiedLayerNormalization",
    domain,
    inputs: [X, X, f32(8), f32(8)],
    outputs: [[2, 3, 8], null, null, [2, 3, 8]],
    attributes: EPSILON,
  },
  SimplifiedLayerNormalization: {
    op: "SimplifiedLayerNormalization",
    inputs: [X, f32(8)],
    outputs: [[2, 3, 8]],
    attributes: EPSILON,
  },
  EmbedLayerNormalization: {
    op: "EmbedLayerNormalization",
    domain,
    inputs: [ids, ids, ...TABLES, f32(6, 8), f32(8), f32(8), i32([2, 3], [1, 1, 1, 1, 1, 0])],
    outputs: [[2, 3, 8], [2], [2, 3, 8]],
    dtypes: ["f32", "i32", "f32"],
    attributes: EPSILON,
  },
  "EmbedLayerNormalization, positions": {
    op: "EmbedLayerNormalization",
    domain,
    inputs: [ids, null, ...TABLES, null, f32(8), f32(8), null, i32([2, 3], [3, 4, 5, 0, 1, 2])],
    outputs: [[2, 3, 8], [2]],
    dtypes: ["f32", "i32"],
    attributes: EPSILON,
  },
  FusedMatMul: {
    op: "FusedMatMul",
    domain,
    inputs: [f32(2, 3, 4), f32(2, 5, 4)],
    outputs: [[2, 3, 5]],
    attributes: { transB: int(1), alpha: { number: 0.5 } },
  },
  "FusedMatMul, batch last": {
    op: "FusedMatMul",
    domain,
    inputs: [f32(3, 2, 4), f32(4, 2, 5)],
    outputs: [[2, 3, 5]],
    attributes: { transBatchA: int(1), transBatchB: int(1) },
  },
  "FusedMatMul, all transposed": {
    op: "FusedMatMul",
    domain,
    inputs: [f32(4, 2, 3), f32(2, 5, 4)],
    outputs: [[2, 3, 5]],
    attributes: { transA: int(1), transB: int(1), transBatchA: int(1) },
  },
  FusedGemm: {
    op: "FusedGemm",
    domain,
    inputs: [f32(3, 4), f32(5, 4), f32(5)],
    outputs: [[3, 5]],
    attributes: { transB: int(1), activation: { string: "Relu" } },
  },
  "FusedGemm, leaky": {
    op: "FusedGemm",
    domain,
    inputs: [f32(3, 4), f32(4, 5)],
    outputs: [[3, 5]],
    attributes: { activation: { string: "LeakyRelu" }, activation_alpha: { number: 0.2 } },
  },
};

const GROUPS = {
  Attention: ATTENTION,
  MultiHeadAttention: MULTI_HEAD,
  GroupQueryAttention: GROUP_QUERY,
  RotaryEmbedding: ROTARY,
  others: REST,
};

describe.each(Object.entries(GROUPS))("%s", (_, cases) => {
  it.each(Object.entries(cases))("%s", (_name, test) => compareWithRuntime(test));
});
