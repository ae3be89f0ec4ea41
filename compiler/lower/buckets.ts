/**
 * Powers of a positive x over a wide range in two rounds, in as wide a ring as the product behind them needs
 * (PROTOCOL.md, "decays"): a sum of exponentials for every bucket [border, 8·border), all opened beside the bits that
 * say in which bucket x lies, then the one that they select.
 *
 *     round 1: open F_0(x), F_1(x), … and the bits      round 2: open Σ b_i·F_i(x) + Σ small·c_i·F_i(x)
 *
 * The bits come from dealt digits, so that none is long: a coarse one of the whole range, and a finer one or two that
 * read x modulo a power of two, right wherever the ones before say that x is small. Small buckets are selected by two
 * or three bits in one product, so that no bit waits for another. Digits are right to half a digit's bucket at a
 * border, so every sum is fitted that much wider.
 */
import { ceilLog2, exp2, floorLog2, log2, pow } from "../../ir/real.js";
import { maskProducts } from "../../ir/share/bits.js";
import { sizeOf } from "../../ir/tensor/value.js";
import { type Lowering, type ShareNode, shapeOf } from "./context.js";
import { sumAdditive, WIDEST_DIGIT } from "./digits.js";
import { type DecayPlan, decaysOn, noteDecays, planDecays } from "./inverses.js";
import { type PowerRange, power, powerLabel, powerPrice } from "./power.js";
import { whereAll } from "./tournament.js";

/** Octaves of a bucket: few terms, whose digits have two values. */
const OCTAVES = 3;
/** A digit's bucket is so many octaves below the least border that it must find: windows are wider by it. */
const BLURS = [3, 2];
/** Bits of a value below a digit's bucket: what they are rounded by is a 64th of it. */
const BELOW = 6;
/** log₂ of the part of a bucket that a border is moved by, so that rounding does not pass it. */
const MARGIN = 4;
/** Bits of a result in the ring that a product behind it needs. */
const RING = 58;
/** Sums of exponentials are noise outside their interval: they are fitted wider by this part, for rounding. */
const SLACK = 1 / 32;
/** Bits that one sum deals at least for a value, times the range's ends. */
const LEAST_BITS = 16;

/** What is computed: scale·x^exponent at `fraction` bits for x in [low, high]. */
export interface PowerForm {
  readonly exponent: number;
  readonly range: PowerRange;
  readonly fraction: number;
  readonly scale: number;
  /** Bits of the ring that is likely to be asked of the result; default: those of a product behind it. */
  readonly ring?: number;
}

/** A digit of x, in buckets of 2^bucket. */
interface Digit {
  readonly bucket: number;
  readonly width: number;
  /** Whether its circle is twice what it reads: nothing near its end is taken for something at its beginning. */
  readonly isWide: boolean;
}

interface BucketsPlan {
  /** Where buckets meet. */
  readonly borders: readonly number[];
  /** For each digit the place of the least border that it finds; the next digit finds those below. */
  readonly splits: readonly number[];
  readonly digits: readonly Digit[];
  readonly parts: readonly { readonly low: number; readonly high: number; readonly plan: DecayPlan }[];
  /** Bits to P2 for every value. */
  readonly bits: number;
}

/** How a power is computed by buckets, with the splits that deal least; undefined where digits would be too long. */
function planBuckets(x: ShareNode, { exponent, range, ring = RING }: PowerForm): BucketsPlan | undefined {
  const first = floorLog2(range.low);
  const count = Math.ceil((ceilLog2(range.high) - first) / OCTAVES);
  const borders = Array.from({ length: count - 1 }, (_, i) => exp2(first + OCTAVES * (i + 1)));
  const cheapest = (all: readonly (readonly number[])[]) =>
    BLURS.flatMap((blur) =>
      all.map((splits) => withSplits(x, exponent, range, ring, { borders, splits, blur })),
    ).reduce((a, b) => (a === undefined || (b !== undefined && b.bits < a.bits) ? b : a), undefined);
  const two = borders.map((_, split) => (split === 0 ? [0] : [split, 0]));
  const three = borders.flatMap((_, split) => borders.slice(1, split).map((_, i) => [split, i + 1, 0]));
  return cheapest(two) ?? cheapest(three);
}

interface Split {
  readonly borders: readonly number[];
  readonly splits: readonly number[];
  readonly blur: number;
}

