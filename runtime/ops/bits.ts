/**
 * Roles of comparisons, Boolean ops and conversions. P0 deals one-hot digits of masks, products of mask bits, mask bits
 * as words: all of them functions of masks alone, split between the k01 stream (P1) and what P2 receives. Comparisons
 * are look-ups at public digits of m. Nothing here is opened, except by `reveal` and `verdict`, to the data owner.
 */
import { maskProducts } from "../../ir/share/bits.js";
import { elementBytes } from "../../ir/share/index.js";
import { packedBytes } from "../../ir/share/rules.js";
import type { HotType } from "../../ir/share/types.js";
import type { DigitLookUp } from "../kernels/interface.js";
import { COPY_ROLES } from "./linear.js";
import {
  broadcastTo,
  chunkOf,
  countOf,
  dealWords,
  factorAt,
  filled,
  halvesOf,
  inChunks,
  type LocalRoles,
  type Phase,
  type Placed,
  type RoleContext,
  type RoleStep,
  readWords,
  ringOf,
  second,
} from "./role.js";

/** Chunks of hot elements: the stream's bytes per element, at least one. */
function hotChunk(width: number): number {
  return chunkOf(Math.max(1, 2 ** width / 8));
}

/** Dealt: 2^width bits per element. P1's half is the stream, P2 receives one-hot XOR stream. */
const digits: LocalRoles = {
  P0: async ({ kernels, dealing, key }, step) => {
    const [x] = step.args;
    const { at, width } = step.attributes as { at: number; width: number };
    await inChunks(countOf(step), hotChunk(width), (from, some) =>
      dealing.write(packedBytes(some, 2 ** width), (section) => {
        const block = step.blocks[0] + (from * 2 ** width) / 128;
        return kernels.dealHot(key("01"), block, x.offset + 8 * from, second(x) + 8 * from, some, at, width, section);
      }),
    );
  },
  P1: ({ kernels, key }, step) =>
    kernels.fillHot(key("01"), step.blocks[0], step.offset, countOf(step), step.attributes.width as number),
  P2: async ({ kernels, dealing }, step) => {
    const width = step.attributes.width as number;
    await inChunks(countOf(step), hotChunk(width), async (from, some) => {
      const section = await dealing.read(packedBytes(some, 2 ** width));
      await kernels.unpackHot(section, some, width, step.offset + from * elementBytes(step.type));
    });
  },
};

function lookOf(step: RoleStep): DigitLookUp {
  const [hot, x] = step.args;
  const { at, offset } = step.attributes as { at: number; offset: number };
  return { ring: ringOf(x), at, offset, width: (hot.type as HotType).width };
}

/** The same look-up at both evaluators, each in its own share of the one-hot vector. */
function lookUp(phase: Phase): LocalRoles {
  return { P1: phase, P2: phase };
}

function within(range: (step: RoleStep) => readonly [from: number, span: number]): LocalRoles {
  return lookUp(({ kernels }, step) => {
    const [hot, x] = step.args;
    const [from, span] = range(step);
    return kernels.hotWithin(step.offset, hot.offset, x.offset, lookOf(step), from, span, countOf(step));
  });
}

const less = lookUp(({ kernels }, step) => {
  const [hot, x] = step.args;
  return kernels.hotLess(step.offset, hot.offset, x.offset, lookOf(step), countOf(step));
});

/** P2's half of dealt bits. */
function readBits({ kernels, dealing }: RoleContext, to: number, count: number): Promise<void> {
  return inChunks(count, chunkOf(1), async (from, some) =>
    kernels.unpackBits(await dealing.read(packedBytes(some, 1)), some, to + from),
  );
}

