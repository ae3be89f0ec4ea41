/**
 * Functions of x = m - mask that separate into a sum of products pub_r(m) * sec_r(mask): P0 deals sec_r, P1 and P2
 * multiply by pub_r. No round. `pub_r` is computed with integers from tables in the plan, so that it is bit-identical
 * on P1 and P2. (PROTOCOL.md, split.)
 */
import type { AttributeSignature, Attributes } from "../graph.js";
import { sameShape } from "../shape.js";
import { sizeOf } from "../tensor/value.js";
import {
  bitsOf,
  broadcastShape,
  integerOf,
  integersOf,
  masked,
  packedBytes,
  refuse,
  ringOf,
  unbounded,
  wholeBlocks,
  widthOf,
} from "./rules.js";
import { COEFFICIENT_FRACTION, TABLE_FRACTION } from "./tables.js";
import type { OpSpecification, ShareCost, ShareType, WordType } from "./types.js";

const SERIES = {
  angle: "integer",
  frequencies: "integers",
  cosines: "integers",
  sines: "integers",
  drops: "integers",
  constant: "integer",
  coefficientFraction: "integer",
  publicFraction: "integer",
  secretFraction: "integer",
  ring: "integer",
} as const satisfies AttributeSignature;

/** Bits that select among powers in `exponential`. */
const LARGEST_SELECTION = 8;
const LARGEST_ANGLE = 32;
const MOST_FREQUENCIES = 64;
const LARGEST_FREQUENCY = 2 ** 24;

/** How many bits less than the result's ring the two dealt words of each frequency have. */
export function dropsOf(attributes: Attributes): readonly number[] {
  return attributes.drops as readonly number[];
}

/** Dealt words of a series: two for each frequency. */
function termsOf(attributes: Attributes): number {
  return 2 * dropsOf(attributes).length;
}

function checkSeries(x: WordType, attributes: Attributes): void {
  const angle = integerOf(attributes, "angle", 3, LARGEST_ANGLE);
  refuse(x.ring !== 0 && x.ring < angle, `a series of angle ${angle} needs that ring, not ${x.ring}`);
  const cosines = integersOf(attributes, "cosines", -(2 ** 31), 2 ** 31 - 1);
  const sines = integersOf(attributes, "sines", -(2 ** 31), 2 ** 31 - 1);
  const frequencies = integersOf(attributes, "frequencies", 1, LARGEST_FREQUENCY);
  const drops = integersOf(attributes, "drops", 0, TABLE_FRACTION);
  refuse(
    [cosines, sines, drops].some(({ length }) => length !== frequencies.length),
    "a series has a cosine, a sine and a drop for each frequency",
  );
  refuse(
    frequencies.length === 0 || frequencies.length > MOST_FREQUENCIES,
    `a series has 1 to ${MOST_FREQUENCIES} frequencies`,
  );
  integerOf(attributes, "constant", -(2 ** 52), 2 ** 52);
  integerOf(attributes, "coefficientFraction", COEFFICIENT_FRACTION, COEFFICIENT_FRACTION);
  integerOf(attributes, "publicFraction", 1, COEFFICIENT_FRACTION);
  const secret = integerOf(attributes, "secretFraction", 1, TABLE_FRACTION);
  const ring = ringOf(attributes);
  refuse(
    drops.some((drop) => drop > secret || (ring !== 0 && drop >= ring)),
    "a series drops more bits than it has",
  );
}

function seriesFraction(attributes: Attributes): number {
  return (attributes.publicFraction as number) + (attributes.secretFraction as number);
}

/** Errors of a series: half a unit of each public and of each secret factor, per frequency, and the turned entries'. */
function seriesUlp(attributes: Attributes): number {
  const cosines = attributes.cosines as readonly number[];
  const sines = attributes.sines as readonly number[];
  const [publicUnits, secretUnits] = [
    2 ** (attributes.publicFraction as number),
    2 ** (attributes.secretFraction as number),
  ];
  let ulp = 2;
  cosines.forEach((c, i) => {
    const largest = (Math.sqrt(c * c + sines[i] * sines[i]) / 2 ** COEFFICIENT_FRACTION) * publicUnits;
    const shorter = 2 ** dropsOf(attributes)[i];
    ulp += 1.5 * (0.51 * secretUnits + (0.51 * largest + 1) * shorter) + largest * secretUnits * TURNING_ERROR;
  });
  return ulp;
}

