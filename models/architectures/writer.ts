/**
 * Builds the ONNX graph of a known architecture node by node, in the words of torch's dynamo exporter at operator set
 * 18 with fixed shapes (initialisers for all constants, HF names for weights, Linear weights transposed).
 * Weights are made from a seed when they are written, piece by piece.
 */

import type { AttributeSource, ModelSource, NodeSource, TensorSource, ValueSource } from "../../formats/onnx/write.js";
import { type DType, sizeOf } from "../../ir/tensor/value.js";

/** Elements made at a time. */
const PIECE = 1 << 16;

/** A 32-bit hash of a name: each weight has its own stream, whatever the order of writing (FNV-1a). */
function hashOf(text: string, seed: number): number {
  let hash = (0x811c9dc5 ^ seed) >>> 0;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193) >>> 0;
  }
  return hash || 1;
}

/** Uniform float32 values centre ± spread, little-endian, from a seeded xorshift. For random weights only. */
function* uniformBytes(count: number, seed: number, centre: number, spread: number): Iterable<Uint8Array> {
  let state = seed;
  const scale = (2 * spread) / 2 ** 32;
  for (let first = 0; first < count; first += PIECE) {
    const piece = new Float32Array(Math.min(PIECE, count - first));
    for (let i = 0; i < piece.length; i++) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      piece[i] = centre + (state >>> 0) * scale - spread;
    }
    yield new Uint8Array(piece.buffer);
  }
}

export class GraphWriter {
  private readonly nodes: NodeSource[] = [];
  private readonly tensors: TensorSource[] = [];
  private readonly constants = new Map<string, string>();
  private count = 0;
  /** The module whose nodes are being written; part of their names, so that reports know the layer. */
  private module = "";

  constructor(private readonly seed: number) {}

  /** Names what follows after a module, for example `model.layers.3`. */
  enter(module: string): void {
    this.module = module;
  }

  /** A node of one output. */
  node(op: string, inputs: readonly string[], attributes: Readonly<Record<string, AttributeSource>> = {}): string {
    return this.split(op, inputs, 1, attributes)[0];
  }

  /** A node of several outputs. */
  split(
    op: string,
    inputs: readonly string[],
    outputs: number,
    attributes: Readonly<Record<string, AttributeSource>> = {},
  ): readonly string[] {
    const name = `${this.module}/node_${op}_${this.count}`;
    const names = Array.from({ length: outputs }, () => `val_${this.count++}`);
    this.nodes.push({ op, inputs, outputs: names, name, attributes });
    return names;
  }

  /** A weight under its Hugging Face name: uniform with the deviation 0.02 around a centre. */
  weight(name: string, shape: readonly number[], centre = 0): string {
    const stream = (): Iterable<Uint8Array> =>
      uniformBytes(sizeOf(shape), hashOf(name, this.seed), centre, 0.02 * Math.sqrt(3));
    this.tensors.push({ name, dtype: "f32", shape, stream });
    return name;
  }

  /** A constant; equal ones are one initialiser. */
  constant(values: readonly number[], shape: readonly number[], dtype: DType): string {
    const key = JSON.stringify([dtype, shape, values]);
    const known = this.constants.get(key);
    if (known !== undefined) {
      return known;
    }
    const name = `const_${this.constants.size}`;
    this.constants.set(key, name);
    this.tensors.push({ name, dtype, shape, data: Float64Array.from(values) });
    return name;
  }

  scalar(value: number): string {
    return this.constant([value], [], "f32");
  }

  integers(...values: number[]): string {
    return this.constant(values, [values.length], "i64");
  }

  /** x W + b, W already transposed to [in, out]. */
  linear(x: string, name: string, from: number, to: number, bias: boolean): string {
    const product = this.node("MatMul", [x, this.weight(`${name}.weight`, [from, to])]);
    return bias ? this.node("Add", [product, this.weight(`${name}.bias`, [to])]) : product;
  }

