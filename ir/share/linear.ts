/**
 * The local ops: what each party does to its own components without a message. The general linear map with public
 * integer coefficients is local on masked and on additive values; `rescale` is local too, because its result lives in
 * a smaller ring where nothing wraps (PROTOCOL.md).
 */
import type { Attributes } from "../graph.js";
import { sizeOf } from "../tensor/value.js";
import {
  broadcastShape,
  integerOf,
  integersOf,
  largestOf,
  masked,
  refuse,
  ringOf,
  sameBound,
  sameRing,
  shapeOf,
  stringOf,
  takenParts,
  tensorOf,
  unbounded,
  words,
} from "./rules.js";
import type { OpSpecification, ShareType, WordType } from "./types.js";

const LARGEST = Number.MAX_SAFE_INTEGER;

/** The common type of the arguments of add and subtract: same kind, ring and fraction. */
function agree(args: readonly ShareType[]): WordType {
  const [a, b] = args.map(words);
  refuse(a.kind !== b.kind, `cannot combine ${a.kind} with ${b.kind}: use toAdditive`);
  refuse(a.fraction !== b.fraction, `fractions ${a.fraction} and ${b.fraction} differ`);
  refuse(a.ring !== b.ring && a.ring !== 0 && b.ring !== 0, `rings ${a.ring} and ${b.ring} differ: use reduce`);
  return { ...a, ring: Math.min(a.ring, b.ring), shape: broadcastShape(a.shape, b.shape) };
}

/** The argument with another shape; for words, bits and masked bits. */
function moved(type: ShareType, shape: readonly number[]): ShareType {
  refuse(type.kind === "hot", "hot values do not move");
  return { ...type, shape };
}

function owner(attributes: Attributes): string {
  const name = stringOf(attributes, "owner");
  refuse(!["model", "data", "public", "state"].includes(name), `unknown owner '${name}'`);
  return name;
}

function declared(attributes: Attributes, shape: readonly number[]): WordType {
  return { kind: "masked", ring: ringOf(attributes), fraction: integerOf(attributes, "fraction", -1024, 1024), shape };
}

const SOURCES = {
  input: {
    doc:
      "A value of an owner, shared before the run: the owner gives one seed to P0 and P1, one to P0 and P2 (the " +
      "masks), and m to P1 and P2. Its draws are from the streams of the owner's own two seeds, at the same " +
      "position in both, not from the session's. A public input has the mask 0. One of owner `state` is what an " +
      "earlier run of the session kept under this name (zeros with the mask 0 before any did): each party has its " +
      "components.",
    arity: [0, 0],
    attributes: { owner: "string", name: "string", ring: "integer", fraction: "integer", shape: "integers" },
    ring: "planned",
    reads: "residues",
    bound: unbounded,
    infer: (_, attributes) => {
      owner(attributes);
      stringOf(attributes, "name");
      return declared(attributes, shapeOf(attributes, "shape"));
    },
    demand: () => [],
    draws: (_, attributes, type) => {
      const bytes = 8 * sizeOf(type.shape);
      return attributes.owner === "public" || attributes.owner === "state"
        ? []
        : [
            { pair: "01", bytes },
            { pair: "02", bytes },
          ];
    },
  },
  constant: {
    doc: "A public integer tensor as a masked value with mask 0.",
    arity: [0, 0],
    attributes: { value: "tensor", ring: "integer", fraction: "integer" },
    ring: "planned",
    reads: "residues",
    bound: unbounded,
    infer: (_, attributes) => declared(attributes, tensorOf(attributes, "value").shape),
    demand: () => [],
  },
} as const satisfies Record<string, OpSpecification>;

const STATE = {
  keep: {
    doc:
      "The value stays at the parties for later runs of the session, under its name: P0 keeps both masks, P1 and " +
      "P2 m and a mask each, as they hold them. Nothing is sent, and nothing is drawn: m was opened once, and what " +
      "later runs open is hidden by masks of their own. `ring`: the bits that those runs read; 0: all that it has.",
    arity: [1, 1],
    attributes: { name: "string", ring: "integer" },
    ring: "derived",
    reads: "residues",
    bound: sameBound,
    infer: ([x], attributes) => {
      stringOf(attributes, "name");
      const type = masked(x);
      const ring = integerOf(attributes, "ring", 0, 64);
      refuse(type.ring !== 0 && type.ring < ring, `keep reads ${ring} bits of a ring of ${type.ring}`);
      return type;
    },
    demand: (_, attributes) => [attributes.ring as number],
    alias: true,
  },
} as const satisfies Record<string, OpSpecification>;

