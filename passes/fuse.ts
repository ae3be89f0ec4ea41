/**
 * The pass `fuse`: idioms become the ops that the compiler knows well. Every idiom is a rule in `idioms/`, written
 * against the normal form of `canonicalise`, whose rules run along so that the form is kept.
 */
import { CANONICAL } from "./canonicalise.js";
import { ACTIVATIONS } from "./idioms/activations.js";
import { CONVOLUTION } from "./idioms/convolution.js";
import { EMBEDDING } from "./idioms/embedding.js";
import { maskRules } from "./idioms/masking.js";
import { NORMS } from "./idioms/norms.js";
import { SOFTMAX } from "./idioms/softmax.js";
import { type RewriteOptions, type Rule, rewriteWith, type TensorGraph } from "./rewriter.js";

export function fuse(graph: TensorGraph, options: RewriteOptions = {}): TensorGraph {
  return rewriteWith(graph, [...CANONICAL, ...IDIOMS, ...maskRules()], options);
}

const IDIOMS: readonly Rule[] = [...NORMS, ...SOFTMAX, ...ACTIVATIONS, ...EMBEDDING, ...CONVOLUTION];
