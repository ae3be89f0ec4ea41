/**
 * Where a value lies, from dealt digits of its mask (PROTOCOL.md, "coarse maximum"): with q = top digit of m minus top
 * digit of λ, without the borrow, (q − 1)·W ≤ x < (q + 1)·W for buckets of width W. Every question "is x in these
 * buckets" is then a local look-up, right up to half a bucket at its borders.
 *
 * A digit of w bits is 2^w dealt bits an element. Cut in two halves it is 2·2^(w/2), and the answer a conjunction: one
 * round more. Which is better, the network says that the plan is for; what two digits do not hold is cut into more.
 */
import { ceilLog2 } from "../../ir/real.js";
import { maskProducts, subsetsOf } from "../../ir/share/bits.js";
import { sizeOf } from "../../ir/tensor/value.js";
import { type Lowering, type ShareNode, shapeOf } from "./context.js";

/** Buckets between two borders, either of which may be infinite. */
export type Span = readonly [low: number, high: number];

/** The widest digit that may be dealt: 2^13 bits per value. */
export const WIDEST_DIGIT = 13;
/** Bits that a cut digit opens and deals for every border, beside its two digits. */
const BITS_PER_BORDER = 3;

/** A value reduced to the ring of its range, whose top `width` bits are its number of buckets. */
interface Cut {
  readonly value: ShareNode;
  readonly width: number;
  readonly at: number;
}

/**
 * Masked bits of [low ≤ x < high) for each span, |x| ≤ bound, right except within half a bucket of 2^bucketExponent at
 * a border. A border is rounded to a multiple of the bucket width. One round, or two.
 */
export function coarseBits(
  lowering: Lowering,
  x: ShareNode,
  bound: number,
  bucketExponent: number,
  spans: readonly Span[],
): readonly ShareNode[] {
  const borders = [...new Set(spans.flat().filter(Number.isFinite))];
  const { isCut, wholeWidth, cutWidth } = formOf(lowering, x, bound, bucketExponent, borders);
  const bucket = 2 ** bucketExponent;
  const inBuckets = spans.map(([low, high]): Span => [Math.round(low / bucket), Math.round(high / bucket)]);
  const bits = isCut
    ? byDigits(lowering, cut(lowering, x, cutWidth, bucketExponent), inBuckets, digitCount(cutWidth))
    : byWhole(lowering, cut(lowering, x, wholeWidth, bucketExponent), inBuckets);
  return bits.map((bit) => lowering.emit("remaskBits", [bit]));
}

interface Form {
  readonly isCut: boolean;
  readonly wholeWidth: number;
  readonly cutWidth: number;
  /** Bits to P2 for each value, without the opened answers. */
  readonly bits: number;
}

/** Whether a digit is dealt whole or cut, on the network that the plan is for. */
function formOf(
  lowering: Lowering,
  x: ShareNode,
  bound: number,
  bucketExponent: number,
  borders: readonly number[],
): Form {
  const wholeWidth = rangeExponentFor(bound, bucketExponent) - bucketExponent;
  const reach = bound + Math.max(0, ...borders.map(Math.abs));
  const cutWidth = rangeExponentFor(reach, bucketExponent) - bucketExponent;
  const dealt = hotBits(cutWidth) + BITS_PER_BORDER * borders.length;
  const isCut = wholeWidth > WIDEST_DIGIT || lowering.pays(1, (sizeOf(shapeOf(x)) * (2 ** wholeWidth - dealt)) / 8);
  return { isCut, wholeWidth, cutWidth, bits: isCut ? dealt : 2 ** wholeWidth };
}

/** Rounds of `coarseBits`, and the bits that reach P2 for each value. */
export function coarseBitsPrice(
  lowering: Lowering,
  x: ShareNode,
  bound: number,
  bucketExponent: number,
  borders: number,
): { readonly rounds: number; readonly bits: number } {
  const form = formOf(lowering, x, bound, bucketExponent, new Array<number>(borders).fill(bound));
  return { rounds: form.isCut ? 2 : 1, bits: form.bits + borders };
}