  layerNorm(x: string, name: string, width: number, epsilon: number): string {
    const inputs = [x, this.weight(`${name}.weight`, [width], 1), this.weight(`${name}.bias`, [width])];
    return this.node("LayerNormalization", inputs, { axis: { integer: -1 }, epsilon: { number: epsilon } });
  }

  reshape(x: string, ...shape: number[]): string {
    return this.node("Reshape", [x, this.integers(...shape)], { allowzero: { integer: 1 } });
  }

  transpose(x: string, ...permutation: number[]): string {
    return this.node("Transpose", [x], { perm: { integers: permutation } });
  }

  /** x Φ(x), written as exporters below operator set 20 do. */
  gelu(x: string): string {
    const error = this.node("Erf", [this.node("Div", [x, this.scalar(Math.SQRT2)])]);
    const half = this.node("Mul", [this.scalar(0.5), this.node("Add", [error, this.scalar(1)])]);
    return this.node("Mul", [x, half]);
  }

  /** The tanh form of GPT-2, which no exporter fuses. */
  geluTanh(x: string): string {
    const cube = this.node("Pow", [x, this.scalar(3)]);
    const inner = this.node("Add", [x, this.node("Mul", [cube, this.scalar(0.044715)])]);
    const turned = this.node("Tanh", [this.node("Mul", [inner, this.scalar(Math.sqrt(2 / Math.PI))])]);
    return this.node("Mul", [this.node("Mul", [x, this.scalar(0.5)]), this.node("Add", [turned, this.scalar(1)])]);
  }

  /** [1, 1, S, S] additive mask from `attention_mask` and a boolean structure, as transformers 5 traces it. */
  mask(length: number, sees: (query: number, key: number) => boolean, rows: number): string {
    const structure = Array.from({ length: rows * length }, (_, i) =>
      sees(Math.floor(i / length), i % length) ? 1 : 0,
    );
    const keep = this.constant(structure, [1, 1, rows, length], "bool");
    const index = Array.from({ length }, (_, key) => [0, key]).flat();
    const bits = this.node("Cast", ["attention_mask"], { to: { integer: 9 } });
    const keys = this.node("GatherND", [bits, this.constant(index, [1, 1, 1, length, 2], "i64")]);
    const both = this.node("And", [keep, keys]);
    return this.node("Where", [both, this.scalar(0), this.scalar(-3.4028234663852886e38)]);
  }

  /** softmax(q kᵀ · scale + mask) v, for q [1, heads, S, d], kᵀ [1, heads, d, S]. */
  attend(q: string, transposedKeys: string, v: string, mask: string, headWidth: number): string {
    const scores = this.node("Mul", [this.node("MatMul", [q, transposedKeys]), this.scalar(1 / Math.sqrt(headWidth))]);
    const weights = this.node("Softmax", [this.node("Add", [scores, mask])], { axis: { integer: -1 } });
    return this.node("MatMul", [weights, v]);
  }

  /** The finished model of a language model's head: ids and mask in, the logits of every position out. */
  finishDecoder(logits: string, length: number, vocabulary: number): ModelSource {
    const inputs = ["input_ids", "attention_mask"].map(
      (name): ValueSource => ({ name, dtype: "i64", shape: [1, length] }),
    );
    return this.finish(inputs, logits, "logits", [1, length, vocabulary]);
  }

  /** The finished model; the value `result` becomes the output `name`. */
  finish(
    inputs: readonly ValueSource[],
    result: string,
    name: string,
    shape: readonly number[],
    graph = "main_graph",
  ): ModelSource {
    const rename = (value: string): string => (value === result ? name : value);
    const nodes = this.nodes.map((node) => ({
      ...node,
      inputs: node.inputs.map(rename),
      outputs: node.outputs.map(rename),
    }));
    const outputs = [{ name, dtype: "f32" as const, shape }];
    return {
      graph: { name: graph, inputs, outputs, nodes, tensors: this.tensors },
      opsets: { "": 18 },
      producer: "pumac",
    };
  }
}
