/**
 * How large the values of a share program may become. Lowering knows it where the tensor graph does; the ops' own rules
 * fill in the local ones around, so that every place where a `widen` might stand has a bound. Unknown means unbounded.
 */
import type { Graph, Node } from "../ir/graph.js";
import { SHARE, type ShareType } from "../ir/share/index.js";

type ShareNode = Node<ShareType>;

/** Bounds of all word nodes, in reals; `known` ones win, others follow from the arguments or are infinite. */
export function boundsOf(
  graph: Graph<ShareType>,
  known: ReadonlyMap<ShareNode, number>,
): ReadonlyMap<ShareNode, number> {
  const bounds = new Map<ShareNode, number>();
  for (const node of graph.nodes) {
    const args = node.args.map((argument) => bounds.get(argument) ?? Number.POSITIVE_INFINITY);
    const types = node.args.map(({ type }) => type);
    const derived = SHARE.ops[node.op].bound(args, node.attributes, node.type, types);
    bounds.set(node, Math.min(known.get(node) ?? Number.POSITIVE_INFINITY, derived));
  }
  return bounds;
}