/** Dealt: the mask's top bit. P1 adds m's. */
const topBit: LocalRoles = {
  P0: async ({ kernels, scratch, dealing, key }, step) => {
    const [x] = step.args;
    const bits = scratch.take(countOf(step));
    await kernels.sumBit(bits, x.offset, second(x), ringOf(x) - 1, countOf(step));
    await inChunks(countOf(step), chunkOf(1), (from, some) =>
      dealing.write(packedBytes(some, 1), (section) =>
        kernels.dealBits(key("01"), step.blocks[0] + from / 128, bits + from, some, section),
      ),
    );
  },
  P1: async ({ kernels, scratch, key }, step) => {
    const [x] = step.args;
    const count = countOf(step);
    const share = scratch.take(count);
    await kernels.fillBits(key("01"), step.blocks[0], share, count);
    await kernels.wordBit(step.offset, x.offset, step.attributes.offset as number, ringOf(x) - 1, count);
    await kernels.exclusiveOr(step.offset, step.offset, share, count);
  },
  P2: (context, step) => readBits(context, step.offset, countOf(step)),
};

/** Subsets of two or more of n, as bit masks in the order of their dealing. */
function dealtSubsets(n: number): number[] {
  return Array.from({ length: 2 ** n }, (_, subset) => subset).filter((subset) => subset & (subset - 1));
}

/** For every subset of n places of bits the place of their AND; undefined for the empty one. */
async function conjunctions({ kernels, scratch }: RoleContext, offsets: readonly number[], count: number) {
  const products: (number | undefined)[] = [undefined];
  for (let subset = 1; subset < 2 ** offsets.length; subset++) {
    const lowest = offsets[31 - Math.clz32(subset & -subset)];
    const rest = products[subset & (subset - 1)];
    const product = rest === undefined ? lowest : scratch.take(count);
    if (rest !== undefined) {
      await kernels.and(product, rest, lowest, count);
    }
    products.push(product);
  }
  return products;
}

/** The block of the stream at which a subset's bits begin. */
function subsetBlock(step: RoleStep, index: number): number {
  return step.blocks[0] + index * Math.ceil(packedBytes(countOf(step), 1) / 16);
}

/**
 * AND of (m_i XOR mask_i) = XOR over subsets S of (AND of m_i outside S) (AND of mask_i in S). The empty subset is
 * public and P1's; of one mask each party has a half; of more, P0 deals the halves, bit by bit.
 */
async function combineConjunction(context: RoleContext, step: RoleStep): Promise<void> {
  const { kernels, scratch, key, party } = context;
  const count = countOf(step);
  const all = 2 ** step.args.length - 1;
  const open = await conjunctions(
    context,
    step.args.map((bit) => bit.offset),
    count,
  );
  const share = scratch.take(count);
  const term = scratch.take(count);
  await (party === "P1" ? kernels.copy(step.offset, open[all]!, count) : kernels.zero(step.offset, count));
  let dealt = 0;
  for (let subset = 1; subset <= all; subset++) {
    let half = share;
    if ((subset & (subset - 1)) === 0) {
      half = second(step.args[31 - Math.clz32(subset)]);
    } else if (party === "P1") {
      await kernels.fillBits(key("01"), subsetBlock(step, dealt++), share, count);
    } else {
      await readBits(context, share, count);
    }
    const rest = open[all & ~subset];
    if (rest !== undefined) {
      await kernels.and(term, half, rest, count);
    }
    await kernels.exclusiveOr(step.offset, step.offset, rest === undefined ? half : term, count);
  }
}

const conjunction: LocalRoles = {
  P0: async (context, step) => {
    const { kernels, scratch, dealing, key } = context;
    const count = countOf(step);
    const masks: number[] = [];
    for (const bit of step.args) {
      masks.push(scratch.take(count));
      await kernels.exclusiveOr(masks[masks.length - 1], bit.offset, second(bit), count);
    }
    const products = await conjunctions(context, masks, count);
    for (const [index, subset] of dealtSubsets(step.args.length).entries()) {
      await inChunks(count, chunkOf(1), (from, some) =>
        dealing.write(packedBytes(some, 1), (section) =>
          kernels.dealBits(key("01"), subsetBlock(step, index) + from / 128, products[subset]! + from, some, section),
        ),
      );
    }
  },
  P1: combineConjunction,
  P2: combineConjunction,
};