function withSplits(
  x: ShareNode,
  exponent: number,
  { low, high }: PowerRange,
  ring: number,
  { borders, splits, blur }: Split,
): BucketsPlan | undefined {
  const digits = splits.map((split, i): Digit => {
    const bucket = floorLog2(borders[split]) - blur;
    if (i === 0) {
      return digitFor(bucket, high);
    }
    const isWide = splits.length > 2;
    return { bucket, width: floorLog2(borders[splits[i - 1]]) + (isWide ? 1 : 0) - bucket, isWide };
  });
  const last = digits[digits.length - 1];
  // Where the last of the small buckets ends as the digit's circle closes nothing may lie in the digit's own zero.
  const isZeroRead = digits.length === 2 && exp2(last.bucket) * (1 - 2 ** -MARGIN) > low;
  if (isZeroRead || digits.some(({ width }) => width > WIDEST_DIGIT)) {
    return undefined;
  }
  const ends = [low, ...borders, high];
  const finderOf = (border: number) => splits.findIndex((split) => split <= border);
  const windows = ends.slice(1).map((to, i) => {
    const isLast = i === borders.length;
    const [lower, upper] = [i === 0 ? 0 : finderOf(i - 1), isLast ? 0 : finderOf(i)];
    const below = exp2(digits[lower].bucket) * ((lower === 0 ? 1 : 0) + 2 ** (1 - MARGIN));
    const above = upper === 0 ? 0 : exp2(digits[upper].bucket);
    return { low: i === 0 ? low : ends[i] - below, high: isLast ? to : to + above };
  });
  const parts = windows.flatMap((window) => {
    const plan = planDecays(x, exponent, window.low, window.high);
    return plan === undefined ? [] : [{ ...window, plan }];
  });
  if (parts.length < windows.length) {
    return undefined;
  }
  const bits = parts.reduce((sum, { plan }, i) => {
    const selecting = 1 + splits.slice(0, -1).filter((split) => i <= split).length;
    return sum + plan.words * (ring + plan.dropped) + (2 * maskProducts(selecting) + 1) * ring;
  }, ring);
  return { borders, splits, digits, parts, bits: bits + digits.reduce((sum, { width }) => sum + 2 ** width, 0) };
}

/** The digit of such buckets that tells values up to `most` apart. */
function digitFor(bucket: number, most: number): Digit {
  return { bucket, width: ceilLog2(most + 2 * exp2(bucket)) - bucket, isWide: false };
}

/** The power by buckets, masked; two rounds. */
function powerByBuckets(lowering: Lowering, x: ShareNode, form: PowerForm, plan: BucketsPlan): ShareNode {
  const { exponent, range, fraction, scale } = form;
  const bits = selectors(lowering, x, plan);
  const terms = plan.parts.map(({ low, high, plan: part }, i) => {
    noteDecays(lowering, exponent, low, high, part.fit);
    const opened = lowering.remasked(decaysOn(lowering, x, part, { exponent, low, fraction, scale }));
    return whereAll(lowering, bits[i], opened);
  });
  const most = scale * Math.max(pow(range.low, exponent), pow(range.high, exponent));
  return lowering.remasked(lowering.bounded(sumAdditive(lowering, terms), most));
}

/** The masked bits of every bucket: one, or up to three that must all be set. */
function selectors(
  lowering: Lowering,
  x: ShareNode,
  { borders, splits, digits }: BucketsPlan,
): readonly (readonly ShareNode[])[] {
  /** Bits of the buckets up to `end`, where all of `smaller` are set, which say that x is in one of them. */
  const upTo = (end: number, place: number, smaller: readonly ShareNode[]): readonly (readonly ShareNode[])[] => {
    const [digit, split] = [digits[place], splits[place]];
    const isLast = place === digits.length - 1;
    const spans = Array.from({ length: end - split }, (_, i): Span => {
      const to = split + i + 1;
      return [borders[split + i], to === end ? undefined : borders[to]];
    });
    const shift = (place === 0 ? 1 : 0) + 2 ** -MARGIN;
    const [small, ...others] = bitsOf(lowering, x, digit, shift, [[undefined, borders[split]], ...spans]);
    const below = isLast ? [[...smaller, small]] : upTo(split, place + 1, [...smaller, small]);
    return [...below, ...others.map((bit) => [...smaller, bit])];
  };
  return upTo(borders.length, 0, []);
}

