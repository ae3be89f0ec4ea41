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
import { ceilLog2, exp2, floorLog2, log2, pow } from "../../ir/real.js";
import { sizeOf } from "../../ir/tensor/value.js";
import { type Lowering, type ShareNode, shapeOf } from "./context.js";
import { sumAdditive, WIDEST_DIGIT } from "./digits.js";
import { type DecayPlan, decaysOn, noteDecays, planDecays } from "./inverses.js";
import { type PowerRange, power, powerLabel, powerPrice } from "./power.js";

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
/** Dealt words for a selection by one bit and by two. */
const SELECTION = 2;
const SELECTION_BY_TWO = 6;

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
}

interface BucketsPlan {
  /** Where buckets meet. */
  readonly borders: readonly number[];
  /** The place of the border that the coarse digit finds first. Those below are the fine digit's. */
  readonly split: number;
  readonly coarse: Digit;
  readonly fine: Digit | undefined;
  readonly parts: readonly { readonly low: number; readonly high: number; readonly plan: DecayPlan }[];
  /** Bits to P2 for every value. */
  readonly bits: number;
}

/** How a power is computed by buckets, with the split that deals least; undefined where digits would be too long. */
function planBuckets(x: ShareNode, { exponent, range, ring = RING }: PowerForm): BucketsPlan | undefined {
  const first = floorLog2(range.low);
  const count = Math.ceil((ceilLog2(range.high) - first) / OCTAVES);
  const borders = Array.from({ length: count - 1 }, (_, i) => exp2(first + OCTAVES * (i + 1)));
  const plans = BLURS.flatMap((blur) =>
    borders.map((_, split) => withSplit(x, exponent, range, ring, borders, split, blur)),
  );
  return plans.reduce((a, b) => (a === undefined || (b !== undefined && b.bits < a.bits) ? b : a), undefined);
}

function withSplit(
  x: ShareNode,
  exponent: number,
  { low, high }: PowerRange,
  ring: number,
  borders: readonly number[],
  split: number,
  blur: number,
): BucketsPlan | undefined {
  const bucketFor = (border: number) => floorLog2(border) - blur;
  const coarse = digitFor(bucketFor(borders[split]), high);
  const fine =
    split === 0
      ? undefined
      : { bucket: bucketFor(borders[0]), width: floorLog2(borders[split]) - bucketFor(borders[0]) };
  const digits = fine === undefined ? [coarse] : [coarse, fine];
  // The last of the small buckets ends where the fine digit's circle closes: nothing may lie in the digit's own zero.
  const isZeroRead = fine !== undefined && exp2(fine.bucket) * (1 - 2 ** -MARGIN) > low;
  if (isZeroRead || digits.some(({ width }) => width > WIDEST_DIGIT)) {
    return undefined;
  }
  const ends = [low, ...borders, high];
  const windows = ends.slice(1).map((to, i) => {
    const [from, isFirst, isLast] = [ends[i], i === 0, i === borders.length];
    const below =
      i > split ? exp2(coarse.bucket) * (1 + 2 ** (1 - MARGIN)) : exp2(fine?.bucket ?? 0) * 2 ** (1 - MARGIN);
    const above = i >= split ? 0 : exp2(fine!.bucket);
    return { low: isFirst ? from : from - below, high: isLast ? to : to + above };
  });
  const parts = windows.flatMap((window) => {
    const plan = planDecays(x, exponent, window.low, window.high);
    return plan === undefined ? [] : [{ ...window, plan }];
  });
  if (parts.length < windows.length) {
    return undefined;
  }
  const bits = parts.reduce((sum, { plan }, i) => {
    const selection = fine !== undefined && i <= split ? SELECTION_BY_TWO : SELECTION;
    return sum + plan.words * (ring + plan.dropped) + (selection + 1) * ring;
  }, ring);
  return { borders, split, coarse, fine, parts, bits: bits + digits.reduce((sum, { width }) => sum + 2 ** width, 0) };
}

/** The digit of such buckets that tells values up to `most` apart. */
function digitFor(bucket: number, most: number): Digit {
  return { bucket, width: ceilLog2(most + 2 * exp2(bucket)) - bucket };
}

/** The power by buckets, masked; two rounds. */
function powerByBuckets(lowering: Lowering, x: ShareNode, form: PowerForm, plan: BucketsPlan): ShareNode {
  const { exponent, range, fraction, scale } = form;
  const bits = selectors(lowering, x, plan);
  const terms = plan.parts.map(({ low, high, plan: part }, i) => {
    noteDecays(lowering, exponent, low, high, part.fit);
    const opened = lowering.remasked(decaysOn(lowering, x, part, { exponent, low, fraction, scale }));
    return lowering.emit(bits[i].length === 2 ? "timesBits" : "timesBit", [...bits[i], opened]);
  });
  const most = scale * Math.max(pow(range.low, exponent), pow(range.high, exponent));
  return lowering.remasked(lowering.bounded(sumAdditive(lowering, terms), most));
}

/** The masked bits of every bucket: one, or two that must both be set. */
function selectors(
  lowering: Lowering,
  x: ShareNode,
  { borders, split, coarse, fine }: BucketsPlan,
): readonly (readonly ShareNode[])[] {
  const spans = Array.from({ length: borders.length + 1 }, (_, i): Span => [borders[i - 1], borders[i]]);
  const [small, large] = [spans.slice(0, split + 1), spans.slice(split + 1)];
  const [isSmall, ...ofLarge] = bitsOf(lowering, x, coarse, 1 + 2 ** -MARGIN, [[undefined, borders[split]], ...large]);
  const ends = small.map(([from, to]): Span => [from, to === borders[split] ? undefined : to]);
  const ofSmall =
    fine === undefined ? [[isSmall]] : bitsOf(lowering, x, fine, 2 ** -MARGIN, ends).map((bit) => [isSmall, bit]);
  return [...ofSmall, ...ofLarge.map((bit) => [bit])];
}

type Span = readonly [from: number | undefined, to: number | undefined];

/**
 * Masked bits of [from ≤ x < to) by one digit, which reads x modulo its circle. Without the borrow, the digit of
 * x + shift buckets is its own or the next one, so a border is anywhere in the bucket before or behind it, by `shift`.
 */
function bitsOf(lowering: Lowering, x: ShareNode, { bucket, width }: Digit, shift: number, spans: readonly Span[]) {
  const fraction = Math.max(0, BELOW - bucket);
  const at = fraction + bucket;
  // Another value than x: what is read modulo the digit's circle says nothing of x's range (passes/guard.ts).
  const residue = lowering.emit("relabel", [lowering.atFraction(x, fraction)], { fraction });
  const cut = lowering.emit("reduce", [residue], { ring: at + width });
  const hot = lowering.emit("digits", [cut], { at, width });
  return spans.map(([from, to]) => {
    const first = from === undefined ? 1 : from / exp2(bucket) + 1;
    const last = to === undefined ? 2 ** width : to / exp2(bucket);
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
