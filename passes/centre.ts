/**
 * The pass `centre`: LayerNorm subtracts the row's mean, and a mean is linear, so the owner can subtract it ahead: from
 * the columns of the weights and from the biases whose results are added up before the norm. What is left is an
 * RMSNorm.
 * It saves no round, but the ring bits that a secret sum over the row would cost on the critical path (a sum of n
 * elements, divided by n, needs log2 n bits more of every element).
 *
 * C = I − 11ᵀ/n centres a row: (aW + b)C = a(WC) + bC; the residual of a post-norm model is (n∘γ + β)C = n(diag(γ)C) +
 * βC, a product with a matrix instead of an element-wise one, which costs the same messages.
 */
import { Builder } from "../ir/graph.js";
import { TENSOR } from "../ir/tensor/index.js";
import type { TensorType, TensorValue } from "../ir/tensor/value.js";
import type { TensorGraph, TensorNode } from "./rewriter.js";

export function centre(graph: TensorGraph): TensorGraph {
  const next = new Centring(graph).run();
  return products(next) <= products(graph) ? next : graph;
}

/** Products with a secret operand: what a value that is needed both centred and as it is would cost twice. */
function products(graph: TensorGraph): number {
  const secret = secretNodes(graph);
  const isProduct = (node: TensorNode) =>
    secret.has(node) &&
    (node.op === "matmul" || (node.op === "multiply" && node.args.every((x) => x.op !== "constant")));
  return graph.nodes.filter(isProduct).length;
}

/** Nodes that depend on an input. */
function secretNodes(graph: TensorGraph): ReadonlySet<TensorNode> {
  const secret = new Set<TensorNode>();
  for (const node of graph.nodes) {
    if (node.op === "input" || node.args.some((argument) => secret.has(argument))) {
      secret.add(node);
    }
  }
  return secret;
}

class Centring {
  private readonly builder = new Builder<TensorType>(TENSOR);
  private readonly made = new Map<TensorNode, TensorNode>();
  private readonly centred = new Map<TensorNode, TensorNode | undefined>();
  private readonly secret: ReadonlySet<TensorNode>;

  constructor(private readonly graph: TensorGraph) {
    this.secret = secretNodes(graph);
  }

  run(): TensorGraph {
    for (const node of this.graph.nodes) {
      const centred = node.op === "layerNorm" ? this.centre(node.args[0]) : undefined;
      const result =
        centred === undefined
          ? this.emit(node, node.op, this.copied(node.args), node.attributes)
          : this.emit(node, "rmsNorm", [centred], node.attributes);
      this.made.set(node, result);
    }
    return this.builder.finish(this.graph.outputs.map(({ name, node }) => ({ name, node: this.made.get(node)! })));
  }

  private copied(nodes: readonly TensorNode[]): TensorNode[] {
    return nodes.map((node) => this.made.get(node)!);
  }

  private emit(at: TensorNode, op: string, args: readonly TensorNode[], attributes: TensorNode["attributes"] = {}) {
    return this.builder.emit(op, args, attributes, at.origin);
  }

  /** The value less its mean over the last axis, where that is linear work of an owner; undefined elsewhere. */
  private centre(node: TensorNode): TensorNode | undefined {
    if (!this.centred.has(node)) {
      this.centred.set(node, this.derive(node));
    }
    return this.centred.get(node);
  }

  private derive(node: TensorNode): TensorNode | undefined {
    if (!this.secret.has(node)) {
      return this.lessMean(node, this.made.get(node)!);
    }
    switch (node.op) {
      case "layerNorm":
        return this.made.get(node);
      case "add": {
        const [x, y] = node.args.map((argument) => this.centre(argument));
        const whole = node.args.every((argument) => argument.type.shape.at(-1) === node.type.shape.at(-1));
        return x === undefined || y === undefined || !whole ? undefined : this.emit(node, "add", [x, y]);
      }
      case "matmul":
        return this.centreProduct(node);
      case "multiply":
        return this.centreScaled(node);
      case "embedding":
        return this.secret.has(node.args[0])
          ? undefined
          : this.emit(node, "embedding", [this.centre(node.args[0])!, this.made.get(node.args[1])!]);
      case "gather":
        return this.centreMovement(node, node.attributes.axis !== node.args[0].type.shape.length - 1);
      case "slice":
      case "reshape":
        return this.centreMovement(node, node.args[0].type.shape.at(-1) === node.type.shape.at(-1));
      default:
        return undefined;
    }
  }

  private centreMovement(node: TensorNode, keepsRows: boolean): TensorNode | undefined {
    const [value, ...others] = node.args;
    const x = keepsRows ? this.centre(value) : undefined;
    return x === undefined ? undefined : this.emit(node, node.op, [x, ...this.copied(others)], node.attributes);
  }

  /** a·W with an owner's W, or rows of a value that are chosen by a: a·(WC). */
  private centreProduct(node: TensorNode): TensorNode | undefined {
    const [a, weight] = node.args;
    const isOne = this.secret.has(weight) || weight.type.shape.length === 2;
    const centred = isOne ? this.centre(weight) : undefined;
    return centred === undefined ? undefined : this.emit(node, "matmul", [this.made.get(a)!, centred]);
  }

  /** n∘γ with an owner's γ of one row: n·(diag(γ)C). */
  private centreScaled(node: TensorNode): TensorNode | undefined {
    const n = node.type.shape.at(-1)!;
    const gamma = node.args.find((argument) => !this.secret.has(argument) && argument.type.shape.at(-1) === n);
    const x = node.args.find((argument) => this.secret.has(argument) && argument.type.shape.at(-1) === n);
    const row = gamma?.type.shape.every((size, i, shape) => size === 1 || i === shape.length - 1);
    if (gamma === undefined || x === undefined || row !== true || x.type.shape.length < 2) {
      return undefined;
    }
    const positions: TensorValue = { dtype: "i64", shape: [n], data: Float64Array.from({ length: n }, (_, i) => i) };
    const identity = this.emit(node, "oneHot", [this.emit(node, "constant", [], { value: positions })], { depth: n });
    const column = this.emit(node, "reshape", [this.made.get(gamma)!], { shape: [n, 1] });
    const weight = this.emit(node, "multiply", [this.lessMean(node, identity), column]);
    return this.emit(node, "matmul", [this.made.get(x)!, weight]);
  }

  private lessMean(at: TensorNode, x: TensorNode): TensorNode {
    const axes = [x.type.shape.length - 1];
    return this.emit(at, "subtract", [x, this.emit(at, "reduceMean", [x], { axes, keep: true })]);
  }
}
