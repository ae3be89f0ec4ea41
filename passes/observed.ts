/**
 * What calibration looks at beyond the interval of a value (NUMERICS.md, "Ranges"): how far every channel of an
 * activation's argument goes, and the row variances of a norm for each class of rows. In trained models a few
 * neurons go far beyond the others, and the first token carries variances that no other one does: planned apart, the
 * rest is cheap.
 *
 * What other inputs may reach follows from what was seen. The samples are dealt to two halves; how far one half goes
 * beyond the other, at most over all channels, is the tail that the margin rests on.
 */
import { type Diagnostic, fail } from "../ir/diagnostics.js";
import { exp2, log2 } from "../ir/real.js";
import type { TensorNode } from "../ir/tensor/index.js";
import { momentsOf } from "../ir/tensor/ops/fused.js";
import { doublesOf } from "../ir/tensor/types.js";
import type { TensorValue } from "../ir/tensor/value.js";
import { outward } from "./outward.js";

/** Rows beside rows of zeros: the least variance that was seen of them, and how little others are likely to vary by. */
interface BesideZeros {
  readonly seen: number;
  readonly likely: number;
}

/** Row variances (mean squares) with epsilon. */
export interface VarianceRange {
  readonly low: number;
  readonly high: number;
  /** What stands in for the norm's ε where all rows hardly vary: a smaller one makes noise of rounding. */
  readonly epsilon?: number;
  /** Where rows of zeros were seen beside others. */
  readonly zeros?: BesideZeros;
  /** Fractional bits that the smallest rows of all norms need, if more than usual and if the largest rows bear them. */
  readonly fraction?: number;
  /** The same of the first row (position) alone and of all others, where samples were seen and rows are positions. */
  readonly classes?: { readonly first: VarianceRange; readonly rest: VarianceRange };
}

/** Ops of which every channel's argument is looked at. */
const ACTIVATIONS: ReadonlySet<string> = new Set(["geluEven"]);
const NORMS: ReadonlySet<string> = new Set(["layerNorm", "rmsNorm"]);

/** Even where both halves agree, others may go beyond by this part of the mean reach; fewer samples, more. */
const LEAST_TAIL = 0.2;
const LEAST_TAIL_OF_ONE = 8;
/**
 * Real inputs go further than made ones: in no channel less far than twice the mean, and up to twice as far as seen; in
 * channels that go beyond twice the mean nobody knows how far, features are there that hardly a made input shows.
 */
const MADE_USUAL = 2;
const MADE_FAR = 64;
/** And rows vary by more. */
const MADE_HIGHER = 2;
/** The same of variances, in octaves. */
const LEAST_OCTAVES = 0.6;
const LEAST_OCTAVES_OF_ONE = 8;
/** Few rows of made inputs say little of what rows vary by: an octave more for every halving below so many. */
const MANY_ROWS = 64;
/** Fewer samples than this say no less: rings are of 64 bits at most, and a norm's range squares in them. */
const FEWEST = 4;

interface Halves<T> {
  readonly halves: readonly [T, T];
}

interface Extremes {
  low: number;
  /** The least variance of a row that is not of zeros. */
  moving: number;
  high: number;
  rows: number;
}

const nothing = (): Extremes => ({
  low: Number.POSITIVE_INFINITY,
  moving: Number.POSITIVE_INFINITY,
  high: 0,
  rows: 0,
});

export class Observed {
  private readonly channels = new Map<TensorNode, Halves<Float64Array>>();
  private readonly rows = new Map<TensorNode, Halves<readonly [first: Extremes, rest: Extremes]>>();
  private samples = 0;

  /** Begins another sample. */
  next(): void {
    this.samples += 1;
  }

  see(node: TensorNode, [x]: readonly TensorValue[]): void {
    if (ACTIVATIONS.has(node.op)) {
      this.seeChannels(node, x);
    } else if (NORMS.has(node.op)) {
      this.seeRows(node, x);
    }
  }

  private get half(): 0 | 1 {
    return this.samples % 2 === 0 ? 0 : 1;
  }

  private seeChannels(node: TensorNode, { data, shape }: TensorValue): void {
    const n = shape.at(-1) ?? 1;
    const seen = this.channels.get(node) ?? { halves: [new Float64Array(n), new Float64Array(n)] as const };
    this.channels.set(node, seen);
    const half = seen.halves[this.half];
    for (let i = 0, channel = 0; i < data.length; i++, channel = channel + 1 === n ? 0 : channel + 1) {
      const magnitude = Math.abs(data[i]);
      half[channel] = magnitude > half[channel] ? magnitude : half[channel];
    }
  }

