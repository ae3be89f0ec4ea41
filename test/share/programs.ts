/**
 * For every share op a small program that uses it, with random rings, shapes and attributes. The table is exhaustive:
 * a new op without a program does not compile.
 */
import { Builder, type Graph, type Node } from "../../ir/graph.js";
import { MOST_JOINED } from "../../ir/share/bits.js";
import { SHARE, SHARE_OPS, type ShareOpName, type ShareType, type WordType } from "../../ir/share/index.js";
import { sizeOf, type TensorValue } from "../../ir/tensor/value.js";

type ShareNode = Node<ShareType>;

/** Random choices, and the nodes that programs start from. */
export class Maker {
  readonly builder = new Builder(SHARE);
  private names = 0;

  constructor(readonly random: () => number) {}

  /** An integer from least to most. */
  pick(least: number, most: number): number {
    return least + Math.floor(this.random() * (most - least + 1));
  }

  flip(): boolean {
    return this.random() < 0.5;
  }

  shape(least = 0, most = 3): number[] {
    return Array.from({ length: this.pick(least, most) }, () => this.pick(1, 7));
  }

  /** A shape that broadcasts to this one. */
  under(shape: readonly number[]): number[] {
    return shape.slice(this.pick(0, shape.length)).map((n) => (this.flip() ? n : 1));
  }

  emit(op: ShareOpName, args: readonly ShareNode[], attributes = {}): ShareNode {
    return this.builder.emit(op, args, attributes, op);
  }

  masked(shape: readonly number[] = this.shape(), ring = this.pick(4, 64), fraction = this.pick(0, 12)): ShareNode {
    const owner = this.flip() ? "model" : "data";
    return this.emit("input", [], { owner, name: `x${this.names++}`, ring, fraction, shape: [...shape] });
  }

  /** An input whose values are small enough for widen: |x| < 2^(ring-2). */
  narrow(shape: readonly number[], ring: number): ShareNode {
    const name = `narrow${this.names++}`;
    return this.emit("input", [], { owner: "data", name, ring, fraction: 3, shape: [...shape] });
  }

  /** What earlier runs kept: nothing yet, which is zeros. */
  recalled(): ShareNode {
    const name = `kept${this.names++}`;
    const [ring, fraction, shape] = [this.pick(1, 64), this.pick(0, 12), this.shape()];
    return this.emit("input", [], { owner: "state", name, ring, fraction, shape });
  }

  /** A public input; those named "flag" hold 0 and 1. */
  open(shape: readonly number[], prefix = "open"): ShareNode {
    const ring = prefix === "flag" ? 16 : this.pick(1, 64);
    return this.emit("input", [], {
      owner: "public",
      name: `${prefix}${this.names++}`,
      ring,
      fraction: 0,
      shape: [...shape],
    });
  }

  /** A masked or an additive value, whose words are fresh. */
  words(shape?: readonly number[], ring?: number, fraction?: number): ShareNode {
    const x = this.masked(shape, ring, fraction);
    return this.flip() ? x : this.emit("toAdditive", [x]);
  }

  bits(shape: readonly number[] = this.shape()): ShareNode {
    return this.emit("topBit", [this.masked(shape)], { offset: this.pick(-9, 9) });
  }

  maskedBits(shape?: readonly number[]): ShareNode {
    return this.emit("remaskBits", [this.bits(shape)]);
  }

  /** A value of any kind that moves. */
  any(shape: readonly number[]): ShareNode {
    const makers = [() => this.words(shape), () => this.bits(shape), () => this.maskedBits(shape)];
    return makers[this.pick(0, 2)]();
  }

  integers(shape: readonly number[], magnitude: number): TensorValue {
    const data = Float64Array.from({ length: sizeOf(shape) }, () => this.pick(-magnitude, magnitude));
    return { dtype: "i64", shape, data };
  }
}

function pairwise(op: "add" | "subtract") {
  return (make: Maker) => {
    const shape = make.shape();
    const [ring, fraction] = [make.pick(4, 64), make.pick(0, 9)];
    const additive = make.flip();
    const value = (at: number[]) => {
      const x = make.masked(at, ring, fraction);
      return additive ? make.emit("toAdditive", [x]) : x;
    };
    const args = [value(shape), value(make.under(shape))];
    return make.emit(op, make.flip() ? args : args.reverse());
  };
}

