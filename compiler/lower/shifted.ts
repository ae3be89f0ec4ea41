/**
 * Softmax without a maximum (docs/protocol.md): the keys are centred (pass `shift`), so a row's scores are counted from
 * a convex combination of themselves, and Σ 2^score ≥ 1 is proved. What is left is 2^score in one opening, from dealt
 * words that are read against the measured spread [−down, up] of each head; heads of like spread share a plan.
 *
 *     scores (1 round) · 2^score (1) · P·V beside 1/Σ (2) · their product
 */

import { ceilLog2, exp2 } from "../../ir/real.js";
import { stridesOf } from "../../ir/shape.js";
import type { HeadRange } from "../../passes/rows.js";
import { SPARE_BITS, WHOLE_SHARE } from "../../passes/rows.js";
import { inversePower } from "./buckets.js";
import { encode, fractionOf, type Lowering, type ShareNode, shapeOf, type TensorNode } from "./context.js";
import { droppedBits, exp2Negative } from "./decays.js";
import { guard } from "./guard.js";
import { headsOf } from "./heads.js";
import { addReal } from "./linear.js";
import { reshapeTo } from "./movement.js";
import type { UnnormalisedRows } from "./rows.js";
import type { Packing } from "./structure.js";

/** Fractional bits of the exponent, in units of a head's own scale, and of the powers. */
const EXPONENT_FRACTION = 11;
const POWER_FRACTION = 12;
/** The product with V is opened and widened beside 1/Σ. */
const ROUNDS_OF_PRODUCT = 2;
/** Bits that 1/Σ keeps at the largest sum. */
const RECIPROCAL_BITS = 10;
/** log₂ of the window of the exponent, in units: 64. */
const WINDOW_BITS = 6;
const WINDOW = 2 ** WINDOW_BITS;
/** Units kept free at the end of the window, for rounding. */
const SLACK = 1 / 4;
const LEAST_UNIT = 1 / 4;
/** Fractional bits of 1/unit, which the queries carry. */
const SCALE_FRACTION = 10;
const SHARE_FRACTION = 3;
/** Bits of a dealt word beyond its result's, at most. */
const MOST_DROPPED = 64;
/** Bits of the product with V, at most. */
const MOST_RESULT = 60;

/** Heads whose powers are computed alike. */
export interface HeadGroup {
  readonly heads: readonly number[];
  readonly up: number;
  readonly down: number;
  readonly sum: number;
  /** What the heads count from beside the mean and the first key. */
  readonly neighbour: number | undefined;
  /** Dealt words a score: 2, 4 or 8. */
  readonly words: number;
  /** Bits of the exponent that are one unit of the window. */
  readonly unit: number;
}

export interface ShiftedPlan {
  readonly groups: readonly HeadGroup[];
  /** Heads that spread too far. */
  readonly rest: readonly number[];
  /** Bytes of the groups that reach P2, from the scores to 1/Σ. */
  readonly bytes: number;
}

interface Size {
  /** Scores and rows of one head. */
  readonly scores: number;
  readonly rows: number;
  /** Integer bits of the values that the powers weigh. */
  readonly valueBits: number;
  /** log₂ of the largest sum that rows may have whatever their scores. */
  readonly least: number;
}

const MOST_GROUPS = 4;

/** The cheapest partition of the heads into groups of like spread, and those that are in none. */
export function planShifted(heads: readonly HeadRange[], size: Size): ShiftedPlan {
  const all = heads.map((_, i) => i);
  const rest = all.filter((head) => groupOf([head], heads, size) === undefined);
  const order = all
    .filter((head) => !rest.includes(head))
    .sort((a, b) => kindOf(heads[a]) - kindOf(heads[b]) || spreadOf(heads[a]) - spreadOf(heads[b]) || a - b);
  // best[n]: the first n heads in as many groups as have been allowed so far.
  const nothing = { groups: [] as readonly HeadGroup[], bytes: 0 };
  let best: (typeof nothing | undefined)[] = [nothing, ...order.map(() => undefined)];
  for (let count = 0; count < MOST_GROUPS; count++) {
    const before = best;
    best = before.map((known, end) => {
      const options = Array.from({ length: end }, (_, start) => {
        const last = before[start] && groupOf(order.slice(start, end), heads, size);
        return last && { groups: [...before[start]!.groups, last.group], bytes: before[start]!.bytes + last.bytes };
      });
      return options.reduce((a, b) => (a === undefined || (b !== undefined && b.bytes < a.bytes) ? b : a), known);
    });
  }
  return { ...(best.at(-1) ?? nothing), rest };
}