/** Digits of a width that is cut: as many as none is too wide. */
function digitCount(width: number): number {
  return Math.max(2, Math.ceil(width / WIDEST_DIGIT));
}

/** Dealt bits of a digit that is cut into halves. */
function hotBits(width: number): number {
  return 2 ** Math.ceil(width / 2) + 2 ** Math.floor(width / 2);
}

function cut(lowering: Lowering, x: ShareNode, width: number, bucketExponent: number): Cut {
  const fraction = Math.max(1 - bucketExponent, 2);
  const at = fraction + bucketExponent;
  const value = lowering.emit("reduce", [lowering.atFraction(x, fraction)], { ring: at + width });
  return { value, width, at };
}

/** One digit: a span is a run of its values. */
function byWhole(lowering: Lowering, { value, width, at }: Cut, spans: readonly Span[]): ShareNode[] {
  const hot = lowering.emit("digits", [value], { at, width });
  const [size, limit] = [2 ** width, 2 ** (width - 1)];
  return spans.map(([low, high]) => {
    const first = low === Number.NEGATIVE_INFINITY ? -limit : low + 1;
    const last = high === Number.POSITIVE_INFINITY ? limit - 1 : high;
    return lowering.emit("within", [hot, value], {
      at,
      offset: 2 ** (at - 1),
      from: ((first % size) + size) % size,
      count: Math.max(0, Math.min(size, last - first + 1)),
    });
  });
}

/**
 * Several digits: x is at or above a border if the bucket's number minus the border's lies in the lower half of the
 * circle. With high digits d = m's − λ's, modulo 2^h, and the borrow a out of those below, that is [d − a < 2^(h−1)] =
 * [d < 2^(h−1)] ⊕ a·[d is 0 or 2^(h−1)], and a borrow is that of a digit, or where that is equal, of the one below.
 */
function byDigits(lowering: Lowering, { value, width, at }: Cut, spans: readonly Span[], count: number): ShareNode[] {
  const [high, ...lows] = digitsOf(at, width, count);
  const hotOf = (digit: Digit) => lowering.emit("digits", [value], { ...digit });
  const highHot = hotOf(high);
  const lowHots = lows.map((digit) => ({ digit, hot: hotOf(digit) }));
  const half = 2 ** (high.width - 1);
  const open = (bits: ShareNode) => lowering.emit("remaskBits", [bits]);
  const opened = new Map<string, ShareNode>();
  /** A question about a digit and those below it: equal where they are. */
  const asked = (op: string, { at: place, width: size }: Digit, offset: number, make: () => ShareNode): ShareNode => {
    const period = 2 ** (place + size);
    const key = `${op} ${place} ${((offset % period) + period) % period}`;
    const known = opened.get(key) ?? open(make());
    opened.set(key, known);
    return known;
  };
  const borrows = (offset: number): ShareNode[][] => {
    const equals: ShareNode[] = [];
    return lowHots.map(({ digit, hot }) => {
      const compare = (op: string, more = {}) =>
        asked(op, digit, offset, () => lowering.emit(op, [hot, value], { at: digit.at, offset, ...more }));
      const term = [...equals, compare("less")];
      if (digit !== lows.at(-1)) {
        equals.push(compare("equals", { difference: 0 }));
      }
      return term;
    });
  };
  const known = new Map<number, ShareNode>();
  const atLeast = (border: number): ShareNode => {
    const made = known.get(border) ?? atBorder(border);
    known.set(border, made);
    return made;
  };
  const atBorder = (border: number): ShareNode => {
    const offset = 2 ** (at - 1) - (border + 1) * 2 ** at;
    const within = (from: number, size: number) =>
      lowering.emit("within", [highHot, value], { at: high.at, offset, from, count: size });
    const changes = open(lowering.emit("exclusiveOr", [within(0, 1), within(half, 1)]));
    const changed = borrows(offset).map((term) => lowering.emit("conjunction", [changes, ...term]));
    return changed.reduce((bit, each) => lowering.emit("exclusiveOr", [bit, each]), within(0, half));
  };
  return spans.map(([from, to]) => {
    if (from === Number.NEGATIVE_INFINITY) {
      return lowering.emit("complement", [atLeast(to)]);
    }
    const above = atLeast(from);
    return to === Number.POSITIVE_INFINITY ? above : lowering.emit("exclusiveOr", [above, atLeast(to)]);
  });
}

