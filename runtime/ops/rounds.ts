/**
 * Roles of the openings, the only messages between P1 and P2. Each sends its half plus its own fresh mask and both add
 * the halves up. Safe: what P1 sends is masked by k01, which P2 has not; what P2 sends by k02, which P1 has not; their
 * sum, the new m, is masked by both. P0 draws the same masks and receives nothing.
 */
import { gainedBits, squaredBits } from "../../ir/share/rounds.js";
import { packedBytes } from "../../ir/share/rules.js";
import type { WordType } from "../../ir/share/types.js";
import {
  addDealtWords,
  centreOf,
  chunkOf,
  countOf,
  dealWords,
  factorAt,
  filled,
  halvesOf,
  inChunks,
  type LocalRoles,
  type Opening,
  type OpeningRoles,
  type Phase,
  type RoleContext,
  type RoleStep,
  readWords,
  ringOf,
  second,
  shorten,
} from "./role.js";

/** P1: a1 + mask1, P2: a2 + mask2, ring bits each; the party keeps its half where m will be. */
function remaskHalf(pair: "01" | "02", draw: number): OpeningRoles["P1"] {
  return {
    prepare: async ({ kernels, key }, step, section) => {
      const count = countOf(step);
      await kernels.fillWords(key(pair), step.blocks[draw], second(step), count);
      await kernels.add(step.offset, step.args[0].offset, second(step), count);
      await kernels.packWords(step.offset, count, ringOf(step), section);
    },
    complete: ({ kernels }, step, section) => kernels.unpackAdd(section, countOf(step), ringOf(step), step.offset, 0),
  };
}

const remask: OpeningRoles = {
  section: (step) => packedBytes(countOf(step), ringOf(step)),
  P0: async ({ kernels, key }, step) => {
    await kernels.fillWords(key("01"), step.blocks[0], step.offset, countOf(step));
    await kernels.fillWords(key("02"), step.blocks[1], second(step), countOf(step));
  },
  P1: remaskHalf("01", 0),
  P2: remaskHalf("02", 1),
};

/** P1: b1 XOR mask1, P2: b2 XOR mask2, a bit each. */
function remaskBitsHalf(pair: "01" | "02", draw: number): OpeningRoles["P1"] {
  return {
    prepare: async ({ kernels, key }, step, section) => {
      const count = countOf(step);
      await kernels.fillBits(key(pair), step.blocks[draw], second(step), count);
      await kernels.exclusiveOr(step.offset, step.args[0].offset, second(step), count);
      await kernels.packBits(step.offset, count, section);
    },
    complete: ({ kernels }, step, section) => kernels.unpackXor(section, countOf(step), step.offset),
  };
}

const remaskBits: OpeningRoles = {
  section: (step) => packedBytes(countOf(step), 1),
  P0: async ({ kernels, key }, step) => {
    await kernels.fillBits(key("01"), step.blocks[0], step.offset, countOf(step));
    await kernels.fillBits(key("02"), step.blocks[1], second(step), countOf(step));
  },
  P1: remaskBitsHalf("01", 0),
  P2: remaskBitsHalf("02", 1),
};

function gained(step: RoleStep): number {
  return gainedBits(step.args[0].type as WordType, step.type as WordType);
}

/**
 * From the halves of carry and top to the opening's half: high = carry + (1 - msb m') top + random goes out; the new
 * mask is (mask mod 2^k) + random 2^k, and m so far is m plus this party's high part.
 */
async function widenHalf(
  context: RoleContext,
  step: RoleStep,
  [carry, top, random]: readonly number[],
  section: number,
): Promise<void> {
  const { kernels } = context;
  const [x] = step.args;
  const count = countOf(step);
  await kernels.widenJoin(second(step), second(x), random, ringOf(x), false, count);
  await kernels.widenShare(carry, x.offset, carry, top, random, ringOf(x), count);
  await kernels.packWords(carry, count, gained(step), section);
  await kernels.widenJoin(step.offset, x.offset, carry, ringOf(x), true, count);
}

function widenComplete({ kernels }: RoleContext, step: RoleStep, section: number): void | Promise<void> {
  return kernels.unpackAdd(section, countOf(step), gained(step), step.offset, ringOf(step.args[0]));
}

