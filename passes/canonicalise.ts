/**
 * The pass `canonicalise`: one normal form for what exporters write in many ways. Equal nodes are one node, whatever
 * is constant is folded (weights never are: they are not here), and the rules of `rules/` say the rest. It runs
 * before `fuse`, whose idioms are written against this form only.
 */

import { Builder } from "../ir/graph.js";
import { TENSOR } from "../ir/tensor/index.js";
import { isFloat, type TensorType, type TensorValue } from "../ir/tensor/value.js";
import { type RewriteOptions, type Rule, rewriteWith, type TensorGraph, type TensorNode } from "./rewriter.js";
import { ARITHMETIC } from "./rules/arithmetic.js";
import { LAYOUT } from "./rules/layout.js";
import { MOVEMENT } from "./rules/movement.js";
import { PRODUCTS } from "./rules/products.js";
import { SINKING } from "./rules/sinking.js";

export const CANONICAL: readonly Rule[] = [...ARITHMETIC, ...LAYOUT, ...MOVEMENT, ...SINKING, ...PRODUCTS];

export function canonicalise(graph: TensorGraph, options: RewriteOptions = {}): TensorGraph {
  return rewriteWith(uniformFloats(graph), CANONICAL, options);
}

/** One kind of float everywhere: the graph speaks about real numbers, and its casts between floats mean nothing. */
function uniformFloats(graph: TensorGraph): TensorGraph {
  const uniform = (dtype: string) => (isFloat(dtype as TensorType["dtype"]) ? "f32" : dtype);
  if (graph.nodes.every((node) => uniform(node.type.dtype) === node.type.dtype)) {
    return graph;
  }
  const builder = new Builder<TensorType>(TENSOR);
  const made = new Map<TensorNode, TensorNode>();
  for (const node of graph.nodes) {
    const attributes = { ...node.attributes };
    if (typeof attributes.dtype === "string") {
      attributes.dtype = uniform(attributes.dtype);
    }
    if (node.op === "constant" && isFloat(node.type.dtype)) {
      attributes.value = { ...(node.attributes.value as TensorValue), dtype: "f32" };
    }
    const args = node.args.map((argument) => made.get(argument)!);
    made.set(node, builder.emit(node.op, args, attributes, node.origin));
  }
  return builder.finish(graph.outputs.map(({ name, node }) => ({ name, node: made.get(node)! })));
}
