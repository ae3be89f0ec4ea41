/** What of a model's answers a plan computes: outputs by name, or the next token. */
import { fail } from "../ir/diagnostics.js";
import { Builder, type Graph, prune } from "../ir/graph.js";
import { unknownNames } from "../ir/names.js";
import { TENSOR } from "../ir/tensor/index.js";
import type { TensorType } from "../ir/tensor/value.js";

/**
 * The graph with only the outputs to reveal. `token` is not an output of the model: it is the argmax of its logits at
 * the last position, so that nobody learns the logits.
 */
export function withOutputs(graph: Graph<TensorType>, reveal: readonly string[] | undefined): Graph<TensorType> {
  if (reveal === undefined) {
    return graph;
  }
  const names = [...graph.outputs.map(({ name }) => name), "token"];
  const problems = unknownNames("--reveal", "output", reveal, names);
  if (problems.length > 0) {
    throw fail(...problems);
  }
  const kept = graph.outputs.filter(({ name }) => reveal.includes(name));
  return prune(reveal.includes("token") ? withToken(graph, kept) : { ...graph, outputs: kept });
}

function withToken(graph: Graph<TensorType>, kept: Graph<TensorType>["outputs"]): Graph<TensorType> {
  const logits = graph.outputs.find(({ name }) => name === "logits") ?? graph.outputs[0];
  const { shape } = logits.node.type;
  if (shape.length < 2) {
    throw fail({ code: "E0201", what: "the model has no logits to choose a token from", where: logits.name });
  }
  const builder = new Builder<TensorType>(TENSOR);
  for (const node of graph.nodes) {
    builder.append(node);
  }
  const position = shape.length - 2;
  const attributes = {
    starts: shape.map((n, axis) => (axis === position ? n - 1 : 0)),
    ends: [...shape],
    steps: shape.map(() => 1),
  };
  const row = builder.emit("slice", [logits.node], attributes, "token");
  const axis = shape.length - 1;
  const node = builder.emit("argmax", [row], { axis, keep: false, last: false }, "token");
  return { nodes: builder.nodes, outputs: [...kept, { name: "token", node }] };
}
