/**
 * Powers of a positive x over a wide range in two rounds, in as wide a ring as the product behind them needs
 * (PROTOCOL.md, "decays"): a sum of exponentials for every bucket [border, 8·border), all opened beside the bits that
 * say in which bucket x lies, then the one that they select.
 *
 *     round 1: open F_0(x), F_1(x), … and the bits      round 2: open Σ b_i·F_i(x) + Σ small·c_i·F_i(x)
 *
 * The bits come from two dealt digits, so that neither is long: a coarse one of the whole range, and a fine one that
 * reads x modulo a power of two, right wherever the coarse one says that x is small. Small buckets are selected by two
 * bits in one product, so that no bit waits for another. Digits are right to half a digit's bucket at a border, so
 * every sum is fitted that much wider.
 */
import { ceilLog2, exp2, floorLog2 } from "../../ir/real.js";
import { sizeOf } from "../../ir/tensor/value.js";
import { fractionOf, type Lowering, type ShareNode, shapeOf } from "./context.js";
import { sumAdditive, WIDEST_DIGIT } from "./digits.js";
import { type DecayPlan, decaysOn, noteDecays, planDecays } from "./inverses.js";
import { addReal } from "./linear.js";
import type { PowerRange } from "./power.js";

/** Octaves of a bucket: few fast terms whose digits have two values. */
const OCTAVES = 3;
/** A digit's bucket is this many octaves below the border that it must find: windows grow by a sixteenth. */
const BLUR_OCTAVES = 3;

/** A digit that finds borders: x modulo 2^top, in buckets of 2^bucket. */
interface Digit {
  readonly bucket: number;
  readonly width: number;
}

interface BucketsPlan {
  /** From the first to the last: ends of the buckets. */
  readonly borders: readonly number[];
  /** Buckets below the border that the coarse digit tells from the others. */
  readonly small: number;
  readonly coarse: Digit;
  readonly fine: Digit | undefined;
  readonly parts: readonly { readonly low: number; readonly plan: DecayPlan }[];
  /** Bits that are dealt and opened for every value, with words of a result that a product of 64 bits reads. */
  readonly bits: number;
}

/** Bits of a result in a ring that a product behind it needs. */
const RING = 58;

/** How x^exponent on [low, high] is computed by buckets; undefined where some digit would be too long. */
function planBuckets(
  lowering: Lowering,
  x: ShareNode,
  exponent: number,
  { low, high }: PowerRange,
): BucketsPlan | undefined {
  const first = floorLog2(low);
  const count = Math.ceil((ceilLog2(high) - first) / OCTAVES);
  const borders = Array.from({ length: count - 1 }, (_, i) => exp2(first + OCTAVES * (i + 1)));
  const plans = borders.map((_, small) => withSplit(lowering, x, exponent, { low, high }, borders, small));
  return plans.reduce((a, b) => (a === undefined || (b !== undefined && b.bits < a.bits) ? b : a), undefined);
}

/** With so many borders below that of the coarse digit. */
function withSplit(
  lowering: Lowering,
  x: ShareNode,
  exponent: number,
  { low, high }: PowerRange,
  borders: readonly number[],
  small: number,
): BucketsPlan | undefined {
  const coarse = digitFor(borders[small], high);
  const fine = small === 0 ? undefined : digitFor(borders[0], borders[small]);
  const digits = fine === undefined ? [coarse] : [coarse, fine];
  if (digits.some(({ width }) => width > WIDEST_DIGIT)) {
    return undefined;
  }
  const slackOf = (border: number) => exp2((border < borders[small] ? fine! : coarse).bucket - 1);
  const ends = [low, ...borders, high];
  const parts = ends.slice(0, -1).flatMap((start, i) => {
    const from = i === 0 ? low : start - slackOf(start);
    const to = i === borders.length ? high : ends[i + 1] + slackOf(ends[i + 1]);
    const plan = planDecays(lowering, x, exponent, from, to);
    return plan === undefined ? [] : [{ low: from, plan }];
  });
  if (parts.length < ends.length - 1) {
    return undefined;
  }
  const words = parts.reduce((sum, { plan }) => sum + plan.words * (RING + plan.dropped) + 2 * RING, 0);
  const selection = (isSmall: boolean) => (isSmall ? 6 : 2) * RING;
  const selections = parts.reduce((sum, _, i) => sum + selection(i <= small && small > 0), 0);
  const bits = words + selections + digits.reduce((sum, { width }) => sum + 2 ** width, 0);
  return { borders, small, coarse, fine, parts, bits };
}