const ARITHMETIC = {
  add: {
    doc: "x + y, broadcast; rings and fractions are equal.",
    arity: [2, 2],
    attributes: {},
    ring: "derived",
    reads: "residues",
    bound: ([x, y]) => x + y,
    infer: agree,
    demand: sameRing,
  },
  subtract: {
    doc: "x - y, broadcast; rings and fractions are equal.",
    arity: [2, 2],
    attributes: {},
    ring: "derived",
    reads: "residues",
    bound: ([x, y]) => x + y,
    infer: agree,
    demand: sameRing,
  },
  negate: {
    doc: "-x.",
    arity: [1, 1],
    attributes: {},
    ring: "derived",
    reads: "residues",
    bound: sameBound,
    infer: ([x]) => words(x),
    demand: sameRing,
  },
  sum: {
    doc: "The sum over one axis, which is dropped.",
    arity: [1, 1],
    attributes: { axis: "integer" },
    ring: "derived",
    reads: "residues",
    bound: ([x], { axis }, _type, [from]) => x * from.shape[axis as number],
    infer: ([x], attributes) => {
      const axis = integerOf(attributes, "axis", 0, x.shape.length - 1);
      return { ...words(x), shape: x.shape.filter((_, i) => i !== axis) };
    },
    demand: sameRing,
  },
  addConstant: {
    doc: "x + c for a public integer tensor c at x's fraction, broadcast.",
    arity: [1, 1],
    attributes: { value: "tensor" },
    ring: "derived",
    reads: "residues",
    bound: ([x], attributes, type) => x + largestOf(attributes) / 2 ** words(type).fraction,
    infer: ([x], attributes) => ({
      ...words(x),
      shape: broadcastShape(x.shape, tensorOf(attributes, "value").shape),
    }),
    demand: sameRing,
  },
  multiplyConstant: {
    doc: "x * c for a public integer tensor c, broadcast; `fraction` is c's and adds to x's.",
    arity: [1, 1],
    attributes: { value: "tensor", fraction: "integer" },
    ring: "derived",
    reads: "residues",
    bound: ([x], attributes) => (x * largestOf(attributes)) / 2 ** (attributes.fraction as number),
    infer: ([x], attributes) => ({
      ...words(x),
      fraction: words(x).fraction + integerOf(attributes, "fraction", -1024, 1024),
      shape: broadcastShape(x.shape, tensorOf(attributes, "value").shape),
    }),
    demand: sameRing,
  },
  shiftLeft: {
    doc: "x * 2^bits at bits more fractional bits: the same real number, exact; the ring grows with it, up to 64.",
    arity: [1, 1],
    attributes: { bits: "integer" },
    ring: "derived",
    reads: "residues",
    bound: sameBound,
    infer: ([x], attributes) => {
      const { ring, fraction, ...rest } = words(x);
      const bits = integerOf(attributes, "bits", 0, 63);
      return { ...rest, ring: ring === 0 ? 0 : Math.min(64, ring + bits), fraction: fraction + bits };
    },
    demand: (_, attributes, ring) => [Math.max(1, ring - (attributes.bits as number))],
  },
  relabel: {
    doc: "The same integer read at another fraction: a multiplication by a power of two, for free.",
    arity: [1, 1],
    attributes: { fraction: "integer" },
    ring: "derived",
    reads: "residues",
    bound: ([x], _attributes, type, [from]) => x * 2 ** (words(from).fraction - words(type).fraction),
    infer: ([x], attributes) => ({ ...words(x), fraction: integerOf(attributes, "fraction", -1024, 1024) }),
    demand: sameRing,
    alias: true,
  },
  reduce: {
    doc: "The same value in a smaller ring: every component modulo 2^ring.",
    arity: [1, 1],
    attributes: { ring: "integer" },
    ring: "fixed",
    reads: "residues",
    bound: sameBound,
    infer: ([x], attributes) => {
      const ring = integerOf(attributes, "ring", 1, 64);
      const from = words(x).ring;
      refuse(from !== 0 && ring > from, `reduce from ring ${from} to the larger ${ring}`);
      return { ...words(x), ring };
    },
    demand: (_, attributes) => [attributes.ring as number],
    alias: true,
  },
  rescale: {
    doc:
      "Drops `bits` fractional bits, in the ring smaller by s: (m - 2^(s-1)) >> s and both masks >> s of a masked " +
      "value, (share + 2^(s-1)) >> s at P1 and at P2 of an additive one. Never a large error. (PROTOCOL.md, rescale.)",
    arity: [1, 1],
    attributes: { bits: "integer" },
    ring: "derived",
    reads: "residues",
    bound: sameBound,
    infer: ([x], attributes) => {
      const { ring, fraction, ...rest } = words(x);
      const bits = integerOf(attributes, "bits", 0, 63);
      refuse(ring !== 0 && bits >= ring, `rescale by ${bits} bits leaves nothing of ring ${ring}`);
      return { ...rest, ring: ring === 0 ? 0 : ring - bits, fraction: fraction - bits };
    },
    demand: (_, attributes, ring) => [ring + (attributes.bits as number)],
    ulp: (_, attributes) => (attributes.bits === 0 ? 0 : 1),
  },
  toAdditive: {
    doc: "A masked value as an additive one: a1 = m - mask1, a2 = -mask2.",
    arity: [1, 1],
    attributes: {},
    ring: "derived",
    reads: "residues",
    bound: sameBound,
    infer: ([x]) => ({ ...masked(x), kind: "additive" }),
    demand: sameRing,
  },
} as const satisfies Record<string, OpSpecification>;

