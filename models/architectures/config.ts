/**
 * The known architectures: sizes by name, as published on the Hugging Face hub, or read from a model's own
 * `config.json`.
 */
import { readFileSync } from "node:fs";
import { type Diagnostic, fail } from "../../ir/diagnostics.js";
import { type RotaryScaling, rotaryOf } from "./rotary.js";

export type Architecture = "bert" | "roberta" | "distilbert" | "gpt2" | "llama";

/** What a model says of its last layer's values, in Hugging Face's words: `ForSequenceClassification` and so on. */
export type Head = "plain" | "sequence" | "token" | "answers" | "masked" | "causal";

export interface ArchitectureConfig {
  readonly architecture: Architecture;
  readonly layers: number;
  readonly hidden: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly intermediate: number;
  readonly vocabulary: number;
  /** Rows of the position table. */
  readonly positions: number;
  readonly tokenTypes: number;
  /** The id of padding (RoBERTa counts positions from it; a decoder's classifier reads the last token before it). */
  readonly padding?: number;
  readonly labels: number;
  readonly epsilon: number;
  /** The base of the rotary frequencies. */
  readonly theta: number;
  /** A classifier of sequences (encoders) or the logits of the next token (decoders) where nothing is said. */
  readonly head?: Head;
  /** The width of a head where it is not `hidden / heads`. */
  readonly headWidth?: number;
  /** The activation of the feed-forward part by Hugging Face's name; the architecture's own where nothing is said. */
  readonly activation?: string;
  /** Which linear maps of a LLaMA-like layer have a bias: q, k and v, that of the merged heads, the gated ones. */
  readonly biases?: { readonly projections: boolean; readonly output: boolean; readonly feedForward: boolean };
  /** Qwen3: queries and keys are normalised, head by head, before they are turned. */
  readonly headNorms?: boolean;
  /** For every layer how many keys back a query sees, its own one included; null: all. */
  readonly windows?: readonly (number | null)[];
  readonly rotary?: RotaryScaling;
}

function bert(layers: number, hidden: number, heads: number): ArchitectureConfig {
  return {
    architecture: "bert",
    layers,
    hidden,
    heads,
    kvHeads: heads,
    intermediate: 4 * hidden,
    vocabulary: 30522,
    positions: 512,
    tokenTypes: 2,
    padding: 0,
    labels: 2,
    epsilon: 1e-12,
    theta: 10000,
  };
}

function gpt2(layers: number, hidden: number, heads: number): ArchitectureConfig {
  return { ...bert(layers, hidden, heads), architecture: "gpt2", vocabulary: 50257, positions: 1024, epsilon: 1e-5 };
}

export const ARCHITECTURES: Readonly<Record<string, ArchitectureConfig>> = {
  "bert-base": bert(12, 768, 12),
  "bert-large": bert(24, 1024, 16),
  "roberta-base": {
    ...bert(12, 768, 12),
    architecture: "roberta",
    vocabulary: 50265,
    positions: 514,
    tokenTypes: 1,
    padding: 1,
    epsilon: 1e-5,
  },
  gpt2: gpt2(12, 768, 12),
  "gpt2-medium": gpt2(24, 1024, 16),
  "gpt2-large": gpt2(36, 1280, 20),
  "llama-7b": {
    ...bert(32, 4096, 32),
    architecture: "llama",
    intermediate: 11008,
    vocabulary: 32000,
    positions: 4096,
    epsilon: 1e-5,
  },
};

/** A parsed `config.json`. */
export type ConfigJson = Readonly<Record<string, unknown>>;

/** Architectures by `model_type`: those that differ in what their config says only are one. */
const TYPES: Readonly<Record<string, Architecture>> = {
  bert: "bert",
  roberta: "roberta",
  "xlm-roberta": "roberta",
  camembert: "roberta",
  distilbert: "distilbert",
  gpt2: "gpt2",
  llama: "llama",
  mistral: "llama",
  qwen2: "llama",
  qwen3: "llama",
};

/** The names of the same size in Hugging Face's config files, by their own fields; the first that is there counts. */
const FIELDS = {
  layers: ["num_hidden_layers", "n_layer", "n_layers"],
  hidden: ["hidden_size", "n_embd", "dim"],
  heads: ["num_attention_heads", "n_head", "n_heads"],
  kvHeads: ["num_key_value_heads", "num_attention_heads", "n_head", "n_heads"],
  intermediate: ["intermediate_size", "n_inner", "hidden_dim"],
  vocabulary: ["vocab_size"],
  positions: ["max_position_embeddings", "n_positions"],
  tokenTypes: ["type_vocab_size"],
  labels: ["num_labels"],
  epsilon: ["layer_norm_eps", "rms_norm_eps", "layer_norm_epsilon"],
} as const;

const DEFAULTS: Readonly<Record<string, number>> = { tokenTypes: 2, epsilon: 1e-5, positions: 1024 };

/** Reads a Hugging Face `config.json`. E0301 where it cannot be read; else as `configFrom`. */
export function readConfig(path: string): ArchitectureConfig {
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw fail({ code: "E0301", what: "the config cannot be read", where: path, why });
  }
  return configFrom(json as Readonly<Record<string, unknown>>, path);
}

const HEADS: readonly (readonly [RegExp, Head])[] = [
  [/ForSequenceClassification$/, "sequence"],
  [/ForTokenClassification$/, "token"],
  [/ForQuestionAnswering$/, "answers"],
  [/ForMaskedLM$/, "masked"],
  [/(ForCausalLM|LMHeadModel)$/, "causal"],
  [/Model$/, "plain"],
];

function refused(what: string, where: string, fix: string): Diagnostic {
  return { code: "E0402", what, where, fix };
}

/**
 * The head that the config names under `architectures`, if it names one. E0401 for a head that is not written.
 */
