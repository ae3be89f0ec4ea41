/**
 * The pass `settle`: work that an owner can do before sharing is drawn to the owner. Scalar factors go into weights;
 * the γ and β of a norm go into the next weights, so that a product follows a norm without another one between. It
 * runs after `approximate`, which puts log₂e into the scores, and before `place`, which cuts the graph where the
 * owners' work ends.
 */
import { CANONICAL } from "./canonicalise.js";
import {
  type RewriteOptions,
  type Rewriter,
  replaced,
  rewriteWith,
  type TensorGraph,
  type TensorNode,
} from "./rewriter.js";
import { FACTORS } from "./rules/factors.js";

export function settle(graph: TensorGraph, options: RewriteOptions = {}): TensorGraph {
  const rules = [...CANONICAL, ...FACTORS];
  return rewriteWith(foldAffine(rewriteWith(graph, rules, options)), rules, options);
}

/**
 * n · γ + β before a product with a weight becomes n, and γ and β go into the weight and the bias. Where the value has
 * other users too (the residual branch of post-norm models), those keep the product with γ, off the critical path.
 */
function foldAffine(graph: TensorGraph): TensorGraph {
  return replaced(graph, (node, args, rewriter) => {
    const weighted = node.op === "matmul" && node.args[1].type.shape.length === 2;
    const affine = weighted ? affineOf(args[0], rewriter) : undefined;
    return affine !== undefined && rewriter.isStatic(args[1]) ? foldInto(node, args[1], affine, rewriter) : undefined;
  });
}

interface Affine {
  readonly x: TensorNode;
  readonly gamma?: TensorNode;
  readonly beta?: TensorNode;
}

const NORMS: ReadonlySet<string> = new Set(["layerNorm", "rmsNorm"]);

/** A slice that takes whole rows. */
function slicesRows(node: TensorNode): boolean {
  return node.op === "slice" && node.type.shape.at(-1) === node.args[0].type.shape.at(-1);
}

/** The parts of n · γ + β for a norm n or rows of it (other movement between them has sunk already). */
function affineOf(y: TensorNode, rewriter: Rewriter): Affine | undefined {
  if (slicesRows(y)) {
    const whole = affineOf(y.args[0], rewriter);
    const rows = whole === undefined ? undefined : rewriter.emit("slice", [whole.x], y.attributes, y.origin);
    return rows === undefined ? undefined : { ...whole, x: rows };
  }
  const vector = (p: TensorNode) => rewriter.isStatic(p) && p.type.shape.length === 1;
  const beta = y.op === "add" && vector(y.args[1]) ? y.args[1] : undefined;
  const scaled = beta === undefined ? y : y.args[0];
  const gamma = scaled.op === "multiply" && vector(scaled.args[1]) ? scaled.args[1] : undefined;
  const x = gamma === undefined ? scaled : scaled.args[0];
  if (!NORMS.has(x.op) || (gamma === undefined && beta === undefined)) {
    return undefined;
  }
  return { x, ...(gamma === undefined ? {} : { gamma }), ...(beta === undefined ? {} : { beta }) };
}

function foldInto(node: TensorNode, weight: TensorNode, affine: Affine, rewriter: Rewriter): TensorNode {
  const make = (op: string, args: readonly TensorNode[], attributes = {}) =>
    rewriter.emit(op, args, attributes, node.origin);
  const { x, gamma, beta } = affine;
  const column = gamma === undefined ? undefined : make("reshape", [gamma], { shape: [weight.type.shape[0], 1] });
  const product = make("matmul", [x, column === undefined ? weight : make("multiply", [weight, column])]);
  if (beta === undefined) {
    return product;
  }
  const row = make("reshape", [beta], { shape: [1, weight.type.shape[0]] });
  const bias = make("reshape", [make("matmul", [row, weight])], { shape: [weight.type.shape[1]] });
  return make("add", [product, bias]);
}
