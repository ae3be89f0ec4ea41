/** Tiny decoders of one layer in the forms that exporters give their caches, with weights at random. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type GraphSource, type NodeSource, type TensorSource, writeModel } from "../../formats/onnx/write.js";

export interface DecoderForm {
  /** What hides tokens: an input of the graph, or the causal rule alone. */
  readonly mask: boolean;
  /** Where positions come from: an input, the length of the past, or the sum of the mask before them. */
  readonly positions: "input" | "past" | "mask";
  /** onnxruntime's GroupQueryAttention with rotary positions, or plain products. */
  readonly grouped?: boolean;
  /** A bias of scores by two places: their distance, or their product. */
  readonly bias?: "distance" | "product";
  /** Two branches, of which `use_cache_branch` chooses. */
  readonly merged?: boolean;
  /** The past has this length; otherwise any. */
  readonly fixed?: number;
}

const [WIDTH, HEADS, SIZE, WORDS, LONGEST] = [32, 2, 16, 24, 32];

function weight(name: string, shape: readonly number[], seed: number, scale = 0.4): TensorSource {
  const size = shape.reduce((product, each) => product * each, 1);
  const data = Float32Array.from({ length: size }, (_, i) => scale * Math.sin(1.7 * i * i + 13.1 * seed + 0.3 * i));
  return { name, dtype: "f32", shape, data };
}

function integers(name: string, values: readonly number[], shape: readonly number[] = [values.length]): TensorSource {
  return { name, dtype: "i64", shape, data: Float64Array.from(values) };
}

function rotary(name: "cosines" | "sines"): TensorSource {
  const wave = name === "cosines" ? Math.cos : Math.sin;
  const half = SIZE / 2;
  const data = Float32Array.from({ length: LONGEST * half }, (_, i) =>
    wave(Math.floor(i / half) * 10 ** (-(i % half) / half)),
  );
  return { name, dtype: "f32", shape: [LONGEST, half], data };
}

const WEIGHTS: readonly TensorSource[] = [
  weight("words", [WORDS, WIDTH], 1, 1),
  weight("places", [LONGEST, WIDTH], 2, 1),
  weight("query", [WIDTH, WIDTH], 3),
  weight("key", [WIDTH, WIDTH], 4),
  weight("value", [WIDTH, WIDTH], 5),
  weight("head", [WIDTH, WORDS], 6),
  rotary("cosines"),
  rotary("sines"),
  { name: "scale", dtype: "f32", shape: [], data: Float32Array.of(1 / Math.sqrt(SIZE)) },
  { name: "zero_f", dtype: "f32", shape: [], data: Float32Array.of(0) },
  { name: "far", dtype: "f32", shape: [], data: Float32Array.of(-1e9) },
  ...[0, 1, 2].map((each) => integers(`i${each}`, [each], [])),
  ...[0, 1].map((each) => integers(`axis${each}`, [each])),
  integers("split", [0, 0, HEADS, SIZE]),
  integers("joined", [0, 0, WIDTH]),
];

type Node = readonly [op: string, inputs: string, outputs: string, attributes?: NodeSource["attributes"]];

/** Lines of a graph; names of values are separated by spaces. */
function nodesOf(lines: readonly Node[], suffix: string, domain: (op: string) => string): NodeSource[] {
  const made = new Set(lines.flatMap(([, , outputs]) => outputs.split(" ")));
  const named = (names: string): string[] => names.split(" ").map((each) => (made.has(each) ? each + suffix : each));
  return lines.map(([op, inputs, outputs, attributes = {}]) => ({
    op,
    domain: domain(op),
    inputs: named(inputs).map((each) => (each === "-" ? "" : each)),
    outputs: named(outputs),
    attributes,
  }));
}

function lines(form: DecoderForm, hasPast: boolean): readonly Node[] {
  const { positions, grouped } = form;
  const lengths: Node[] = [
    ["Shape", "input_ids", "ids_shape"],
    ["Gather", "ids_shape i1", "rows"],
    ["Shape", "past_key_values.0.key", "past_shape"],
    ["Gather", "past_shape i2", "before"],
    ["Identity", hasPast ? "before" : "i0", "past"],
    ["Add", "past rows", "total"],
    ["Range", "past total i1", "own_places"],
    ["Range", "i0 total i1", "all_places"],
  ];
  const embedded: Node[] = [["Gather", "words input_ids", "embedded"]];
  const counted: Node[] = [
    ["CumSum", "attention_mask i1", "counts"],
    ["Sub", "counts i1", "counted"],
    ["Max", "counted i0", "places_all"],
    ["Unsqueeze", "past axis0", "past_1"],
    ["Unsqueeze", "total axis0", "total_1"],
    ["Slice", "places_all past_1 total_1 axis1", "at"],
  ];
  const at: Node[] =
    positions === "mask" ? counted : [["Identity", positions === "input" ? "position_ids" : "own_places", "at"]];
  const placed: Node[] = [...at, ["Gather", "places at", "place_rows"], ["Add", "embedded place_rows", "x"]];
  const factors: Node[] = ["query", "key", "value"].map((each): Node => ["MatMul", `x ${each}`, `${each}_flat`]);
  const lines = [...lengths, ...embedded, ...(grouped ? [["Identity", "embedded", "x"] as Node] : placed), ...factors];
  return [...lines, ...(grouped ? groupedLines() : plainLines(form, hasPast)), ["MatMul", "attended head", "logits"]];
}