/** Bits: each evaluator's own share. Masked bits: m and every mask. */
const exclusiveOr: Phase = async ({ kernels, party }, step) => {
  const [a, b] = step.args;
  if (step.type.kind === "maskedBits") {
    await kernels.exclusiveOr(second(step), second(a), second(b), countOf(step));
  }
  if (step.type.kind === "maskedBits" || party !== "P0") {
    await kernels.exclusiveOr(step.offset, a.offset, b.offset, countOf(step));
  }
};

/** Flips m (masked bits, at both evaluators) or P1's share. */
const complement: Phase = async ({ kernels, party }, step) => {
  const [a] = step.args;
  const count = countOf(step);
  if (step.type.kind === "maskedBits") {
    await kernels.copy(second(step), second(a), count);
  }
  if (party === "P1" || (party === "P2" && step.type.kind === "maskedBits")) {
    await kernels.complement(step.offset, a.offset, count);
  } else if (party === "P2" || step.type.kind === "maskedBits") {
    await kernels.copy(step.offset, a.offset, count);
  }
};

async function combineTimesBit(context: RoleContext, step: RoleStep): Promise<void> {
  const { kernels, scratch, key, party } = context;
  const [b, x] = step.args;
  const { shape } = step.type;
  const [count, ring] = [countOf(step), ringOf(step)];
  const [first, share, product] = [party === "P1", scratch.take(8 * countOf(b)), scratch.take(8 * count)];
  if (first) {
    await kernels.fillWords(key("01"), step.blocks[0], share, countOf(b));
    await kernels.fillWords(key("01"), step.blocks[1], product, count);
  } else {
    await readWords(context, share, countOf(b), ring);
    await readWords(context, product, count, ring);
  }
  const bit = await broadcastTo(context, b.offset, b.type.shape, shape, 1);
  const m = await broadcastTo(context, x.offset, x.type.shape, shape, 8);
  const mask = await broadcastTo(context, second(x), x.type.shape, shape, 8);
  const shares = await broadcastTo(context, share, b.type.shape, shape, 8);
  await kernels.timesBit(step.offset, bit, m, mask, shares, product, first, count);
}

/** Dealt: the bit's mask as a word, and its product with x's mask. */
const timesBit: LocalRoles = {
  P0: async (context, step) => {
    const { kernels, scratch } = context;
    const [b, x] = step.args;
    const { shape } = step.type;
    const words = scratch.take(8 * countOf(b));
    await kernels.bitWords(words, b.offset, second(b), countOf(b));
    await dealWords(context, step.blocks[0], words, countOf(b), ringOf(step));
    const product = scratch.take(8 * countOf(step));
    const at = await broadcastTo(context, words, b.type.shape, shape, 8);
    const mask1 = await broadcastTo(context, x.offset, x.type.shape, shape, 8);
    const mask2 = await broadcastTo(context, second(x), x.type.shape, shape, 8);
    const mask = { at: mask1, other: mask2, sign: 1 } as const;
    await kernels.multiply(product, 0, factorAt(at), mask, countOf(step));
    await dealWords(context, step.blocks[1], product, countOf(step), ringOf(step));
  },
  P1: combineTimesBit,
  P2: combineTimesBit,
};

/** Words: the product of the masks of every subset of bits, the first alone, the second alone, both, … At P0. */
async function maskWords({ kernels, scratch }: RoleContext, step: RoleStep, bits: readonly Placed[]) {
  const count = countOf(step);
  const products: number[] = [];
  for (let subset = 1; subset < 2 ** bits.length; subset++) {
    const [lowest, rest] = [subset & -subset, subset & (subset - 1)];
    const product = scratch.take(8 * count);
    if (rest === 0) {
      const bit = bits[31 - Math.clz32(subset)];
      await kernels.bitWords(product, bit.offset, second(bit), count);
    } else {
      await kernels.multiply(product, 0, factorAt(products[lowest - 1]), factorAt(products[rest - 1]), count);
    }
    products.push(product);
  }
  return products;
}

