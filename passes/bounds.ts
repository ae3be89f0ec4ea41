/**
 * How large the values of a share program may become. Lowering knows it where the tensor graph does; this fills in the
 * local ops around, so that every place where a `widen` might stand has a bound. Unknown means unbounded.
 */
import type { Graph, Node } from "../ir/graph.js";
import type { ShareType, WordType } from "../ir/share/index.js";
import type { TensorValue } from "../ir/tensor/value.js";

type ShareNode = Node<ShareType>;
type Rule = (node: ShareNode, args: readonly number[]) => number;

const first: Rule = (_, [x]) => x;

const RULES: Readonly<Record<string, Rule>> = {
  reveal: first,
  remask: first,
  rescale: first,
  shiftLeft: first,
  reduce: first,
  toAdditive: first,
  negate: first,
  reshape: first,
  view: first,
  take: first,
  concatenate: (_, args) => Math.max(...args),
  add: (_, [x, y]) => x + y,
  subtract: (_, [x, y]) => x + y,
  addConstant: (node, [x]) => x + largestOf(node) / 2 ** (node.type as WordType).fraction,
  multiplyConstant: (node, [x]) => (x * largestOf(node)) / 2 ** (node.attributes.fraction as number),
  relabel: (node, [x]) => x * 2 ** ((node.args[0].type as WordType).fraction - (node.type as WordType).fraction),
  sum: (node, [x]) => x * node.args[0].type.shape[node.attributes.axis as number],
  toArithmetic: () => 1,
};

/** Bounds of all word nodes, in reals; `known` ones win, others follow from the arguments or are infinite. */
export function boundsOf(
  graph: Graph<ShareType>,
  known: ReadonlyMap<ShareNode, number>,
): ReadonlyMap<ShareNode, number> {
  const bounds = new Map<ShareNode, number>();
  for (const node of graph.nodes) {
    const args = node.args.map((argument) => bounds.get(argument) ?? Number.POSITIVE_INFINITY);
    const derived = RULES[node.op]?.(node, args) ?? Number.POSITIVE_INFINITY;
    bounds.set(node, Math.min(known.get(node) ?? Number.POSITIVE_INFINITY, derived));
  }
  return bounds;
}

function largestOf(node: ShareNode): number {
  let largest = 0;
  for (const value of (node.attributes.value as TensorValue).data) {
    largest = Math.max(largest, Math.abs(value));
  }
  return largest;
}