/** Heads of one group count from the same neighbour, or from none. */
function kindOf({ neighbour }: HeadRange): number {
  return neighbour ?? Number.MAX_SAFE_INTEGER;
}

function spreadOf({ up, down }: HeadRange): number {
  return up + down;
}

function groupOf(
  members: readonly number[],
  ranges: readonly HeadRange[],
  size: Size,
): { readonly group: HeadGroup; readonly bytes: number } | undefined {
  const [{ neighbour }] = members.map((head) => ranges[head]);
  if (members.some((head) => ranges[head].neighbour !== neighbour)) {
    return undefined;
  }
  const most = (of: (range: HeadRange) => number) => Math.max(...members.map((head) => of(ranges[head])));
  const [up, down] = [most((each) => each.up), most((each) => each.down)];
  const sum = Math.max(
    // A guard's upper half is not accepted.
    size.least === 0 ? 0 : size.least + 1,
    most((each) => each.sum),
  );
  const result = POWER_FRACTION + POWER_FRACTION + Math.ceil(sum) + size.valueBits + 2;
  const forms = [2, 4, 8].flatMap((words) => {
    const usable = WINDOW - WINDOW / words - SLACK;
    const scale = Math.min(1 / LEAST_UNIT, usable / (Math.ceil(up) + down));
    const unit = 2 ** SCALE_FRACTION / Math.floor(scale * 2 ** SCALE_FRACTION);
    const dropped = droppedBits((WINDOW / words) * unit);
    const bits = words * (result + dropped) + result;
    return dropped <= MOST_DROPPED ? [{ words, unit, bits }] : [];
  });
  if (forms.length === 0 || result > MOST_RESULT) {
    return undefined;
  }
  const { words, unit, bits } = forms.reduce((a, b) => (b.bits < a.bits ? b : a));
  const heads = [...members].sort((a, b) => a - b);
  const bytes = (heads.length * (size.scores * bits + size.rows * reciprocalBits(sum))) / 8;
  return { group: { heads, up, down, sum, neighbour, words, unit }, bytes };
}

/** Bits to P2 of 1/Σ for one row: a series of seven harmonics for every factor of four. */
function reciprocalBits(sum: number): number {
  return Math.ceil((sum + 1) / 2) * 18 * (sum + RECIPROCAL_BITS + 20);
}

/** What masks do to a group's powers and sums, and what of its scores they leave out: public zeros and ones. */
interface Finish {
  readonly kept: ShareNode | undefined;
  readonly powers: (x: ShareNode) => ShareNode;
  readonly total: (x: ShareNode) => ShareNode;
}

