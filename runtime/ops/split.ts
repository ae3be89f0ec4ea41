/**
 * Roles of the split ops: sum over terms of pub(m) * sec(mask). P0 computes the secret factors from the full mask and
 * deals them (P1's halves are the k01 stream, P2 receives the differences); P1 and P2 multiply by the public factors,
 * integers that follow from m and the plan's tables alone, hence equal on both. P0 receives nothing; P2 receives what
 * a stream that it has not masks.
 */

import { packedBytes } from "../../ir/share/rules.js";
import { counterBytes, dropsOf } from "../../ir/share/split.js";
import { COEFFICIENT_FRACTION, tableAngleOf } from "../../ir/share/tables.js";
import type { WordType } from "../../ir/share/types.js";
import { sizeOf } from "../../ir/tensor/value.js";
import type { CoarseShape, PowerTable, SeriesCombine, SeriesSecrets, SeriesTable } from "../kernels/interface.js";
import {
  broadcastTo,
  chunkOf,
  countOf,
  factorAt,
  inChunks,
  type LocalRoles,
  type Phase,
  type RoleContext,
  type RoleStep,
  ringOf,
  second,
} from "./role.js";

function tableOf({ tables }: RoleContext, { attributes }: RoleStep): SeriesTable {
  const angle = attributes.angle as number;
  return {
    ...tables.cosine(tableAngleOf(angle)),
    angle,
    frequencies: Int32Array.from(attributes.frequencies as readonly number[]),
    drops: Int32Array.from(dropsOf(attributes)),
  };
}

function secretsOf(context: RoleContext, step: RoleStep): SeriesSecrets {
  return { ...tableOf(context, step), fraction: step.attributes.secretFraction as number };
}

function combineOf(context: RoleContext, step: RoleStep): SeriesCombine {
  const { attributes } = step;
  return {
    ...tableOf(context, step),
    cosines: Int32Array.from(attributes.cosines as readonly number[]),
    sines: Int32Array.from(attributes.sines as readonly number[]),
    fraction: attributes.publicFraction as number,
  };
}

/** The constant term at the result's fraction, before seriesTimes' factor. */
function constantTerm({ attributes }: RoleStep): bigint {
  const shift = (attributes.publicFraction as number) + (attributes.secretFraction as number) - COEFFICIENT_FRACTION;
  const constant = BigInt(attributes.constant as number);
  return shift >= 0 ? constant << BigInt(shift) : (constant + (1n << BigInt(-shift - 1))) >> BigInt(-shift);
}

/** Blocks of the stream that one term of a draw takes. */
function blocksPerTerm(step: RoleStep): number {
  return Math.ceil(countOf(step) / 2);
}

/** The chunk of a step with `terms` dealt words per element, and a scratch place for a chunk of terms. */
function termScratch({ scratch }: RoleContext, step: RoleStep, terms: number) {
  const size = Math.min(chunkOf(8 * terms), Math.ceil(countOf(step) / 128) * 128);
  return { size, offset: scratch.take(8 * size * terms) };
}

/** Dealt terms of one draw: a row of `size` words in scratch for each, in a ring of its own. */
interface TermDraw {
  readonly draw: number;
  readonly rings: readonly number[];
  readonly offset: number;
  readonly size: number;
}

/** The rings of a series' terms, two for each frequency. */
function seriesRings(step: RoleStep): readonly number[] {
  return dropsOf(step.attributes).flatMap((drop) => [ringOf(step) - drop, ringOf(step) - drop]);
}

/** P0 deals the terms of a chunk that lie in scratch. */
async function dealTerms(
  context: RoleContext,
  step: RoleStep,
  { draw, rings, offset, size }: TermDraw,
  from: number,
  some: number,
) {
  const { kernels, dealing, key } = context;
  for (const [term, ring] of rings.entries()) {
    const block = step.blocks[draw] + term * blocksPerTerm(step) + from / 2;
    await dealing.write(packedBytes(some, ring), (section) =>
      kernels.dealWords(key("01"), block, offset + 8 * size * term, some, ring, 0, section),
    );
  }
}