type Span = readonly [from: number | undefined, to: number | undefined];

/**
 * Masked bits of [from ≤ x < to) by one digit, which reads x modulo its circle. Without the borrow, the digit of
 * x + shift buckets is its own or the next one, so a border is anywhere in the bucket before or behind it, by `shift`.
 */
function bitsOf(lowering: Lowering, x: ShareNode, digit: Digit, shift: number, spans: readonly Span[]) {
  const { bucket, width, isWide } = digit;
  const fraction = Math.max(0, BELOW - bucket);
  const at = fraction + bucket;
  // Another value than x: what is read modulo the digit's circle says nothing of x's range (passes/guard.ts).
  const residue = lowering.emit("relabel", [lowering.atFraction(x, fraction)], { fraction });
  const cut = lowering.emit("reduce", [residue], { ring: at + width });
  const hot = lowering.emit("digits", [cut], { at, width });
  return spans.map(([from, to]) => {
    const first = from === undefined ? (isWide ? 0 : 1) : from / exp2(bucket) + 1;
    const last = to === undefined ? 2 ** width - (isWide ? 1 : 0) : to / exp2(bucket);
    const span = { at, offset: Math.round(shift * 2 ** at), from: first, count: last - first + 1 };
    return lowering.emit("remaskBits", [lowering.emit("within", [hot, cut], span)]);
  });
}

/**
 * scale·x^exponent, masked, in the form that is fastest on the network that the plan is for. `beside` are the rounds
 * that whatever multiplies it takes anyway.
 */
export function inversePower(lowering: Lowering, x: ShareNode, form: PowerForm, beside: number): ShareNode {
  const { exponent, range, fraction, scale, ring = RING } = form;
  const opened = lowering.remasked(x);
  const reach = { low: range.low * (1 - SLACK), high: range.high * (1 + SLACK) };
  const wider = { ...form, range: reach };
  const seconds = (rounds: number, bits: number) =>
    lowering.seconds(Math.max(rounds, beside), (bits * sizeOf(shapeOf(x))) / 8);
  const series = powerPrice(lowering, opened, range, fraction, ring);
  // What it gives is narrow: it is widened for the product behind it.
  const bySeries = seconds(series.rounds + (ring < RING ? 0 : 1), series.bits);
  const buckets = planBuckets(opened, wider);
  const byBuckets = buckets === undefined ? Number.POSITIVE_INFINITY : seconds(2, buckets.bits);
  const best = Math.min(bySeries, byBuckets);
  const isPossible = seconds(1, (range.high / range.low) * LEAST_BITS) < best;
  const single = isPossible ? planDecays(opened, exponent, reach.low, reach.high) : undefined;
  const bySum =
    single === undefined ? Number.POSITIVE_INFINITY : seconds(1, single.words * (ring + single.dropped) + ring);
  const taken = bySum <= best ? SUM : byBuckets <= bySeries ? BUCKETS : SERIES;
  const octaves = Math.ceil(log2(range.high / range.low));
  lowering.chose(`${powerLabel(exponent)} over ${octaves} octaves`, taken, {
    [SUM]: bySum,
    [BUCKETS]: byBuckets,
    [SERIES]: bySeries,
  });
  if (single !== undefined && taken === SUM) {
    return powerByDecays(lowering, opened, wider, single);
  }
  return buckets !== undefined && taken === BUCKETS
    ? powerByBuckets(lowering, opened, wider, buckets)
    : power(lowering, opened, exponent, range, fraction, scale);
}

/** The forms of a power, as a plan names them. */
const SUM = "one sum of exponentials";
const BUCKETS = "sums of exponentials by buckets";
const SERIES = "series by buckets";

/** The power by one sum on the whole interval, masked; one round. */
function powerByDecays(lowering: Lowering, x: ShareNode, form: PowerForm, plan: DecayPlan): ShareNode {
  const { exponent, range, fraction, scale } = form;
  noteDecays(lowering, exponent, range.low, range.high, plan.fit);
  const most = scale * Math.max(pow(range.low, exponent), pow(range.high, exponent));
  const sum = decaysOn(lowering, x, plan, { exponent, low: range.low, fraction, scale });
  return lowering.remasked(lowering.bounded(sum, most));
}
