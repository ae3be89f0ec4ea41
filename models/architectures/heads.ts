/** Heads: what a model says of its last layer's values, [B, S, hidden], under the names that Hugging Face gives it. */
import type { ArchitectureConfig, Head } from "./config.js";
import type { GraphWriter, Result } from "./writer.js";

/** The heads of BERT, RoBERTa and DistilBERT; a classifier of sequences where the config names none. */
export function encoderHead(graph: GraphWriter, config: ArchitectureConfig, x: string): readonly Result[] {
  const { batch, length } = graph.frame;
  const { hidden, labels, vocabulary, architecture } = config;
  switch (config.head ?? "sequence") {
    case "sequence":
      return [{ name: "logits", value: sequenceLogits(graph, config, x), shape: [batch, labels] }];
    case "token":
      return tokenLogits(graph, "classifier", x, hidden, labels, true);
    case "answers":
      return answerLogits(graph, x, hidden);
    case "masked":
      return [{ name: "logits", value: maskedLogits(graph, config, x), shape: [batch, length, vocabulary] }];
    default: {
      const pooler = `${architecture}.pooler.dense`;
      const pooled = (): Result => ({
        name: "pooler_output",
        value: graph.node("Tanh", [graph.gemm(firstPosition(graph, x), pooler, hidden, hidden)]),
        shape: [batch, hidden],
      });
      const hasPooler = architecture !== "distilbert" && graph.has(`${pooler}.weight`);
      return [lastHidden(graph, x, hidden), ...(hasPooler ? [pooled()] : [])];
    }
  }
}

/** The heads of decoders; the logits of every position where the config names none. `words`: the embedding's name. */
export function decoderHead(
  graph: GraphWriter,
  config: ArchitectureConfig,
  x: string,
  words: string,
): readonly Result[] {
  const { batch, length } = graph.frame;
  const { hidden, labels, vocabulary, architecture } = config;
  switch (config.head ?? "causal") {
    case "sequence": {
      const scores = graph.linear(x, "score", hidden, labels, false);
      return [{ name: "logits", value: lastReal(graph, config, scores), shape: [batch, labels] }];
    }
    case "token":
      return tokenLogits(graph, architecture === "gpt2" ? "classifier" : "score", x, hidden, labels, true);
    case "answers":
      return answerLogits(graph, x, hidden);
    case "plain":
      return [lastHidden(graph, x, hidden)];
    default: {
      const logits = graph.linear(x, "lm_head", hidden, vocabulary, false, tied(graph, "lm_head.weight", words));
      return [{ name: "logits", value: logits, shape: [batch, length, vocabulary] }];
    }
  }
}

/** The head that weights show where the config names none: models of other heads lack theirs. */
export function shownHead({ architecture }: ArchitectureConfig, has: (name: string) => boolean): Head {
  const isDecoder = architecture === "gpt2" || architecture === "llama";
  if (has("qa_outputs.weight")) {
    return "answers";
  }
  if (isDecoder) {
    const tokens = has("classifier.weight") || has("score.bias");
    const head = tokens ? "token" : has("score.weight") ? "sequence" : undefined;
    const words = architecture === "gpt2" ? "wte.weight" : "embed_tokens.weight";
    // A model without a head is saved without the first part of its names.
    return head ?? (has("lm_head.weight") || !has(words) ? "causal" : "plain");
  }
  const pooled = {
    bert: "bert.pooler.dense.weight",
    roberta: "classifier.dense.weight",
    distilbert: "pre_classifier.weight",
  };
  if (has("classifier.weight") || has("classifier.dense.weight")) {
    return has(pooled[architecture]) ? "sequence" : "token";
  }
  return has(`${MASKED[architecture][0]}.weight`) ? "masked" : "plain";
}

/** A weight that a checkpoint may leave out because it is the embedding's. */
function tied(graph: GraphWriter, name: string, words: string): string {
  return graph.has(name) ? name : words;
}

function lastHidden(graph: GraphWriter, x: string, hidden: number): Result {
  return { name: "last_hidden_state", value: x, shape: [graph.frame.batch, graph.frame.length, hidden] };
}

function firstPosition(graph: GraphWriter, x: string): string {
  return graph.node("Gather", [x, graph.constant([0], [], "i64")], { axis: { integer: 1 } });
}

