/** GPT-2 with its heads, in the form of the dynamo exporter: Conv1D as Gemm, the tanh GELU spelt out. */
import type { ModelSource } from "../../formats/onnx/write.js";
import type { ArchitectureConfig } from "./config.js";
import { decoderHead } from "./heads.js";
import type { GraphWriter } from "./writer.js";

const WORDS = "transformer.wte.weight";

/** What a decoder is given. */
export const DECODER_INPUTS: readonly string[] = ["input_ids", "attention_mask"];

export function gpt2Model(config: ArchitectureConfig, graph: GraphWriter): ModelSource {
  const { hidden, vocabulary } = config;
  graph.enter("transformer");
  const words = graph.weight(WORDS, [vocabulary, hidden]);
  const places = graph.firstRows("transformer.wpe", config.positions, hidden);
  let x = graph.node("Add", [graph.node("Gather", [words, "input_ids"], { axis: { integer: 0 } }), places]);
  const mask = graph.mask((query, key) => key <= query);
  for (let layer = 0; layer < config.layers; layer++) {
    x = decoderLayer(graph, config, x, mask, `transformer.h.${layer}`);
  }
  graph.enter("lm_head");
  const normal = graph.layerNorm(x, "transformer.ln_f", hidden, config.epsilon);
  return graph.finish(DECODER_INPUTS, decoderHead(graph, config, normal, WORDS));
}

/** Conv1D: a Gemm on [B S, in], to which x is reshaped, with weights [in, out]. */
function conv1d(graph: GraphWriter, x: string, name: string, from: number, to: number): string {
  const { batch, length } = graph.frame;
  const flat = graph.reshape(x, -1, from);
  const weights = [graph.weight(`${name}.weight`, [from, to]), graph.weight(`${name}.bias`, [to])];
  return graph.reshape(graph.node("Gemm", [flat, ...weights]), batch, length, to);
}

function decoderLayer(graph: GraphWriter, config: ArchitectureConfig, x: string, mask: string, name: string): string {
  graph.enter(name);
  const { hidden, heads, intermediate, epsilon, activation = "gelu_new" } = config;
  const { batch, length } = graph.frame;
  const width = hidden / heads;
  const before = graph.layerNorm(x, `${name}.ln_1`, hidden, epsilon);
  const packed = conv1d(graph, before, `${name}.attn.c_attn`, hidden, 3 * hidden);
  const parts = graph.split("Split", [packed], 3, { axis: { integer: 2 }, num_outputs: { integer: 3 } });
  const [q, k, v] = parts.map((part) => graph.reshape(part, batch, length, -1, width));
  const values = graph.transpose(v, 0, 2, 1, 3);
  const attended = graph.attend(graph.transpose(q, 0, 2, 1, 3), graph.transpose(k, 0, 2, 3, 1), values, mask, width);
  const merged = graph.transpose(attended, 0, 2, 1, 3);
  const middle = graph.node("Add", [conv1d(graph, merged, `${name}.attn.c_proj`, hidden, hidden), x]);
  const after = graph.layerNorm(middle, `${name}.ln_2`, hidden, epsilon);
  const wide = graph.activation(conv1d(graph, after, `${name}.mlp.c_fc`, hidden, intermediate), activation);
  return graph.node("Add", [middle, conv1d(graph, wide, `${name}.mlp.c_proj`, intermediate, hidden)]);
}
