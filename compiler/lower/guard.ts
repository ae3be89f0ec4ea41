/**
 * Guards of intervals that a formula relies on: a series' window, the range of a variance, the exponents and the
 * sums of a softmax. What lies outside would not wrap, it would be computed wrongly; the run's overflow guard says
 * so to the data owner (`passes/guard.ts` guards the rings). Fit, digit and guard of a value must come from one
 * interval: what is fitted must hold as far outside of what is accepted as the guard is blurred.
 *
 * The interval is a run of n cells of width C, from some number o on, of a ring in which x cannot wrap. With y = x
 * − o, d the difference of the high digits of m and of the mask and a the borrow out of the low ones, y lies in the
 * cell d − a, so that [0 ≤ y < nC] = [d < n] ⊕ a·[d is 0 or n]: whatever the interval, one borrow. (A digit of w
 * bits is 2^w dealt bits; the borrow of digits is that of the highest, or where that is equal, of the next one.)
 * The lowest digit's own borrow is left out: a border is right to within b, that digit's unit.
 */
import { ceilLog2, floorLog2 } from "../../ir/real.js";
import { subsetsOf } from "../../ir/share/bits.js";
import { sizeOf } from "../../ir/tensor/value.js";
import { GUARD, GUARD_BITS } from "../../passes/guard.js";
import { type Lowering, type ShareNode, shapeOf } from "./context.js";
import { digitsOf, WIDEST_DIGIT } from "./digits.js";

/** Values of [low, high] never alarm, those outside of [lowest, highest] always do. An infinite end has no border. */
export interface GuardedInterval {
  readonly lowest: number;
  readonly low: number;
  readonly high: number;
  readonly highest: number;
  /** Where values may lie at all: what is further away may be taken for another one. */
  readonly reach: readonly [least: number, most: number];
}

/** The cells of a guard: n of 2^(exponent + low) each from `start` on; digits of `low` and of `high` bits. */
interface Cells {
  readonly exponent: number;
  readonly start: number;
  readonly count: number;
  readonly high: number;
  readonly low: number;
  readonly lows: number;
  readonly price: number;
}

/** Fractional bits of a unit that are read: a rescale is off by less than a quarter of the unit. */
const UNIT_BITS = 3;
const ROUNDING = 1 / 4;
/** A border's blur and the roundings on both sides of it must find place between accepted and refused. */
const ROOM = 1 + 2 * ROUNDING + 1 / 4;
/** Units smaller than the largest one that fits, which are tried, and low digits. */
const MOST_FINER = 2;
const MOST_LOWS = 4;
const WIDEST_CELL = 40;

/** Values that may be anything. */
interface Unguarded {
  /** Where this, a public value of 0 and 1, is 0. */
  readonly keep?: ShareNode | undefined;
  /** Where this is 0, masked bits. */
  readonly bits?: ShareNode | undefined;
}

/**
 * Guards a value that is opened anyway, except where it may be anything. No round on anybody's way: nothing waits for
 * the bits but the verdict.
 */
export function guard(lowering: Lowering, x: ShareNode, interval: GuardedInterval, but: Unguarded = {}): void {
  if (!lowering.isGuarded) {
    return;
  }
  lowering.apart(GUARD, () => {
    for (const cells of runsOf(interval)) {
      const outside = lowering.emit("complement", [insideBit(lowering, lowering.remasked(x), cells)]);
      const where = but.bits && [lowering.emit("remaskBits", [outside]), but.bits];
      const own = where === undefined ? outside : lowering.emit("conjunction", where);
      const bits = but.keep === undefined ? own : lowering.emit("andPublic", [own, but.keep]);
      const flat = lowering.emit("reshape", [bits], { shape: [sizeOf(shapeOf(bits))] });
      lowering.alarms.push(lowering.emit("randomCombination", [flat], { bits: GUARD_BITS }));
    }
  });
}

/** The runs of cells that x must lie in, with the fewest bits: one, or one a border where the ends differ much. */
function runsOf(interval: GuardedInterval): readonly Cells[] {
  const { lowest, low, high, highest } = interval;
  const whole = cellsOf(interval);
  const ends = Number.isFinite(highest - lowest)
    ? [
        { ...interval, highest: Number.POSITIVE_INFINITY },
        { ...interval, lowest: Number.NEGATIVE_INFINITY },
      ]
    : [];
  const apart = ends.flatMap((end) => cellsOf(end) ?? []);
  const price = (all: readonly Cells[]) => all.reduce((sum, cells) => sum + cells.price, 0);
  const isApart = apart.length === 2 && (whole === undefined || price(apart) < whole.price);
  if (whole === undefined && !isApart) {
    throw new Error(`no guard tells [${low}, ${high}] from what is outside of [${lowest}, ${highest}]`);
  }
  return isApart ? apart : [whole!];
}

