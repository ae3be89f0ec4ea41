/**
 * Builds the ONNX graph of a known architecture node by node, in the words of torch's dynamo exporter at operator set
 * 18 with fixed shapes (initialisers for all constants, HF names for weights).
 */

import type { AttributeSource, ModelSource, NodeSource, TensorSource, ValueSource } from "../../formats/onnx/write.js";
import { fail } from "../../ir/diagnostics.js";
import type { DType } from "../../ir/tensor/value.js";
import type { WeightSource } from "./weights.js";

/** The sizes of a model's inputs. */
export interface Frame {
  readonly batch: number;
  readonly length: number;
}

/** What a finished model gives: the value of the graph under the output's name. */
export interface Result {
  readonly name: string;
  readonly value: string;
  readonly shape: readonly number[];
}

export class GraphWriter {
  private readonly nodes: NodeSource[] = [];
  private readonly tensors: TensorSource[] = [];
  private readonly constants = new Map<string, string>();
  private readonly read = new Map<string, string>();
  private count = 0;
  /** The module whose nodes are being written; part of their names, so that reports know the layer. */
  private module = "";

  constructor(
    private readonly weights: WeightSource,
    readonly frame: Frame,
  ) {}

  /** Whether the model has a weight of that name. */
  has(name: string): boolean {
    return this.weights.has(name);
  }

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

  /** A weight by its Hugging Face name, as float32; `centre`: around what random ones lie. */
  weight(name: string, shape: readonly number[], centre = 0): string {
    const known = this.read.get(name);
    if (known !== undefined) {
      return known;
    }
    const tensor = this.weights.tensor(name, shape, centre);
    if (tensor.source !== undefined) {
      this.tensors.push(tensor.source);
    }
    const value = tensor.dtype === "f32" ? tensor.name : this.node("Cast", [tensor.name], { to: { integer: 1 } });
    this.read.set(name, value);
    return value;
  }

  /** The first rows of a table of positions, [1, S, width]. */
  firstRows(table: string, rows: number, width: number): string {
    const { length } = this.frame;
    if (!this.weights.asStored) {
      return this.weight(`${table}.rows`, [1, length, width]);
    }
    const whole = this.weight(`${table}.weight`, [rows, width]);
    const part = this.node("Slice", [whole, this.integers(0), this.integers(length), this.integers(0)]);
    return this.node("Unsqueeze", [part, this.integers(0)]);
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

  /** x W + b; exporters fold the transposition of W to [in, out]. `stored`: where W is not `name`'s own. */
  linear(x: string, name: string, from: number, to: number, bias: boolean, stored = `${name}.weight`): string {
    const weight = this.weights.asStored
      ? this.transpose(this.weight(stored, [to, from]), 1, 0)
      : this.weight(stored, [from, to]);
    const product = this.node("MatMul", [x, weight]);
    return bias ? this.node("Add", [product, this.weight(`${name}.bias`, [to])]) : product;
  }

  /** x Wᵀ + b of x [B, in], as exporters write a linear map of one row. */
  gemm(x: string, name: string, from: number, to: number): string {
    const inputs = [x, this.weight(`${name}.weight`, [to, from]), this.weight(`${name}.bias`, [to])];
    return this.node("Gemm", inputs, { transB: { integer: 1 } });
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

  /** An activation by Hugging Face's name; E0402 for one that is not known. */
  activation(x: string, name: string): string {
    switch (name) {
      case "gelu":
        return this.gelu(x);
      case "gelu_new":
      case "gelu_pytorch_tanh":
      case "gelu_fast":
        return this.geluTanh(x);
      case "relu":
        return this.node("Relu", [x]);
      case "silu":
      case "swish":
        return this.node("Mul", [x, this.node("Sigmoid", [x])]);
      case "tanh":
        return this.node("Tanh", [x]);
      default:
        throw fail({
          code: "E0402",
          what: `the activation '${name}' cannot be written`,
          fix: "export the model as ONNX (docs/exporting.md)",
        });
    }
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

  /** [B, 1, S, S] additive mask from `attention_mask` and a boolean structure, as transformers 5 traces it. */
  mask(sees: (query: number, key: number) => boolean): string {
    const { batch, length } = this.frame;
    const structure = Array.from({ length: length * length }, (_, i) =>
      sees(Math.floor(i / length), i % length) ? 1 : 0,
    );
    const keep = this.constant(structure, [1, 1, length, length], "bool");
    const index = Array.from({ length: batch * length }, (_, i) => [Math.floor(i / length), i % length]).flat();
    const bits = this.node("Cast", ["attention_mask"], { to: { integer: 9 } });
    const keys = this.node("GatherND", [bits, this.constant(index, [batch, 1, 1, length, 2], "i64")]);
    const both = this.node("And", [keep, keys]);
    return this.node("Where", [both, this.scalar(0), this.scalar(-3.4028234663852886e38)]);
  }

  /** softmax(q kᵀ · scale + mask) v, for q [1, heads, S, d], kᵀ [1, heads, d, S]. */
  attend(q: string, transposedKeys: string, v: string, mask: string, headWidth: number): string {
    const scores = this.node("Mul", [this.node("MatMul", [q, transposedKeys]), this.scalar(1 / Math.sqrt(headWidth))]);
    const weights = this.node("Softmax", [this.node("Add", [scores, mask])], { axis: { integer: -1 } });
    return this.node("MatMul", [weights, v]);
  }

  /** The finished model: ids of the inputs' names in, the results out. */
  finish(inputs: readonly string[], results: readonly Result[]): ModelSource {
    const { batch, length } = this.frame;
    const names = new Map(results.map(({ name, value }) => [value, name]));
    const rename = (value: string): string => names.get(value) ?? value;
    const nodes = this.nodes.map((node) => ({
      ...node,
      inputs: node.inputs.map(rename),
      outputs: node.outputs.map(rename),
    }));
    return {
      graph: {
        name: "main_graph",
        inputs: inputs.map((name): ValueSource => ({ name, dtype: "i64", shape: [batch, length] })),
        outputs: results.map(({ name, shape }): ValueSource => ({ name, dtype: "f32", shape })),
        nodes,
        tensors: this.tensors,
      },
      opsets: { "": 18 },
      producer: "pumac",
    };
  }
}