/** Twice half the square of half a step of the finest table: how far a turned entry may be from a cosine. */
const TURNING_ERROR = 2 ** -28;

/** A series of which every word is dealt `times` times: its factor, and perhaps that times a mask. */
function dealtSeries(attributes: Attributes, type: ShareType, times: number): Partial<ShareCost> {
  const n = sizeOf(type.shape);
  const work = n * times * termsOf(attributes);
  const bytes = dropsOf(attributes).map((drop) => packedBytes(n, (type as WordType).ring - drop));
  const offline = 2 * times * bytes.reduce((sum, each) => sum + each, 0);
  return { offline, macs: { P0: work, P1: work, P2: work } };
}

function dealtTerms(terms: number, type: ShareType, work: number): Partial<ShareCost> {
  const n = sizeOf(type.shape);
  const macs = { P0: n * terms, P1: n * work, P2: n * work };
  return { offline: terms * packedBytes(n, (type as WordType).ring), macs };
}

function termDraw(terms: number, type: ShareType): { readonly pair: "01"; readonly bytes: number } {
  return { pair: "01", bytes: terms * wholeBlocks(8 * sizeOf(type.shape)) };
}

/** Bytes of one dealt counter of `coarseCount` in the stream. */
export function counterBytes(ring: number): number {
  return ring <= 8 ? 1 : 2;
}