/**
 * From shares of (product of a subset's masks)·x for every subset, the empty one first, to the share of
 * (product of the bits)·x, where the step's result lies: with b = m + (1 - 2 m) mask, one bit at a time,
 * b y = m y + (1 - 2 m) mask y. The shares are overwritten.
 */
async function foldBits(context: RoleContext, step: RoleStep, bits: readonly Placed[], shares: readonly number[]) {
  const { kernels } = context;
  const count = countOf(step);
  const [ones, zeros] = [await filled(context, 1n, count), await filled(context, 0n, count)];
  let left = shares;
  for (const bit of bits) {
    const folded = left.filter((_, i) => i % 2 === 0);
    for (const [i, whole] of folded.entries()) {
      const part = left[2 * i + 1];
      const to = bit === bits.at(-1) ? step.offset : whole;
      // Where the bit is 0 the part stays, elsewhere the whole less the part.
      await kernels.subtract(whole, part, whole, count);
      await kernels.timesBit(to, bit.offset, part, whole, ones, zeros, true, count);
    }
    left = folded;
  }
}

const combineTimesBits: Phase = async (context, step) => {
  const { kernels, party } = context;
  const [bits, x] = [step.args.slice(0, -1), step.args[step.args.length - 1]];
  const count = countOf(step);
  const subsets = maskProducts(bits.length);
  const masks = await halvesOf(context, step.blocks.slice(0, subsets), count, ringOf(step));
  const products = await halvesOf(context, step.blocks.slice(subsets), count, ringOf(step));
  const own = await filled(context, 0n, count);
  await kernels.subtract(own, party === "P1" ? x.offset : own, second(x), count);
  for (const [i, mask] of masks.entries()) {
    await kernels.multiply(mask, 0, factorAt(x.offset), factorAt(mask), count);
    await kernels.subtract(mask, mask, products[i], count);
  }
  await foldBits(context, step, bits, [own, ...masks]);
};

/** Dealt: the product of the masks of every subset of the bits, and each times x's mask. */
const timesBits: LocalRoles = {
  P0: async (context, step) => {
    const { kernels } = context;
    const [bits, x] = [step.args.slice(0, -1), step.args[step.args.length - 1]];
    const count = countOf(step);
    const words = await maskWords(context, step, bits);
    for (const [i, offset] of words.entries()) {
      await dealWords(context, step.blocks[i], offset, count, ringOf(step));
    }
    const mask = { at: x.offset, other: second(x), sign: 1 } as const;
    for (const [i, offset] of words.entries()) {
      await kernels.multiply(offset, 0, factorAt(offset), mask, count);
      await dealWords(context, step.blocks[words.length + i], offset, count, ringOf(step));
    }
  },
  P1: combineTimesBits,
  P2: combineTimesBits,
};

const combineToArithmetic: Phase = async (context, step) => {
  const { kernels, party } = context;
  const count = countOf(step);
  const masks = await halvesOf(context, step.blocks, count, ringOf(step));
  if (step.args.length === 1) {
    return kernels.toArithmetic(step.offset, step.args[0].offset, masks[0], party === "P1", count);
  }
  const one = await filled(context, party === "P1" ? 1n : 0n, count);
  await foldBits(context, step, step.args, [one, ...masks]);
};

/** Dealt: the product of the masks of every subset of the bits, as words. */
const toArithmetic: LocalRoles = {
  P0: async (context, step) => {
    for (const [i, offset] of (await maskWords(context, step, step.args)).entries()) {
      await dealWords(context, step.blocks[i], offset, countOf(step), ringOf(step));
    }
  },
  P1: combineToArithmetic,
  P2: combineToArithmetic,
};