  private seeRows(node: TensorNode, { data, shape }: TensorValue): void {
    const n = shape.at(-1)!;
    const positions = shape.at(-2) ?? 1;
    const made = () => [nothing(), nothing()] as const;
    const seen = this.rows.get(node) ?? { halves: [made(), made()] as const };
    this.rows.set(node, seen);
    const half = seen.halves[this.half];
    const values = doublesOf(data);
    for (let row = 0; row * n < data.length; row++) {
      const { variance } = momentsOf(values, row * n, n, node.op === "layerNorm");
      const extremes = half[row % positions === 0 ? 0 : 1];
      extremes.low = Math.min(extremes.low, variance);
      extremes.moving = Math.min(extremes.moving, variance < STILL ? Number.POSITIVE_INFINITY : variance);
      extremes.high = Math.max(extremes.high, variance);
      extremes.rows += 1;
    }
  }

  /** How far |x| may go in every channel of each activation's argument; of inputs that were made up, further. */
  reaches(isMade = false): ReadonlyMap<TensorNode, Float64Array> {
    const least = this.least(LEAST_TAIL, LEAST_TAIL_OF_ONE);
    return new Map([...this.channels].map(([node, { halves }]) => [node, reachOf(halves, least, isMade)]));
  }

  /** What the row variances of each norm may be; of inputs that were made up, further where they have few rows. */
  variances(isMade = false): ReadonlyMap<TensorNode, VarianceRange> {
    const least = this.least(LEAST_OCTAVES, LEAST_OCTAVES_OF_ONE);
    const needs: number[] = [];
    const bearable: number[] = [];
    const ranges = [...this.rows].map(([node, { halves }]) => {
      const epsilon = node.attributes.epsilon as number;
      const parts = [0, 1].map((k) => seenOf([halves[0][k], halves[1][k]], epsilon, least, isMade));
      const known = parts.filter((part) => part !== undefined);
      if (known.length === 0) {
        throw fail(neverANumber(node));
      }
      const [first, rest] = parts.map((part) => part && varianceOf(part, epsilon, isMade));
      const all = hull(first, rest, epsilon);
      const zeros = all.epsilon === undefined ? zerosOf(known) : {};
      const isApart = known.length > 1 && (zeros.zeros === undefined || known.every(hasOthers));
      const classes = isApart && { classes: { first: { ...first!, ...zeros }, rest: { ...rest!, ...zeros } } };
      needs.push(neededFraction(known, epsilon, zeros.zeros));
      bearable.push(Math.floor((SQUARES_RING - log2(node.args[0].type.shape.at(-1)! * all.high)) / 2));
      return [node, { ...all, ...zeros, ...classes }] as const;
    });
    const fraction = Math.min(MOST_FRACTION, Math.max(...needs), ...bearable);
    const more = fraction > USUAL_FRACTION ? { fraction } : {};
    return new Map(ranges.map(([node, range]) => [node, { ...range, ...more }]));
  }

  /** A margin that shrinks with the number of samples. */
  private least(least: number, ofOne: number): number {
    return least + (ofOne - least) / Math.max(FEWEST, this.samples);
  }
}

/** The reach of every channel: what was seen, and as much again as one half went beyond the other in any channel. */
function reachOf([a, b]: readonly [Float64Array, Float64Array], least: number, isMade: boolean): Float64Array {
  const seen = a.map((x, channel) => Math.max(x, b[channel]));
  const mean = seen.reduce((sum, x) => sum + x, 0) / Math.max(1, seen.length);
  const isHalved = a.some((x) => x > 0) && b.some((x) => x > 0);
  const excess = isHalved ? seen.reduce((most, x, i) => Math.max(most, x - Math.min(a[i], b[i])), 0) : 0;
  const margin = Math.max(least * mean, excess);
  const usual = MADE_USUAL * mean;
  const ofMade = (x: number) => (x > usual ? MADE_FAR * x : usual + Math.max(margin, x));
  return seen.map((x) => outward(isMade ? ofMade(x) : x + margin, true));
}

/** The variances of one class of rows that were seen, the ε that they bear, and how far others may go beyond. */
interface Seen {
  readonly low: number;
  readonly moving: number;
  readonly high: number;
  readonly epsilon: number;
  readonly margin: number;
}