function groupedLines(): readonly Node[] {
  const attributes = {
    num_heads: { integer: HEADS },
    kv_num_heads: { integer: HEADS },
    do_rotary: { integer: 1 },
  };
  return [
    ["ReduceSum", "attention_mask axis1", "kept", { keepdims: { integer: 0 } }],
    ["Sub", "kept i1", "last"],
    ["Cast", "last", "seqlens_k", { to: { integer: 6 } }],
    ["Cast", "total", "total_32", { to: { integer: 6 } }],
    [
      "GroupQueryAttention",
      "query_flat key_flat value_flat past_key_values.0.key past_key_values.0.value seqlens_k total_32 cosines sines",
      "attended present.0.key present.0.value",
      attributes,
    ],
  ];
}

function plainLines({ mask, bias }: DecoderForm, hasPast: boolean): readonly Node[] {
  const heads = ["query", "key", "value"].flatMap((each): Node[] => [
    ["Reshape", `${each}_flat split`, `${each}_split`],
    ["Transpose", `${each}_split`, `${each}_new`, { perm: { integers: [0, 2, 1, 3] } }],
  ]);
  const present = ["key", "value"].map(
    (each): Node =>
      hasPast
        ? ["Concat", `past_key_values.0.${each} ${each}_new`, `present.0.${each}`, { axis: { integer: 2 } }]
        : ["Identity", `${each}_new`, `present.0.${each}`],
  );
  const kept: Node[] = mask
    ? [
        ["Cast", "attention_mask", "mask_bool", { to: { integer: 9 } }],
        ["And", "causal mask_bool", "keep"],
      ]
    : [["Identity", "causal", "keep"]];
  return [
    ...heads,
    ...present,
    ["Transpose", "present.0.key", "turned", { perm: { integers: [0, 1, 3, 2] } }],
    ["MatMul", "query_new turned", "products"],
    ["Mul", "products scale", "scaled"],
    ["Unsqueeze", "own_places axis1", "own_column"],
    [bias === "product" ? "Mul" : "Sub", "all_places own_column", "distances"],
    ["Cast", "distances", "distances_f", { to: { integer: 1 } }],
    ["Mul", "distances_f scale", "slopes"],
    ["Add", bias === undefined ? "scaled zero_f" : "scaled slopes", "scores"],
    ["LessOrEqual", "all_places own_column", "causal"],
    ...kept,
    ["Where", "keep zero_f far", "bias"],
    ["Add", "scores bias", "masked"],
    ["Softmax", "masked", "weights", { axis: { integer: 3 } }],
    ["MatMul", "weights present.0.value", "mixed"],
    ["Transpose", "mixed", "mixed_rows", { perm: { integers: [0, 2, 1, 3] } }],
    ["Reshape", "mixed_rows joined", "attended"],
  ];
}

const folder = mkdtempSync(join(tmpdir(), "pumac-decoders-"));
process.on("exit", () => rmSync(folder, { recursive: true }));
let count = 0;

/** Writes a decoder, and gives its path. */
export function writeDecoder(form: DecoderForm): string {
  const { mask, positions, grouped, merged, fixed } = form;
  const [rows, past, total] = fixed === undefined ? ["rows", "past", "total"] : [1, fixed, fixed + 1];
  const domain = (op: string): string => (op === "GroupQueryAttention" ? "com.microsoft" : "");
  const outputs = [
    { name: "logits", dtype: "f32" as const, shape: [1, rows, WORDS] },
    ...["key", "value"].map((each) => ({
      name: `present.0.${each}`,
      dtype: "f32" as const,
      shape: [1, HEADS, total, SIZE],
    })),
  ];
  const branch = (hasPast: boolean): GraphSource => ({
    name: hasPast ? "goes_on" : "begins",
    inputs: [],
    outputs: outputs.map((each) => ({ ...each, name: `${each.name}.${hasPast}` })),
    nodes: nodesOf(lines(form, hasPast), `.${hasPast}`, domain),
  });
  const decide: NodeSource = {
    op: "If",
    inputs: ["use_cache_branch"],
    outputs: outputs.map(({ name }) => name),
    attributes: { then_branch: { graph: branch(true) }, else_branch: { graph: branch(false) } },
  };
  const path = join(folder, `decoder${count++}.onnx`);
  writeModel(path, {
    graph: {
      name: "decoder",
      inputs: [
        { name: "input_ids", dtype: "i64", shape: [1, rows] },
        ...(mask || grouped ? [{ name: "attention_mask", dtype: "i64" as const, shape: [1, total] }] : []),
        ...(positions === "input" ? [{ name: "position_ids", dtype: "i64" as const, shape: [1, rows] }] : []),
        ...["key", "value"].map((each) => ({
          name: `past_key_values.0.${each}`,
          dtype: "f32" as const,
          shape: [1, HEADS, past, SIZE],
        })),
        ...(merged ? [{ name: "use_cache_branch", dtype: "bool" as const, shape: [1] }] : []),
      ],
      outputs,
      nodes: merged ? [decide] : nodesOf(lines(form, true), "", domain),
      tensors: [...WEIGHTS],
    },
    opsets: { "": 17, "com.microsoft": 1 },
  });
  return path;
}
