/** Runs a tensor graph in the clear. Values are freed after their last use; weights are read when they are needed. */
import { located } from "../diagnostics.js";
import { definitionOf, type Graph, type Node } from "../graph.js";
import { sameShape } from "../shape.js";
import { type Arithmetic, type MultiplyReals, Pieces, PLAIN, type Rooms } from "./arithmetic.js";
import { TENSOR } from "./table.js";
import type { TensorOp } from "./types.js";
import { isFloat, printTensorType, sizeOf, type TensorType, type TensorValue } from "./value.js";

/** The weights of a model, by parameter name: read one at a time, never all in memory. */
export interface WeightStore {
  /** The value of a parameter; a diagnostic where it cannot be read. `room`: where single precision may be put. */
  read(name: string, room?: (count: number) => Float32Array): TensorValue;
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
  readonly rooms?: Pick<Rooms, "take" | "takeSingle" | "give"> | undefined;
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
    const step = evaluating.next();
    if (step.done === true) {
      return step.value;
    }
  }
}

/**
 * The outputs one after the other, in their order, each evaluated when it is asked for and then forgotten: what several
 * need is evaluated once, and held until the last of them. `turn` is awaited after every node, so that a process can do
 * other things in between. With `rooms` an output is good until the next one is asked for.
 */
export async function* outputsInTurn(
  graph: Graph<TensorType>,
  inputs: InputLookup,
  weights: WeightStore,
  options: Evaluation,
  turn: () => Promise<void> | undefined,
): AsyncGenerator<readonly [name: string, value: TensorValue]> {
  // An output that is some node's argument too may be ready before its turn: it is held until then, as a node is.
  const held = new Map<Node<TensorType>, TensorValue>();
  const isHeld = (data: TensorValue["data"]): boolean => [...held.values()].some((each) => each.data === data);
  /** Numbers that no node needs any more, and an output does. */
  const left = new Set<TensorValue["data"]>();
  const { rooms } = options;
  const own = rooms && {
    take: (count: number) => rooms.take(count),
    takeSingle: (count: number) => rooms.takeSingle(count),
    give: (data: TensorValue["data"]) => void (isHeld(data) ? left.add(data) : rooms.give(data)),
  };
  const wanted = new Set(graph.outputs.map(({ node }) => node));
  const evaluating = nodeByNode({ nodes: byOutputs(graph), outputs: [] }, inputs, weights, { ...options, rooms: own });
  for (const [i, { name, node }] of graph.outputs.entries()) {
    while (!held.has(node)) {
      const { done, value } = evaluating.next();
      if (done === true) {
        throw new Error(`the output '${name}' needs a node that the graph lacks`);
      }
      if (wanted.has(value.node)) {
        held.set(value.node, value.value);
      }
      await turn();
    }
    const output = held.get(node)!;
    yield [name, output];
    if (!graph.outputs.some((other, place) => place > i && other.node === node)) {
      held.delete(node);
      if (!isHeld(output.data) && left.delete(output.data)) {
        rooms?.give(output.data);
      }
    }
  }
}

/** The bytes of the rooms that `outputsInTurn` takes in all, and of all outputs together: nothing is evaluated. */
export function roomsOf({ outputs, nodes }: Graph<TensorType>): { readonly inTurn: number; readonly outputs: number } {
  const order = byOutputs({ outputs, nodes });
  const place = new Map(order.map((node, i) => [node, i]));
  const until = new Map<Node<TensorType>, number>();
  const rootOf = (node: Node<TensorType>): Node<TensorType> => (node.op === "reshape" ? rootOf(node.args[0]) : node);
  const use = (node: Node<TensorType>, at: number) =>
    void until.set(rootOf(node), Math.max(until.get(rootOf(node)) ?? 0, at));
  order.forEach((node, i) => void [node, ...node.args].forEach((each) => void use(each, i)));
  // An output is held until the one before it was taken.
  let last = 0;
  for (const { node } of outputs) {
    last = Math.max(last, place.get(node)!);
    use(node, last);
  }
  const ending = new Map<number, Node<TensorType>[]>();
  until.forEach((at, node) => void ending.set(at, [...(ending.get(at) ?? []), node]));
  let inTurn = 0;
  const pieces = new Pieces((byteLength) => {
    inTurn += byteLength;
    return { byteLength };
  });
  const taken = new Map<Node<TensorType>, { readonly byteLength: number }>();
  order.forEach((node, i) => {
    if (until.has(node)) {
      taken.set(node, pieces.take(bytesOf(node)));
    }
    ending.get(i)?.forEach((each) => void pieces.give(taken.get(each)!));
  });
  return { inTurn, outputs: outputs.reduce((sum, { node }) => sum + bytesOf(node), 0) };
}

/** A parameter of single precision or less is read as single precision; all else is doubles. */
function bytesOf({ op, type: { dtype, shape } }: Node<TensorType>): number {
  const isSingle = op === "parameter" && isFloat(dtype) && dtype !== "f64";
  return sizeOf(shape) * (isSingle ? 4 : 8);
}

/** The nodes that the outputs need, those of the first output first. */
function byOutputs({ outputs }: Graph<TensorType>): readonly Node<TensorType>[] {
  const found = new Set<Node<TensorType>>();
  for (const { node } of outputs) {
    const open = [node];
    while (open.length > 0) {
      const last = open[open.length - 1];
      const missing = last.args.filter((each) => !found.has(each));
      if (missing.length === 0) {
        found.add(last);
        open.pop();
      } else {
        open.push(missing[0]);
      }
    }
  }
  return [...found];
}

interface Evaluated {
  readonly node: Node<TensorType>;
  readonly value: TensorValue;
}

/** Evaluates a node each time that it is asked. */
function* nodeByNode(
  graph: Graph<TensorType>,
  inputs: InputLookup,
  weights: WeightStore,
  { observe, change, multiply = PLAIN.multiply, rooms }: Evaluation,
): Generator<Evaluated, Map<string, TensorValue>> {
  const arithmetic: Arithmetic = { multiply, room: rooms === undefined ? PLAIN.room : (count) => rooms.take(count) };
  const values = new Held(rooms);
  const outputs = new Set(graph.outputs.map((output) => output.node));
  const lastUse = lastUses(graph);
  for (const [i, node] of graph.nodes.entries()) {
    const args = node.args.map((argument) => values.get(argument)!);
    const source = sourceOf(node, inputs, weights, rooms);
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
    yield { node, value };
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

  constructor(private readonly rooms: Evaluation["rooms"]) {}

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

function sourceOf(
  node: Node<TensorType>,
  inputs: InputLookup,
  weights: WeightStore,
  rooms: Evaluation["rooms"],
): TensorValue | undefined {
  if (node.op !== "input" && node.op !== "parameter") {
    return undefined;
  }
  const name = node.attributes.name as string;
  const read = typeof inputs === "function" ? inputs : (each: string) => inputs.get(each);
  const value =
    node.op === "parameter" ? weights.read(name, rooms && ((count) => rooms.takeSingle(count))) : read(name);
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
