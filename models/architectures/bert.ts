/** BERT and RoBERTa with a classification head, in the form of the dynamo exporter. */
import type { ModelSource, ValueSource } from "../../formats/onnx/write.js";
import type { ArchitectureConfig } from "./config.js";
import { GraphWriter } from "./writer.js";

const FIRST_AXIS = { axis: { integer: 0 } };

/** Encoder, pooled first position, classifier. `roberta`: positions counted from the padding id, no token types. */
export function encoderModel(config: ArchitectureConfig, length: number, seed: number, roberta: boolean): ModelSource {
  const graph = new GraphWriter(seed);
  const name = roberta ? "roberta" : "bert";
  const { hidden } = config;
  graph.enter(`${name}.embeddings`);
  let x = embeddings(graph, config, length, name, roberta);
  const mask = graph.mask(length, () => true, length);
  for (let layer = 0; layer < config.layers; layer++) {
    x = encoderLayer(graph, config, length, x, mask, `${name}.encoder.layer.${layer}`);
  }
  graph.enter("classifier");
  const first = graph.node("Gather", [x, graph.constant([0], [], "i64")], { axis: { integer: 1 } });
  const head = roberta ? ["classifier.dense", "classifier.out_proj"] : ["bert.pooler.dense", "classifier"];
  const pooled = graph.node("Tanh", [gemm(graph, first, head[0], hidden, hidden)]);
  const logits = gemm(graph, pooled, head[1], hidden, config.labels);
  const ids = ["input_ids", "attention_mask", ...(roberta ? [] : ["token_type_ids"])];
  const inputs = ids.map((id): ValueSource => ({ name: id, dtype: "i64", shape: [1, length] }));
  return graph.finish(inputs, logits, "logits", [1, config.labels]);
}

function gemm(graph: GraphWriter, x: string, name: string, from: number, to: number): string {
  const inputs = [x, graph.weight(`${name}.weight`, [to, from]), graph.weight(`${name}.bias`, [to])];
  return graph.node("Gemm", inputs, { transB: { integer: 1 } });
}

/**
 * The rows of the position table that a fixed length needs are folded by the exporter, unless they depend on the ids.
 */
function embeddings(
  graph: GraphWriter,
  config: ArchitectureConfig,
  length: number,
  name: string,
  roberta: boolean,
): string {
  const { hidden } = config;
  const table = (part: string, rows: number): string =>
    graph.weight(`${name}.embeddings.${part}_embeddings.weight`, [rows, hidden]);
  const words = graph.node("Gather", [table("word", config.vocabulary), "input_ids"], FIRST_AXIS);
  const types = table("token_type", config.tokenTypes);
  const typeIds = roberta ? graph.constant(Array(length).fill(0), [1, length], "i64") : "token_type_ids";
  const sum = graph.node("Add", [words, graph.node("Gather", [types, typeIds], FIRST_AXIS)]);
  const rows = roberta
    ? graph.node("Gather", [table("position", config.positions), countedPositions(graph, config.padding)], FIRST_AXIS)
    : graph.weight("bert.embeddings.position_embeddings.rows", [1, length, hidden]);
  return graph.layerNorm(graph.node("Add", [sum, rows]), `${name}.embeddings.LayerNorm`, hidden, config.epsilon);
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
  length: number,
  x: string,
  mask: string,
  name: string,
): string {
  graph.enter(name);
  const { hidden, heads, intermediate, epsilon } = config;
  const width = hidden / heads;
  const project = (part: string): string => {
    const value = graph.linear(x, `${name}.attention.self.${part}`, hidden, hidden, true);
    return graph.reshape(value, 1, length, -1, width);
  };
  const q = graph.transpose(project("query"), 0, 2, 1, 3);
  const keys = project("key");
  const v = graph.transpose(project("value"), 0, 2, 1, 3);
  const attended = graph.attend(q, graph.transpose(keys, 0, 2, 3, 1), v, mask, width);
  const merged = graph.reshape(graph.transpose(attended, 0, 2, 1, 3), 1, length, -1);
  const output = graph.linear(merged, `${name}.attention.output.dense`, hidden, hidden, true);
  const middle = graph.layerNorm(graph.node("Add", [output, x]), `${name}.attention.output.LayerNorm`, hidden, epsilon);
  const wide = graph.gelu(graph.linear(middle, `${name}.intermediate.dense`, hidden, intermediate, true));
  const narrow = graph.linear(wide, `${name}.output.dense`, intermediate, hidden, true);
  return graph.layerNorm(graph.node("Add", [narrow, middle]), `${name}.output.LayerNorm`, hidden, epsilon);
}