/** The variances of one class of rows from both halves; undefined where there are none. */
function seenOf(halves: readonly [Extremes, Extremes], own: number, least: number, isMade: boolean): Seen | undefined {
  const seen = halves.filter(({ low, high }) => low <= high);
  if (seen.length === 0) {
    return undefined;
  }
  const low = Math.min(...seen.map((half) => half.low));
  const moving = Math.min(...seen.map((half) => half.moving));
  const high = Math.max(...seen.map((half) => half.high));
  const epsilon = stillEpsilon(own, high);
  // Rows of zeros are a kind of their own: they say nothing of how far others may go.
  const others = seen.filter((half) => Number.isFinite(half.moving));
  const [a, b] = others.length > 0 ? [others[0], others.at(-1)!] : [seen[0], seen.at(-1)!];
  const apart = (x: number, y: number) => (Math.max(x, y) + epsilon) / (Math.min(x, y) + epsilon);
  const rows = seen.reduce((sum, half) => sum + half.rows, 0);
  const few = isMade ? Math.max(1, MANY_ROWS / rows) : 1;
  const margin = few * Math.max(exp2(least), apart(leastOf(a), leastOf(b)), apart(a.high, b.high));
  return { low, moving, high, epsilon, margin };
}

/** The least variance of rows that are not of zeros, if there are any. */
function leastOf({ low, moving }: Extremes): number {
  return Number.isFinite(moving) ? moving : low;
}

/** The range of what was seen. */
function varianceOf({ low, high, epsilon, margin }: Seen, own: number, isMade: boolean): VarianceRange {
  return {
    low: outward(Math.max(low / margin, epsilon, high * SMALLEST_VARIANCE), false),
    high: outward(
      Math.max(high * margin * (isMade ? MADE_HIGHER : 1) + epsilon, epsilon > own ? 4 * epsilon : 0),
      true,
    ),
    ...(epsilon > own && { epsilon }),
  };
}

/** Whether not all rows are of zeros. */
function hasOthers({ moving }: Seen): boolean {
  return Number.isFinite(moving);
}

/** What is nearly zeros, as padding beside a convolution is, is rare: hardly a sample shows how small it may be. */
const MORE_LIKELY = 64;

/** What lies beside rows of zeros, if some were seen. */
function zerosOf(known: readonly Seen[]): Pick<VarianceRange, "zeros"> {
  const others = known.filter(hasOthers);
  const seen = Math.min(...others.map(({ moving }) => moving));
  const likely = Math.min(...others.map(({ moving, margin }) => moving / margin)) / MORE_LIKELY;
  return others.length > 0 && known.some(({ low, moving }) => low < moving)
    ? { zeros: { seen: outward(seen, false), likely: outward(likely, false) } }
    : {};
}

/** Rows that vary by 2^this units squared are told from rows of zeros and their rounding. */
export const FLOOR_BITS = 8;
/** Bits of a normalised row that rounding of what is normalised leaves right, at least. */
const RIGHT_BITS = 7;
/** No row is so small that more fractional bits would be worth it. */
const MOST_FRACTION = 20;
/** As many are usual. */
const USUAL_FRACTION = 14;

/** Bits of a ring that squares of values and their sum leave: the guard's, the sign's and what values go beyond. */
const SQUARES_RING = 50;

/** The fractional bits with which the smallest rows are right, and told from rows of zeros. */
function neededFraction(known: readonly Seen[], own: number, zeros: BesideZeros | undefined): number {
  const least = Math.min(...known.map(({ moving }) => moving));
  const right = Number.isFinite(least) ? RIGHT_BITS + Math.ceil(-log2(least + own) / 2) : 0;
  return Math.max(right, zeros === undefined ? 0 : Math.ceil((FLOOR_BITS - log2(zeros.seen)) / 2));
}

/** Rows that vary by less vary by their rounding, to the unit of values: padding that is set to zero, for instance. */
const STILL = 2 ** -28;
/** ε that makes zeros of such rows' rounding. */
const STILL_EPSILON = 2 ** -14;

/** The ε that rows bear of which none varies by more than this: the norm's own, unless all hardly vary. */
function stillEpsilon(own: number, high: number): number {
  return high < STILL ? Math.max(own, STILL_EPSILON) : own;
}

/** What a norm is whose rows were never numbers: zeros over the root of zero, most often. */
function neverANumber({ op, origin }: TensorNode): Diagnostic {
  return {
    code: "E0404",
    what: `${op}: none of its rows was a number, on any input that was tried`,
    where: origin,
    why: "a row of zeros over the root of its mean square is no number where the ε of a norm is 0 in the file",
    fix: "calibrate with real inputs (--calibrate), or export the model with the ε of its norms",
  };
}

/** No smaller variance is told apart from zero. */
const SMALLEST_VARIANCE = 2 ** -24;

function hull(a: VarianceRange | undefined, b: VarianceRange | undefined, own: number): VarianceRange {
  const known = [a, b].filter((range) => range !== undefined);
  const low = Math.min(...known.map((range) => range.low));
  const high = Math.max(...known.map((range) => range.high));
  const still = known.flatMap((range) => range.epsilon ?? []);
  const epsilon = still.length === known.length ? Math.min(...still) : stillEpsilon(own, high);
  return still.length > 0 && epsilon > own ? { low: epsilon, high, epsilon } : { low, high };
}