/** The powers of a group's scores, and 1 over the rows' sums. `finish` masks powers and sums. */
export function shiftedPart(
  lowering: Lowering,
  scores: ShareNode,
  axis: number,
  group: HeadGroup,
  finish: Finish,
): UnnormalisedRows {
  const { up, sum, words, unit } = group;
  const top = Math.ceil(up);
  const ofHeads = headsOf(lowering, scores, axis, group.heads);
  const own = group.neighbour === undefined ? ofHeads : lessNeighbour(lowering, ofHeads, group.neighbour, finish.kept);
  const below = addReal(lowering, lowering.emit("negate", [own]), top / unit);
  const exponent = lowering.atFraction(lowering.bounded(below, WINDOW), EXPONENT_FRACTION);
  const width = WINDOW / words;
  guardExponents(lowering, exponent, group, finish.kept);
  const raised = exp2Negative(lowering, exponent, {
    bits: WINDOW_BITS,
    width,
    fraction: POWER_FRACTION + top,
    unit,
  });
  // 2^(top − t) is 2^score.
  const powers = lowering.emit("relabel", [raised], { fraction: POWER_FRACTION });
  const numerators = lowering.bounded(finish.powers(lowering.bounded(powers, exp2(up))), exp2(up));
  const last = shapeOf(numerators).length - 1;
  const total = lowering.bounded(finish.total(lowering.emit("sum", [numerators], { axis: last })), exp2(sum));
  guardSums(lowering, total, group, shapeOf(numerators)[last]);
  const fraction = Math.ceil(sum) + RECIPROCAL_BITS;
  const form = { exponent: -1, range: { low: 1, high: exp2(sum) }, fraction, scale: 1 };
  const reciprocal = inversePower(lowering, total, form, ROUNDS_OF_PRODUCT);
  return { numerators, bound: exp2(sum), reciprocal: reshapeTo(lowering, reciprocal, [...shapeOf(total), 1]) };
}

/** Exponents so many windows away are told from those inside. */
const FAR = 2;

/** Guards what powers are read of, in units of the window: outside of it they are other numbers. */
function guardExponents(
  lowering: Lowering,
  exponent: ShareNode,
  { up, down, words, unit }: HeadGroup,
  kept: ShareNode | undefined,
): void {
  const top = Math.ceil(up);
  guard(
    lowering,
    exponent,
    {
      lowest: 0,
      low: (top - up + SPARE_BITS) / unit,
      high: (top + down - SPARE_BITS) / unit,
      highest: WINDOW - WINDOW / words,
      reach: [(1 - FAR) * WINDOW, FAR * WINDOW],
    },
    { keep: kept },
  );
}

/** Guards the upper end of rows' sums, of which 1/Σ is right; the lower end is proved. */
function guardSums(lowering: Lowering, total: ShareNode, { up, sum }: HeadGroup, columns: number): void {
  const highest = exp2(sum);
  const most = Math.max(2 * highest, columns * exp2(Math.ceil(up)));
  guard(lowering, lowering.remasked(total), {
    lowest: Number.NEGATIVE_INFINITY,
    low: 0,
    high: highest / 2,
    highest,
    reach: [0, most],
  });
}

/**
 * Guards the lower end of sums where heads count from the first key, and an input says which keys are kept: without it
 * nothing bounds them. `first` is 1 where the first key is kept, or no key at all.
 */
export function guardFirst(lowering: Lowering, first: ShareNode): void {
  guard(lowering, first, { lowest: 0.25, low: 1, high: 1, highest: Number.POSITIVE_INFINITY, reach: [0, 2] });
}

/** What every head's queries are multiplied by, so that scores come in units of the head's window. */
export function scalesOf(heads: readonly HeadRange[], groups: readonly HeadGroup[]): readonly number[] {
  return heads.map((_, i) => 1 / (groups.find((group) => group.heads.includes(i))?.unit ?? 1));
}

/** The scores' product with each head's first key's share taken off its keys, in units of the head's window. */
export function shiftedScores(
  lowering: Lowering,
  node: TensorNode,
  heads: readonly HeadRange[],
  groups: readonly HeadGroup[],
  packing: Packing | undefined,
): ShareNode {
  const [queries, keys] = node.args;
  const own = factorOf(lowering, queries);
  const isScaled = lowering.ownerScales.has(queries);
  const scaled = isScaled ? own : perHead(lowering, own, scalesOf(heads, groups), SCALE_FRACTION);
  const fraction = lowering.precision.activation;
  const args = [scaled, lessFirst(lowering, factorOf(lowering, keys), heads)].map((x) =>
    lowering.atFraction(x, fraction),
  );
  return lowering.emit("matmul", args, { drop: 0, keep: packing?.kept ?? [] });
}