/** The least and the largest flat index that a strided view reads; undefined where it reads nothing. */
function reach(shape: readonly number[], strides: readonly number[], offset: number): [number, number] | undefined {
  if (sizeOf(shape) === 0) {
    return undefined;
  }
  let least = offset;
  let most = offset;
  shape.forEach((n, i) => {
    const far = (n - 1) * strides[i];
    least += Math.min(0, far);
    most += Math.max(0, far);
  });
  return [least, most];
}

const MOVEMENTS = {
  reshape: {
    doc: "The same elements in another shape.",
    arity: [1, 1],
    attributes: { shape: "integers" },
    ring: "derived",
    reads: "residues",
    bound: sameBound,
    infer: ([x], attributes) => {
      const shape = shapeOf(attributes, "shape");
      refuse(sizeOf(shape) !== sizeOf(x.shape), `cannot reshape [${x.shape.join(",")}] to [${shape.join(",")}]`);
      return moved(x, shape);
    },
    demand: sameRing,
    alias: true,
  },
  view: {
    doc: "A strided copy of the flat argument: transpose, broadcast, slice, reverse. Strides and offset in elements.",
    arity: [1, 1],
    attributes: { shape: "integers", strides: "integers", offset: "integer" },
    ring: "derived",
    reads: "residues",
    bound: sameBound,
    infer: ([x], attributes) => {
      const shape = shapeOf(attributes, "shape");
      const strides = integersOf(attributes, "strides", -LARGEST, LARGEST);
      refuse(strides.length !== shape.length, "view needs a stride for each axis");
      const span = reach(shape, strides, integerOf(attributes, "offset", 0, LARGEST));
      refuse(span !== undefined && (span[0] < 0 || span[1] >= sizeOf(x.shape)), "view reads outside its argument");
      return moved(x, shape);
    },
    demand: sameRing,
  },
  concatenate: {
    doc: "The arguments one after the other along an axis.",
    arity: [1, 65536],
    attributes: { axis: "integer" },
    ring: "derived",
    reads: "residues",
    bound: (args) => Math.max(...args),
    infer: (args, attributes) => {
      const [first] = args;
      const axis = integerOf(attributes, "axis", 0, first.shape.length - 1);
      const without = (type: ShareType) =>
        JSON.stringify(Object.entries({ ...type, ring: 0, shape: type.shape.toSpliced(axis, 1) }).sort());
      const rings = args.map((type) => ("ring" in type ? type.ring : 0)).filter((ring) => ring !== 0);
      refuse(
        args.some((type) => without(type) !== without(first)),
        "concatenate needs arguments of one type",
      );
      refuse(new Set(rings).size > 1, "concatenate needs arguments of one ring");
      const length = args.reduce((sum, type) => sum + type.shape[axis], 0);
      const result = moved(first, first.shape.with(axis, length));
      return "ring" in result && rings.length < args.length ? { ...result, ring: 0 } : result;
    },
    demand: sameRing,
  },
  take: {
    doc:
      "Elements of the flat argument by index, in a new shape; -1 is a share of zero. Where the shape has k times as " +
      "many elements as there are indices, they are read in each of k equal parts of the argument.",
    arity: [1, 1],
    attributes: { indices: "integers", shape: "integers" },
    ring: "derived",
    reads: "residues",
    bound: sameBound,
    infer: ([x], attributes) => {
      const shape = shapeOf(attributes, "shape");
      const count = (attributes.indices as readonly number[]).length;
      const parts = takenParts(count, shape);
      refuse(
        !Number.isInteger(parts) || sizeOf(x.shape) % parts !== 0,
        "take needs indices for its shape, or for equal parts of it",
      );
      integersOf(attributes, "indices", -1, sizeOf(x.shape) / parts - 1);
      return moved(x, shape);
    },
    demand: sameRing,
  },
} as const satisfies Record<string, OpSpecification>;

export const LINEAR = { ...SOURCES, ...STATE, ...ARITHMETIC, ...MOVEMENTS } as const;
