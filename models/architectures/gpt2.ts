/** GPT-2 with its language-model head, in the form of the dynamo exporter: Conv1D as Gemm, the tanh GELU spelt out. */
import type { ModelSource } from "../../formats/onnx/write.js";
import type { ArchitectureConfig } from "./config.js";
import { GraphWriter } from "./writer.js";

export function gpt2Model(config: ArchitectureConfig, length: number, seed: number): ModelSource {
  const graph = new GraphWriter(seed);
  const { hidden, vocabulary } = config;
  graph.enter("transformer");
  const words = graph.weight("transformer.wte.weight", [vocabulary, hidden]);
  const places = graph.weight("transformer.wpe.rows", [1, length, hidden]);
  let x = graph.node("Add", [graph.node("Gather", [words, "input_ids"], { axis: { integer: 0 } }), places]);
  const mask = graph.mask(length, (query, key) => key <= query, length);
  for (let layer = 0; layer < config.layers; layer++) {
    x = decoderLayer(graph, config, length, x, mask, `transformer.h.${layer}`);
  }
  graph.enter("lm_head");
  const normal = graph.layerNorm(x, "transformer.ln_f", hidden, config.epsilon);
  const logits = graph.linear(normal, "lm_head", hidden, vocabulary, false);
  return graph.finishDecoder(logits, length, vocabulary);
}

/** Conv1D: a Gemm on [S, in], to which x is reshaped, with weights [in, out]. */
function conv1d(graph: GraphWriter, x: string, name: string, length: number, from: number, to: number): string {
  const flat = graph.reshape(x, -1, from);
  const weights = [graph.weight(`${name}.weight`, [from, to]), graph.weight(`${name}.bias`, [to])];
  return graph.reshape(graph.node("Gemm", [flat, ...weights]), 1, length, to);
}

function decoderLayer(
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
  const before = graph.layerNorm(x, `${name}.ln_1`, hidden, epsilon);
  const packed = conv1d(graph, before, `${name}.attn.c_attn`, length, hidden, 3 * hidden);
  const parts = graph.split("Split", [packed], 3, { axis: { integer: 2 }, num_outputs: { integer: 3 } });
  const [q, k, v] = parts.map((part) => graph.reshape(part, 1, length, -1, width));
  const values = graph.transpose(v, 0, 2, 1, 3);
  const attended = graph.attend(graph.transpose(q, 0, 2, 1, 3), graph.transpose(k, 0, 2, 3, 1), values, mask, width);
  const merged = graph.transpose(attended, 0, 2, 1, 3);
  const middle = graph.node("Add", [conv1d(graph, merged, `${name}.attn.c_proj`, length, hidden, hidden), x]);
  const after = graph.layerNorm(middle, `${name}.ln_2`, hidden, epsilon);
  const wide = graph.geluTanh(conv1d(graph, after, `${name}.mlp.c_fc`, length, hidden, intermediate));
  return graph.node("Add", [middle, conv1d(graph, wide, `${name}.mlp.c_proj`, length, intermediate, hidden)]);
}
