/**
 * Roles of `decays`: sum over terms and digits of pub(m) * sec(mask). P0 deals, for every term, the one-hot vector of
 * the mask's digit times 2^(rate * the mask's low part); P1 and P2 multiply by public powers that follow from m and the
 * plan's table alone, and cut what they have. P0 receives nothing; P2 receives what a stream that it has not masks.
 *
 * A word of more than 64 bits lies in two rows, the low 64 bits and the rest, each drawn and packed like a row of
 * words; P0 takes the borrow of the low part's difference from the rest.
 */
import { decayLanes, decayWords, POWER_INDEX_BITS } from "../../ir/share/decays.js";
import { packedBytes } from "../../ir/share/rules.js";
import type { DecayTerms } from "../kernels/interface.js";
import {
  chunkOf,
  countOf,
  inChunks,
  type LocalRoles,
  type RoleContext,
  type RoleStep,
  ringOf,
  second,
} from "./role.js";

const WORD = 64;

function termsOf({ tables }: RoleContext, { attributes }: RoleStep): DecayTerms {
  const integers = (name: string) => BigInt64Array.from(attributes[name] as readonly number[], BigInt);
  return {
    ...tables.power(POWER_INDEX_BITS),
    bits: attributes.bits as number,
    rates: integers("rates"),
    coefficients: integers("coefficients"),
    buckets: Int32Array.from(attributes.buckets as readonly number[]),
  };
}

/** The rows of a step's dealt words: how many, how long their words are, and where a chunk of them lies. */
function rowsOf({ scratch }: RoleContext, step: RoleStep) {
  const { attributes } = step;
  const drop = attributes.drop as number;
  const lanes = decayLanes({ drop }, ringOf(step));
  const rows = decayWords(attributes) * lanes;
  const size = Math.min(chunkOf(8 * rows), Math.ceil(countOf(step) / 128) * 128);
  const whole = ringOf(step) + drop;
  const bits = (row: number) => (lanes === 1 ? whole : row % 2 === 0 ? WORD : whole - WORD);
  const blockOf = (row: number, from: number) => step.blocks[0] + row * Math.ceil(countOf(step) / 2) + from / 2;
  return { lanes, rows, size, bits, whole, blockOf, offset: scratch.take(8 * size * rows) };
}

async function combine(context: RoleContext, step: RoleStep): Promise<void> {
  const { kernels, dealing, key, party } = context;
  const [x] = step.args;
  const { lanes, rows, size, bits, whole, blockOf, offset } = rowsOf(context, step);
  const { publicFraction, drop } = step.attributes as { publicFraction: number; drop: number };
  const terms = { ...termsOf(context, step), fraction: publicFraction, lanes, ring: whole, drop };
  await inChunks(countOf(step), size, async (from, some) => {
    for (let row = 0; row < rows; row++) {
      const to = offset + 8 * size * row;
      if (party === "P1") {
        await kernels.fillWords(key("01"), blockOf(row, from), to, some);
      } else {
        await kernels.unpackWords(await dealing.read(packedBytes(some, bits(row))), some, bits(row), to);
      }
    }
    await kernels.decaysCombine(step.offset + 8 * from, x.offset + 8 * from, offset, size, terms, some);
  });
}

const decays: LocalRoles = {
  P0: async (context, step) => {
    const { kernels, dealing, key } = context;
    const [x] = step.args;
    const { lanes, rows, size, bits, blockOf, offset } = rowsOf(context, step);
    const terms = { ...termsOf(context, step), fraction: step.attributes.secretFraction as number, lanes };
    await inChunks(countOf(step), size, async (from, some) => {
      await kernels.decaysSecrets(offset, size, x.offset + 8 * from, second(x) + 8 * from, terms, some);
      for (let row = 0; row < rows; row++) {
        const at = offset + 8 * size * row;
        if (lanes === 2 && row % 2 === 0) {
          await kernels.borrow(key("01"), blockOf(row, from), at + 8 * size, at, some);
        }
        await dealing.write(packedBytes(some, bits(row)), (section) =>
          kernels.dealWords(key("01"), blockOf(row, from), at, some, bits(row), 0, section),
        );
      }
    });
  },
  P1: combine,
  P2: combine,
};

export const DECAY_ROLES = { decays } as const satisfies Record<string, LocalRoles>;