/** The cells with the fewest dealt and opened bits. */
function cellsOf(interval: GuardedInterval): Cells | undefined {
  const { lowest, low, high, highest } = interval;
  const coarsest = floorLog2(Math.min(low - lowest, highest - high) / ROOM);
  let best: Cells | undefined;
  for (let exponent = coarsest; exponent >= coarsest - MOST_FINER; exponent--) {
    for (let cell = 0; cell <= WIDEST_CELL; cell++) {
      for (let lows = cell === 0 ? 0 : 1; lows <= Math.min(cell, MOST_LOWS); lows++) {
        const cells = cellsWith(interval, exponent, cell, lows);
        best = cells !== undefined && (best === undefined || cells.price < best.price) ? cells : best;
      }
    }
  }
  return best;
}

function cellsWith(interval: GuardedInterval, exponent: number, cell: number, lows: number): Cells | undefined {
  const unit = 2 ** exponent;
  const size = unit * 2 ** cell;
  const run = runOf(interval, unit, size);
  if (run === undefined) {
    return undefined;
  }
  const { start, count } = run;
  const [least, most] = interval.reach;
  const span = Math.max(most - start, count * size + start - least) + 2 * unit;
  const high = ceilLog2(span / unit) - cell;
  const isTooWide = Math.max(high, Math.ceil(cell / Math.max(1, lows))) > WIDEST_DIGIT;
  if (high < 1 || count >= 2 ** high || isTooWide || high + cell + UNIT_BITS > 63) {
    return undefined;
  }
  const dealt = lows === 0 ? 0 : digitsOf(0, cell, lows).reduce((sum, { width }) => sum + 2 ** width, 0);
  const joined = Array.from({ length: lows }, (_, i) => subsetsOf(i + 2)).reduce((sum, bits) => sum + bits, 0);
  return { exponent, start, count, high, low: cell, lows, price: 2 ** high + dealt + joined + 4 * lows };
}

/** The longest run of cells that refuses all that must be, if it accepts all that must be. */
function runOf(
  { lowest, low, high, highest, reach }: GuardedInterval,
  unit: number,
  size: number,
): { readonly start: number; readonly count: number } | undefined {
  const rounding = unit * ROUNDING;
  const grid = unit / 2 ** UNIT_BITS;
  const [from, to] = [lowest + rounding + unit, highest - rounding];
  const onGrid = (x: number) => Math.floor(x / grid) * grid;
  if (lowest === Number.NEGATIVE_INFINITY) {
    const count = Math.ceil((to - Math.min(low, reach[0]) + rounding + grid) / size);
    return { start: onGrid(to - count * size), count };
  }
  if (highest === Number.POSITIVE_INFINITY) {
    const start = onGrid(from) + grid;
    return { start, count: Math.ceil((Math.max(high, reach[1]) + rounding + unit - start) / size) };
  }
  const count = Math.floor((to - from) / size);
  const ends = [
    Math.max(from, high + rounding + unit - count * size),
    Math.min(to - count * size, low - rounding),
  ] as const;
  const start = onGrid((ends[0] + ends[1]) / 2 + grid / 2);
  return count >= 1 && start >= ends[0] && start <= ends[1] ? { start, count } : undefined;
}

/** [x lies in the cells], as it falls to P1 and P2. */
function insideBit(lowering: Lowering, x: ShareNode, cells: Cells): ShareNode {
  const { exponent, start, count, high, low, lows } = cells;
  const fraction = UNIT_BITS - exponent;
  const at = UNIT_BITS;

  const value = lowering.emit("reduce", [lowering.atFraction(x, fraction)], { ring: at + low + high });
  const offset = -Math.round(start * 2 ** fraction);
  const hotOf = (digit: { readonly at: number; readonly width: number }) => ({
    hot: lowering.emit("digits", [value], { ...digit }),
    place: digit.at,
  });
  const top = hotOf({ at: at + low, width: high });
  const within = (from: number, some: number) =>
    lowering.emit("within", [top.hot, value], { at: top.place, offset, from, count: some });
  if (low === 0) {
    return within(0, count);
  }
  const open = (bits: ShareNode) => lowering.emit("remaskBits", [bits]);
  const changes = open(lowering.emit("exclusiveOr", [within(0, 1), within(count, 1)]));
  const digits = digitsOf(at, low, lows).map(hotOf);
  const equals: ShareNode[] = [];
  const changed = digits.map(({ hot, place }, i) => {
    const less = open(lowering.emit("less", [hot, value], { at: place, offset }));
    const both = lowering.emit("conjunction", [changes, ...equals, less]);
    if (i < digits.length - 1) {
      equals.push(open(lowering.emit("equals", [hot, value], { at: place, offset, difference: 0 })));
    }
    return both;
  });
  return changed.reduce((bit, each) => lowering.emit("exclusiveOr", [bit, each]), within(0, count));
}
