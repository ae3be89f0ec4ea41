/**
 * Comparisons, bits, and the way back to words. P0 deals the one-hot vector of a digit of the mask as XOR shares; every
 * public comparison of that value is then a local look-up at the digit of m. (PROTOCOL.md, comparison.)
 */
import type { Attributes } from "../graph.js";
import { sameShape } from "../shape.js";
import { sizeOf } from "../tensor/value.js";
import {
  bitsOf,
  broadcastShape,
  hotOf,
  integerOf,
  masked,
  packedBytes,
  refuse,
  ringOf,
  sameBound,
  stringOf,
  unbounded,
  wholeBlocks,
  widthOf,
  words,
} from "./rules.js";
import type { BitType, OpSpecification, ShareType, WordType } from "./types.js";

const LARGEST = Number.MAX_SAFE_INTEGER;

/** Bits that one `conjunction` joins. */
export const MOST_JOINED = 6;

/** `at` and the digit's end must lie in the ring. */
function checkDigit(x: WordType, at: number, width: number): void {
  refuse(x.ring !== 0 && at + width > x.ring, `a digit at ${at} of ${width} bits is outside ring ${x.ring}`);
}

/** The common rule of less, equals and within: a hot digit and the value whose mask it is of. */
function compare([hot, x]: readonly ShareType[], attributes: Attributes): BitType {
  const at = integerOf(attributes, "at", 0, 63);
  integerOf(attributes, "offset", -LARGEST, LARGEST);
  checkDigit(masked(x), at, hotOf(hot).width);
  refuse(!sameShape(hot.shape, x.shape), "the digit and the value have different shapes");
  return { kind: "bits", shape: x.shape };
}

const demandNothing = (args: readonly ShareType[]) => args.map((type) => ("ring" in type ? type.ring : 0));

/** Subsets of two or more of n masks: what `conjunction` is dealt. */
export function subsetsOf(n: number): number {
  return 2 ** n - 1 - n;
}

/** Subsets of one or more of n masks: of each a product is dealt as a word by `timesBits` and `toArithmetic`. */
export function maskProducts(n: number): number {
  return 2 ** n - 1;
}

const COMPARISON = {
  digits: {
    doc: "The one-hot vector (2^width bits) of bits [at, at + width) of the mask, dealt by P0 as XOR shares.",
    arity: [1, 1],
    attributes: { at: "integer", width: "integer" },
    ring: "none",
    reads: "declared",
    bound: unbounded,
    infer: ([x], attributes) => {
      const width = widthOf(attributes);
      checkDigit(masked(x), integerOf(attributes, "at", 0, 63), width);
      return { kind: "hot", width, shape: x.shape };
    },
    demand: demandNothing,
    cost: ([x], attributes) => {
      const macs = sizeOf(x.shape);
      return { offline: packedBytes(macs, 2 ** (attributes.width as number)), macs: { P0: macs, P1: 0, P2: 0 } };
    },
    draws: ([x], attributes) => [
      { pair: "01", bytes: packedBytes(sizeOf(x.shape), 2 ** (attributes.width as number)) },
    ],
  },
  less: {
    doc: "[digit of (m + offset) < digit of the mask], a look-up.",
    arity: [2, 2],
    attributes: { at: "integer", offset: "integer" },
    ring: "none",
    reads: "declared",
    bound: unbounded,
    infer: compare,
    demand: demandNothing,
  },
  equals: {
    doc: "[digit of (m + offset) - difference = digit of the mask, modulo 2^width], a look-up.",
    arity: [2, 2],
    attributes: { at: "integer", offset: "integer", difference: "integer" },
    ring: "none",
    reads: "declared",
    bound: unbounded,
    infer: (args, attributes) => {
      integerOf(attributes, "difference", -LARGEST, LARGEST);
      return compare(args, attributes);
    },
    demand: demandNothing,
  },
  within: {
    doc: "[(digit of (m + offset) - digit of the mask) mod 2^width is one of from, …, from + count - 1], a look-up.",
    arity: [2, 2],
    attributes: { at: "integer", offset: "integer", from: "integer", count: "integer" },
    ring: "none",
    reads: "declared",
    bound: unbounded,
    infer: (args, attributes) => {
      integerOf(attributes, "from", -LARGEST, LARGEST);
      integerOf(attributes, "count", 0, 2 ** hotOf(args[0]).width);
      return compare(args, attributes);
    },
    demand: demandNothing,
  },
  topBit: {
    doc: "The ring's top bit of m + offset, XOR the mask's top bit, which P0 deals.",
    arity: [1, 1],
    attributes: { offset: "integer" },
    ring: "none",
    reads: "declared",
    bound: unbounded,
    infer: ([x], attributes) => {
      integerOf(attributes, "offset", -LARGEST, LARGEST);
      return { kind: "bits", shape: masked(x).shape };
    },
    demand: demandNothing,
    cost: ([x]) => ({ offline: packedBytes(sizeOf(x.shape), 1) }),
    draws: ([x]) => [{ pair: "01", bytes: packedBytes(sizeOf(x.shape), 1) }],
  },
} as const satisfies Record<string, OpSpecification>;

