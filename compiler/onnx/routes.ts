/**
 * What whole numbers of a node list come to, as a table over every value that one unknown of them may have: exporters
 * write `order // 2`, and the bins of a histogram, as ten nodes, each in its own way.
 */
import type { NodeProto } from "../../formats/onnx/schema.js";
import { isFloat } from "../../ir/tensor/value.js";
import { type OnnxModel, tensorFromBytes } from "./model.js";

/** A function of one unknown that runs from 0: `table[i]` where the unknown is i. */
export interface Numbers {
  readonly kind: "numbers";
  /** The unknown: where a sorted pair was before (`place`), or what it was sorted by (`key`). */
  readonly of: "place" | "key";
  readonly table: readonly number[];
  readonly real: boolean;
  /** Whether it is a list of rows of one number, [n, 1], and not [n]. */
  readonly column: boolean;
}

/** Constants above this size are not read: none that says a place or a bin is larger. */
const LARGEST = 2 ** 22;

/** A constant of the graph, with what it is made of. */
export interface Known {
  readonly shape: readonly number[];
  readonly data: ArrayLike<number>;
  readonly real: boolean;
}

/** What the nodes of a graph say before anything is translated: constants, producers, and attributes. */
export class Routes {
  readonly producers = new Map<string, NodeProto>();

  constructor(private readonly model: OnnxModel) {
    for (const node of model.graph.node) {
      for (const name of node.output) {
        this.producers.set(name, node);
      }
    }
  }

  /** The rank of a value that the file holds. */
  rankOf(name: string): number | undefined {
    return (this.model.initializers.get(name) ?? this.constantNode(name))?.shape.length;
  }

  /** A small constant, or undefined. */
  known(name: string): Known | undefined {
    const tensor = this.model.initializers.get(name) ?? this.constantNode(name);
    const small = tensor !== undefined && !tensor.absent && tensor.shape.reduce((n, d) => n * d, 1) <= LARGEST;
    return small ? { shape: tensor.shape, data: tensor.read(), real: isFloat(tensor.dtype) } : undefined;
  }

  private constantNode(name: string) {
    const node = this.producers.get(name);
    const value = node?.opType === "Constant" ? node.attribute.find((each) => each.name === "value") : undefined;
    return value && tensorFromBytes(value.t, this.model.path, name);
  }

  /** A list of whole numbers, each NaN that is not known; of a list that is put together, what is known of it. */
  list(name: string | undefined): readonly number[] | undefined {
    if (name === undefined || name === "") {
      return undefined;
    }
    const known = this.known(name);
    if (known !== undefined) {
      return known.shape.length <= 1 ? Array.from(known.data) : undefined;
    }
    const node = this.producers.get(name);
    if (node?.opType === "Constant") {
      return node.attribute.find((each) => each.name === "value_ints")?.ints;
    }
    if (node?.opType === "Concat") {
      return node.input.flatMap((each) => this.list(each) ?? [Number.NaN]);
    }
    return undefined;
  }
}

export function integerOf(node: NodeProto, name: string, otherwise: number): number {
  return node.attribute.find((each) => each.name === name)?.i ?? otherwise;
}

type Step = (x: readonly number[], real: boolean) => number;

const divided: Step = ([x, y], real) => (real ? x / y : Math.trunc(x / y));
const toBit = (x: boolean): number => (x ? 1 : 0);

const STEPS: Readonly<Record<string, Step>> = {
  Add: ([x, y]) => x + y,
  Sub: ([x, y]) => x - y,
  Mul: ([x, y]) => x * y,
  Div: divided,
  Mod: ([x, y]) => x - y * Math.floor(x / y),
  Floor: ([x]) => Math.floor(x),
  Less: ([x, y]) => toBit(x < y),
  Greater: ([x, y]) => toBit(x > y),
  GreaterOrEqual: ([x, y]) => toBit(x >= y),
  LessOrEqual: ([x, y]) => toBit(x <= y),
  Equal: ([x, y]) => toBit(x === y),
  And: ([x, y]) => x * y,
  Or: ([x, y]) => Math.max(x, y),
  Not: ([x]) => 1 - x,
  Where: ([c, x, y]) => (c === 0 ? y : x),
  Min: (x) => Math.min(...x),
  Max: (x) => Math.max(...x),
};

const BIT = new Set(["Less", "Greater", "GreaterOrEqual", "LessOrEqual", "Equal", "And", "Or", "Not"]);
const REAL_TYPES = new Set([1, 10, 11, 16]);
const BOOLEAN = 9;

/** What a node of numbers gives; undefined where it is none of those above, or mixes two unknowns. */
export function numbersAfter(
  node: NodeProto,
  found: (name: string) => Numbers | undefined,
  routes: Routes,
): Numbers | undefined {
  const args = node.input.map((name) => found(name) ?? (name === "" ? undefined : scalarOf(routes.known(name))));
  const unknowns = args.filter((each): each is Numbers => typeof each === "object");
  const [first] = unknowns;
  if (first === undefined || unknowns.some(({ of, column }) => of !== first.of || column !== first.column)) {
    return undefined;
  }
  const shaped = reshaped(node, first, routes) ?? converted(node, first);
  if (shaped !== undefined) {
    return shaped;
  }
  const clip = node.opType === "Clip";
  if ((STEPS[node.opType] === undefined && !clip) || (!clip && args.includes(undefined))) {
    return undefined;
  }
  const real = !BIT.has(node.opType) && args.some((each) => typeof each === "object" && each.real);
  const at = (i: number) => args.map((each) => (typeof each === "object" ? each.table[i] : each));
  const table = first.table.map((_, i) => {
    const [x, low = Number.NEGATIVE_INFINITY, high = Number.POSITIVE_INFINITY] = at(i);
    return clip ? Math.min(Math.max(x!, low), high) : STEPS[node.opType](at(i) as number[], real);
  });
  return { ...first, table, real };
}

function scalarOf(known: Known | undefined): number | undefined {
  return known?.data.length === 1 ? known.data[0] : undefined;
}

/** [n] to [n, 1] and back, and nodes that do nothing. */
function reshaped(node: NodeProto, x: Numbers, routes: Routes): Numbers | undefined {
  const shape = routes.list(node.input[1])?.join();
  switch (node.opType) {
    case "Identity":
      return x;
    case "Unsqueeze":
      return !x.column && (shape === "-1" || shape === "1") ? { ...x, column: true } : undefined;
    case "Squeeze":
      return x.column && (shape === "-1" || shape === "1") ? { ...x, column: false } : undefined;
    case "Reshape":
      return shape === "-1" || shape === "-1,1" ? { ...x, column: shape === "-1,1" } : undefined;
    default:
      return undefined;
  }
}

function converted(node: NodeProto, x: Numbers): Numbers | undefined {
  if (node.opType !== "Cast") {
    return undefined;
  }
  const to = integerOf(node, "to", 0);
  const real = REAL_TYPES.has(to);
  const change = to === BOOLEAN ? (value: number) => toBit(value !== 0) : Math.trunc;
  return { ...x, real, table: real ? x.table : x.table.map(change) };
}

/** True where a table begins with 0, 1, 2 … */
export function countsUp(table: readonly number[], count = table.length): boolean {
  return count <= table.length && table.slice(0, count).every((value, i) => value === i);
}
