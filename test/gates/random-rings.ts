/**
 * Random share programs of products, sums and scalings with their rings open, as lowering leaves them, and their exact
 * meaning: integers without a modulus, beside how far the parties' rounding may take each of them.
 */
import { Builder, type Graph, type Node } from "../../ir/graph.js";
import { SHARE, type ShareOpName, type ShareType, type WordType } from "../../ir/share/index.js";
import { sizeOf, type TensorValue } from "../../ir/tensor/value.js";

export type ShareNode = Node<ShareType>;

export interface LooseProgram {
  readonly graph: Graph<ShareType>;
  /** The largest absolute values, in reals, of the nodes that lowering would know. */
  readonly bounds: ReadonlyMap<ShareNode, number>;
}

const SIDE = 2;
const SHAPE = [SIDE, SIDE];
/** Bits that no value's range may exceed: a product must fit a word before it is rescaled. */
const MOST_BITS = 56;

/** Sizes of inputs: powers of two, which leave nothing to spare, and others. */
const SIZES = [0.5, 1, 2, 3, 4, 5.5, 8, 28, 100];
const SMALL_SIZES = [0.25, 0.3, 0.5, 1];

class LooseMaker {
  readonly builder = new Builder(SHARE);
  readonly bounds = new Map<ShareNode, number>();
  private names = 0;

  constructor(private readonly random: () => number) {}

  pick(least: number, most: number): number {
    return least + Math.floor(this.random() * (most - least + 1));
  }

  emit(op: ShareOpName, args: readonly ShareNode[], attributes: ShareNode["attributes"], bound: number): ShareNode {
    const node = this.builder.emit(op, args, attributes, op);
    this.bounds.set(node, bound);
    return node;
  }

  input(sizes = SIZES): ShareNode {
    const owner = this.pick(0, 1) === 0 ? "data" : "model";
    const attributes = { owner, name: `x${this.names++}`, ring: 0, fraction: this.pick(0, 13), shape: SHAPE };
    return this.emit("input", [], attributes, sizes[this.pick(0, sizes.length - 1)]);
  }

  /** The value as a masked one: additive ones are opened. */
  masked(x: ShareNode): ShareNode {
    return x.type.kind === "additive" ? this.emit("remask", [x], {}, this.boundOf(x)) : x;
  }

  product(x: ShareNode, y: ShareNode): ShareNode | undefined {
    const whole = this.pick(0, 1) === 0;
    const bound = this.boundOf(x) * this.boundOf(y) * (whole ? SIDE : 1);
    if (bitsOf(fractionOf(x) + fractionOf(y), bound) > MOST_BITS) {
      return undefined;
    }
    const args = [this.masked(x), this.masked(y)];
    return whole
      ? this.emit("matmul", args, { drop: 0, keep: [] }, bound)
      : this.emit("multiply", args, { drop: 0 }, bound);
  }

  /** A product with a small factor, scaled back: what makes programs deep. */
  layer(x: ShareNode): ShareNode | undefined {
    const product = this.product(x, this.input(SMALL_SIZES));
    return product && this.rescaled(product);
  }

  /** Every row times the sum of its squares, scaled back on the way. */
  norm(x: ShareNode): ShareNode | undefined {
    const row = this.rescaled(this.masked(x));
    const bound = this.boundOf(x);
    const squared = SIDE * bound * bound;
    if (bitsOf(2 * fractionOf(row), squared) > MOST_BITS) {
      return undefined;
    }
    const opened = this.emit("remask", [this.emit("dot", [row, row], { drop: 0 }, squared)], {}, squared);
    const sums = this.rescaled(this.emit("reshape", [opened], { shape: [SIDE, 1] }, squared));
    const fits = bitsOf(fractionOf(row) + fractionOf(sums), bound * squared) <= MOST_BITS;
    return fits ? this.emit("multiply", [row, sums], { drop: 0 }, bound * squared) : undefined;
  }