/** The halves of a chunk's terms: P1 from the stream, P2 from the dealing. */
async function takeTerms(
  context: RoleContext,
  step: RoleStep,
  { draw, rings, offset, size }: TermDraw,
  from: number,
  some: number,
) {
  const { kernels, dealing, key, party } = context;
  for (const [term, ring] of rings.entries()) {
    const to = offset + 8 * size * term;
    if (party === "P1") {
      await kernels.fillWords(key("01"), step.blocks[draw] + term * blocksPerTerm(step) + from / 2, to, some);
    } else {
      await kernels.unpackWords(await dealing.read(packedBytes(some, ring)), some, ring, to);
    }
  }
}

async function combineSeries(context: RoleContext, step: RoleStep): Promise<void> {
  const { kernels } = context;
  const [x] = step.args;
  const rings = seriesRings(step);
  const { size, offset } = termScratch(context, step, rings.length);
  const series = combineOf(context, step);
  await inChunks(countOf(step), size, async (from, some) => {
    await takeTerms(context, step, { draw: 0, rings, offset, size }, from, some);
    await kernels.seriesCombine(step.offset + 8 * from, x.offset + 8 * from, offset, size, series, some);
  });
  if (context.party === "P1") {
    await kernels.addWord(step.offset, step.offset, constantTerm(step), countOf(step));
  }
}

/** Dealt: two words for each frequency. P1 adds the constant term. */
const series: LocalRoles = {
  P0: async (context, step) => {
    const [x] = step.args;
    const rings = seriesRings(step);
    const { size, offset } = termScratch(context, step, rings.length);
    const secrets = secretsOf(context, step);
    await inChunks(countOf(step), size, async (from, some) => {
      await context.kernels.seriesSecrets(offset, size, x.offset + 8 * from, second(x) + 8 * from, secrets, some);
      await dealTerms(context, step, { draw: 0, rings, offset, size }, from, some);
    });
  },
  P1: combineSeries,
  P2: combineSeries,
};

/** The constant's part is c_0 y: P1 has c_0 (m_y - mask1), P2 has -c_0 mask2. */
async function addConstantTimes(context: RoleContext, step: RoleStep, scratch: number, from: number, some: number) {
  const { kernels, party } = context;
  const y = step.args[1];
  const [open, mask] = [y.offset + 8 * from, second(y) + 8 * from];
  const to = step.offset + 8 * from;
  if (party === "P1") {
    await kernels.subtract(scratch, open, mask, some);
    await kernels.multiplyWord(scratch, scratch, constantTerm(step), some);
  } else {
    await kernels.multiplyWord(scratch, mask, -constantTerm(step), some);
  }
  await kernels.add(to, to, scratch, some);
}

async function combineSeriesTimes(context: RoleContext, step: RoleStep): Promise<void> {
  const { kernels } = context;
  const [x, y] = step.args;
  const rings = seriesRings(step);
  const { size, offset } = termScratch(context, step, 2 * rings.length);
  const products = offset + 8 * size * rings.length;
  const series = combineOf(context, step);
  await inChunks(countOf(step), size, async (from, some) => {
    await takeTerms(context, step, { draw: 0, rings, offset, size }, from, some);
    await takeTerms(context, step, { draw: 1, rings, offset: products, size }, from, some);
    const [to, m, factor] = [step.offset, x.offset, y.offset].map((at) => at + 8 * from);
    await kernels.seriesTimes(to, m, factor, offset, products, size, series, some);
    await addConstantTimes(context, step, offset, from, some);
  });
}

