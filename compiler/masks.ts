/**
 * Which inputs are masks, by their use: exports from JAX often have no names. A mask decides what a softmax keeps and
 * is not looked up in a table.
 */
import type { Graph } from "../ir/graph.js";
import { type TensorNode, traitsOf } from "../ir/tensor/index.js";
import { isFloat, type TensorType } from "../ir/tensor/value.js";
import type { Placed } from "../passes/place.js";

/** The inputs of a graph, after its idioms are recognised, that are masks. */
function maskInputs({ nodes }: Graph<TensorType>): ReadonlySet<string> {
  const masks = inputsUnder(nodes.filter(({ op }) => op.startsWith("softmax")).flatMap(({ args }) => args.slice(1)));
  const indices = nodes.flatMap((node) => traitsOf(node).indices.map((i) => node.args[i]));
  return without(masks, inputsUnder(indices));
}

/** The same of a model that is cut into programs: the inputs of the owners' programs that are masks. */
export function placedMaskInputs({ secret, data, bindings }: Placed): ReadonlySet<string> {
  const secretMasks = maskInputs(secret);
  const outputs = new Set(bindings.filter(({ input }) => secretMasks.has(input)).map(({ output }) => output));
  const roots = data.outputs.filter(({ name }) => outputs.has(name)).map(({ node }) => node);
  const indices = data.nodes.flatMap((node) => traitsOf(node).indices.map((i) => node.args[i]));
  return without(inputsUnder(roots), inputsUnder(indices));
}

/**
 * The names of the integer and truth-value inputs that nodes are made of; an embedding of which padding is told is
 * data.
 * Positions that are counted from a mask are not the mask.
 */
function inputsUnder(roots: readonly TensorNode[]): ReadonlySet<string> {
  const seen = new Set<TensorNode>();
  const pending = [...roots];
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    if (!seen.has(node) && node.op !== "cumulativeSum") {
      seen.add(node);
      pending.push(...node.args);
    }
  }
  const inputs = [...seen].filter(({ op, type }) => op === "input" && !isFloat(type.dtype));
  return new Set(inputs.map(({ attributes }) => attributes.name as string));
}

function without(names: ReadonlySet<string>, others: ReadonlySet<string>): ReadonlySet<string> {
  return new Set([...names].filter((name) => !others.has(name)));
}
