/** The meanings of comparisons, Boolean ops and conversions (see evaluate.ts). Bits are the words 0 and 1. */
import type { Attributes } from "../graph.js";
import { sizeOf } from "../tensor/value.js";
import { type Meaning, make, openOf, repeat } from "./meaning.js";
import type { HotType, ShareValue, WordType } from "./types.js";

/** Bits [at, at + width) of every word. */
function digitsOf(words: BigUint64Array, at: number, width: number): BigUint64Array {
  return words.map((word) => BigInt.asUintN(width, word >> BigInt(at)));
}

/** m + offset of a masked value, in its ring. */
function shifted(x: ShareValue, attributes: Attributes): BigUint64Array {
  const offset = BigInt(attributes.offset as number);
  return openOf(x).map((word) => BigInt.asUintN((x.type as WordType).ring, word + offset));
}

/** A look-up of the dealt digit at the digit of m + offset. */
function lookUp(test: (open: bigint, dealt: bigint, width: number, attributes: Attributes) => boolean): Meaning {
  return ([hot, x], attributes, type) => {
    const { width } = hot.type as HotType;
    const digit = digitsOf(shifted(x, attributes), attributes.at as number, width);
    return make(
      type,
      digit.map((d, i) => (test(d, hot.value[i], width, attributes) ? 1n : 0n)),
    );
  };
}

function exclusive(a: BigUint64Array, b: BigUint64Array): BigUint64Array {
  return a.map((bit, i) => bit ^ b[i]);
}

const COMPARISON_MEANING = {
  digits: ([x], { at, width }, type) => make(type, digitsOf(x.mask!, at as number, width as number)),
  less: lookUp((open, dealt) => open < dealt),
  equals: lookUp(
    (open, dealt, width, { difference }) => BigInt.asUintN(width, open - BigInt(difference as number)) === dealt,
  ),
  within: lookUp((open, dealt, width, { from, count }) => {
    const distance = BigInt.asUintN(width, open - dealt - BigInt(from as number));
    return distance < BigInt(count as number);
  }),
  topBit: ([x], attributes, type) => {
    const top = (x.type as WordType).ring - 1;
    return make(type, exclusive(digitsOf(shifted(x, attributes), top, 1), digitsOf(x.mask!, top, 1)));
  },
} as const satisfies Record<string, Meaning>;

const conjunction: Meaning = (args, _attributes, type) =>
  make(
    type,
    args[0].value.map((_, i) => (args.every((bit) => bit.value[i] === 1n) ? 1n : 0n)),
  );

const timesBit: Meaning = ([b, x], _attributes, type) => {
  const bit = repeat(b.value, b.type.shape, type.shape);
  return make(
    type,
    repeat(x.value, x.type.shape, type.shape).map((word, i) => word * bit[i]),
  );
};

/** Which coefficients are drawn is nobody's to say: a row with a set bit gives any bits, one without gives zeros. */
const randomCombination: Meaning = ([a], _attributes, type, masks) => {
  const length = a.type.shape.at(-1)!;
  const bits = type.shape.at(-1)!;
  const random = masks(sizeOf(type.shape));
  const isSet = (row: number) => a.value.subarray(row * length, (row + 1) * length).includes(1n);
  return make(
    type,
    random.map((word, i) => (isSet(Math.floor(i / bits)) ? word : 0n)),
  );
};

export const BIT_MEANING = {
  ...COMPARISON_MEANING,
  conjunction,
  exclusiveOr: ([a, b], _attributes, type) =>
    make(type, exclusive(a.value, b.value), a.mask && b.mask ? exclusive(a.mask, b.mask) : undefined),
  complement: ([a], _attributes, type) =>
    make(
      type,
      a.value.map((bit) => bit ^ 1n),
      a.mask,
    ),
  andPublic: ([a, keep], _attributes, type) => {
    const kept = repeat(keep.value, keep.type.shape, type.shape);
    return make(
      type,
      a.value.map((bit, i) => bit & kept[i]),
    );
  },
  randomCombination,
  verdict: (args, _attributes, type) =>
    make(
      type,
      args.slice(1).reduce((sum, each) => exclusive(sum, each.value), args[0].value),
    ),
  timesBit,
  timesBits: (args, _attributes, type) =>
    make(
      type,
      args[args.length - 1].value.map((word, i) => args.slice(0, -1).reduce((sum, bit) => sum * bit.value[i], word)),
    ),
  toArithmetic: ([first, ...rest], _attributes, type) =>
    make(
      type,
      first.value.map((word, i) => rest.reduce((all, bit) => all & bit.value[i], word)),
    ),
  reveal: ([x]) => x,
} as const satisfies Record<string, Meaning>;
