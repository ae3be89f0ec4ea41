/**
 * LLaMA, Mistral, Qwen2 and Qwen3 with their heads, in the form of the dynamo exporter: RMSNorm, rotary angles folded,
 * SwiGLU.
 */
import type { ModelSource } from "../../formats/onnx/write.js";
import type { ArchitectureConfig } from "./config.js";
import { DECODER_INPUTS } from "./gpt2.js";
import { decoderHead } from "./heads.js";
import { type Rotary, rotaryTables } from "./rotary.js";
import type { GraphWriter } from "./writer.js";

const WORDS = "model.embed_tokens.weight";

export function llamaModel(config: ArchitectureConfig, graph: GraphWriter): ModelSource {
  const { hidden, heads, vocabulary, headWidth = hidden / heads } = config;
  graph.enter("model");
  const words = graph.weight(WORDS, [vocabulary, hidden]);
  let x = graph.node("Gather", [words, "input_ids"], { axis: { integer: 0 } });
  const masks = new Map<number | null, string>();
  const maskOf = (window: number | null): string => {
    const known = masks.get(window);
    const mask = known ?? graph.mask((query, key) => key <= query && (window === null || key > query - window));
    masks.set(window, mask);
    return mask;
  };
  const rotary = rotaryTables(graph, config, graph.frame.length, headWidth);
  for (let layer = 0; layer < config.layers; layer++) {
    x = decoderLayer(graph, config, x, maskOf(config.windows?.[layer] ?? null), rotary, `model.layers.${layer}`);
  }
  graph.enter("lm_head");
  const normal = rmsNorm(graph, x, "model.norm", hidden, config.epsilon);
  return graph.finish(DECODER_INPUTS, decoderHead(graph, config, normal, WORDS));
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
function repeatHeads(graph: GraphWriter, x: string, { heads, kvHeads }: ArchitectureConfig, width: number): string {
  if (heads === kvHeads) {
    return x;
  }
  const { batch, length } = graph.frame;
  const apart = graph.node("Unsqueeze", [x, graph.integers(2)]);
  const wide = graph.node("Expand", [apart, graph.integers(batch, kvHeads, heads / kvHeads, length, width)]);
  return graph.reshape(wide, batch, heads, length, width);
}

function decoderLayer(
  graph: GraphWriter,
  config: ArchitectureConfig,
  x: string,
  mask: string,
  rotary: Rotary,
  name: string,
): string {
  graph.enter(name);
  const { hidden, intermediate, epsilon, activation = "silu", biases } = config;
  const before = rmsNorm(graph, x, `${name}.input_layernorm`, hidden, epsilon);
  const middle = graph.node("Add", [x, attention(graph, config, before, mask, rotary, `${name}.self_attn`)]);
  const after = rmsNorm(graph, middle, `${name}.post_attention_layernorm`, hidden, epsilon);
  const bias = biases?.feedForward === true;
  const gate = graph.linear(after, `${name}.mlp.gate_proj`, hidden, intermediate, bias);
  const up = graph.linear(after, `${name}.mlp.up_proj`, hidden, intermediate, bias);
  const product = graph.node("Mul", [graph.activation(gate, activation), up]);
  return graph.node("Add", [middle, graph.linear(product, `${name}.mlp.down_proj`, intermediate, hidden, bias)]);
}

function attention(
  graph: GraphWriter,
  config: ArchitectureConfig,
  x: string,
  mask: string,
  rotary: Rotary,
  name: string,
): string {
  const { hidden, heads, kvHeads, epsilon, biases, headNorms, headWidth: width = hidden / heads } = config;
  const { batch, length } = graph.frame;
  const project = (part: string, count: number): string => {
    const value = graph.linear(x, `${name}.${part}_proj`, hidden, count * width, biases?.projections === true);
    const apart = graph.reshape(value, batch, length, -1, width);
    const isNormal = headNorms === true && part !== "v";
    return graph.transpose(
      isNormal ? rmsNorm(graph, apart, `${name}.${part}_norm`, width, epsilon) : apart,
      0,
      2,
      1,
      3,
    );
  };
  const q = rotate(graph, project("q", heads), rotary, width);
  const keys = repeatHeads(graph, rotate(graph, project("k", kvHeads), rotary, width), config, width);
  const values = repeatHeads(graph, project("v", kvHeads), config, width);
  const attended = graph.attend(q, graph.transpose(keys, 0, 1, 3, 2), values, mask, width);
  const merged = graph.reshape(graph.transpose(attended, 0, 2, 1, 3), batch, length, -1);
  return graph.linear(merged, `${name}.o_proj`, heads * width, hidden, biases?.output === true);
}