const prepareWidenFirst: Opening = async (context, step, section) => {
  const { kernels, scratch, key } = context;
  const offsets = [0, 1, 2].map(() => scratch.take(8 * countOf(step)));
  for (const [i, offset] of offsets.entries()) {
    await kernels.fillWords(key("01"), step.blocks[i], offset, countOf(step));
  }
  await widenHalf(context, step, offsets, section);
};

const prepareWidenSecond: Opening = async (context, step, section) => {
  const { kernels, scratch, key } = context;
  const offsets = [0, 1, 2].map(() => scratch.take(8 * countOf(step)));
  await readWords(context, offsets[0], countOf(step), gained(step));
  await readWords(context, offsets[1], countOf(step), gained(step));
  await kernels.fillWords(key("02"), step.blocks[3], offsets[2], countOf(step));
  await widenHalf(context, step, offsets, section);
};

/** P0 deals the carry of mask1 + mask2 over 2^k and the top bit of the sum, in so many bits each; where that lies. */
async function dealWidening(context: RoleContext, step: RoleStep, bits: number): Promise<number> {
  const { kernels, scratch } = context;
  const [x] = step.args;
  const count = countOf(x);
  const [carry, top] = [scratch.take(8 * count), scratch.take(8 * count)];
  await kernels.widenSecrets(carry, top, x.offset, second(x), ringOf(x), count);
  await dealWords(context, step.blocks[0], carry, count, bits);
  await dealWords(context, step.blocks[1], top, count, bits);
  return top;
}

const widen: OpeningRoles = {
  section: (step) => packedBytes(countOf(step), gained(step)),
  P0: async (context, step) => {
    const { kernels, scratch, key } = context;
    const [x] = step.args;
    const count = countOf(step);
    await dealWidening(context, step, gained(step));
    const random = scratch.take(8 * Math.min(count, chunkOf(8)));
    for (const [i, pair] of (["01", "02"] as const).entries()) {
      await inChunks(count, chunkOf(8), async (from, some) => {
        await kernels.fillWords(key(pair), step.blocks[2 + i] + from / 2, random, some);
        const [old, fresh] = i === 0 ? [x.offset, step.offset] : [second(x), second(step)];
        await kernels.widenJoin(fresh + 8 * from, old + 8 * from, random, ringOf(x), false, some);
      });
    }
  },
  P1: { prepare: prepareWidenFirst, complete: widenComplete },
  P2: { prepare: prepareWidenSecond, complete: widenComplete },
};

/**
 * What `widen` opens stays in the shares: P1 has (m' - bias) - mask1 + 2^k high1, P2 has 2^k high2 - mask2, both masks
 * modulo 2^k, m' = m + bias, high = carry + (1 - msb m') top. Local at P1 and P2; P0 deals carry and top.
 */
async function shareWide(context: RoleContext, step: RoleStep, to: number, high: number, zeros: number) {
  const { kernels, scratch, party } = context;
  const [x] = step.args;
  const [count, ring] = [countOf(x), ringOf(x)];
  const mask = scratch.take(8 * count);
  const [open, biased] = party === "P1" ? [x.offset, true] : [zeros, false];
  await kernels.widenJoin(to, open, high, ring, biased, count);
  await kernels.widenJoin(mask, second(x), zeros, ring, false, count);
  await kernels.subtract(to, to, mask, count);
}

const widenAdditiveHalf: Phase = async (context, step) => {
  const { kernels, party } = context;
  const [x] = step.args;
  const [count, more] = [countOf(step), gained(step)];
  const zeros = await filled(context, 0n, count);
  if (more === 0) {
    const open = party === "P1" ? x.offset : zeros;
    await kernels.subtract(step.offset, open, second(x), count);
    return;
  }
  const [carry, top] = await halvesOf(context, step.blocks, count, more);
  await kernels.widenShare(carry, x.offset, carry, top, zeros, ringOf(x), count);
  await shareWide(context, step, step.offset, carry, zeros);
};

