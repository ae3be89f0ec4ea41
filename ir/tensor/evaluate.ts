/** Runs a tensor graph in the clear. Values are freed after their last use; weights are read when they are needed. */
import { located } from "../diagnostics.js";
import { definitionOf, type Graph, type Node } from "../graph.js";
import { sameShape } from "../shape.js";
import { type Arithmetic, type MultiplyReals, PLAIN, type Rooms } from "./arithmetic.js";
import { TENSOR } from "./table.js";
import type { TensorOp } from "./types.js";
import { isFloat, printTensorType, type TensorType, type TensorValue } from "./value.js";

/** The weights of a model, by parameter name: read one at a time, never all in memory. */
export interface WeightStore {
  /** The value of a parameter; a diagnostic where it cannot be read. */
  read(name: string): TensorValue;
}

export type InputLookup = ReadonlyMap<string, TensorValue> | ((name: string) => TensorValue | undefined);

const NO_WEIGHTS: WeightStore = {
  read: (name) => {
    throw new Error(`no weights, but the graph reads '${name}'`);
  },
};

export interface Evaluation {
  /** Sees every node's value with its arguments, in order. */
  readonly observe?: (node: Node<TensorType>, value: TensorValue, args: readonly TensorValue[]) => void;
  /** What stands in the place of a node's value: for whoever asks what an error there does. */
  readonly change?: ((node: Node<TensorType>, value: TensorValue) => TensorValue) | undefined;
  /** Who multiplies matrices; default: plain loops, to the same bits. */
  readonly multiply?: MultiplyReals | undefined;
  /** Takes back the room of every value after its last use: for whoever keeps none that it observes. */
  readonly rooms?: Rooms | undefined;
}

/**
 * The outputs by name. A given value must have the declared shape, and be of a float type where one is declared: which
 * one is a label, because passes forget it.
 */
export function evaluateGraph(
  graph: Graph<TensorType>,
  inputs: InputLookup,
  weights: WeightStore = NO_WEIGHTS,
  options: Evaluation = {},
): Map<string, TensorValue> {
  const evaluating = nodeByNode(graph, inputs, weights, options);
  for (;;) {
    const { done, value } = evaluating.next();
    if (done === true) {
      return value;
    }
  }
}

/** The same in turns: `turn` is awaited after every node, so that a process can do other things in between. */
export async function evaluateInTurns(
  graph: Graph<TensorType>,
  inputs: InputLookup,
  weights: WeightStore,
  options: Evaluation,
  turn: () => Promise<void> | undefined,
): Promise<Map<string, TensorValue>> {
  const evaluating = nodeByNode(graph, inputs, weights, options);
  for (;;) {
    const { done, value } = evaluating.next();
    if (done === true) {
      return value;
    }
    await turn();
  }
}

/** Evaluates a node each time that it is asked. */
function* nodeByNode(
  graph: Graph<TensorType>,
  inputs: InputLookup,
  weights: WeightStore,
  { observe, change, multiply = PLAIN.multiply, rooms }: Evaluation,
): Generator<undefined, Map<string, TensorValue>> {
  const arithmetic: Arithmetic = { multiply, room: rooms === undefined ? PLAIN.room : (count) => rooms.take(count) };
  const values = new Held(rooms);
  const outputs = new Set(graph.outputs.map((output) => output.node));
  const lastUse = lastUses(graph);
  for (const [i, node] of graph.nodes.entries()) {
    const args = node.args.map((argument) => values.get(argument)!);
    const source = sourceOf(node, inputs, weights);
    const own = source ?? computed(node, args, arithmetic);
    const value = change === undefined ? own : change(node, own);
    observe?.(node, value, args);
    values.set(node, value);
    if (!lastUse.has(node) && !outputs.has(node)) {
      values.delete(node);
    }
    for (const argument of node.args) {
      if (lastUse.get(argument) === i && !outputs.has(argument)) {
        values.delete(argument);
      }
    }
    yield;
  }
  return new Map(graph.outputs.map(({ name, node }) => [name, values.get(node)!]));
}

/** The value of a node; an index outside its axis is an input's fault (E0202). */
function computed(node: Node<TensorType>, args: readonly TensorValue[], arithmetic: Arithmetic): TensorValue {
  const { evaluate }: TensorOp = definitionOf(TENSOR, node.op);
  return located(
    (refusal) => ({ code: "E0202", what: `${node.op} of these inputs: ${refusal}`, where: node.origin }),
    () => evaluate(args, node.attributes, node.type, arithmetic),
  );
}

/** The values that are still needed. Some share their numbers: a room goes back with the last of them. */
class Held {
  private readonly values = new Map<Node<TensorType>, TensorValue>();
  private readonly holders = new Map<TensorValue["data"], number>();

  constructor(private readonly rooms: Rooms | undefined) {}

  get(node: Node<TensorType>): TensorValue | undefined {
    return this.values.get(node);
  }

  set(node: Node<TensorType>, value: TensorValue): void {
    this.values.set(node, value);
    this.holders.set(value.data, (this.holders.get(value.data) ?? 0) + 1);
  }

  delete(node: Node<TensorType>): void {
    const value = this.values.get(node);
    if (value === undefined) {
      return;
    }
    this.values.delete(node);
    const left = this.holders.get(value.data)! - 1;
    if (left > 0) {
      this.holders.set(value.data, left);
    } else {
      this.holders.delete(value.data);
      this.rooms?.give(value.data);
    }
  }
}

function sourceOf(node: Node<TensorType>, inputs: InputLookup, weights: WeightStore): TensorValue | undefined {
  if (node.op !== "input" && node.op !== "parameter") {
    return undefined;
  }
  const name = node.attributes.name as string;
  const read = typeof inputs === "function" ? inputs : (each: string) => inputs.get(each);
  const value = node.op === "parameter" ? weights.read(name) : read(name);
  if (value === undefined) {
    throw new Error(`no value for input '${name}'`);
  }
  if (!sameShape(value.shape, node.type.shape) || isFloat(value.dtype) !== isFloat(node.type.dtype)) {
    const [given, declared] = [printTensorType(value), printTensorType(node.type)];
    throw new Error(`${node.op} '${name}' is ${given}, but the graph declares ${declared}`);
  }
  return value;
}

function lastUses(graph: Graph<TensorType>): Map<Node<TensorType>, number> {
  const lastUse = new Map<Node<TensorType>, number>();
  graph.nodes.forEach((node, i) => {
    for (const argument of node.args) {
      lastUse.set(argument, i);
    }
  });
  return lastUse;
}
