/**
 * The pass `halve`: GELU is h/2 plus an even function, and what follows it is a product with a weight. So the linear
 * half goes around the function, gelu(h)·W₂ = even(h)·W₂ + h·½W₂, and where h itself is y·W₁ + b₁, into weights that
 * the owner multiplies ahead: y·(½W₁W₂) + ½b₁W₂. The even function alone needs fewer terms and fewer bits than GELU,
 * and no second, wide copy of h (PROTOCOL.md, "series"); the product with y joins the residual's of post-norm models,
 * and is otherwise one more under the opening that is there anyway.
 *
 * Products of one value that are added up become one: y·A + y·B = y·(A + B).
 */

import { termsOf } from "./idioms/chains.js";
import {
  type RewriteOptions,
  type Rewriter,
  type Rule,
  replaced,
  rewriteWith,
  type TensorGraph,
  type TensorNode,
} from "./rewriter.js";

export function halve(graph: TensorGraph, options: RewriteOptions = {}): TensorGraph {
  const users = new Map<TensorNode, number>();
  for (const argument of graph.nodes.flatMap(({ args }) => args)) {
    users.set(argument, (users.get(argument) ?? 0) + 1);
  }
  for (const { node } of graph.outputs) {
    users.set(node, (users.get(node) ?? 0) + 1);
  }
  const next = replaced(graph, (node, args, rewriter) => {
    const isHalved = node.op === "matmul" && node.args[0].op === "gelu" && users.get(node.args[0]) === 1;
    return isHalved ? withoutLinearHalf(node, args, rewriter) : undefined;
  });
  return next === graph ? graph : rewriteWith(next, [oneProduct], options);
}

/** A product with a matrix of the owner's. */
function isWeighted(node: TensorNode, rewriter: Rewriter): boolean {
  return node.op === "matmul" && node.args[1].type.shape.length === 2 && rewriter.isOwned(node.args[1]);
}

/** y·W₁ + b₁ of owner's W₁ and b₁, or y·W₁. */
function affine(h: TensorNode, rewriter: Rewriter) {
  const biased = h.op === "add" && h.args[1].type.shape.length === 1 && rewriter.isStatic(h.args[1]);
  const product = biased ? h.args[0] : h;
  if (!isWeighted(product, rewriter)) {
    return undefined;
  }
  const [y, weight] = product.args;
  return { y, weight, bias: biased ? h.args[1] : undefined };
}

/** gelu(y·W₁ + b₁)·W₂ = even(y·W₁ + b₁)·W₂ + (y·(½W₁W₂) + ½b₁W₂), where W₁, b₁ and W₂ are the owner's. */
function withoutLinearHalf(
  node: TensorNode,
  [activated, second]: readonly TensorNode[],
  rewriter: Rewriter,
): TensorNode | undefined {
  const [h] = activated.args;
  const inner = affine(h, rewriter);
  if (inner === undefined || second.type.shape.length !== 2 || !rewriter.isOwned(second)) {
    return undefined;
  }
  const make = (op: string, args: readonly TensorNode[], attributes = {}) =>
    rewriter.emit(op, args, attributes, node.origin);
  const half = make("multiply", [second, rewriter.scalar(0.5, second)]);
  const even = rewriter.emit("geluEven", [h], activated.attributes, activated.origin);
  const linear = make("matmul", [inner.y, make("matmul", [inner.weight, half])]);
  const sum = make("add", [make("matmul", [even, second]), linear]);
  if (inner.bias === undefined) {
    return sum;
  }
  const row = make("reshape", [inner.bias], { shape: [1, inner.bias.type.shape[0]] });
  const bias = make("reshape", [make("matmul", [row, half])], { shape: [second.type.shape[1]] });
  return make("add", [sum, bias]);
}

const DEEPEST_SUM = 6;

/** y·A + … + y·B = y·(A + B) + …, for owner's A and B. */
const oneProduct: Rule = {
  name: "one product of a value",
  ops: ["add"],
  apply(node, rewriter) {
    const terms = termsOf(rewriter, node, DEEPEST_SUM);
    for (const [i, first] of terms.entries()) {
      const second = terms.findIndex(
        (each, j) =>
          j > i && each.args[0] === first.args[0] && isWeighted(each, rewriter) && isWeighted(first, rewriter),
      );
      if (second > 0) {
        const [a, b] = [first.args[1], terms[second].args[1]];
        const weight = rewriter.emit("add", [a, b], {}, first.origin);
        const product = rewriter.emit("matmul", [first.args[0], weight], {}, first.origin);
        const rest = terms.filter((_, j) => j !== i && j !== second);
        const owned = rest.filter((each) => rewriter.isStatic(each));
        const bias = owned.slice(1).reduce((sum, each) => rewriter.emit("add", [sum, each], {}, node.origin), owned[0]);
        const others = [...rest.filter((each) => !owned.includes(each)), ...(owned.length > 0 ? [bias] : [])];
        return others.reduce((sum, each) => rewriter.emit("add", [sum, each], {}, node.origin), product);
      }
    }
    return undefined;
  },
};
