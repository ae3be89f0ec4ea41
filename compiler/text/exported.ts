/**
 * A cache that a model was exported with: inputs of past keys and values, and outputs of present ones, in the order of
 * each other. The past is what earlier runs kept, the present what this one does.
 */
import { fail } from "../../ir/diagnostics.js";
import { Builder } from "../../ir/graph.js";
import { TENSOR } from "../../ir/tensor/index.js";
import { sizeOf, type TensorType, type TensorValue } from "../../ir/tensor/value.js";
import type { TensorGraph, TensorNode } from "../../passes/rewriter.js";
import type { ImportedModel } from "../imported.js";
import type { CachedGraph, CacheOptions } from "./cache.js";
import { isPast } from "./padding.js";

/** Whether an output has keys or values of past and present tokens. */
function isPresent(name: string): boolean {
  return /present|past|cache/i.test(name);
}

/** An exported cache: its inputs and outputs in each other's order, and the axis along which tokens are appended. */
interface Cache {
  readonly past: ImportedModel["inputs"];
  readonly present: TensorGraph["outputs"];
  readonly axis: number;
}

/** The cache that a model was exported with; undefined where it has none. E0402 where it has half of one. */
export function cacheIn({ graph, inputs }: Pick<ImportedModel, "graph" | "inputs">): Cache | undefined {
  const past = inputs.filter(({ name }) => isPast(name));
  if (past.length === 0) {
    return undefined;
  }
  const present = graph.outputs.filter(({ name }) => isPresent(name));
  const [first] = past;
  const axis = first.shape.findIndex((size, i) => size !== present[0]?.node.type.shape[i]);
  if (present.length !== past.length || axis < 0) {
    const isHalf = present.length !== past.length;
    const counts = `the model takes ${past.length} values of a cache, and gives ${present.length} back`;
    const what = isHalf ? counts : "the model writes into a cache of one length, and appends to none";
    throw fail({ code: "E0402", what, where: first.name, fix: "export it with past and present of every layer" });
  }
  return { past, present, axis };
}

/** The graph with its own cache kept at the parties. */
export function exportedCache(
  graph: TensorGraph,
  { past, present, axis }: Cache,
  { rows, isContinued, context }: CacheOptions,
): CachedGraph {
  const builder = new Builder<TensorType>(TENSOR);
  const made = new Map<TensorNode, TensorNode>();
  const windowOf = (shape: readonly number[]) => shape.with(axis, context);
  for (const node of graph.nodes) {
    const name = String(node.attributes.name);
    const args = node.args.map((argument) => made.get(argument)!);
    if (node.op === "input" && past.some((each) => each.name === name)) {
      made.set(node, isContinued ? recalled(node, name) : nothing(node));
    } else {
      const isSame = args.every((argument, i) => argument === node.args[i]);
      made.set(node, isSame ? builder.append(node) : builder.emit(node.op, args, node.attributes, node.origin));
    }
  }
  function nothing({ type: { dtype, shape }, origin }: TensorNode): TensorNode {
    return builder.emit("constant", [], { value: { dtype, shape, data: new Float64Array(sizeOf(shape)) } }, origin);
  }
  function recalled(node: TensorNode, name: string): TensorNode {
    const { dtype, shape } = node.type;
    const whole = builder.emit("input", [], { name, dtype, shape: windowOf(shape) }, name);
    const starts = shape.map((_, i) => (i === axis ? rows : 0));
    return builder.emit("slice", [whole], { starts, ends: windowOf(shape), steps: shape.map(() => 1) }, name);
  }
  const kept = past.map(({ name }, i) => ({ name, node: padded(builder, made.get(present[i].node)!, axis, context) }));
  const outputs = graph.outputs.filter((each) => !present.includes(each));
  const own = outputs.map(({ name, node }) => ({ name, node: made.get(node)! }));
  return { graph: builder.finish([...own, ...kept]), kept: past.map(({ name }) => ({ name, axis })) };
}

/** Rows as the newest ones of a window. */
function padded(builder: Builder<TensorType>, rows: TensorNode, axis: number, context: number): TensorNode {
  const { dtype, shape } = rows.type;
  const missing = context - shape[axis];
  if (missing === 0) {
    return rows;
  }
  const empty = shape.with(axis, missing);
  const value: TensorValue = { dtype, shape: empty, data: new Float64Array(sizeOf(empty)) };
  const zeros = builder.emit("constant", [], { value }, rows.origin);
  return builder.emit("concatenate", [zeros, rows], { axis }, rows.origin);
}