interface Digit {
  readonly at: number;
  readonly width: number;
}

/** `count` digits of about the same width, the highest first, which is the widest. */
export function digitsOf(at: number, width: number, count: number): Digit[] {
  const digits: Digit[] = [];
  for (let i = 0, place = at; i < count; i++) {
    const size = Math.floor((width - (place - at)) / (count - i));
    digits.unshift({ at: place, width: size });
    place += size;
  }
  return digits;
}

/**
 * [x = 0] for an integer x of `width` bits, its ring, as additive integers that are summed in a ring of `ring` bits.
 * One round, or two: its digit may be cut, and the answers joined by a conjunction, or where they become words.
 */
export function zeroWords(lowering: Lowering, x: ShareNode, width: number, ring: number): ShareNode {
  const elements = sizeOf(shapeOf(x));
  const whole = lowering.seconds(0, (elements * (2 ** width + ring)) / 8);
  const cut = lowering.seconds(0, (elements * (hotBits(width) + 1)) / 8) + joinedSeconds(lowering, elements, 2, ring);
  const low = width > 1 && cut < whole ? Math.floor(width / 2) : width;
  const digits = [{ at: 0, width: low }, ...(low < width ? [{ at: low, width: width - low }] : [])];
  const equal = digits.map((digit) => {
    const hot = lowering.emit("digits", [x], digit);
    const bits = lowering.emit("equals", [hot, x], { at: digit.at, offset: 0, difference: 0 });
    return lowering.emit("remaskBits", [bits]);
  });
  return joinedWords(lowering, equal, ring);
}

/** What the AND of n bits as words of a ring takes: opened before it becomes words, or joined in them. */
const OPENED = { rounds: 1, bits: (n: number, ring: number) => subsetsOf(n) + 1 + ring };
const JOINED = { rounds: 0, bits: (n: number, ring: number) => maskProducts(n) * ring };

type WordForm = typeof OPENED;

function wordSeconds(lowering: Lowering, form: WordForm, elements: number, n: number, ring: number): number {
  return lowering.seconds(form.rounds, (elements * form.bits(n, ring)) / 8);
}

/** What `joinedWords` of n bits takes. */
export function joinedSeconds(lowering: Lowering, elements: number, n: number, ring: number): number {
  return Math.min(...[OPENED, JOINED].map((form) => wordSeconds(lowering, form, elements, n, ring)));
}

/** The AND of masked bits as additive integers, which are summed in a ring of `ring` bits. No round, or one. */
export function joinedWords(lowering: Lowering, bits: readonly ShareNode[], ring: number): ShareNode {
  const seconds = (form: WordForm) => wordSeconds(lowering, form, sizeOf(shapeOf(bits[0])), bits.length, ring);
  const isOpened = bits.length > 1 && seconds(OPENED) < seconds(JOINED);
  const all = isOpened ? [lowering.emit("remaskBits", [lowering.emit("conjunction", bits)])] : bits;
  return lowering.emit("toArithmetic", all, { ring: 0, fraction: 0 });
}

/** Bits that hold any |x| ≤ bound with a bucket to spare on both sides. */
export function rangeExponentFor(bound: number, bucketExponent: number): number {
  return ceilLog2(bound + 2 ** bucketExponent * 2) + 1;
}

/** Σ of timesBit terms and others: all additive, at one fraction. */
export function sumAdditive(lowering: Lowering, terms: readonly ShareNode[]): ShareNode {
  return terms.slice(1).reduce((sum, term) => lowering.emit("add", [sum, term]), terms[0]);
}