/** Dealt: every secret factor, and its product with y's mask. P1, P2: sum of pub_r * (m_y sec_r - (sec_r mask_y)). */
const seriesTimes: LocalRoles = {
  P0: async (context, step) => {
    const { kernels } = context;
    const [x, y] = step.args;
    const rings = seriesRings(step);
    const { size, offset } = termScratch(context, step, 2 * rings.length);
    const secrets = secretsOf(context, step);
    await inChunks(countOf(step), size, async (from, some) => {
      await kernels.seriesSecrets(offset, size, x.offset + 8 * from, second(x) + 8 * from, secrets, some);
      await dealTerms(context, step, { draw: 0, rings, offset, size }, from, some);
      const mask = { at: y.offset + 8 * from, other: second(y) + 8 * from, sign: 1 } as const;
      for (let term = 0; term < rings.length; term++) {
        const at = offset + 8 * size * term;
        await kernels.multiply(at, 0, factorAt(at), mask, some);
      }
      await dealTerms(context, step, { draw: 1, rings, offset, size }, from, some);
    });
  },
  P1: combineSeriesTimes,
  P2: combineSeriesTimes,
};

function powerOf({ tables }: RoleContext, step: RoleStep, factorFraction: number): PowerTable {
  const { fraction } = step.args[0].type as WordType;
  return {
    ...tables.power(fraction),
    fraction,
    cut: step.attributes.cut as number,
    factorFraction,
  };
}

/**
 * Without bits: the one dealt term times 2^-(low bits of m). With bits b_j, for every j: b_j 2^v is
 * m_b 2^v + (1 - 2 m_b) (mask_b 2^v), both dealt; times 2^-(low bits of m) 2^-(2^(cut - fraction) j), public.
 */
async function combineExponential(context: RoleContext, step: RoleStep): Promise<void> {
  const { kernels, scratch } = context;
  const [x, ...bits] = step.args;
  const rings = step.args.map(() => ringOf(step));
  const { size, offset } = termScratch(context, step, rings.length);
  const word = scratch.take(8 * size);
  const fraction = step.attributes.publicFraction as number;
  const stride = 2 ** ((step.attributes.cut as number) - (x.type as WordType).fraction);
  await inChunks(countOf(step), size, async (from, some) => {
    await takeTerms(context, step, { draw: 0, rings, offset, size }, from, some);
    const [to, m] = [step.offset + 8 * from, x.offset + 8 * from];
    if (bits.length === 0) {
      await kernels.powerCombine(to, m, offset, powerOf(context, step, fraction), some);
      return;
    }
    await kernels.zero(to, 8 * some);
    for (const [j, bit] of bits.entries()) {
      const product = offset + 8 * size * (j + 1);
      await kernels.zero(word, 8 * some);
      await kernels.toArithmetic(word, bit.offset + from, word, true, some);
      await kernels.multiply(word, 0, factorAt(word), factorAt(offset), some);
      await kernels.toArithmetic(product, bit.offset + from, product, false, some);
      await kernels.add(product, product, word, some);
      await kernels.powerCombine(product, m, product, powerOf(context, step, fraction - stride * j), some);
      await kernels.add(to, to, product, some);
    }
  });
}

/** Dealt: 2^(low bits of the mask), and that times the mask of each selecting bit. */
const exponential: LocalRoles = {
  P0: async (context, step) => {
    const { kernels } = context;
    const [x, ...bits] = step.args;
    const rings = step.args.map(() => ringOf(step));
    const power = powerOf(context, step, step.attributes.secretFraction as number);
    const { size, offset } = termScratch(context, step, rings.length);
    await inChunks(countOf(step), size, async (from, some) => {
      await kernels.powerSecrets(offset, x.offset + 8 * from, second(x) + 8 * from, power, some);
      for (const [j, bit] of bits.entries()) {
        const product = offset + 8 * size * (j + 1);
        await kernels.bitWords(product, bit.offset + from, second(bit) + from, some);
        const factor = factorAt(offset);
        await kernels.multiply(product, 0, factorAt(product), factor, some);
      }
      await dealTerms(context, step, { draw: 0, rings, offset, size }, from, some);
    });
  },
  P1: combineExponential,
  P2: combineExponential,
};

/** What the chunks of a coarse count have in common. */
function coarseOf(step: RoleStep) {
  const [x] = step.args;
  const { width, ring } = step.attributes as { width: number; ring: number };
  const shape: CoarseShape = { ring: ringOf(x), width, counter: ring };
  const streamBytes = 2 ** width * counterBytes(ring);
  return { x, shape, streamBytes, size: chunkOf(streamBytes), count: sizeOf(x.type.shape) };
}

