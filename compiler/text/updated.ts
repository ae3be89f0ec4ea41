/**
 * A cache of one length that a model writes into at its token's position, as decoders in JAX do
 * (`dynamic_update_slice`, Flax's `decode=True`), and static caches of transformers: what it is given comes back with
 * one row more. The model takes one token at a time, and its counters, positions and masks all say the same: how many
 * tokens were before. So they become one input, a mask of the text so far, which all three parties may know: they count
 * the tokens anyway, and rows are then written, and hidden, without a product of secrets.
 */
import { fail } from "../../ir/diagnostics.js";
import { Builder } from "../../ir/graph.js";
import { evaluateGraph, TENSOR } from "../../ir/tensor/index.js";
import { isFloat, sizeOf, type TensorType, type TensorValue } from "../../ir/tensor/value.js";
import { depthFirst } from "../../passes/order.js";
import type { Emit, TensorGraph, TensorNode } from "../../passes/rewriter.js";
import { logitsOf } from "../outputs.js";
import type { CachedGraph } from "./cache.js";

const IDS = "input_ids";
const MASK = "attention_mask";

/** Values that are written into a cache come by these alone from what was in it. */
const MOVING = new Set(["select", "slice", "concatenate", "reshape", "transpose", "broadcast", "cast"]);

/** A program of one token that writes into its cache. */
export interface UpdatedCache extends CachedGraph {
  readonly context: number;
  /** Inputs that all parties may know. */
  readonly open: readonly string[];
}

interface Pair {
  readonly past: TensorNode;
  readonly present: TensorGraph["outputs"][number];
}

/** The program with its cache kept at the parties; undefined where the model writes into none. E0402 for its inputs. */
export function updatedCache(model: TensorGraph): UpdatedCache | undefined {
  const graph = withChoices(model);
  const pairs = graph.outputs.flatMap((present): Pair[] => {
    const past = writtenInto(present.node);
    return past === undefined ? [] : [{ past, present }];
  });
  const axis = pairs.length === 0 ? -1 : axisOf(pairs[0]);
  if (axis < 0) {
    return undefined;
  }
  const context = pairs[0].past.type.shape[axis];
  const builder = new Builder<TensorType>(TENSOR);
  const given = inputsOf(builder, graph, pairs, context);
  for (const node of graph.nodes) {
    const args = node.args.map((argument) => given.get(argument)!);
    const isSame = args.every((argument, i) => argument === node.args[i]);
    if (!given.has(node)) {
      given.set(node, isSame ? builder.append(node) : builder.emit(node.op, args, node.attributes, node.origin));
    }
  }
  const logits = logitsOf(graph.outputs.filter((each) => !pairs.some(({ present }) => present === each)));
  const kept = pairs.map(({ present }, i) => ({ name: nameOf(i), node: given.get(present.node)! }));
  return {
    graph: builder.finish([{ name: "logits", node: given.get(logits)! }, ...kept]),
    kept: pairs.map((pair, i) => ({ name: nameOf(i), axis: axisOf(pair) })),
    context,
    open: [MASK],
  };
}

function nameOf(place: number): string {
  return `cache.${place}`;
}

/** The value, and all that is moved into it. */
function movedInto(node: TensorNode): ReadonlySet<TensorNode> {
  const reached = new Set([node]);
  for (const { op, args } of reached) {
    const moved = MOVING.has(op) ? args.slice(op === "select" ? 1 : 0) : [];
    moved.forEach((argument) => void reached.add(argument));
  }
  return reached;
}

/** The input of the same type that an output is, but for what is written into it. */
function writtenInto(node: TensorNode): TensorNode | undefined {
  const reached = movedInto(node);
  const isLike = ({ op, type: { dtype, shape } }: TensorNode): boolean =>
    op === "input" && isFloat(dtype) && dtype === node.type.dtype && `${shape}` === `${node.type.shape}`;
  const found = [...reached].filter(isLike);
  const isWritten = [...reached].some(({ op }) => op === "select");
  return isWritten && found.length === 1 ? found[0] : undefined;
}

/** Along which axis a row is written: where the first place is chosen at the beginning, and the second is not. */
function axisOf({ past, present }: Pair): number {
  const builder = new Builder<TensorType>(TENSOR);
  const made = new Map<TensorNode, TensorNode>();
  const { nodes } = depthFirst({ nodes: [], outputs: [present] });
  const moved = movedInto(present.node);
  for (const node of nodes) {
    const { op, args, attributes, origin, type } = node;
    const given = args.map((argument) => made.get(argument)!);
    if (node === past || (moved.has(node) && !MOVING.has(op))) {
      made.set(node, builder.emit("constant", [], { value: zeros("bool", type.shape) }, origin));
    } else if (moved.has(node) && op === "select") {
      made.set(node, builder.emit("broadcast", [given[0]], { shape: type.shape }, origin));
    } else {
      made.set(node, builder.emit(op, given, attributes, origin));
    }
  }
  const graph = depthFirst(builder.finish([{ name: "chosen", node: made.get(present.node)! }]));
  const begun = graph.nodes.flatMap(({ op, attributes: { name }, type: { dtype, shape } }) =>
    op === "input" ? [[String(name), zeros(dtype, shape)] as const] : [],
  );
  const { shape, data } = evaluateGraph(graph, new Map(begun)).get("chosen")!;
  return shape.findIndex((size, i) => size > 1 && data[0] === 1 && data[sizeOf(shape.slice(i + 1))] === 0);
}