  sum(x: ShareNode, y: ShareNode): ShareNode | undefined {
    const fraction = Math.max(fractionOf(x), fractionOf(y));
    const bound = this.boundOf(x) + this.boundOf(y);
    if (bitsOf(fraction, bound) > MOST_BITS) {
      return undefined;
    }
    const kind = x.type.kind === "additive" || y.type.kind === "additive" ? "additive" : "masked";
    const args = [x, y].map((each) => this.inForm(this.shifted(each, fraction - fractionOf(each)), kind));
    return this.emit(this.pick(0, 1) === 0 ? "add" : "subtract", args, {}, bound);
  }

  shifted(x: ShareNode, bits: number): ShareNode {
    return bits === 0 ? x : this.emit("shiftLeft", [x], { bits }, this.boundOf(x));
  }

  /** The value at a smaller fraction; opened first if need be. */
  rescaled(x: ShareNode): ShareNode {
    const bits = fractionOf(x) - this.pick(6, 13);
    return bits <= 0 ? x : this.emit("rescale", [this.masked(x)], { bits }, this.boundOf(x));
  }

  scaled(x: ShareNode): ShareNode | undefined {
    const fraction = this.pick(0, 4);
    const bound = this.boundOf(x) * 2;
    if (bitsOf(fractionOf(x) + fraction, bound) > MOST_BITS) {
      return undefined;
    }
    return this.emit("multiplyConstant", [x], { value: this.integers(2 ** (fraction + 1)), fraction }, bound);
  }

  shiftedByConstant(x: ShareNode): ShareNode {
    const value = this.integers(2 ** fractionOf(x));
    return this.emit("addConstant", [x], { value }, this.boundOf(x) + 1);
  }

  boundOf(x: ShareNode): number {
    return this.bounds.get(x)!;
  }

  private inForm(x: ShareNode, kind: "additive" | "masked"): ShareNode {
    return x.type.kind === kind ? x : this.emit("toAdditive", [x], {}, this.boundOf(x));
  }

  private integers(magnitude: number): TensorValue {
    const data = Float64Array.from({ length: sizeOf(SHAPE) }, () => this.pick(-magnitude, magnitude));
    return { dtype: "i64", shape: SHAPE, data };
  }
}

/** A program of about `size` ops, most of them scaled products of recent values, so that it is deep. */
export function looseProgram(random: () => number, size: number): LooseProgram {
  const make = new LooseMaker(random);
  const pool = [make.input(), make.input(), make.input()];
  const recent = () => pool[Math.max(0, pool.length - 1 - make.pick(0, 3))];
  const any = () => pool[make.pick(0, pool.length - 1)];
  const makers: (() => ShareNode | undefined)[] = [
    () => make.input(),
    () => make.product(recent(), any()),
    () => make.product(recent(), recent()),
    () => make.layer(recent()),
    () => make.layer(recent()),
    () => make.norm(recent()),
    () => make.layer(pool.at(-1)!),
    () => make.layer(pool.at(-1)!),
    () => make.rescaled(recent()),
    () => make.sum(recent(), any()),
    () => make.scaled(recent()),
    () => make.shiftedByConstant(recent()),
  ];
  while (pool.length < size) {
    const made = makers[make.pick(0, makers.length - 1)]();
    if (made !== undefined) {
      pool.push(made);
    }
  }
  const outputs = [pool.at(-1)!, any()].map((node, i) => ({
    name: `y${i}`,
    node: make.emit("reveal", [node], { name: `y${i}` }, make.boundOf(node)),
  }));
  return { graph: make.builder.finish(outputs), bounds: make.bounds };
}

function fractionOf(x: ShareNode): number {
  return (x.type as WordType).fraction;
}

function bitsOf(fraction: number, bound: number): number {
  return fraction + Math.ceil(Math.log2(bound)) + 2;
}

