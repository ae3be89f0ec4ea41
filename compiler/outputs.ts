/** What of a model's answers a plan computes: outputs by name, or of scores only which is the largest. */
import { PADDED, TOP_IDS, TOP_LOGITS } from "../formats/text.js";
import { fail } from "../ir/diagnostics.js";
import { Builder, type Graph, prune } from "../ir/graph.js";
import { unknownNames } from "../ir/names.js";
import type { Plan } from "../ir/plan/types.js";
import { TENSOR } from "../ir/tensor/index.js";
import { isFloat, type TensorType } from "../ir/tensor/value.js";
import type { Emit, TensorNode } from "../passes/rewriter.js";
import type { ImportedModel } from "./imported.js";
import { DRAWN, withNoise } from "./text/drawn.js";

/** What may be revealed besides a model's outputs: where its scores are largest, and no score. */
export const CHOSEN: readonly string[] = ["token", "label"];

const TOP = /^topk:(\d+)$/;
/** So many logits are revealed at most: more of them tell more of the weights. */
const MOST_LOGITS = 32;

/** How many logits of the next token a name asks for, `topk:8`; undefined for any other. E0201 for too many or none. */
export function topOf(name: string): number | undefined {
  const count = TOP.exec(name)?.[1];
  if (count !== undefined && !(Number(count) >= 1 && Number(count) <= MOST_LOGITS)) {
    const fix = `give topk:K with K from 1 to ${MOST_LOGITS}`;
    throw fail({ code: "E0201", what: `--reveal ${name} asks for ${count} logits`, fix });
  }
  return count === undefined ? undefined : Number(count);
}

/** Which of the names that a plan's outputs have were asked for by others: `topk:8`. */
export function topIn(reveals: Plan["reveals"]): readonly string[] {
  return reveals.flatMap(({ name, shape }) => (name === TOP_IDS ? [`topk:${shape.at(-1)}`] : []));
}

/**
 * The graph with only the outputs to reveal. `token` is not an output of the model: it is the argmax of its logits at
 * the last token, so that nobody learns the logits. Which that is the model's mask says, wherever the padding is; a
 * model without one gets an input for it. `label` is the class of each row of a classifier, the argmax of its scores.
 */
export function withOutputs(graph: Graph<TensorType>, reveal: readonly string[] | undefined): Graph<TensorType> {
  if (reveal === undefined) {
    return graph;
  }
  const names = [...graph.outputs.map(({ name }) => name), ...CHOSEN, ...reveal.filter((name) => topOf(name))];
  const problems = unknownNames("--reveal", "output", reveal, names);
  if (problems.length > 0) {
    throw fail(...problems);
  }
  const kept = graph.outputs.filter(({ name }) => reveal.includes(name));
  const shown = { ...graph, outputs: kept };
  // A model's own output of this name goes before.
  const wanted = (name: string): boolean => reveal.includes(name) && !kept.some((output) => output.name === name);
  const next = reveal.filter((name) => (name === "token" ? wanted(name) : topOf(name) !== undefined));
  const chosen = next.length > 0 ? withNext(graph, kept, next) : shown;
  return prune(wanted("label") ? withLabel(graph, chosen) : chosen);
}

/** The inputs of a model whose plan reveals these: its own, and the one that says where a prompt ends. */
export function inputsOf(model: ImportedModel, reveal: readonly string[] | undefined): ImportedModel["inputs"] {
  const { nodes } = withOutputs(model.graph, reveal);
  const own = nodes.filter(({ op, attributes }) => op === "input" && attributes.name === PADDED);
  const added = own.map(({ type: { dtype, shape } }) => ({ name: PADDED, dtype, shape }));
  return [...model.inputs.filter(({ name }) => name !== PADDED), ...added];
}

function withNext(
  graph: Graph<TensorType>,
  kept: Graph<TensorType>["outputs"],
  wanted: readonly string[],
): Graph<TensorType> {
  const logits = logitsOf(graph.outputs);
  const builder = new Builder<TensorType>(TENSOR);
  for (const node of graph.nodes) {
    builder.append(node);
  }
  const emit: Emit = (op, args, attributes = {}) => builder.emit(op, args, attributes, "token");
  const row = rowOf(logits, lastToken(graph, logits, emit), emit);
  return { nodes: builder.nodes, outputs: [...kept, ...wanted.flatMap((name) => nextOf(row, name, emit))] };
}