/**
 * The share that an evaluator shows to the data owner: its additive share, plus (P1) or minus (P2) fresh words of k12.
 * The two shares are then uniform but for their sum: the owner learns the value and nothing about masks.
 */
function show(sign: 1 | -1): Phase {
  return async (context, step) => {
    const { kernels, scratch, key } = context;
    const [x] = step.args;
    const [count, ring] = [countOf(step), ringOf(step)];
    const share = scratch.take(8 * count);
    await kernels.fillWords(key("12"), step.blocks[0], share, count);
    if (sign === -1) {
      await kernels.multiplyWord(share, share, -1n, count);
    }
    if (x.type.kind === "additive" || sign === 1) {
      await kernels.add(share, share, x.offset, count);
    }
    if (x.type.kind === "masked") {
      await kernels.subtract(share, share, second(x), count);
    }
    const packed = scratch.take(packedBytes(count, ring));
    await kernels.packWords(share, count, ring, packed);
    await context.reveal(packed, packedBytes(count, ring));
    await COPY_ROLES[context.party]?.(context, step);
  };
}

/** The same bits of m at both evaluators. P0 takes no part. */
const andPublic = lookUp(async (context, step) => {
  const { kernels, scratch } = context;
  const [bits, keep] = step.args;
  const kept = scratch.take(countOf(step));
  const words = await broadcastTo(context, keep.offset, keep.type.shape, step.type.shape, 8);
  await kernels.wordBit(kept, words, 0, 0, countOf(step));
  await kernels.and(step.offset, bits.offset, kept, countOf(step));
});

/** The same coefficients at both evaluators, from k12; each combines its own shares. P0 takes no part. */
const randomCombination = lookUp(async ({ kernels, scratch, key }, step) => {
  const [a] = step.args;
  const [length, bits] = [a.type.shape.at(-1)!, step.attributes.bits as number];
  await kernels.zero(step.offset, countOf(step));
  const size = Math.min(chunkOf(8), Math.ceil(countOf(a) / 2) * 2);
  const coefficients = scratch.take(8 * size);
  await inChunks(countOf(a), size, async (from, some) => {
    await kernels.fillWords(key("12"), step.blocks[0] + from / 2, coefficients, some);
    await kernels.combineBits(step.offset, a.offset + from, coefficients, from, length, bits, some);
  });
});

/** Each evaluator's combinations, XOR the pad: the two frames are uniform but for their sum, the verdict. */
const verdict = lookUp(async ({ kernels, scratch, key, reveal }, step) => {
  const count = countOf(step);
  const shown = scratch.take(count);
  await kernels.zero(step.offset, count);
  for (const { offset } of step.args) {
    await kernels.exclusiveOr(step.offset, step.offset, offset, count);
  }
  await kernels.fillBits(key("12"), step.blocks[0], shown, count);
  await kernels.exclusiveOr(shown, shown, step.offset, count);
  const packed = scratch.take(packedBytes(count, 1));
  await kernels.packBits(shown, count, packed);
  await reveal(packed, packedBytes(count, 1));
});

export const BIT_ROLES = {
  digits,
  less,
  equals: within(({ attributes }) => [attributes.difference as number, 1]),
  within: within(({ attributes }) => [attributes.from as number, attributes.count as number]),
  topBit,
  conjunction,
  exclusiveOr: { P0: exclusiveOr, P1: exclusiveOr, P2: exclusiveOr },
  complement: { P0: complement, P1: complement, P2: complement },
  andPublic,
  randomCombination,
  verdict,
  timesBit,
  timesBits,
  toArithmetic,
  reveal: { P0: (context, step) => COPY_ROLES.P0?.(context, step), P1: show(1), P2: show(-1) },
} as const satisfies Record<string, LocalRoles>;