async function accumulate(
  context: RoleContext,
  step: RoleStep,
  fields: number,
  bits: number,
  from: number,
  some: number,
) {
  const { x, shape } = coarseOf(step);
  const segments = Int32Array.from(step.attributes.segments as readonly number[]);
  await context.kernels.coarseAccumulate(step.offset, x.offset + 8 * from, fields, bits, shape, from, segments, some);
}

/** A way to get at a chunk's fields, made once for the step. */
type Fields = (context: RoleContext, step: RoleStep) => (from: number, some: number) => Promise<number>;

/** The public mask of the elements that count, as words in the arena; undefined where all do. */
async function keptElements(context: RoleContext, { args }: RoleStep): Promise<BigUint64Array | undefined> {
  const [x, keep] = args;
  if (keep === undefined) {
    return undefined;
  }
  const offset = await broadcastTo(context, keep.offset, keep.type.shape, x.type.shape, 8);
  return context.publicWords(offset, sizeOf(x.type.shape));
}

/** The runs [start, end) of kept elements among `some` from `from` on. The mask is public, and so is its pattern. */
function runsOf(kept: BigUint64Array | undefined, from: number, some: number): [number, number][] {
  if (kept === undefined) {
    return [[from, from + some]];
  }
  const runs: [number, number][] = [];
  for (let i = from; i < from + some; i++) {
    const last = runs.at(-1);
    if (kept[i] !== 0n && last !== undefined && last[1] === i) {
      last[1] = i + 1;
    } else if (kept[i] !== 0n) {
      runs.push([i, i + 1]);
    }
  }
  return runs;
}

function coarseCombine(fields: Fields): Phase {
  return async (context, step) => {
    const { kernels, party } = context;
    const { shape, count, size } = coarseOf(step);
    const bits = party === "P1" ? 8 * counterBytes(shape.counter) : shape.counter;
    const next = fields(context, step);
    const kept = await keptElements(context, step);
    await kernels.zero(step.offset, 8 * countOf(step));
    await inChunks(count, size, async (from, some) => {
      const offset = await next(from, some);
      for (const [start, end] of runsOf(kept, from, some)) {
        const skipped = ((start - from) * 2 ** shape.width * bits) / 8;
        await accumulate(context, step, offset + skipped, bits, start, end - start);
      }
    });
    await kernels.suffixSum(step.offset, countOf(step) / 2 ** shape.width, 2 ** shape.width);
  };
}

/**
 * Dealt: the one-hot vector of the mask's top digit as counters, 2^width fields of `ring` bits per element. P1 and P2
 * add the vectors up, rotated by m's top digit, row by row.
 */
const coarseCount: LocalRoles = {
  P0: async (context, step) => {
    const { x, shape, streamBytes, size, count } = coarseOf(step);
    const { kernels, dealing, key } = context;
    await inChunks(count, size, (from, some) =>
      dealing.write(packedBytes(some * 2 ** shape.width, shape.counter), (section) => {
        const block = step.blocks[0] + (from * streamBytes) / 16;
        return kernels.dealCoarse(key("01"), block, x.offset + 8 * from, second(x) + 8 * from, some, shape, section);
      }),
    );
  },
  P1: coarseCombine(({ kernels, scratch, key }, step) => {
    const { streamBytes, size, count } = coarseOf(step);
    const offset = scratch.take(Math.min(size, count) * streamBytes);
    return async (from, some) => {
      await kernels.fillBytes(key("01"), step.blocks[0] + (from * streamBytes) / 16, offset, some * streamBytes);
      return offset;
    };
  }),
  P2: coarseCombine(({ dealing }, step) => {
    const { shape } = coarseOf(step);
    return (_from, some) => dealing.read(packedBytes(some * 2 ** shape.width, shape.counter));
  }),
};

export const SPLIT_ROLES = { series, seriesTimes, exponential, coarseCount } as const satisfies Record<
  string,
  LocalRoles
>;