/** An integer for each element, and how far a run may be from it. */
export interface Exact {
  readonly value: readonly bigint[];
  readonly error: readonly bigint[];
}

type Rule = (args: readonly Exact[], attributes: ShareNode["attributes"]) => Exact;

const size = (x: bigint) => (x < 0n ? -x : x);

/** A sum of products, element by element of the result: `terms` lists the pairs of indices. */
function products([x, y]: readonly Exact[], terms: (i: number) => readonly (readonly [number, number])[]): Exact {
  const sumOver = (i: number, pick: (a: number, b: number) => bigint) =>
    terms(i).reduce((sum, [a, b]) => sum + pick(a, b), 0n);
  return {
    value: x.value.map((_, i) => sumOver(i, (a, b) => x.value[a] * y.value[b])),
    error: x.value.map((_, i) =>
      sumOver(i, (a, b) => size(x.value[a]) * y.error[b] + size(y.value[b]) * x.error[a] + x.error[a] * y.error[b]),
    ),
  };
}

/** Sums of rows. */
function rowsOf({ value, error }: Exact): Exact {
  const sums = (all: readonly bigint[]) =>
    Array.from({ length: SIDE }, (_, row) => all.slice(row * SIDE, (row + 1) * SIDE).reduce((a, b) => a + b));
  return { value: sums(value), error: sums(error) };
}

function combined(sign: bigint): Rule {
  return ([x, y]) => ({
    value: x.value.map((each, i) => each + sign * y.value[i]),
    error: x.error.map((each, i) => each + y.error[i]),
  });
}

const constantOf = (attributes: ShareNode["attributes"]) =>
  Array.from((attributes.value as TensorValue).data, (each) => BigInt(each));

const same: Rule = ([x]) => x;

const RULES: Readonly<Record<string, Rule>> = {
  multiply: (args) =>
    products(args, (i) => [[i, args[1].value.length < args[0].value.length ? Math.floor(i / SIDE) : i]]),
  dot: ([x, y]) => rowsOf(products([x, y], (i) => [[i, i]])),
  reshape: ([x]) => x,
  matmul: (args) =>
    products(args, (i) => [0, 1].map((k) => [Math.floor(i / SIDE) * SIDE + k, k * SIDE + (i % SIDE)] as const)),
  add: combined(1n),
  subtract: combined(-1n),
  addConstant: ([x], attributes) => ({ ...x, value: x.value.map((each, i) => each + constantOf(attributes)[i]) }),
  multiplyConstant: ([x], attributes) => {
    const factors = constantOf(attributes);
    return {
      value: x.value.map((each, i) => each * factors[i]),
      error: x.error.map((each, i) => each * size(factors[i])),
    };
  },
  shiftLeft: ([x], { bits }) => ({
    value: x.value.map((each) => each << BigInt(bits as number)),
    error: x.error.map((each) => each << BigInt(bits as number)),
  }),
  /** Rounded once here and once, with an ulp of error, by the parties; what they round may differ by the error. */
  rescale: ([x], { bits }) => ({
    value: x.value.map((each) => each >> BigInt(bits as number)),
    error: x.error.map((each) => (each >> BigInt(bits as number)) + 3n),
  }),
  remask: same,
  toAdditive: same,
  reveal: same,
};

/** The exact outputs of a program, by name. */
export function exactOutputs(
  graph: Graph<ShareType>,
  input: (name: string) => readonly bigint[],
): ReadonlyMap<string, Exact> {
  const values = new Map<ShareNode, Exact>();
  for (const node of graph.nodes) {
    if (node.op === "input") {
      const value = input(node.attributes.name as string);
      values.set(node, { value, error: value.map(() => 0n) });
    } else {
      const args = node.args.map((argument) => values.get(argument)!);
      values.set(node, RULES[node.op](args, node.attributes));
    }
  }
  return new Map(graph.outputs.map(({ name, node }) => [name, values.get(node)!]));
}
