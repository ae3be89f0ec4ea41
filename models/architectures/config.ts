/**
 * The known architectures: sizes by name, as published on the Hugging Face hub, or read from a model's own
 * `config.json`.
 */
import { readFileSync } from "node:fs";
import { fail } from "../../ir/diagnostics.js";

export type Architecture = "bert" | "roberta" | "gpt2" | "llama";

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
  /** The id of padding (RoBERTa counts positions from it). */
  readonly padding: number;
  readonly labels: number;
  readonly epsilon: number;
  /** The base of the rotary frequencies. */
  readonly theta: number;
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

/** The names of the same size in Hugging Face's config files, by their own fields; the first that is there counts. */
const FIELDS = {
  layers: ["num_hidden_layers", "n_layer"],
  hidden: ["hidden_size", "n_embd"],
  heads: ["num_attention_heads", "n_head"],
  kvHeads: ["num_key_value_heads", "num_attention_heads", "n_head"],
  intermediate: ["intermediate_size", "n_inner"],
  vocabulary: ["vocab_size"],
  positions: ["max_position_embeddings", "n_positions"],
  tokenTypes: ["type_vocab_size"],
  padding: ["pad_token_id"],
  labels: ["num_labels"],
  epsilon: ["layer_norm_eps", "rms_norm_eps", "layer_norm_epsilon"],
  theta: ["rope_theta"],
} as const;

const DEFAULTS: Readonly<Record<string, number>> = {
  tokenTypes: 2,
  padding: 0,
  labels: 2,
  epsilon: 1e-5,
  theta: 10000,
  positions: 1024,
};

/** Reads a Hugging Face `config.json`. E0301 where it cannot be read or a size is missing, E0402 as `configFrom`. */
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

/** The sizes in a parsed `config.json`. E0301 where a size is missing, E0402 for another architecture. */
export function configFrom(json: Readonly<Record<string, unknown>>, where: string): ArchitectureConfig {
  const type = json.model_type;
  if (type !== "bert" && type !== "roberta" && type !== "gpt2" && type !== "llama") {
    throw fail({
      code: "E0402",
      what: `architecture '${String(type)}' cannot be written`,
      where,
      fix: "use a config of model_type bert, roberta, gpt2 or llama, or export the model itself",
    });
  }
  const read = (name: keyof typeof FIELDS): number => {
    const field = FIELDS[name].find((each) => typeof json[each] === "number");
    const value = field === undefined ? undefined : (json[field] as number);
    const fallback = name === "intermediate" ? 4 * read("hidden") : DEFAULTS[name];
    const found = value ?? fallback;
    if (found === undefined || !(found >= 0)) {
      throw fail({ code: "E0301", what: `the config has no '${FIELDS[name][0]}'`, where });
    }
    return found;
  };
  const config: ArchitectureConfig = {
    architecture: type,
    layers: read("layers"),
    hidden: read("hidden"),
    heads: read("heads"),
    kvHeads: read("kvHeads"),
    intermediate: read("intermediate"),
    vocabulary: read("vocabulary"),
    positions: read("positions"),
    tokenTypes: read("tokenTypes"),
    padding: read("padding"),
    labels: read("labels"),
    epsilon: read("epsilon"),
    theta: read("theta"),
  };
  if (config.hidden % config.heads !== 0 || config.heads % config.kvHeads !== 0) {
    throw fail({ code: "E0301", what: "the config's heads do not divide its hidden size", where });
  }
  return config;
}