function zeros(dtype: TensorType["dtype"], shape: readonly number[]): TensorValue {
  return { dtype, shape, data: new Float64Array(sizeOf(shape)) };
}

/**
 * The graph in which a row that is scattered into a value (torch's `index_copy` of a static cache) is a choice by place
 * between the row and what was there.
 */
function withChoices({ nodes, outputs }: TensorGraph): TensorGraph {
  const builder = new Builder<TensorType>(TENSOR);
  const made = new Map<TensorNode, TensorNode>();
  for (const node of nodes) {
    const args = node.args.map((argument) => made.get(argument)!);
    const emit: Emit = (op, given, attributes = {}) => builder.emit(op, given, attributes, node.origin);
    const isRow = node.op === "scatterND" && sizeOf(node.args[1].type.shape) === 1;
    const isSame = args.every((argument, i) => argument === node.args[i]);
    made.set(node, isRow ? choiceOf(args, emit) : isSame ? builder.append(node) : emit(node.op, args, node.attributes));
  }
  return builder.finish(outputs.map(({ name, node }) => ({ name, node: made.get(node)! })));
}

function choiceOf([x, index, row]: readonly TensorNode[], emit: Emit): TensorNode {
  const { shape } = x.type;
  const count = shape[0];
  const { dtype } = index.type;
  const value: TensorValue = { dtype, shape: [count], data: Float64Array.from({ length: count }, (_, i) => i) };
  const places = emit("equal", [emit("constant", [], { value }), emit("reshape", [index], { shape: [1] })]);
  const chosen = emit("reshape", [places], { shape: [count, ...shape.slice(1).map(() => 1)] });
  const [spread, rows] = [chosen, emit("reshape", [row], { shape: shape.with(0, 1) })].map((each) =>
    emit("broadcast", [each], { shape }),
  );
  return emit("select", [spread, rows, x]);
}

/** The inputs of the program, by those of the model. */
function inputsOf(
  builder: Builder<TensorType>,
  { nodes }: TensorGraph,
  pairs: readonly Pair[],
  context: number,
): Map<TensorNode, TensorNode> {
  const made = new Map<TensorNode, TensorNode>();
  const emit: Emit = (op, args, attributes = {}) => builder.emit(op, args, attributes, MASK);
  const input = (name: string, { dtype, shape }: TensorType): TensorNode =>
    builder.emit("input", [], { name, dtype, shape }, name);
  const whole = (data: readonly number[], shape: readonly number[] = []): TensorNode => {
    const value: TensorValue = { dtype: "i64", shape, data: Float64Array.from(data) };
    return emit("constant", [], { value });
  };
  const caches = new Map(pairs.map(({ past }, i) => [past, nameOf(i)]));
  const inputs = nodes.filter(({ op }) => op === "input");
  const tokens = tokensIn(inputs.filter((node) => !caches.has(node)));
  const mask = input(MASK, { dtype: "i64", shape: [1, context] });
  const counted = emit("reduceSum", [emit("cast", [mask], { dtype: "f32" })], { axes: [1], keep: false });
  const position = emit("subtract", [emit("cast", [counted], { dtype: "i64" }), whole([1])]);
  for (const node of inputs) {
    const { shape, dtype } = node.type;
    const cast = (value: TensorNode): TensorNode => (dtype === "i64" ? value : emit("cast", [value], { dtype }));
    const cache = caches.get(node);
    if (cache !== undefined) {
      made.set(node, input(cache, node.type));
    } else if (node === tokens) {
      made.set(node, input(IDS, node.type));
    } else if (sizeOf(shape) === 1 && !isFloat(dtype)) {
      made.set(node, cast(emit("reshape", [position], { shape })));
    } else if (shape.at(-1) === context && sizeOf(shape) === context && !isFloat(dtype)) {
      const places = whole(
        Array.from({ length: context }, (_, i) => i),
        [context],
      );
      const seen = emit("lessOrEqual", [places, position]);
      made.set(node, emit("reshape", [dtype === "bool" ? seen : emit("cast", [seen], { dtype })], { shape }));
    } else {
      throw unclear(node);
    }
  }
  return made;
}

function tokensIn(inputs: readonly TensorNode[]): TensorNode {
  const whole = inputs.filter(({ type }) => !isFloat(type.dtype) && type.dtype !== "bool");
  const found = whole.find(
    ({ attributes: { name } }) => /ids|token|^inputs?$/i.test(`${name}`) && !/pos|type/i.test(`${name}`),
  );
  if (found === undefined || sizeOf(found.type.shape) !== 1) {
    throw unclear(found ?? inputs[0]);
  }
  return found;
}

function unclear(node: TensorNode | undefined): Error {
  const name = node === undefined ? "" : `'${String(node.attributes.name)}' [${node.type.shape.join(", ")}]`;
  return fail({
    code: "E0402",
    what: "the model writes into its cache, and it is not clear what its other inputs are",
    ...(node && { where: String(node.attributes.name) }),
    why: `it may take one token (ids or token by its name), and positions, counters or a mask; ${name} is none of them`,
    fix: "export a function of one token, its position and the cache, for one text",
  });
}