function series(op: "series" | "seriesTimes") {
  return (make: Maker) => {
    const angle = make.flip() ? make.pick(3, 14) : make.pick(17, 26);
    const harmonics = make.pick(1, 8);
    const list = (most: number, least = 0) => Array.from({ length: harmonics }, () => make.pick(least, most));
    const secretFraction = make.pick(10, 16);
    const coefficient = () => make.pick(-(2 ** 26), 2 ** 26);
    const ring = make.pick(36, 60);
    const shape = make.shape();
    const x = make.masked(shape, make.pick(angle, 64));
    const args = op === "series" ? [x] : [x, make.masked(shape, make.pick(ring, 64), 10)];
    return make.emit(op, args, {
      angle,
      frequencies: make.flip() ? list(2 ** 10, 1) : Array.from({ length: harmonics }, (_, i) => i + 1),
      drops: make.flip() ? list(secretFraction) : list(0),
      cosines: Array.from({ length: harmonics }, coefficient),
      sines: Array.from({ length: harmonics }, coefficient),
      constant: coefficient(),
      coefficientFraction: 24,
      publicFraction: make.pick(10, 16),
      secretFraction,
      ring,
    });
  };
}

/** A value and a dealt digit of its mask. */
function dealt(make: Maker): { hot: ShareNode; x: ShareNode; at: number; width: number; offset: number } {
  const width = make.pick(1, 7);
  const x = make.masked(make.shape(), make.pick(Math.max(4, width), 64));
  const at = make.pick(0, (x.type as WordType).ring - width);
  return { x, at, width, hot: make.emit("digits", [x], { at, width }), offset: make.pick(-(2 ** 40), 2 ** 40) };
}

/** A strided view inside a shape. */
function view(make: Maker): ShareNode {
  const shape = make.shape(1, 3);
  const x = make.any(shape);
  const strides: number[] = [];
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides.unshift(step);
    step *= shape[axis];
  }
  const order = shape.map((_, i) => i).sort(() => make.random() - 0.5);
  const reversed = make.flip() ? order[0] : -1;
  const offset = reversed === -1 ? 0 : (shape[reversed] - 1) * strides[reversed];
  return make.emit("view", [x], {
    shape: [2, ...order.map((axis) => shape[axis])],
    strides: [0, ...order.map((axis) => (axis === reversed ? -strides[axis] : strides[axis]))],
    offset,
  });
}

function matmul(make: Maker): ShareNode {
  const [rows, columns] = [make.pick(1, 6), make.pick(1, 6)];
  const batch = make.shape(0, 2);
  const cells = Array.from({ length: rows * columns }, (_, i) => i).filter(() => make.flip());
  return products(make, "matmul", { keep: make.flip() ? cells : [] }, () => {
    const inner = make.pick(1, 6);
    const batches = make.flip() ? [batch, make.under(batch)] : [make.under(batch), batch];
    return [
      [...batches[0], rows, inner],
      [...batches[1], inner, columns],
    ];
  });
}

/** A sum of one to three products, in different rings, with or without bits to drop. */
function products(
  make: Maker,
  op: "multiply" | "matmul" | "dot",
  attributes: { readonly keep?: readonly number[] },
  shapes: () => readonly [readonly number[], readonly number[]],
): ShareNode {
  const fraction = make.pick(0, 24);
  const pairs = Array.from({ length: make.pick(1, 3) }, () => {
    const [x, y] = shapes();
    const own = make.pick(0, fraction);
    return [make.masked(x, make.pick(4, 64), own), make.masked(y, make.pick(4, 64), fraction - own)];
  });
  const ring = Math.min(...pairs.flat().map(({ type }) => (type as WordType).ring));
  return make.emit(op, pairs.flat(), { ...attributes, drop: make.flip() ? make.pick(0, ring - 1) : 0 });
}

function concatenate(make: Maker): ShareNode {
  const shape = make.shape(1, 3);
  const axis = make.pick(0, shape.length - 1);
  const [ring, kind] = [make.pick(4, 64), make.pick(0, 2)];
  const equal = make.flip();
  const part = () => {
    const own = equal ? shape : shape.with(axis, make.pick(1, 5));
    return kind === 0 ? make.masked(own, ring, 3) : kind === 1 ? make.bits(own) : make.maskedBits(own);
  };
  return make.emit("concatenate", Array.from({ length: make.pick(1, 4) }, part), { axis });
}

