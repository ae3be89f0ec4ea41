/** BERT, RoBERTa and DistilBERT with their heads, in the form of the dynamo exporter. */
import type { ModelSource } from "../../formats/onnx/write.js";
import type { ArchitectureConfig } from "./config.js";
import { encoderHead } from "./heads.js";
import type { GraphWriter } from "./writer.js";

const FIRST_AXIS = { axis: { integer: 0 } };

/** What the parts of a layer are called. */
interface LayerNames {
  readonly layers: string;
  readonly query: string;
  readonly key: string;
  readonly value: string;
  readonly attended: string;
  readonly attendedNorm: string;
  readonly wide: string;
  readonly narrow: string;
  readonly norm: string;
}

const BERT_NAMES: LayerNames = {
  layers: "encoder.layer",
  query: "attention.self.query",
  key: "attention.self.key",
  value: "attention.self.value",
  attended: "attention.output.dense",
  attendedNorm: "attention.output.LayerNorm",
  wide: "intermediate.dense",
  narrow: "output.dense",
  norm: "output.LayerNorm",
};

const DISTILBERT_NAMES: LayerNames = {
  layers: "transformer.layer",
  query: "attention.q_lin",
  key: "attention.k_lin",
  value: "attention.v_lin",
  attended: "attention.out_lin",
  attendedNorm: "sa_layer_norm",
  wide: "ffn.lin1",
  narrow: "ffn.lin2",
  norm: "output_layer_norm",
};

/** What an encoder is given: RoBERTa and DistilBERT know no token types. */
export function encoderInputs({ architecture }: ArchitectureConfig): readonly string[] {
  return ["input_ids", "attention_mask", ...(architecture === "bert" ? ["token_type_ids"] : [])];
}

/** Embeddings, encoder, head. RoBERTa counts positions from the padding id. */
export function encoderModel(config: ArchitectureConfig, graph: GraphWriter): ModelSource {
  const { architecture } = config;
  graph.enter(`${architecture}.embeddings`);
  let x = embeddings(graph, config);
  const mask = graph.mask(() => true);
  const names = architecture === "distilbert" ? DISTILBERT_NAMES : BERT_NAMES;
  for (let layer = 0; layer < config.layers; layer++) {
    x = encoderLayer(graph, config, x, mask, `${architecture}.${names.layers}.${layer}`, names);
  }
  graph.enter("classifier");
  return graph.finish(encoderInputs(config), encoderHead(graph, config, x));
}

/**
 * The rows of the position table that a fixed length needs are folded by the exporter, unless they depend on the ids.
 */
function embeddings(graph: GraphWriter, config: ArchitectureConfig): string {
  const { hidden, architecture, positions } = config;
  const { batch, length } = graph.frame;
  const name = `${architecture}.embeddings`;
  const table = (part: string, rows: number): string =>
    graph.weight(`${name}.${part}_embeddings.weight`, [rows, hidden]);
  const words = graph.node("Gather", [table("word", config.vocabulary), "input_ids"], FIRST_AXIS);
  const rows = (): string =>
    architecture === "roberta"
      ? graph.node("Gather", [table("position", positions), countedPositions(graph, config.padding ?? 1)], FIRST_AXIS)
      : graph.firstRows(`${name}.position_embeddings`, positions, hidden);
  let sum = words;
  if (architecture !== "distilbert") {
    const zeros = () => graph.constant(Array(batch * length).fill(0), [batch, length], "i64");
    const types = architecture === "roberta" ? zeros() : "token_type_ids";
    sum = graph.node("Add", [words, graph.node("Gather", [table("token_type", config.tokenTypes), types], FIRST_AXIS)]);
  }
  return graph.layerNorm(graph.node("Add", [sum, rows()]), `${name}.LayerNorm`, hidden, config.epsilon);
}

/** RoBERTa counts the positions of what is not padding, from the padding id on. */
function countedPositions(graph: GraphWriter, padding: number): string {
  const id = graph.constant([padding], [], "i64");
  const real = graph.node("Not", [graph.node("Equal", ["input_ids", id])]);
  const ones = graph.node("Cast", [real], { to: { integer: 6 } });
  const wide = graph.node("Cast", [ones], { to: { integer: 7 } });
  const count = graph.node("CumSum", [wide, graph.constant([1], [], "i64")]);
  const counted = graph.node("Mul", [graph.node("Cast", [count], { to: { integer: 6 } }), ones]);
  return graph.node("Add", [graph.node("Cast", [counted], { to: { integer: 7 } }), id]);
}

function encoderLayer(
  graph: GraphWriter,
  config: ArchitectureConfig,
  x: string,
  mask: string,
  name: string,
  names: LayerNames,
): string {
  graph.enter(name);
  const { hidden, heads, intermediate, epsilon, activation = "gelu" } = config;
  const { batch, length } = graph.frame;
  const width = hidden / heads;
  const project = (part: string): string => {
    const value = graph.linear(x, `${name}.${part}`, hidden, hidden, true);
    return graph.reshape(value, batch, length, -1, width);
  };
  const q = graph.transpose(project(names.query), 0, 2, 1, 3);
  const keys = project(names.key);
  const v = graph.transpose(project(names.value), 0, 2, 1, 3);
  const attended = graph.attend(q, graph.transpose(keys, 0, 2, 3, 1), v, mask, width);
  const merged = graph.reshape(graph.transpose(attended, 0, 2, 1, 3), batch, length, -1);
  const output = graph.linear(merged, `${name}.${names.attended}`, hidden, hidden, true);
  const middle = graph.layerNorm(graph.node("Add", [output, x]), `${name}.${names.attendedNorm}`, hidden, epsilon);
  const wide = graph.activation(graph.linear(middle, `${name}.${names.wide}`, hidden, intermediate, true), activation);
  const narrow = graph.linear(wide, `${name}.${names.narrow}`, intermediate, hidden, true);
  return graph.layerNorm(graph.node("Add", [narrow, middle]), `${name}.${names.norm}`, hidden, epsilon);
}