const BOOLEAN = {
  conjunction: {
    doc: "The AND of 2 to 6 masked bits: P0 deals a bit for every subset of two or more masks.",
    arity: [2, MOST_JOINED],
    attributes: {},
    ring: "none",
    reads: "residues",
    bound: unbounded,
    infer: (args) => {
      for (const type of args) {
        bitsOf(type, "maskedBits");
      }
      refuse(
        args.some((type) => !sameShape(type.shape, args[0].shape)),
        "conjunction needs bits of one shape",
      );
      return { kind: "bits", shape: args[0].shape };
    },
    demand: (args) => args.map(() => 0),
    cost: (args, _attributes, type) => {
      const work = Math.ceil((sizeOf(type.shape) * 2 ** args.length) / 64);
      return {
        offline: subsetsOf(args.length) * packedBytes(sizeOf(type.shape), 1),
        macs: { P0: work, P1: work, P2: work },
      };
    },
    draws: (args, _attributes, type) => [
      { pair: "01", bytes: subsetsOf(args.length) * wholeBlocks(packedBytes(sizeOf(type.shape), 1)) },
    ],
  },
  exclusiveOr: {
    doc: "a XOR b of bits, or of masked bits.",
    arity: [2, 2],
    attributes: {},
    ring: "none",
    reads: "residues",
    bound: unbounded,
    infer: ([a, b]) => {
      refuse(a.kind !== b.kind || !sameShape(a.shape, b.shape), "exclusiveOr needs bits of one kind and shape");
      return bitsOf(a, "bits", "maskedBits");
    },
    demand: () => [0, 0],
  },
  complement: {
    doc: "NOT a, of bits or of masked bits.",
    arity: [1, 1],
    attributes: {},
    ring: "none",
    reads: "residues",
    bound: unbounded,
    infer: ([a]) => bitsOf(a, "bits", "maskedBits"),
    demand: () => [0],
  },
  andPublic: {
    doc:
      "Bits AND the lowest bit of a public input or constant (mask 0), broadcast to the first: local, both " +
      "evaluators' shares AND m. A plan in which the second argument is not public is refused.",
    arity: [2, 2],
    attributes: {},
    ring: "none",
    reads: "residues",
    bound: unbounded,
    infer: ([bits, keep]) => {
      const shape = broadcastShape(bitsOf(bits, "bits").shape, masked(keep).shape);
      refuse(!sameShape(shape, bits.shape), "andPublic's second argument does not broadcast to the first");
      return bits;
    },
    demand: () => [0, 1],
    publicArguments: [1],
  },
} as const satisfies Record<string, OpSpecification>;

/** Bits of a random combination: it misses a set bit with probability 2^-bits. */
const MOST_COMBINED = 64;

/**
 * Whether any of many bits is set, at the price of no round: random linear combinations over GF(2), of which P1 and P2
 * draw the coefficients from k12 (a random linear code's syndrome; Freivalds' trick for zero vectors).
 */
const COMBINATION = {
  randomCombination: {
    doc:
      "For each row of the last axis `bits` sums of its bits over GF(2), with coefficients from k12, which P0 " +
      "does not " +
      "know. All are 0 where no bit of the row is set; else they are uniform, and all 0 with probability 2^-bits.",
    arity: [1, 1],
    attributes: { bits: "integer" },
    ring: "none",
    reads: "residues",
    bound: unbounded,
    infer: ([a], attributes) => {
      const { kind, shape } = bitsOf(a, "bits");
      refuse(shape.length === 0, "randomCombination needs an axis");
      return { kind, shape: [...shape.slice(0, -1), integerOf(attributes, "bits", 1, MOST_COMBINED)] };
    },
    demand: () => [0],
    cost: ([a]) => ({ macs: { P0: 0, P1: sizeOf(a.shape), P2: sizeOf(a.shape) } }),
    draws: ([a]) => [{ pair: "12", bytes: 8 * sizeOf(a.shape) }],
  },
  verdict: {
    doc:
      "The XOR of random combinations, opened to the data owner: P1 and P2 each send their bits XOR a pad from " +
      "k12, so " +
      "that the owner learns the sum alone: 0 where nothing was set, uniform bits where something was. It lowers " +
      "secrecy by that one fact.",
    arity: [1, 65536],
    attributes: {},
    ring: "none",
    reads: "residues",
    bound: unbounded,
    infer: (args) => {
      const [first] = args.map((each) => bitsOf(each, "bits"));
      refuse(
        args.some(({ shape }) => !sameShape(shape, first.shape)),
        "verdict needs combinations of one shape",
      );
      return first;
    },
    demand: (args) => args.map(() => 0),
    cost: (_args, _attributes, type) => ({ output: packedBytes(sizeOf(type.shape), 1) }),
    draws: (_args, _attributes, type) => [{ pair: "12", bytes: packedBytes(sizeOf(type.shape), 1) }],
  },
} as const satisfies Record<string, OpSpecification>;

