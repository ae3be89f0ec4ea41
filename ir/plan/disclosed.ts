/** What P1 and P2 are given in the clear: inputs of the model, or what is made of such alone. */
import type { Graph } from "../graph.js";
import type { TensorType } from "../tensor/value.js";
import type { Binding } from "./types.js";

/** The names of the inputs of the data owner's program that its public outputs are made of, in the program's order. */
export function publicInputs(data: Graph<TensorType>, bindings: readonly Binding[]): readonly string[] {
  const given = new Set(bindings.filter(({ owner }) => owner === "public").map(({ output }) => output));
  const seen = new Set(data.outputs.filter(({ name }) => given.has(name)).map(({ node }) => node));
  for (const node of seen) {
    for (const argument of node.args) {
      seen.add(argument);
    }
  }
  return data.nodes
    .filter((node) => node.op === "input" && seen.has(node))
    .map(({ attributes }) => String(attributes.name));
}
