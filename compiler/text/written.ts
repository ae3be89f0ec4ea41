/**
 * Text that is written at once: the next token is revealed to nobody, but kept as a one-hot row, which the next run
 * multiplies with the model's table of words instead of looking an id up. The ids of all that was written are kept as
 * well, and a program of its own reveals them in the end.
 */
import { WRITTEN } from "../../formats/text.js";
import { fail } from "../../ir/diagnostics.js";
import { Builder } from "../../ir/graph.js";
import { TENSOR } from "../../ir/tensor/index.js";
import { sizeOf, type TensorType, type TensorValue } from "../../ir/tensor/value.js";
import type { Emit, TensorGraph, TensorNode } from "../../passes/rewriter.js";
import type { ImportedModel } from "../imported.js";
import { logitsOf } from "../outputs.js";
import { type CachedGraph, tokensOf } from "./cache.js";

/** What is kept of the text: the last token as a one-hot row, and the ids that were written, the newest at the end. */
const NEXT = "text.next";
const IDS = "text.ids";

/** The largest vocabulary whose one-hot rows the parties make of a secret id. */
const MOST_WORDS = 4096;

interface Writing {
  readonly isContinued: boolean;
  readonly context: number;
}

/** The graph, whose outputs are its logits and what it keeps already, with what is kept of the text. */
export function withText({ graph, kept }: CachedGraph, { isContinued, context }: Writing): CachedGraph {
  const ids = idsIn(graph);
  const lookups = new Set(graph.nodes.filter((node) => !ids.has(node) && node.args.some((each) => ids.has(each))));
  const tables = [...lookups].map(tableOf);
  const words = Math.max(...tables.map(({ type }) => type.shape[0]));
  if (words > MOST_WORDS) {
    const what = `a text cannot be written at once with ${words} words: ${MOST_WORDS} at most`;
    throw fail({ code: "E0402", what, where: "token", fix: "compile it with --reveal token" });
  }
  const builder = new Builder<TensorType>(TENSOR);
  const emit: Emit = (op, args, attributes = {}) => builder.emit(op, args, attributes, "token");
  const made = new Map<TensorNode, TensorNode>();
  for (const node of graph.nodes) {
    if (isContinued && ids.has(node)) {
      continue; // Nobody has an id to look up.
    }
    if (isContinued && lookups.has(node)) {
      made.set(node, rowOf(node, made.get(tableOf(node))!, emit));
      continue;
    }
    const args = node.args.map((argument) => made.get(argument)!);
    const isSame = args.every((argument, i) => argument === node.args[i]);
    made.set(node, isSame ? builder.append(node) : builder.emit(node.op, args, node.attributes, node.origin));
  }
  const logits = logitsOf(graph.outputs);
  const token = lastOf(made.get(logits)!, emit);
  const hot = emit("cast", [emit("oneHot", [token], { depth: words })], { dtype: "f32" });
  const id = emit("reshape", [emit("cast", [token], { dtype: "f32" })], { shape: [1, 1] });
  const before = isContinued
    ? emit("slice", [emit("input", [], state(IDS, [1, context]))], {
        starts: [0, 1],
        ends: [1, context],
        steps: [1, 1],
      })
    : zeros([1, context - 1], emit);
  const outputs = [
    ...graph.outputs.filter(({ node }) => node !== logits).map(({ name, node }) => ({ name, node: made.get(node)! })),
    { name: NEXT, node: emit("reshape", [hot], { shape: [1, words] }) },
    { name: IDS, node: emit("concatenate", [before, id], { axis: 1 }) },
  ];
  const more = [NEXT, IDS].map((name) => ({ name, axis: 1 }));
  return { graph: builder.finish(outputs), kept: [...kept, ...more] };
}

/** The program that reveals what was written. */
export function tellingModel(model: ImportedModel, context: number): ImportedModel {
  const builder = new Builder<TensorType>(TENSOR);
  const node = builder.emit("input", [], state(IDS, [1, context]), "text");
  return { ...model, graph: builder.finish([{ name: WRITTEN, node }]), inputs: [] };
}

/** What it is measured with: ids as large as they are kept. */
export function tellingSample(context: number, bounds: ReadonlyMap<string, number>): ReadonlyMap<string, TensorValue> {
  const data = new Float64Array(context).fill(bounds.get(IDS)!);
  return new Map([[IDS, { dtype: "f32", shape: [1, context], data }]]);
}

function state(name: string, shape: readonly number[]): TensorNode["attributes"] {
  return { name, dtype: "f32", shape };
}

function zeros(shape: readonly number[], emit: Emit): TensorNode {
  return emit("constant", [], { value: { dtype: "f32", shape, data: new Float64Array(sizeOf(shape)) } });
}

/** The ids of the tokens, in whatever shape. */
function idsIn(graph: TensorGraph): ReadonlySet<TensorNode> {
  const ids = new Set([tokensOf(graph)]);
  for (const node of graph.nodes) {
    if (["cast", "reshape", "broadcast"].includes(node.op) && ids.has(node.args[0])) {
      ids.add(node);
    }
  }
  return ids;
}

/** The table that ids are looked up in; E0402 where they are used otherwise. */
function tableOf({ op, args, attributes, origin }: TensorNode): TensorNode {
  if (op !== "embedding" && !(op === "gather" && attributes.axis === 0)) {
    throw fail({
      code: "E0402",
      what: "the model's text cannot be written at once",
      where: origin,
      why: `'${op}' reads the ids of its tokens, which nobody has`,
      fix: "compile it with --reveal token",
    });
  }
  return args[0];
}

/** What a lookup gives for the last token, behind rows of zeros for those before it, which nothing new is made of. */
function rowOf({ type: { shape } }: TensorNode, table: TensorNode, emit: Emit): TensorNode {
  const [words] = table.type.shape;
  const product = emit("matmul", [emit("input", [], state(NEXT, [1, words])), table]);
  const axis = shape.length - 2;
  const row = emit("reshape", [product], { shape: shape.with(axis, 1) });
  const before = shape[axis] - 1;
  return before === 0 ? row : emit("concatenate", [zeros(shape.with(axis, before), emit), row], { axis });
}

/** The likeliest token after the last one, [1, 1] or [1]. */
function lastOf(logits: TensorNode, emit: Emit): TensorNode {
  const { shape } = logits.type;
  const starts = shape.map((size, axis) => (axis === shape.length - 2 ? size - 1 : 0));
  const row = emit("slice", [logits], { starts, ends: shape, steps: shape.map(() => 1) });
  return emit("argmax", [row], { axis: shape.length - 1, keep: false, last: false });
}
