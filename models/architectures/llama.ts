/** LLaMA with its language-model head, in the form of the dynamo exporter: RMSNorm, rotary angles folded, SwiGLU. */
import type { ModelSource } from "../../formats/onnx/write.js";
import { cos, pow, sin } from "../../ir/real.js";
import type { ArchitectureConfig } from "./config.js";
import { GraphWriter } from "./writer.js";

/** The cosines and sines of all positions, [1, 1, S, d], halves repeated. */
interface Rotary {
  readonly cosines: string;
  readonly sines: string;
}

export function llamaModel(config: ArchitectureConfig, length: number, seed: number): ModelSource {
  const graph = new GraphWriter(seed);
  const { hidden, heads, vocabulary } = config;
  graph.enter("model");
  const words = graph.weight("model.embed_tokens.weight", [vocabulary, hidden]);
  let x = graph.node("Gather", [words, "input_ids"], { axis: { integer: 0 } });
  const mask = graph.mask(length, (query, key) => key <= query, length);
  const rotary = rotaryTables(graph, length, hidden / heads, config.theta);
  for (let layer = 0; layer < config.layers; layer++) {
    x = decoderLayer(graph, config, length, x, mask, rotary, `model.layers.${layer}`);
  }
  graph.enter("lm_head");
  const normal = rmsNorm(graph, x, "model.norm", hidden, config.epsilon);
  const logits = graph.linear(normal, "lm_head", hidden, vocabulary, false);
  return graph.finishDecoder(logits, length, vocabulary);
}

function rotaryTables(graph: GraphWriter, length: number, width: number, theta: number): Rotary {
  const angles = Array.from({ length: length * width }, (_, i) => {
    const feature = (i % width) % (width / 2);
    return Math.floor(i / width) * pow(theta, (-2 * feature) / width);
  });
  const table = (f: (angle: number) => number): string => graph.constant(angles.map(f), [1, 1, length, width], "f32");
  return { cosines: table(cos), sines: table(sin) };
}

function rmsNorm(graph: GraphWriter, x: string, name: string, width: number, epsilon: number): string {
  const square = graph.node("Pow", [x, graph.scalar(2)]);
  const mean = graph.node("ReduceMean", [square, graph.integers(-1)], { keepdims: { integer: 1 } });
  const root = graph.node("Sqrt", [graph.node("Add", [mean, graph.scalar(epsilon)])]);
  const normal = graph.node("Mul", [x, graph.node("Reciprocal", [root])]);
  return graph.node("Mul", [graph.weight(`${name}.weight`, [width], 1), normal]);
}

function rotate(graph: GraphWriter, x: string, rotary: Rotary, width: number): string {
  const half = width / 2;
  const part = (start: number, end: number): string =>
    graph.node("Slice", [x, graph.integers(start), graph.integers(end), graph.integers(3), graph.integers(1)]);
  const turned = graph.node("Concat", [graph.node("Neg", [part(half, 2 ** 63)]), part(0, half)], {
    axis: { integer: -1 },
  });
  return graph.node("Add", [graph.node("Mul", [x, rotary.cosines]), graph.node("Mul", [turned, rotary.sines])]);
}

/** Each key-value head for several query heads: a view. */
function repeatHeads(graph: GraphWriter, x: string, config: ArchitectureConfig, length: number): string {
  const { heads, kvHeads, hidden } = config;
  if (heads === kvHeads) {
    return x;
  }
  const width = hidden / heads;
  const apart = graph.node("Unsqueeze", [x, graph.integers(2)]);
  const wide = graph.node("Expand", [apart, graph.integers(1, kvHeads, heads / kvHeads, length, width)]);
  return graph.reshape(wide, 1, heads, length, width);
}

function decoderLayer(
  graph: GraphWriter,
  config: ArchitectureConfig,
  length: number,
  x: string,
  mask: string,
  rotary: Rotary,
  name: string,
): string {
  graph.enter(name);
  const { hidden, heads, kvHeads, intermediate, epsilon } = config;
  const width = hidden / heads;
  const before = rmsNorm(graph, x, `${name}.input_layernorm`, hidden, epsilon);
  const project = (part: string, count: number): string => {
    const value = graph.linear(before, `${name}.self_attn.${part}_proj`, hidden, count * width, false);
    return graph.transpose(graph.reshape(value, 1, length, -1, width), 0, 2, 1, 3);
  };
  const q = project("q", heads);
  const k = project("k", kvHeads);
  const v = project("v", kvHeads);
  const turnedQ = rotate(graph, q, rotary, width);
  const keys = repeatHeads(graph, rotate(graph, k, rotary, width), config, length);
  const values = repeatHeads(graph, v, config, length);
  const attended = graph.attend(turnedQ, graph.transpose(keys, 0, 1, 3, 2), values, mask, width);
  const merged = graph.reshape(graph.transpose(attended, 0, 2, 1, 3), 1, length, -1);
  const middle = graph.node("Add", [x, graph.linear(merged, `${name}.self_attn.o_proj`, hidden, hidden, false)]);
  const after = rmsNorm(graph, middle, `${name}.post_attention_layernorm`, hidden, epsilon);
  const gate = graph.linear(after, `${name}.mlp.gate_proj`, hidden, intermediate, false);
  const gated = graph.node("Mul", [gate, graph.node("Sigmoid", [gate])]);
  const product = graph.node("Mul", [gated, graph.linear(after, `${name}.mlp.up_proj`, hidden, intermediate, false)]);
  return graph.node("Add", [middle, graph.linear(product, `${name}.mlp.down_proj`, intermediate, hidden, false)]);
}
