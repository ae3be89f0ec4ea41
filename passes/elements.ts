/**
 * What a mask is, element by element. Exporters write masks as hundreds of nodes of index arithmetic; all that
 * matters is which element of the owner's mask decides each score. So the expression is evaluated on a domain where
 * every element is a constant or a function of ONE element of one source that is 0 or 1: its values at 0 and at 1.
 * Movement moves the elements, element-wise ops work on both values. Where two sources meet, there is no answer.
 *
 * A truth value is 0 or 1 whatever it is made of: a comparison of numbers (positions with lengths, segments with each
 * other) is a source of its own. A number is taken for 0 or 1 only by arithmetic that makes sense for nothing else,
 * `(1 - mask) * -10000`: sums, products, and their being nonzero. The expression holds no weights.
 */
import { definitionOf } from "../ir/graph.js";
import { TENSOR, traitsOf } from "../ir/tensor/index.js";
import { sizeOf, type TensorValue } from "../ir/tensor/value.js";
import type { TensorNode } from "./rewriter.js";
import { COMPARISONS, constantOf } from "./rules/common.js";

export interface Elements {
  readonly shape: readonly number[];
  /** For each element the variable that decides it, or −1 where it is known. */
  readonly variable: TensorValue["data"];
  readonly atZero: TensorValue["data"];
  readonly atOne: TensorValue["data"];
  /** Whether a number was taken for 0 or 1 on the way: its other values give something else. */
  readonly assumed: boolean;
}

export interface Source {
  readonly node: TensorNode;
  /** The number of the variable that is its first element. */
  readonly first: number;
}

/** What is done to a mask of zeros and ones that is held as numbers. */
const LINEAR: ReadonlySet<string> = new Set(["add", "subtract", "multiply", "divide", "negate", "cast", "select"]);
const LARGEST = 1 << 24;

/** One analysis: its sources share one numbering. */
export class ElementAnalysis {
  readonly sources: Source[] = [];
  private readonly known = new Map<TensorNode, Elements | undefined>();
  private variables = 0;

  /** The elements of the node, or undefined where they depend on anything but masks and constants. */
  of(node: TensorNode): Elements | undefined {
    if (this.known.has(node)) {
      return this.known.get(node);
    }
    const elements = sizeOf(node.type.shape) > LARGEST ? undefined : this.compute(node);
    this.known.set(node, elements);
    return elements;
  }

  private compute(node: TensorNode): Elements | undefined {
    const value = constantOf(node);
    if (value !== undefined) {
      const variable = new Float64Array(value.data.length).fill(-1);
      return { shape: value.shape, variable, atZero: value.data, atOne: value.data, assumed: false };
    }
    if (node.op === "input") {
      return this.source(node);
    }
    const args = node.args.map((argument) => this.of(argument));
    const derived = args.every((each) => each !== undefined) ? derive(node, args as Elements[]) : undefined;
    const isTruth = COMPARISONS.includes(node.op) || (node.op === "cast" && node.type.dtype === "bool");
    return derived === undefined && isTruth ? this.source(node) : derived;
  }

  private source(node: TensorNode): Elements {
    const size = sizeOf(node.type.shape);
    const first = this.variables;
    this.variables += size;
    this.sources.push({ node, first });
    return {
      shape: node.type.shape,
      variable: Float64Array.from({ length: size }, (_, i) => first + i),
      atZero: new Float64Array(size),
      atOne: new Float64Array(size).fill(1),
      assumed: node.type.dtype !== "bool",
    };
  }
}

function derive(node: TensorNode, args: readonly Elements[]): Elements | undefined {
  const { pattern, indices } = traitsOf(node);
  if (pattern === "elementwise") {
    return isSound(node, args) ? elementwise(node, args) : undefined;
  }
  if (pattern === "movement") {
    return moved(node, args, []);
  }
  const isKnown = indices.every((i) => args[i].variable.every((variable) => variable < 0));
  return pattern === "lookup" && isKnown ? moved(node, args, indices) : undefined;
}

/** Whether what an op makes of 0 and of 1 says what the expression means, where numbers are taken for 0 or 1. */
function isSound(node: TensorNode, args: readonly Elements[]): boolean {
  if (!args.some(({ assumed }) => assumed)) {
    return true;
  }
  if (node.op === "equal") {
    return args.some(isZero) && args.some((each) => each.assumed && isBits(each) && each.atZero.every((x) => x === 0));
  }
  return LINEAR.has(node.op) && (node.type.dtype !== "bool" || isBits(args[0]));
}

function isZero({ variable, atZero }: Elements): boolean {
  return variable.every((each, i) => each < 0 && atZero[i] === 0);
}

/** Whether each element is its variable or the opposite, or 0 or 1. */
function isBits({ variable, atZero, atOne }: Elements): boolean {
  const isBit = (x: number) => x === 0 || x === 1;
  return variable.every((each, i) => isBit(atZero[i]) && isBit(atOne[i]) && (each < 0 || atZero[i] !== atOne[i]));
}

function typed(node: TensorNode, data: TensorValue["data"], shape: readonly number[]): TensorValue {
  return { dtype: node.type.dtype, shape, data };
}

function evaluate(node: TensorNode, args: readonly TensorValue[]): TensorValue["data"] {
  return definitionOf(TENSOR, node.op).evaluate(args, node.attributes, node.type).data;
}

function elementwise(node: TensorNode, args: readonly Elements[]): Elements | undefined {
  const at = (data: (each: Elements) => TensorValue["data"]) =>
    evaluate(
      node,
      args.map((each, i) => typed(node.args[i], data(each), each.shape)),
    );
  const variable = Float64Array.from(broadcastElements(args[0], node.type.shape));
  for (const each of args.slice(1)) {
    const other = broadcastElements(each, node.type.shape);
    for (let i = 0; i < variable.length; i++) {
      variable[i] = variable[i] < 0 ? other[i] : other[i] < 0 || other[i] === variable[i] ? variable[i] : Number.NaN;
    }
  }
  const [atZero, atOne] = [at((each) => each.atZero), at((each) => each.atOne)];
  for (let i = 0; i < variable.length; i++) {
    if (Number.isNaN(variable[i])) {
      return undefined;
    }
    if (Object.is(atZero[i], atOne[i])) {
      variable[i] = -1; // a known operand decides, as in `false and mask`
    }
  }
  const assumed = node.type.dtype !== "bool" && args.some((each) => each.assumed);
  return { shape: node.type.shape, variable, atZero, atOne, assumed };
}

function broadcastElements(elements: Elements, shape: readonly number[]): TensorValue["data"] {
  const value: TensorValue = { dtype: "f64", shape: elements.shape, data: elements.variable };
  return definitionOf(TENSOR, "broadcast").evaluate([value], { shape }, { dtype: "f64", shape }).data;
}

/** The elements elsewhere; arguments that are indices are known, and stay what they are. */
function moved(node: TensorNode, args: readonly Elements[], indices: readonly number[]): Elements {
  const along = (data: (each: Elements) => TensorValue["data"]): TensorValue["data"] => {
    const values = args.map((each, i): TensorValue => {
      const elements = indices.includes(i) ? each.atZero : data(each);
      return { dtype: "f64", shape: each.shape, data: elements };
    });
    const type = { dtype: "f64" as const, shape: node.type.shape };
    return definitionOf(TENSOR, node.op).evaluate(values, node.attributes, type).data;
  };
  return {
    shape: node.type.shape,
    variable: along((each) => each.variable),
    atZero: along((each) => each.atZero),
    atOne: along((each) => each.atOne),
    assumed: args.some((each) => each.assumed),
  };
}
