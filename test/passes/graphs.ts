/**
 * Random small graphs: operands of a few shapes that fit each other often, so that movement, products and element-wise
 * ops meet in every order. What an op's own rule refuses is not built.
 */
import { Builder, type Graph } from "../../ir/graph.js";
import { seededNumbers } from "../../ir/seeded.js";
import { TENSOR, type TensorNode } from "../../ir/tensor/index.js";
import { sizeOf, type TensorType, type TensorValue } from "../../ir/tensor/value.js";

const SHAPES: readonly (readonly number[])[] = [
  ...[[2, 3, 4], [2, 3, 4], [4], [3, 4], [1, 4], [3, 1], [2, 1, 4], [2, 3, 1], [12], [6, 4], [2, 12], [4, 3, 2]],
  ...[[3, 2, 4], [], [4, 4], [4, 2], [2, 2, 3, 4], [1, 2, 3, 4], [24]],
]; // biome-ignore format: a list of shapes
const STEPS = 40;
const LARGEST = 500;
const PLAIN = [0, 1, -1, 2, 0.5, 3];

export interface RandomGraph {
  readonly graph: Graph<TensorType>;
  readonly values: ReadonlyMap<string, TensorValue>;
}

class Generator {
  private readonly random: () => number;
  private readonly builder = new Builder<TensorType>(TENSOR);
  private readonly nodes: TensorNode[] = [];
  private readonly values = new Map<string, TensorValue>();

  constructor(seed: number) {
    this.random = seededNumbers(seed);
  }

  run(): RandomGraph {
    for (let i = 0; i < 3; i++) {
      this.leaf("input", `x${i}`);
      this.leaf("parameter", `p${i}`);
      this.constant(this.pick(SHAPES));
      this.constant([]);
    }
    for (let step = 0; step < STEPS; step++) {
      const node = this.attempt();
      if (node !== undefined && sizeOf(node.type.shape) <= LARGEST && sizeOf(node.type.shape) > 0) {
        this.nodes.push(node);
      }
    }
    const outputs = [1, 3, 5].map((back) => ({ name: `y${back}`, node: this.nodes[this.nodes.length - back] }));
    return { graph: this.builder.finish(outputs), values: this.values };
  }

  private below(n: number): number {
    return Math.floor(this.random() * n);
  }

  private pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)];
  }

  private value(shape: readonly number[]): TensorValue {
    const element = () => (this.random() < 0.15 ? this.pick(PLAIN) : Math.round((this.random() * 3 - 1.2) * 64) / 64);
    return { dtype: "f32", shape, data: Float64Array.from({ length: sizeOf(shape) }, element) };
  }

  private leaf(op: string, name: string): void {
    const shape = this.pick(SHAPES);
    this.values.set(name, this.value(shape));
    this.nodes.push(this.builder.emit(op, [], { name, dtype: "f32", shape }, name));
  }

  private constant(shape: readonly number[]): void {
    const value = this.value(shape);
    if (shape.length === 0 || this.random() < 0.4) {
      value.data.fill(this.pick(PLAIN));
    }
    this.nodes.push(this.builder.emit("constant", [], { value }));
  }

  private attempt(): TensorNode | undefined {
    const x = this.pick([...this.nodes.slice(-14), ...this.nodes]);
    const y = this.pick(this.nodes);
    try {
      return this.make(x, y);
    } catch {
      return undefined;
    }
  }

  private make(x: TensorNode, y: TensorNode): TensorNode {
    const { shape } = x.type;
    const pair = this.random() < 0.5 ? [x, y] : [y, x];
    const choice = this.random();
    const emit = (op: string, args: readonly TensorNode[], attributes = {}) =>
      this.builder.emit(op, args, attributes, `${op}${this.nodes.length}`);
    if (choice < 0.3) {
      const op = this.pick(["add", "subtract", "multiply", "add", "multiply", "maximum", "minimum", "divide"]);
      return emit(op, pair);
    }
    if (choice < 0.4) {
      return emit(
        this.pick(["negate", "absolute", "tangentHyperbolic", "sigmoid", "relu", "errorFunction", "cosine"]),
        [x],
      );
    }
    if (choice < 0.73) {
      return this.movement(x, choice);
    }
    if (choice < 0.79 && shape.length > 0 && y.type.shape.length === shape.length) {
      return emit("concatenate", [x, y], { axis: this.below(shape.length) });
    }
    if (choice < 0.87) {
      return emit("matmul", pair);
    }
    if (choice < 0.93) {
      const attributes = { axes: [this.below(shape.length)], keep: this.random() < 0.5 };
      return emit(this.pick(["reduceSum", "reduceMean", "reduceMaximum"]), [x], attributes);
    }
    return choice < 0.96
      ? emit(this.pick(["layerNorm", "rmsNorm"]), [x], { epsilon: 0.01 })
      : emit("softmax", [x], { axis: shape.length === 0 ? -1 : this.below(shape.length) });
  }

  private movement(x: TensorNode, choice: number): TensorNode {
    const { shape } = x.type;
    const origin = `move${this.nodes.length}`;
    if (choice < 0.5) {
      return this.builder.emit("reshape", [x], { shape: this.factors(sizeOf(shape)) }, origin);
    }
    if (choice < 0.6) {
      const permutation = shape.map((_, axis) => axis);
      for (let i = permutation.length - 1; i > 0; i--) {
        const j = this.below(i + 1);
        [permutation[i], permutation[j]] = [permutation[j], permutation[i]];
      }
      return this.builder.emit("transpose", [x], { permutation }, origin);
    }
    if (choice < 0.66) {
      const wide = shape.map((size) => (size === 1 && this.random() < 0.6 ? this.pick([2, 3]) : size));
      return this.builder.emit("broadcast", [x], { shape: this.random() < 0.4 ? [2, ...wide] : wide }, origin);
    }
    const whole = shape.map(() => this.random() < 0.3);
    const starts = shape.map((size, axis) => (whole[axis] ? 0 : this.below(size)));
    const ends = shape.map((size, axis) => (whole[axis] ? size : starts[axis] + 1 + this.below(size - starts[axis])));
    const steps = shape.map(() => (this.random() < 0.15 ? 2 : 1));
    return this.builder.emit("slice", [x], { starts, ends, steps }, origin);
  }

  private factors(size: number): number[] {
    const shape: number[] = this.random() < 0.3 ? [1] : [];
    let left = size;
    while (left > 1 && shape.length < 4) {
      const divisors = Array.from({ length: left }, (_, i) => i + 1).filter((each) => left % each === 0);
      const factor = this.pick(divisors);
      shape.push(factor);
      left /= factor;
    }
    return [...shape, left];
  }
}

export function randomGraph(seed: number): RandomGraph {
  return new Generator(seed).run();
}