function headNamed({ architectures }: ConfigJson, architecture: Architecture, where: string): Head | undefined {
  const name = Array.isArray(architectures) ? String(architectures[0]) : undefined;
  const head = name === undefined ? undefined : HEADS.find(([pattern]) => pattern.test(name))?.[1];
  const isDecoder = architecture === "gpt2" || architecture === "llama";
  const misplaced = head === (isDecoder ? "masked" : "causal");
  if (name !== undefined && (head === undefined || misplaced)) {
    throw fail({
      code: "E0401",
      what: `a model of class ${name} cannot be written`,
      where,
      why: "the heads are sequence, token and masked or causal language classifiers, question answering, and none",
      fix: "export the model as ONNX (docs/exporting.md)",
    });
  }
  return head;
}

/**
 * Reads a Hugging Face `config.json` (parsed). E0301 where a size is missing, E0401 for another architecture, E0402 for
 * a known one with parts that are not written.
 */
export function configFrom(json: ConfigJson, where: string): ArchitectureConfig {
  const type = String(json.model_type);
  const architecture = Object.hasOwn(TYPES, type) ? TYPES[type] : undefined;
  if (architecture === undefined) {
    throw fail({
      code: "E0401",
      what: `architecture '${type}' cannot be written`,
      where,
      why: `those that are known are ${Object.keys(TYPES).join(", ")}`,
      fix: "export the model as ONNX and give that: docs/exporting.md has the lines for each exporter",
    });
  }
  const read = (name: keyof typeof FIELDS): number => {
    const field = FIELDS[name].find((each) => typeof json[each] === "number");
    const value = field === undefined ? undefined : (json[field] as number);
    const fallback = name === "intermediate" ? 4 * read("hidden") : name === "labels" ? labelsIn(json) : DEFAULTS[name];
    const found = value ?? fallback;
    if (found === undefined || !(found >= 0)) {
      throw fail({ code: "E0301", what: `the config has no '${FIELDS[name][0]}'`, where });
    }
    return found;
  };
  const padding = json.pad_token_id ?? (architecture === "roberta" ? 1 : undefined);
  const head = headNamed(json, architecture, where);
  const config: ArchitectureConfig = {
    architecture,
    layers: read("layers"),
    hidden: read("hidden"),
    heads: read("heads"),
    kvHeads: read("kvHeads"),
    intermediate: read("intermediate"),
    vocabulary: read("vocabulary"),
    positions: read("positions"),
    tokenTypes: read("tokenTypes"),
    ...(typeof padding === "number" && { padding }),
    labels: read("labels"),
    epsilon: architecture === "distilbert" ? 1e-12 : read("epsilon"),
    ...(head !== undefined && { head }),
    ...detailsOf(json, type, read("layers"), where),
  };
  if ((config.headWidth === undefined && config.hidden % config.heads !== 0) || config.heads % config.kvHeads !== 0) {
    throw fail({ code: "E0301", what: "the config's heads do not divide its hidden size", where });
  }
  return config;
}

function labelsIn({ id2label }: ConfigJson): number {
  return typeof id2label === "object" && id2label !== null ? Object.keys(id2label).length : 2;
}

/** What models of one architecture differ in beside their sizes. E0402 with all that is not written. */
function detailsOf(json: ConfigJson, type: string, layers: number, where: string) {
  const problems: Diagnostic[] = [];
  const refuse = (what: string): void =>
    void problems.push(refused(what, where, "export the model as ONNX (docs/exporting.md)"));
  const position = json.position_embedding_type;
  if (position !== undefined && position !== "absolute") {
    refuse(`positions of type '${position}' cannot be written`);
  }
  if (json.is_decoder === true || json.add_cross_attention === true) {
    refuse("an encoder that is used as a decoder cannot be written");
  }
  if (json.quantization_config !== undefined && json.quantization_config !== null) {
    refuse("the weights are quantised");
  }
  if (json.scale_attn_by_inverse_layer_idx === true || json.scale_attn_weights === false) {
    refuse("scores of another scale than 1/√d cannot be written");
  }
  const { theta, scaling } = rotaryOf(json, refuse);
  const activation = json.hidden_act ?? json.activation_function ?? json.activation;
  if (problems.length > 0) {
    throw fail(...problems);
  }
  const projections = type === "qwen2" || json.attention_bias === true;
  const output = type !== "qwen2" && json.attention_bias === true;
  return {
    theta,
    ...(scaling && { rotary: scaling }),
    ...(typeof activation === "string" && { activation }),
    ...(typeof json.head_dim === "number" && { headWidth: json.head_dim }),
    ...(type === "qwen3" && typeof json.head_dim !== "number" && { headWidth: 128 }),
    ...(projections && { biases: { projections, output, feedForward: json.mlp_bias === true } }),
    ...(!projections && json.mlp_bias === true && { biases: { projections, output, feedForward: true } }),
    ...(type === "qwen3" && { headNorms: true }),
    ...windowsOf(json, type, layers),
  };
}

/** Mistral's window is every layer's, Qwen's of the layers that the config says. */
function windowsOf(json: ConfigJson, type: string, layers: number): Pick<ArchitectureConfig, "windows"> {
  const { sliding_window: window, layer_types: types, max_window_layers: first } = json;
  const isOn = type === "mistral" || ((type === "qwen2" || type === "qwen3") && json.use_sliding_window === true);
  if (!isOn || typeof window !== "number") {
    return {};
  }
  const isSliding = (layer: number): boolean =>
    Array.isArray(types)
      ? types[layer] === "sliding_attention"
      : type === "mistral" || layer >= (typeof first === "number" ? first : 28);
  return { windows: Array.from({ length: layers }, (_, layer) => (isSliding(layer) ? window : null)) };
}