export const PROGRAMS: Readonly<Record<ShareOpName, (make: Maker) => ShareNode>> = {
  input: (make) => [() => make.masked(), () => make.open(make.shape()), () => make.recalled()][make.pick(0, 2)](),
  keep: (make) => {
    const ring = make.pick(4, 64);
    const bits = make.flip() ? 0 : make.pick(1, ring);
    return make.emit("keep", [make.masked(make.shape(), ring)], { name: `kept${make.pick(0, 99)}`, ring: bits });
  },
  constant: (make) => make.emit("constant", [], { value: make.integers(make.shape(), 2 ** 50), ring: 52, fraction: 1 }),
  add: pairwise("add"),
  subtract: pairwise("subtract"),
  negate: (make) => make.emit("negate", [make.words()]),
  sum: (make) => {
    const shape = make.shape(1, 3);
    return make.emit("sum", [make.words(shape)], { axis: make.pick(0, shape.length - 1) });
  },
  addConstant: (make) => {
    const shape = make.shape();
    const value = make.integers(make.flip() ? make.under(shape) : [3, ...shape], 2 ** 45);
    return make.emit("addConstant", [make.words(shape)], { value });
  },
  multiplyConstant: (make) => {
    const shape = make.shape();
    const value = make.integers(make.flip() ? make.under(shape) : [3, ...shape], 2 ** 20);
    return make.emit("multiplyConstant", [make.words(shape)], { value, fraction: make.pick(0, 5) });
  },
  shiftLeft: (make) => make.emit("shiftLeft", [make.words()], { bits: make.pick(0, 20) }),
  relabel: (make) => make.emit("relabel", [make.words()], { fraction: make.pick(-3, 9) }),
  reduce: (make) => make.emit("reduce", [make.words([5], 40)], { ring: make.pick(1, 40) }),
  rescale: (make) => {
    const ring = make.pick(2, 64);
    return make.emit("rescale", [make.words(make.shape(), ring)], { bits: make.pick(0, ring - 1) });
  },
  toAdditive: (make) => make.emit("toAdditive", [make.masked()]),
  reshape: (make) => {
    const shape = make.shape(1, 3);
    return make.emit("reshape", [make.any(shape)], { shape: [1, sizeOf(shape)] });
  },
  view,
  concatenate,
  take: (make) => {
    const shape = make.shape();
    const indices = Array.from({ length: make.pick(0, 9) }, () => make.pick(-1, sizeOf(shape) - 1));
    const parts = make.pick(1, 3);
    const whole = make.any([parts, ...shape]);
    return make.emit("take", [whole], { indices, shape: [parts, indices.length] });
  },
  multiply: (make) => {
    const shape = make.shape();
    return products(make, "multiply", {}, () => [shape, make.under(shape)]);
  },
  timesPublic: (make) => {
    const shape = make.shape();
    return make.emit("timesPublic", [make.emit("toAdditive", [make.masked(shape)]), make.open(make.under(shape))]);
  },
  matmul,
  dot: (make) => {
    const shape = make.shape(1, 3);
    return products(make, "dot", {}, () => {
      const length = make.pick(1, 7);
      const full = [...shape.slice(0, -1), length];
      return [full, make.under(full)];
    });
  },
  remask: (make) => make.emit("remask", [make.emit("toAdditive", [make.masked(undefined, make.pick(1, 64))])]),
  remaskBits: (make) => make.maskedBits(),
  widen: (make) => {
    const ring = make.pick(3, 63);
    return make.emit("widen", [make.narrow(make.shape(), ring)], { ring: make.pick(ring + 1, 64) });
  },
  widenAdditive: (make) => {
    const ring = make.pick(3, 63);
    return make.emit("widenAdditive", [make.narrow(make.shape(), ring)], { ring: make.pick(2, 64) });
  },
  squares: (make) => {
    const ring = make.pick(3, 63);
    const drop = make.pick(0, 40);
    const x = make.narrow(make.shape(1, 3), ring);
    return make.emit("squares", [x], { ring: make.pick(2, 64 - drop), drop });
  },
  series: series("series"),
  seriesTimes: series("seriesTimes"),
  exponential: (make) => {
    const fraction = make.pick(1, 12);
    const cut = fraction + make.pick(0, 4);
    const shape = make.shape();
    const x = make.masked(shape, make.pick(Math.max(4, cut), 64), fraction);
    const publicFraction = make.pick(8, 20);
    const most = Math.min(3, 1 + Math.floor(publicFraction / 2 ** (cut - fraction)));
    const bits = Array.from({ length: make.pick(0, most) }, () => make.maskedBits(shape));
    return make.emit("exponential", [x, ...bits], {
      cut,
      publicFraction,
      secretFraction: make.pick(8, 16),
      ring: make.pick(44, 62),
    });
  },
  decays: (make) => {
    const bits = make.pick(2, 14);
    const count = make.pick(1, 3);
    const buckets = Array.from({ length: count }, () => make.pick(Math.max(0, bits - 4), bits - 1));
    // Up to five octaves a bucket: beyond the domain, where the digits' difference wraps, values are as large.
    const rates = buckets.map((bucket) => make.pick(0, 5 * 2 ** 20) * 2 ** (28 - bucket));
    const [publicFraction, secretFraction, drop] = [make.pick(6, 24), make.pick(4, 14), make.pick(0, 30)];
    const coefficients = rates.map(() => make.pick(-(2 ** 31), 2 ** 31));
    const ring = make.pick(Math.max(20, 52 - drop), make.flip() ? 40 : 64);
    const x = make.masked(make.shape(), make.pick(Math.max(4, bits), 64));
    const attributes = { bits, buckets, rates, coefficients, publicFraction, secretFraction, drop, ring };
    return make.emit("decays", [x], attributes);
  },
  coarseCount: (make) => {
    const width = make.pick(1, 6);
    const segments = Array.from({ length: make.pick(1, 3) }, () => make.pick(1, 9));
    const length = segments.reduce((sum, n) => sum + n, 0);
    const shape = [...make.shape(0, 2), length];
    const x = make.masked(shape, make.pick(Math.max(4, width), 64));
    const keep = width >= 3 && make.flip() ? [make.open(make.under(shape), "flag")] : [];
    return make.emit("coarseCount", [x, ...keep], { width, ring: make.pick(6, 12), segments });
  },
  digits: (make) => dealt(make).hot,
  less: (make) => {
    const { hot, x, at, offset } = dealt(make);
    return make.emit("less", [hot, x], { at, offset });
  },
  equals: (make) => {
    const { hot, x, at, offset } = dealt(make);
    return make.emit("equals", [hot, x], { at, offset, difference: make.pick(-9, 9) });
  },
  within: (make) => {
    const { hot, x, at, width, offset } = dealt(make);
    return make.emit("within", [hot, x], { at, offset, from: make.pick(-9, 9), count: make.pick(0, 2 ** width) });
  },
  topBit: (make) => make.bits(),
  conjunction: (make) => {
    const shape = make.shape();
    return make.emit(
      "conjunction",
      Array.from({ length: make.pick(2, 6) }, () => make.maskedBits(shape)),
    );
  },
  exclusiveOr: (make) => {
    const shape = make.shape();
    const value = make.flip() ? () => make.bits(shape) : () => make.maskedBits(shape);
    return make.emit("exclusiveOr", [value(), value()]);
  },
  complement: (make) => make.emit("complement", [make.flip() ? make.bits() : make.maskedBits()]),
  andPublic: (make) => {
    const shape = make.shape();
    return make.emit("andPublic", [make.bits(shape), make.open(make.under(shape))]);
  },
  randomCombination: (make) => {
    const shape = make.shape(1, 3);
    return make.emit("randomCombination", [make.bits(shape)], { bits: make.pick(40, 64) });
  },
  verdict: (make) => {
    const one = () => make.emit("randomCombination", [make.bits(make.shape(1, 1))], { bits: 40 });
    return make.emit("verdict", Array.from({ length: make.pick(1, 4) }, one));
  },
  timesBits: (make) => {
    const shape = make.shape();
    const bits = Array.from({ length: make.pick(2, MOST_JOINED) }, () => make.maskedBits(shape));
    return make.emit("timesBits", [...bits, make.masked(shape)]);
  },
  timesBit: (make) => {
    const shape = make.shape();
    const [b, x] = make.flip() ? [shape, make.under(shape)] : [make.under(shape), shape];
    return make.emit("timesBit", [make.maskedBits(b), make.masked(x)]);
  },
  toArithmetic: (make) => {
    const shape = make.shape();
    const bits = Array.from({ length: make.flip() ? 1 : make.pick(2, MOST_JOINED) }, () => make.maskedBits(shape));
    return make.emit("toArithmetic", bits, { ring: make.pick(1, 64), fraction: 0 });
  },
  reveal: (make) => make.emit("reveal", [make.words()], { name: "y" }),
};

/** A random program that ends in the op. */
export function programOf(op: ShareOpName, random: () => number): Graph<ShareType> {
  const make = new Maker(random);
  const node = PROGRAMS[op](make);
  return make.builder.finish([{ name: "y", node }]);
}

/** A random program with every op. */
export function programOfAll(random: () => number): Graph<ShareType> {
  const make = new Maker(random);
  const names = (Object.keys(SHARE_OPS) as ShareOpName[]).filter((op) => op !== "reveal");
  const nodes = names.map((op) => PROGRAMS[op](make));
  return make.builder.finish(nodes.map((node, i) => ({ name: `y${i}`, node })));
}