const widenAdditive: LocalRoles = {
  P0: async (context, step) => {
    const more = gained(step);
    if (more > 0) {
      await dealWidening(context, step, more);
    }
  },
  P1: widenAdditiveHalf,
  P2: widenAdditiveHalf,
};

/** Bits of each word that is dealt for an element of x: none where x's ring is large enough. */
function squaredIn(step: RoleStep): number {
  return squaredBits(step.args[0].type as WordType, step.type as WordType, step.attributes);
}

/**
 * With a = m' - bias, which both know, n = 1 - msb m', and the mask L = mask1 + mask2 modulo 2^k with its top bit v,
 *   x = a - (L - 2^k n v),   x^2 = 2 a x - a^2 + L^2 + 2^(k+1) n v (2^(k-1) - L):
 * x's shares in the larger ring are widenAdditive's; P0 deals v (2^(k-1) - L) besides, and for each row the sum of L^2.
 * Local at P1 and P2. Safe: what P2 receives is masked by k01's stream, or is the high bits of that.
 */
const squaresHalf: Phase = async (context, step) => {
  const { kernels, scratch, key, party } = context;
  const [x] = step.args;
  const [count, rows, ring] = [countOf(x), countOf(step), ringOf(x)];
  const length = count / rows;
  const zeros = await filled(context, 0n, count);
  const [open, share] = [scratch.take(8 * count), scratch.take(8 * count)];
  const [carry, top, product] = await halvesOf(context, step.blocks.slice(0, -1), count, squaredIn(step));
  const isDealt = carry !== undefined;
  if (isDealt) {
    await kernels.widenShare(carry, x.offset, carry, top, zeros, ring, count);
    await kernels.widenShare(product, x.offset, zeros, product, zeros, ring, count);
  }
  await kernels.widenJoin(open, x.offset, zeros, ring, true, count);
  await shareWide(context, step, share, isDealt ? carry : zeros, zeros);
  await kernels.multiplyWord(share, share, 2n, count);
  const factor = party === "P1" ? ({ at: share, other: open, sign: -1 } as const) : factorAt(share);
  await kernels.dot(step.offset, 0, factorAt(open), factor, rows, length);
  if (isDealt) {
    const unit = await filled(context, 1n << BigInt(ring + 1), count);
    await kernels.dot(step.offset, 1, factorAt(product), factorAt(unit), rows, length);
  }
  const drop = step.attributes.drop as number;
  if (party === "P1") {
    await kernels.addStream(key("01"), step.blocks[step.blocks.length - 1], step.offset, rows);
  }
  await shorten(context, step, ringOf(step) + drop, drop, party === "P1" ? centreOf(drop) : 0n);
  if (party === "P2") {
    await addDealtWords(context, step.offset, rows, ringOf(step));
  }
};

const squares: LocalRoles = {
  P0: async (context, step) => {
    const { kernels, scratch } = context;
    const [x] = step.args;
    const [count, rows, ring, more] = [countOf(x), countOf(step), ringOf(x), squaredIn(step)];
    const zeros = await filled(context, 0n, count);
    const mask = scratch.take(8 * count);
    await kernels.add(mask, x.offset, second(x), count);
    await kernels.widenJoin(mask, mask, zeros, ring, false, count);
    if (more > 0) {
      const top = await dealWidening(context, step, more);
      const [half, product] = [await filled(context, 1n << BigInt(ring - 1), count), scratch.take(8 * count)];
      await kernels.multiply(product, 0, factorAt(top), { at: half, other: mask, sign: -1 }, count);
      await dealWords(context, step.blocks[2], product, count, more);
    }
    const sums = scratch.take(8 * rows);
    await kernels.dot(sums, 0, factorAt(mask), factorAt(mask), rows, count / rows);
    const last = step.blocks[step.blocks.length - 1];
    await dealWords(context, last, sums, rows, ringOf(step), step.attributes.drop as number);
  },
  P1: squaresHalf,
  P2: squaresHalf,
};

export const WIDENED_ROLES = { widenAdditive, squares } as const satisfies Record<string, LocalRoles>;

export const ROUND_ROLES = { remask, remaskBits, widen } as const satisfies Record<string, OpeningRoles>;
