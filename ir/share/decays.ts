/**
 * `decays`: sums of exponentials of x = m - mask, whole in one step and without a round. With x = (q + …) buckets, the
 * digit difference q of m and the mask, without the borrow, and the parts of both below it say x exactly: x = q 2^w +
 * m_lo - mask_lo for 0 <= x < 2^bits - 2^w. P0 deals the one-hot vector of the mask's digit times 2^(r mask_lo); P1 and
 * P2 multiply by 2^(-r (m_lo + q 2^w)), public. Dealt words may be longer than 64 bits: their product is cut before it
 * becomes a share of the result, so that what follows needs no wide ring. (PROTOCOL.md, split, exponentials.)
 */
import type { Attributes } from "../graph.js";
import { exp2 } from "../real.js";
import { sizeOf } from "../tensor/value.js";
import { integerOf, integersOf, masked, packedBytes, refuse, ringOf, unbounded, wholeBlocks } from "./rules.js";
import type { OpSpecification, WordType } from "./types.js";

/** Fractional bits of a rate: octaves for each unit of x's integer. */
export const RATE_FRACTION = 48;
/** Fractional bits of a coefficient. */
export const DECAY_COEFFICIENT_FRACTION = 30;
/** Bits of the part of an exponent that is read from the table of powers; the next 20 are interpolated. */
export const POWER_INDEX_BITS = 12;
/** Relative error of a power that is read so: the table's rounding, and the square of an interpolated step. */
const POWER_ERROR = 2 ** -25;

const WORD = 64;
const LONGEST_WORD = 128;
const LARGEST_BITS = 30;
const LARGEST_FACTOR_FRACTION = 127;
const MOST_TERMS = 64;
/** Terms of the widest bucket's digit: 2^8 words. */
const MOST_DIGIT_BITS = 8;

interface DecayForm {
  readonly bits: number;
  readonly rates: readonly number[];
  readonly coefficients: readonly number[];
  readonly buckets: readonly number[];
  readonly publicFraction: number;
  readonly secretFraction: number;
  readonly drop: number;
}

function formOf(attributes: Attributes): DecayForm {
  return attributes as unknown as DecayForm;
}

/** Words that are dealt for every element. */
export function decayWords(attributes: Attributes): number {
  const { bits, buckets } = formOf(attributes);
  return buckets.reduce((sum, bucket) => sum + 2 ** (bits - bucket), 0);
}

/** 64-bit lanes of a dealt word: 1 or 2. */
export function decayLanes({ drop }: { readonly drop: number }, ring: number): number {
  return ring + drop > WORD ? 2 : 1;
}

function check(x: WordType, attributes: Attributes): void {
  const bits = integerOf(attributes, "bits", 1, LARGEST_BITS);
  refuse(x.ring !== 0 && x.ring < bits, `decays read ${bits} bits of a ring of ${x.ring}`);
  const rates = integersOf(attributes, "rates", 0, Number.MAX_SAFE_INTEGER);
  const count = rates.length;
  refuse(count === 0 || count > MOST_TERMS, `decays have 1 to ${MOST_TERMS} terms`);
  const coefficients = integersOf(attributes, "coefficients", -(2 ** 32), 2 ** 32);
  const buckets = integersOf(attributes, "buckets", Math.max(0, bits - MOST_DIGIT_BITS), bits - 1);
  refuse(coefficients.length !== count || buckets.length !== count, "decays have a coefficient and a bucket a term");
  refuse(
    rates.some((rate) => rate * 2 ** bits >= 2 ** 62),
    "a rate is too large for the bits that are read",
  );
  integerOf(attributes, "publicFraction", 1, LARGEST_FACTOR_FRACTION);
  integerOf(attributes, "secretFraction", 1, LARGEST_FACTOR_FRACTION);
  integerOf(attributes, "drop", 0, WORD);
}

/** Octaves that 2^(rate * mask_lo) may reach. */
function spanOf({ rates, buckets }: DecayForm, term: number): number {
  return rates[term] * 2 ** (buckets[term] - RATE_FRACTION);
}

function termsUlp(form: DecayForm): number {
  const { coefficients, publicFraction, secretFraction, drop } = form;
  return coefficients.reduce((sum, each, i) => {
    const c = Math.abs(each) / 2 ** DECAY_COEFFICIENT_FRACTION;
    const secret = exp2(secretFraction + spanOf(form, i) - drop);
    const open = c * exp2(publicFraction - drop);
    return sum + 0.51 * secret + 0.51 * open + open * secret * 2 ** drop * 2 * POWER_ERROR;
  }, 2);
}

export const DECAYS = {
  decays: {
    doc:
      "Sum of c_i 2^(-r_i x) of x's integer modulo 2^bits, read without a sign: right for 0 <= x < 2^bits - 2^w, w " +
      "the largest of `buckets`. Rates are octaves a unit of x's integer, at 48 fractional bits, coefficients have " +
      "30. Words of ring + drop bits are dealt, 2^(bits - w_i) for each term; the public factors are rounded to " +
      "publicFraction, the secret ones to secretFraction bits, and `drop` bits of their sum are cut at each party. " +
      "The result may be in any ring.",
    arity: [1, 1],
    attributes: {
      bits: "integer",
      rates: "integers",
      coefficients: "integers",
      buckets: "integers",
      publicFraction: "integer",
      secretFraction: "integer",
      drop: "integer",
      ring: "integer",
    },
    ring: "planned",
    reads: "residues",
    bound: unbounded,
    infer: ([x], attributes) => {
      check(masked(x), attributes);
      const { publicFraction, secretFraction, drop } = formOf(attributes);
      const ring = ringOf(attributes);
      refuse(ring + drop > LONGEST_WORD, `decays would deal words of ${ring + drop} bits, more than ${LONGEST_WORD}`);
      return { kind: "additive", ring, fraction: publicFraction + secretFraction - drop, shape: x.shape };
    },
    demand: (_, attributes) => [attributes.bits as number],
    cost: (_args, attributes, type) => {
      const [words, n, { ring }] = [decayWords(attributes), sizeOf(type.shape), type as WordType];
      const macs = words * n * decayLanes(formOf(attributes), ring);
      return {
        offline: words * packedBytes(n, ring + formOf(attributes).drop),
        macs: { P0: macs, P1: macs, P2: macs },
      };
    },
    draws: (_args, attributes, type) => {
      const rows = decayWords(attributes) * decayLanes(formOf(attributes), (type as WordType).ring);
      return [{ pair: "01", bytes: rows * wholeBlocks(8 * sizeOf(type.shape)) }];
    },
    ulp: (_args, attributes) => termsUlp(formOf(attributes)),
  },
} as const satisfies Record<string, OpSpecification>;