/** The logits of a language model's outputs; E0201 where there are none. */
export function logitsOf(outputs: Graph<TensorType>["outputs"]): TensorNode {
  const { name, node } = outputs.find((output) => output.name === "logits") ?? outputs[0];
  const { shape } = node.type;
  if (shape.length < 2 || shape.length > 3) {
    const why = `'${name}' has shape [${shape}], not [batch, tokens, words]`;
    throw fail({ code: "E0201", what: "the model has no logits to choose a token from", where: name, why });
  }
  return node;
}

/** What a name asks for of the logits of one token, [batch, 1, words] or [1, words]: `token`, `draw`, or `topk:8`. */
export function nextOf(row: TensorNode, name: string, emit: Emit): Graph<TensorType>["outputs"] {
  const { shape } = row.type;
  const axis = shape.length - 1;
  const most = topOf(name);
  if (most === undefined) {
    const scores = name === DRAWN ? withNoise(row, emit) : row;
    return [{ name: "token", node: emit("argmax", [scores], { axis, keep: false, last: false }) }];
  }
  const attributes = { axis, count: Math.min(most, shape[axis]), largest: true };
  return [
    { name: TOP_LOGITS, node: emit("topValues", [row], attributes) },
    { name: TOP_IDS, node: emit("topIndices", [row], attributes) },
  ];
}

/** The class of each row of a classifier's scores, [rows, classes] or [classes]; E0201 where there are none. */
function withLabel(model: Graph<TensorType>, { nodes, outputs }: Graph<TensorType>): Graph<TensorType> {
  const named = model.outputs.find(({ name }) => /logit|score|prob/i.test(name)) ?? model.outputs[0];
  const { shape } = named.node.type;
  if (shape.length < 1 || shape.length > 2 || (shape.at(-1) ?? 0) < 2) {
    const why = `'${named.name}' has shape [${shape}], not [rows, classes]`;
    throw fail({ code: "E0201", what: "the model has no scores to choose a class from", where: named.name, why });
  }
  const builder = new Builder<TensorType>(TENSOR);
  for (const node of nodes) {
    builder.append(node);
  }
  const given = { axis: shape.length - 1, keep: false, last: false };
  const node = builder.emit("argmax", [named.node], given, "label");
  return { nodes: builder.nodes, outputs: [...outputs, { name: "label", node }] };
}

/** The place of each row's last token: [rows]. */
function lastToken({ nodes }: Graph<TensorType>, logits: TensorNode, emit: Emit): TensorNode {
  const [tokens] = logits.type.shape.slice(-2);
  const rows = logits.type.shape.length === 3 ? logits.type.shape[0] : 1;
  const mask = nodes.find((node) => isTokenMask(node, rows, tokens));
  if (mask === undefined) {
    const padded = emit("input", [], { name: PADDED, dtype: "i64", shape: [rows] });
    const last = { dtype: "i64", shape: [], data: Float64Array.of(tokens - 1) } as const;
    return emit("subtract", [emit("constant", [], { value: last }), padded]);
  }
  // A mask over a cache and the new tokens: the new ones are the last.
  const [length] = mask.type.shape.slice(-1);
  const bounds = { starts: [0, length - tokens], ends: [rows, length], steps: [1, 1] };
  const own = length === tokens ? mask : emit("slice", [mask], bounds);
  return emit("argmax", [emit("cast", [own], { dtype: "f32" })], { axis: 1, keep: false, last: true });
}

function isTokenMask({ op, type, attributes }: TensorNode, rows: number, tokens: number): boolean {
  const fits = type.shape.length === 2 && type.shape[0] === rows && type.shape[1] >= tokens;
  return op === "input" && /mask/i.test(String(attributes.name)) && !isFloat(type.dtype) && fits;
}

/** The row of each batch at its place, as [rows, 1, words]. */
function rowOf(logits: TensorNode, place: TensorNode, emit: Emit): TensorNode {
  const axis = logits.type.shape.length - 2;
  const [tokens] = logits.type.shape.slice(-2);
  if (place.type.shape[0] === 1) {
    return emit("gather", [logits, place], { axis });
  }
  const chosen = emit("cast", [emit("oneHot", [place], { depth: tokens })], { dtype: logits.type.dtype });
  return emit("matmul", [emit("reshape", [chosen], { shape: [place.type.shape[0], 1, tokens] }), logits]);
}
