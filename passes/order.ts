/**
 * The last step of `place`: the secret program's commutative arguments and its nodes are put in an order that depends
 * on its own structure only, not on how owners made its inputs, nor on their names. So exports of one model that
 * differ in the owners' work (a weight stored transposed) have the same secret program.
 */
import type { Placed } from "./placed.js";
import { Rewriter, type Rule, type TensorGraph, type TensorNode, transfer } from "./rewriter.js";
import { COMMUTATIVE } from "./rules/common.js";

/** Computed values first, then inputs, then constants; equals by structure, then by first use. */
const order: Rule = {
  name: "order of arguments",
  ops: COMMUTATIVE,
  apply(node, rewriter) {
    const rank = (each: TensorNode) => (each.op === "constant" ? 2 : each.op === "input" ? 1 : 0);
    const [a, b] = node.args;
    const [factsA, factsB] = [rewriter.factsOf(a), rewriter.factsOf(b)];
    const swapped = rank(a) - rank(b) || factsA.hash - factsB.hash || factsA.id - factsB.id;
    return swapped > 0 ? rewriter.emit(node.op, [b, a], node.attributes, node.origin) : undefined;
  },
};

export function canonicalOrder(placed: Placed): Placed {
  const secret = depthFirst(transfer(placed.secret, new Rewriter([order])).next);
  const places = new Map(secret.nodes.flatMap((node, i) => (node.op === "input" ? [[node.attributes.name, i]] : [])));
  const bindings = [...placed.bindings].sort((a, b) => Number(places.get(a.input)) - Number(places.get(b.input)));
  const model = ownersOrder(placed.model, bindings, ["model"]);
  const data = ownersOrder(placed.data, bindings, ["data", "public"]);
  return { ...placed, secret, model, data, bindings };
}

/** An owner's program: its outputs in the order in which the secret program reads them. */
function ownersOrder(program: TensorGraph, bindings: Placed["bindings"], owners: readonly string[]): TensorGraph {
  const named = new Map(program.outputs.map((output) => [output.name, output]));
  const read = bindings.filter(({ owner }) => owners.includes(owner)).map(({ output }) => named.get(output)!);
  const unread = program.outputs.filter((output) => !read.includes(output));
  return depthFirst({ nodes: program.nodes, outputs: [...new Set(read), ...unread] });
}

/** The nodes in the order of a walk from the outputs, operands first: it does not depend on how they were listed. */
export function depthFirst(graph: TensorGraph): TensorGraph {
  const seen = new Set<TensorNode>();
  const nodes: TensorNode[] = [];
  const pending: { node: TensorNode; next: number }[] = [];
  const enter = (node: TensorNode) => {
    if (!seen.has(node)) {
      seen.add(node);
      pending.push({ node, next: 0 });
    }
  };
  for (const output of graph.outputs) {
    enter(output.node);
    while (pending.length > 0) {
      const top = pending[pending.length - 1];
      if (top.next < top.node.args.length) {
        enter(top.node.args[top.next++]);
      } else {
        nodes.push(top.node);
        pending.pop();
      }
    }
  }
  return { nodes, outputs: graph.outputs };
}