/** The digit that finds a border and all above it, of values up to `most`. */
function digitFor(border: number, most: number): Digit {
  const bucket = floorLog2(border) - BLUR_OCTAVES;
  return { bucket, width: ceilLog2(most + 2 * exp2(bucket)) - bucket };
}

/** Bits to P2 for each value, or infinite where buckets do not do. */
export function bucketsBits(lowering: Lowering, x: ShareNode, exponent: number, range: PowerRange): number {
  return planBuckets(lowering, x, exponent, range)?.bits ?? Number.POSITIVE_INFINITY;
}

/** scale·x^exponent at `fraction` bits for x in [low, high], masked; two rounds. */
export function powerByBuckets(
  lowering: Lowering,
  x: ShareNode,
  exponent: number,
  range: PowerRange,
  fraction: number,
  scale: number,
): ShareNode {
  const plan = planBuckets(lowering, x, exponent, range)!;
  const value = lowering.remasked(x);
  const bits = selectors(lowering, value, plan);
  const terms = plan.parts.map(({ low, plan: part }, i) => {
    noteDecays(lowering, exponent, low, plan.borders[i] ?? range.high, part.fit);
    const opened = lowering.remasked(decaysOn(lowering, value, part, { exponent, low, fraction, scale }));
    return lowering.emit(bits[i].length === 2 ? "timesBits" : "timesBit", [...bits[i], opened]);
  });
  const most = scale * Math.max(...[range.low, range.high].map((end) => end ** exponent));
  return lowering.remasked(lowering.bounded(sumAdditive(lowering, terms), most));
}

/** The masked bits of every bucket: one, or two that must both be set. */
function selectors(lowering: Lowering, x: ShareNode, plan: BucketsPlan): readonly (readonly ShareNode[])[] {
  const { borders, small, coarse, fine } = plan;
  const spans = [undefined, ...borders].map((from, i) => [from, borders[i]] as const);
  const isBelow = (i: number) => i <= small;
  if (fine === undefined) {
    return bitsOf(lowering, x, coarse, spans).map((bit) => [bit]);
  }
  const below = [undefined, borders[small]] as const;
  const [isSmall, ...large] = bitsOf(lowering, x, coarse, [below, ...spans.filter((_, i) => !isBelow(i))]);
  const ends = spans.filter((_, i) => isBelow(i)).map(([from, to]) => [from, to === borders[small] ? undefined : to] as const);
  const among = bitsOf(lowering, x, fine, ends);
  return [...among.map((bit) => [isSmall, bit]), ...large.map((bit) => [bit])];
}

/** Masked bits of [from ≤ x < to) by one digit; an end that is open is that of the digit's circle. */
function bitsOf(
  lowering: Lowering,
  x: ShareNode,
  { bucket, width }: Digit,
  spans: readonly (readonly [from: number | undefined, to: number | undefined])[],
): readonly ShareNode[] {
  const fraction = Math.min(fractionOf(x), Math.max(0, 2 - bucket));
  const at = fraction + bucket;
  const cut = lowering.emit("reduce", [lowering.atFraction(x, fraction)], { ring: at + width });
  const hot = lowering.emit("digits", [cut], { at, width });
  return spans.map(([from, to]) => {
    const first = from === undefined ? 0 : from / exp2(bucket) + 1;
    const last = to === undefined ? 2 ** width - 1 : to / exp2(bucket);
    const span = { at, offset: 2 ** (at - 1), from: first, count: last - first + 1 };
    return lowering.emit("remaskBits", [lowering.emit("within", [hot, cut], span)]);
  });
}

/** Bits of all values. */
export function bucketsBytes(lowering: Lowering, x: ShareNode, exponent: number, range: PowerRange): number {
  return (bucketsBits(lowering, x, exponent, range) * sizeOf(shapeOf(x))) / 8;
}