function sequenceLogits(graph: GraphWriter, { hidden, labels, architecture }: ArchitectureConfig, x: string): string {
  const first = firstPosition(graph, x);
  if (architecture === "distilbert") {
    const turned = graph.node("Relu", [graph.gemm(first, "pre_classifier", hidden, hidden)]);
    return graph.gemm(turned, "classifier", hidden, labels);
  }
  const names =
    architecture === "roberta" ? ["classifier.dense", "classifier.out_proj"] : ["bert.pooler.dense", "classifier"];
  return graph.gemm(graph.node("Tanh", [graph.gemm(first, names[0], hidden, hidden)]), names[1], hidden, labels);
}

function tokenLogits(
  graph: GraphWriter,
  name: string,
  x: string,
  hidden: number,
  labels: number,
  bias: boolean,
): readonly Result[] {
  const { batch, length } = graph.frame;
  const value = graph.linear(x, name, hidden, labels, bias);
  return [{ name: "logits", value, shape: [batch, length, labels] }];
}

/** The first and the last token of an answer: two numbers a position, apart. */
function answerLogits(graph: GraphWriter, x: string, hidden: number): readonly Result[] {
  const { batch, length } = graph.frame;
  const both = graph.linear(x, "qa_outputs", hidden, 2, true);
  const parts = graph.split("Split", [both], 2, { axis: { integer: -1 }, num_outputs: { integer: 2 } });
  return parts.map((part, i) => ({
    name: i === 0 ? "start_logits" : "end_logits",
    value: graph.node("Squeeze", [part, graph.integers(-1)]),
    shape: [batch, length],
  }));
}

/** Names of a masked language model's head: the dense layer, its norm, the words' matrix, and the bias of words. */
const MASKED = {
  bert: ["cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm", "cls.predictions.decoder"],
  roberta: ["lm_head.dense", "lm_head.layer_norm", "lm_head.decoder"],
  distilbert: ["vocab_transform", "vocab_layer_norm", "vocab_projector"],
} as const;

function maskedLogits(graph: GraphWriter, config: ArchitectureConfig, x: string): string {
  const { hidden, vocabulary, architecture, epsilon, activation = "gelu" } = config;
  const [dense, norm, decoder] = MASKED[architecture as keyof typeof MASKED];
  const wide = graph.linear(x, dense, hidden, hidden, true);
  // RoBERTa's head has GELU whatever the layers have.
  const turned = graph.activation(wide, architecture === "roberta" ? "gelu" : activation);
  const normal = graph.layerNorm(turned, norm, hidden, epsilon);
  const words = `${architecture}.embeddings.word_embeddings.weight`;
  const product = graph.linear(normal, decoder, hidden, vocabulary, false, tied(graph, `${decoder}.weight`, words));
  // Older checkpoints keep the bias beside the decoder.
  const beside = decoder.replace(/decoder$/, "bias");
  const bias = graph.has(`${decoder}.bias`) ? `${decoder}.bias` : beside;
  return graph.node("Add", [product, graph.weight(bias, [vocabulary])]);
}

/** The values of each row's last token that is not padding, as Hugging Face's decoder classifiers find it. */
function lastReal(graph: GraphWriter, { padding, labels }: ArchitectureConfig, x: string): string {
  const { batch, length } = graph.frame;
  if (padding === undefined) {
    return graph.node("Gather", [x, graph.constant([length - 1], [], "i64")], { axis: { integer: 1 } });
  }
  const real = graph.node("Not", [graph.node("Equal", ["input_ids", graph.constant([padding], [], "i64")])]);
  const positions = graph.constant([...Array(length).keys()], [length], "i32");
  const places = graph.node("Mul", [graph.node("Cast", [real], { to: { integer: 6 } }), positions]);
  const last = graph.node("ArgMax", [places], { axis: { integer: -1 }, keepdims: { integer: 1 } });
  const apart = graph.node("Unsqueeze", [last, graph.integers(2)]);
  const wide = graph.node("Expand", [apart, graph.integers(batch, 1, labels)]);
  const chosen = graph.node("GatherElements", [x, wide], { axis: { integer: 1 } });
  return graph.node("Squeeze", [chosen, graph.integers(1)]);
}