/** Bits of a factor of the scores before it is scaled, at most: a word has no place for more. */
const MOST_BITS = 48;

/** A factor of the scores before it is scaled; one of many fractional bits is opened with few, and may be widened. */
function factorOf(lowering: Lowering, node: TensorNode): ShareNode {
  const value = lowering.value(node);
  const bits = fractionOf(value) + ceilLog2(lowering.boundOf(node));
  return bits > MOST_BITS ? lowering.atFraction(value, lowering.precision.activation) : value;
}

/**
 * Scores [..., n, n] less every row's own score of a neighbour, or of the first key where that neighbour is none or is
 * not kept; local.
 */
function lessNeighbour(lowering: Lowering, scores: ShareNode, offset: number, kept: ShareNode | undefined): ShareNode {
  const x = lowering.additive(scores, Math.min(fractionOf(scores), EXPONENT_FRACTION));
  const shape = shapeOf(x);
  const [n, strides] = [shape.at(-1)!, stridesOf(shape)];
  const column = (rows: number, from: number, step: number) =>
    lowering.emit("view", [x], {
      shape: [...shape.slice(0, -2), rows, 1],
      strides: strides.with(-2, step),
      offset: from,
    });
  const first = column(n, 0, n);
  // The rows that have such a neighbour, in one diagonal, and those before or behind it.
  const [before, behind] = [Math.max(0, -offset), Math.max(0, offset)];
  const diagonal = column(n - before - behind, before * n + behind, n + 1);
  const ends = [
    ...(before === 0 ? [] : [column(before, 0, n)]),
    diagonal,
    ...(behind === 0 ? [] : [column(behind, (n - behind) * n, n)]),
  ];
  const own = ends.length === 1 ? diagonal : lowering.emit("concatenate", ends, { axis: shape.length - 2 });
  const from = kept === undefined ? own : keptOr(lowering, own, first, kept, offset);
  const spread = lowering.emit("view", [from], { shape, strides: stridesOf(shapeOf(from)).with(-1, 0), offset: 0 });
  return lowering.emit("subtract", [x, spread]);
}

/** A neighbour's score where a public mask keeps it, that of the first key elsewhere; [..., n, 1]. */
function keptOr(lowering: Lowering, own: ShareNode, first: ShareNode, kept: ShareNode, offset: number): ShareNode {
  const mask = shapeOf(kept);
  const n = mask.at(-1)!;
  const indices = Array.from({ length: n }, (_, i) => (i + offset >= 0 && i + offset < n ? i + offset : 0));
  const ofNeighbours = lowering.emit("take", [kept], { indices, shape: mask });
  const column = reshapeTo(lowering, ofNeighbours, [...mask.slice(0, -2), n, 1]);
  const change = lowering.emit("subtract", [own, first]);
  return lowering.emit("add", [first, lowering.emit("timesPublic", [change, column])]);
}

function lessFirst(lowering: Lowering, keys: ShareNode, heads: readonly HeadRange[]): ShareNode {
  if (heads.every(({ first }) => first === 0)) {
    return keys;
  }
  const shape = shapeOf(keys);
  const strides = stridesOf(shape).with(-1, 0);
  const first = lowering.emit("view", [keys], { shape, strides, offset: 0 });
  const shares = heads.map((head) => head.first / WHOLE_SHARE);
  const shift = perHead(lowering, first, shares, SHARE_FRACTION);
  const fine = lowering.emit("shiftLeft", [keys], { bits: SHARE_FRACTION });
  return lowering.emit("subtract", [fine, shift]);
}

/** A value times a number for each head, the axis before the last two. */
function perHead(lowering: Lowering, x: ShareNode, factors: readonly number[], fraction: number): ShareNode {
  const shape = factors.length === 1 ? [] : [factors.length, 1, 1];
  const value = encode({ dtype: "f64", shape, data: Float64Array.from(factors) }, fraction);
  return lowering.emit("multiplyConstant", [x], { value, fraction });
}
