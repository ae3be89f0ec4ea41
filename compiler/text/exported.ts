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

/** Whether an input has keys or values of past tokens, by its name. */
export function isPast(name: string): boolean {
  return /past|cache/i.test(name) && !/use_cache|position|length/i.test(name);
}

/** Whether an output has keys or values of past and present tokens. */
export function isPresent(name: string): boolean {
  return /present|past|cache/i.test(name);
}

/** The graph with its own cache kept at the parties; undefined where it has none. E0402 where it has half of one. */
export function exportedCache(
  graph: TensorGraph,
  { inputs }: Pick<ImportedModel, "inputs">,
  { rows, isContinued, context }: CacheOptions,
): CachedGraph | undefined {
  const past = inputs.filter(({ name }) => isPast(name));
  if (past.length === 0) {
    return undefined;
  }
  const present = graph.outputs.filter(({ name }) => isPresent(name));
  const [first] = past;
  const axis = first.shape.findIndex((size, i) => size !== present[0]?.node.type.shape[i]);
  if (present.length !== past.length || axis < 0) {
    const what = `the model takes ${past.length} values of a cache, and gives ${present.length} back`;
    throw fail({ code: "E0402", what, where: first.name, fix: "export it with past and present of every layer" });
  }
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