const CONVERSION = {
  timesBit: {
    doc: "b * x for a masked bit and a masked value, broadcast: P0 deals the bit's mask and its product with x's mask.",
    arity: [2, 2],
    attributes: {},
    ring: "derived",
    reads: "residues",
    bound: unbounded,
    infer: ([b, x]) => {
      const shape = broadcastShape(bitsOf(b, "maskedBits").shape, masked(x).shape);
      return { ...masked(x), kind: "additive", shape };
    },
    demand: (_args, _attributes, ring) => [0, ring],
    cost: ([b], _attributes, type) => {
      const n = sizeOf(type.shape);
      const ring = words(type).ring;
      const macs = { P0: n, P1: 4 * n, P2: 3 * n };
      return { offline: packedBytes(sizeOf(b.shape), ring) + packedBytes(n, ring), macs };
    },
    draws: ([b], _attributes, type) => [
      { pair: "01", bytes: 8 * sizeOf(b.shape) },
      { pair: "01", bytes: 8 * sizeOf(type.shape) },
    ],
  },
  timesBits: {
    doc:
      "The product of 2 to 6 masked bits and a masked value, the last argument, all of one shape: for every subset " +
      "of the bits P0 deals the product of its masks, and that times x's mask.",
    arity: [3, 1 + MOST_JOINED],
    attributes: {},
    ring: "derived",
    reads: "residues",
    bound: (bounds) => bounds[bounds.length - 1],
    infer: (args) => {
      const x = masked(args[args.length - 1]);
      refuse(
        args.slice(0, -1).some((bit) => !sameShape(bitsOf(bit, "maskedBits").shape, x.shape)),
        "timesBits needs arguments of one shape",
      );
      return { ...x, kind: "additive" };
    },
    demand: (args, _attributes, ring) => args.map((_, i) => (i === args.length - 1 ? ring : 0)),
    cost: (args, _attributes, type) => {
      const n = sizeOf(type.shape);
      const subsets = maskProducts(args.length - 1);
      return {
        offline: 2 * subsets * packedBytes(n, words(type).ring),
        macs: { P0: 2 * subsets * n, P1: 3 * subsets * n, P2: 3 * subsets * n },
      };
    },
    draws: (args, _attributes, type) =>
      Array.from({ length: 2 * maskProducts(args.length - 1) }, () => ({
        pair: "01" as const,
        bytes: 8 * sizeOf(type.shape),
      })),
  },
  toArithmetic: {
    doc:
      "The AND of 1 to 6 masked bits of one shape as an additive integer 0 or 1 in any ring: P0 deals the product of " +
      "the masks of every subset of them.",
    arity: [1, MOST_JOINED],
    attributes: { ring: "integer", fraction: "integer" },
    ring: "planned",
    reads: "residues",
    bound: () => 1,
    infer: (args, attributes) => {
      const [{ shape }] = args.map((bit) => bitsOf(bit, "maskedBits"));
      refuse(
        args.some((bit) => !sameShape(bit.shape, shape)),
        "toArithmetic needs bits of one shape",
      );
      return { kind: "additive", ring: ringOf(attributes), fraction: integerOf(attributes, "fraction", 0, 0), shape };
    },
    demand: (args) => args.map(() => 0),
    cost: (args, _attributes, type) => {
      const n = sizeOf(type.shape);
      const subsets = maskProducts(args.length);
      const macs = { P0: (subsets - args.length) * n, P1: subsets * n, P2: subsets * n };
      return { offline: subsets * packedBytes(n, words(type).ring), macs };
    },
    draws: (args, _attributes, type) =>
      Array.from({ length: maskProducts(args.length) }, () => ({ pair: "01" as const, bytes: 8 * sizeOf(type.shape) })),
  },
  reveal: {
    doc:
      "Opens a value to the data owner: P1 and P2 each send one additive share, freshly randomised by a zero- " +
      "sharing from k12, so that the owner learns the value and nothing else. This and `verdict` are all that " +
      "lowers secrecy.",
    arity: [1, 1],
    attributes: { name: "string" },
    ring: "derived",
    reads: "range",
    bound: sameBound,
    infer: ([x], attributes) => {
      stringOf(attributes, "name");
      return words(x);
    },
    demand: ([x]) => [words(x).ring],
    alias: true,
    cost: ([x]) => ({ output: packedBytes(sizeOf(x.shape), words(x).ring) }),
    draws: ([x]) => [{ pair: "12", bytes: 8 * sizeOf(x.shape) }],
  },
} as const satisfies Record<string, OpSpecification>;

export const BITS = { ...COMPARISON, ...BOOLEAN, ...COMBINATION, ...CONVERSION } as const;