export const SPLIT = {
  series: {
    doc:
      "c_0 + sum of c_n cos(j_n t) + s_n sin(j_n t), t = 2 pi x / 2^angle, x's integer modulo 2^angle, for any " +
      "integer frequencies j_n: nothing wraps. Coefficients are integers at coefficientFraction bits; public factors " +
      "are rounded to publicFraction, secret ones to secretFraction - drops_n bits, and are dealt in a ring smaller " +
      "by drops_n: where |c_n|, |s_n| are small, so may their words be. The result may be in any ring.",
    arity: [1, 1],
    attributes: SERIES,
    ring: "planned",
    reads: "residues",
    bound: unbounded,
    infer: ([x], attributes) => {
      checkSeries(masked(x), attributes);
      return { kind: "additive", ring: ringOf(attributes), fraction: seriesFraction(attributes), shape: x.shape };
    },
    demand: (_, attributes) => [attributes.angle as number],
    cost: (_args, attributes, type) => dealtSeries(attributes, type, 1),
    draws: (_args, attributes, type) => [termDraw(termsOf(attributes), type)],
    ulp: (_args, attributes) => seriesUlp(attributes),
  },
  seriesTimes: {
    doc:
      "series(x) * y for a masked y of x's shape: P0 deals every secret factor and its product with y's mask. " +
      "The constant's part is local.",
    arity: [2, 2],
    attributes: SERIES,
    ring: "planned",
    reads: "residues",
    bound: unbounded,
    infer: ([x, y], attributes) => {
      checkSeries(masked(x), attributes);
      refuse(!sameShape(x.shape, masked(y).shape), "seriesTimes needs arguments of one shape");
      const ring = ringOf(attributes);
      refuse(
        masked(y).ring !== 0 && masked(y).ring < ring,
        `seriesTimes in ring ${ring} of a factor in ${masked(y).ring}`,
      );
      const fraction = seriesFraction(attributes) + masked(y).fraction;
      return { kind: "additive", ring, fraction, shape: x.shape };
    },
    demand: (_, attributes, ring) => [attributes.angle as number, ring],
    cost: (_args, attributes, type) => dealtSeries(attributes, type, 2),
    draws: (_args, attributes, type) => [termDraw(termsOf(attributes), type), termDraw(termsOf(attributes), type)],
    ulp: (_args, attributes) => seriesUlp(attributes),
  },
  exponential: {
    doc:
      "2^-u * 2^v for u the low `cut` bits of m and v the low `cut` bits of the mask, both read at x's " +
      "fraction: 2^-x up to whole powers of 2^-(2^(cut - fraction)), which a digit of the rest tells apart " +
      "(masked_rss.exp2_neg). With masked bits b_0, b_1, … as further arguments: sum of b_j * 2^-(2^(cut - " +
      "fraction) j) times that, without a round: P0 deals 2^v and, for each bit, 2^v times the bit's mask; b = " +
      "m_b + (1 - 2 m_b) mask_b.",
    arity: [1, 1 + LARGEST_SELECTION],
    attributes: { cut: "integer", publicFraction: "integer", secretFraction: "integer", ring: "integer" },
    ring: "planned",
    reads: "residues",
    bound: unbounded,
    infer: ([x, ...bits], attributes) => {
      const { ring, fraction } = masked(x);
      for (const bit of bits) {
        refuse(!sameShape(bitsOf(bit, "maskedBits").shape, x.shape), "exponential selects with bits of x's shape");
      }
      refuse(fraction < 1 || fraction > 24, `exponential reads 1 to 24 fractional bits, not ${fraction}`);
      const cut = integerOf(attributes, "cut", fraction, fraction + 5);
      const reach = Math.max(0, bits.length - 1) * 2 ** (cut - fraction);
      refuse(reach > (attributes.publicFraction as number), "exponential's public tables do not reach its last digit");
      refuse(ring !== 0 && ring < cut, `exponential reads ${cut} bits of a ring of ${ring}`);
      const fractions =
        integerOf(attributes, "publicFraction", 1, TABLE_FRACTION) +
        integerOf(attributes, "secretFraction", 1, TABLE_FRACTION);
      return { kind: "additive", ring: ringOf(attributes), fraction: fractions, shape: x.shape };
    },
    demand: (args, attributes) => args.map((_, i) => (i === 0 ? (attributes.cut as number) : 0)),
    cost: (args, _attributes, type) => dealtTerms(args.length, type, args.length),
    draws: (args, _attributes, type) => [termDraw(args.length, type)],
    ulp: ([x, ...bits], attributes) => {
      const whole = 2 ** ((attributes.cut as number) - masked(x).fraction);
      const [publicUnits, secretUnits] = [
        2 ** (attributes.publicFraction as number),
        2 ** (attributes.secretFraction as number),
      ];
      return Math.max(1, bits.length) * (2 + 0.51 * secretUnits * 2 ** whole + 0.51 * publicUnits);
    },
  },
  coarseCount: {
    doc:
      "For each row and each v in [0, 2^width): how many elements have q >= v, q = top digit of the biased m " +
      "minus top digit of the mask, without the borrow. Rows are consecutive segments of the last axis; the " +
      "result is [..., segments, 2^width], counters modulo 2^ring (masked_rss.coarse_maximum). A second " +
      "argument, a public input of 0 and 1 that broadcasts to x's shape, says which elements count.",
    arity: [1, 2],
    attributes: { width: "integer", ring: "integer", segments: "integers" },
    ring: "fixed",
    reads: "declared",
    bound: unbounded,
    infer: ([x, keep], attributes) => {
      const width = widthOf(attributes);
      refuse(keep !== undefined && width < 3, "coarseCount with a mask needs digits of 3 bits or more");
      refuse(
        keep !== undefined && !sameShape(broadcastShape(x.shape, masked(keep).shape), x.shape),
        "coarseCount's second argument does not broadcast to the first",
      );
      const ring = integerOf(attributes, "ring", 1, 16);
      refuse(masked(x).ring !== 0 && masked(x).ring < width, `ring ${masked(x).ring} has no digit of ${width} bits`);
      refuse(x.shape.length === 0, "coarseCount needs an axis");
      const segments = integersOf(attributes, "segments", 1, 2 ** ring - 1);
      const length = segments.reduce((sum, n) => sum + n, 0);
      refuse(length !== x.shape.at(-1), "coarseCount's segments do not fill the last axis");
      return { kind: "additive", ring, fraction: 0, shape: [...x.shape.slice(0, -1), segments.length, 2 ** width] };
    },
    demand: (args, attributes) => [masked(args[0]).ring, attributes.ring as number].slice(0, args.length),
    publicArguments: [1],
    cost: ([x], attributes) => {
      const macs = sizeOf(x.shape) * 2 ** (attributes.width as number);
      return { offline: packedBytes(macs, attributes.ring as number), macs: { P0: macs, P1: macs, P2: macs } };
    },
    draws: ([x], attributes) => {
      const { width, ring } = attributes as { width: number; ring: number };
      return [{ pair: "01", bytes: sizeOf(x.shape) * 2 ** width * counterBytes(ring) }];
    },
  },
} as const satisfies Record<string, OpSpecification>;
