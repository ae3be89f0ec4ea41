/**
 * The pass `fuse`: idioms become the ops that the compiler knows well. Every idiom is a rule in `idioms/`, written
 * against the normal form of `canonicalise`, whose rules run along so that the form is kept.
 */
import { traitsOf } from "../ir/tensor/index.js";
import type { TensorValue } from "../ir/tensor/value.js";
import { CANONICAL } from "./canonicalise.js";
import { ACTIVATIONS } from "./idioms/activations.js";
import { CONVOLUTION } from "./idioms/convolution.js";
import { EMBEDDING } from "./idioms/embedding.js";
import { maskRules } from "./idioms/masking.js";
import { NORMS } from "./idioms/norms.js";
import { SOFTMAX } from "./idioms/softmax.js";
import { type RewriteOptions, type Rule, rewriteWith, type TensorGraph, type TensorNode } from "./rewriter.js";
import { COMPARISONS, copiedFrom } from "./rules/common.js";

export function fuse(graph: TensorGraph, options: RewriteOptions = {}): TensorGraph {
  const indices = inputsUsedAsIndices(graph);
  const numbers = inputsComparedAsNumbers(graph);
  const masks = maskRules((name) => !indices.has(name) && !numbers.has(name));
  return rewriteWith(graph, [...CANONICAL, ...idioms(), ...masks], options);
}

function idioms(): readonly Rule[] {
  return [...NORMS, ...SOFTMAX, ...ACTIVATIONS, ...EMBEDDING, ...CONVOLUTION];
}

/** Whether what comes out of an op says nothing about how large the elements that went in are. */
function hidesSize(node: TensorNode): boolean {
  const { pattern, image } = traitsOf(node);
  return pattern === "reduction" || pattern === "scan" || image !== "numbers";
}

/** The inputs whose elements are indices: token ids, positions, types. They are not just zeros and ones. */
function inputsUsedAsIndices(graph: TensorGraph): ReadonlySet<string> {
  const inputs = new Map<TensorNode, ReadonlySet<string>>();
  const names = new Set<string>();
  for (const node of graph.nodes) {
    const own = node.op === "input" ? [node.attributes.name as string] : [];
    const from = new Set(
      hidesSize(node) ? [] : [...own, ...node.args.flatMap((argument) => [...inputs.get(argument)!])],
    );
    inputs.set(node, from);
    for (const index of traitsOf(node).indices) {
      for (const name of inputs.get(node.args[index])!) {
        names.add(name);
      }
    }
  }
  return names;
}

/** The inputs whose elements meet constants beyond 0 and 1: lengths, positions. They are not just zeros and ones. */
function inputsComparedAsNumbers(graph: TensorGraph): ReadonlySet<string> {
  const inputs = new Map<TensorNode, ReadonlySet<string>>();
  const names = new Set<string>();
  for (const node of graph.nodes) {
    const own = node.op === "input" ? [node.attributes.name as string] : [];
    const moved = traitsOf(node).pattern === "filling" ? node.args : copiedFrom(node);
    inputs.set(node, new Set([...own, ...moved.flatMap((argument) => [...inputs.get(argument)!])]));
    if (COMPARISONS.includes(node.op) && node.args.some(isBeyondBits)) {
      for (const name of node.args.flatMap((argument) => [...inputs.get(argument)!])) {
        names.add(name);
      }
    }
  }
  return names;
}

function isBeyondBits(node: TensorNode): boolean {
  return node.op === "constant" && !(node.attributes.value as TensorValue).data.every((x) => x >= 0 && x <= 1);
}
