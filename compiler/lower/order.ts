/**
 * The k largest (or smallest) elements of rows, in order: every pair is compared once, all at the same time; the number
 * of elements that come before one is its place; and the element whose place is j is found by one look-up. A long row
 * is cut into groups, of which the k largest of each go on: the network that the plan is for decides how large groups
 * are, as in a tournament, whose rounding of long rows this shares.
 */

import { fail } from "../../ir/diagnostics.js";
import { ceilLog2 } from "../../ir/real.js";
import { sizeOf, type TensorValue } from "../../ir/tensor/value.js";
import { truth } from "./comparison.js";
import { fractionOf, type Lowering, type Ranked, type Row, type ShareNode, type TensorNode } from "./context.js";
import { reshapeTo, swapped } from "./movement.js";
import { COMPARED_BITS, LONG_ROW } from "./sampling.js";
import { below, comparisonBits } from "./thresholds.js";

/** The longest row of which all pairs are compared at once. */
const LONGEST_GROUP = 512;
/** The longest group of a row that is cut. */
const LARGEST_GROUP = 64;
/** So many of a group go on at most: a level halves a row at least. */
const MOST_OF_GROUP = LARGEST_GROUP / 2;
/** Rounds of a group: comparisons, their truth, places, look-ups, and what goes on to the next. */
const GROUP_ROUNDS = 5;
/** Indices of any row. */
const LARGEST_INDEX = 2 ** 20;

/** topValues and topIndices; both of the same elements share their comparisons. */
export function lowerTop(lowering: Lowering, node: TensorNode): ShareNode {
  const [argument] = node.args;
  const { axis, count, largest } = node.attributes as { axis: number; count: number; largest: boolean };
  const shape = argument.type.shape;
  const end = shape.length - 1;
  const known = lowering.ranked.get(argument) ?? new Map<string, Ranked>();
  const key = `${axis} ${count} ${largest}`;
  const ranked = known.get(key) ?? rankedRows(lowering, argument, { axis, count, largest });
  lowering.ranked.set(argument, known.set(key, ranked));
  const found = node.op === "topIndices" ? indicesOf(lowering, ranked) : valuesOf(lowering, ranked);
  const result = node.op === "topIndices" || largest ? found : lowering.emit("negate", [found]);
  const column = shape.with(axis, shape[end]).with(end, count);
  return reshapeTo(lowering, swapped(lowering, reshapeTo(lowering, result, column), axis, end), node.type.shape);
}

function rankedRows(
  lowering: Lowering,
  argument: TensorNode,
  { axis, count, largest }: { axis: number; count: number; largest: boolean },
): Ranked {
  const shape = argument.type.shape;
  const length = shape[axis];
  const rows = sizeOf(shape) / length;
  const moved = swapped(lowering, lowering.masked(argument), axis, shape.length - 1);
  const rounded = length > LONG_ROW ? lowering.atFraction(moved, COMPARED_BITS) : moved;
  const bound = lowering.boundOf(argument);
  const x = reshapeTo(lowering, largest ? rounded : lowering.emit("negate", [rounded]), [rows, length]);
  let row: Row = { values: lowering.bounded(x, bound), indices: undefined, bound };
  checkCount(argument, count, length);
  for (const group of groupsOf(lowering, length, { rows, count, bound: 4 * bound, fraction: fractionOf(x) })) {
    row = firstOfGroups(lowering, row, group, count, bound);
  }
  return ranked(lowering, row, count);
}

function checkCount({ origin }: TensorNode, count: number, length: number): void {
  if (length > LONGEST_GROUP && count > MOST_OF_GROUP) {
    throw fail({
      code: "E0402",
      what: `the ${count} largest of ${length} secret elements`,
      where: origin,
      why: `of a row of more than ${LONGEST_GROUP} elements at most ${MOST_OF_GROUP} are found`,
      fix: "ask for fewer, or reveal the values and choose outside the protocol",
    });
  }
}

function ranked(lowering: Lowering, row: Row, count: number): Ranked {
  return { ...row, chosen: atPlaces(lowering, placesOf(lowering, row.values, row.bound), count) };
}

/** The lengths of the groups that rows are cut into, one level after the other; what is left is ranked as it is. */
function groupsOf(
  lowering: Lowering,
  length: number,
  { rows, count, ...compared }: { rows: number; count: number; bound: number; fraction: number },
): readonly number[] {
  type Levels = { readonly seconds: number; readonly groups: readonly number[] };
  const seconds = (n: number, group: number) =>
    lowering.seconds(GROUP_ROUNDS, rows * Math.ceil(n / group) * groupBytes(group, count, compared));
  const known = new Map<number, Levels>();
  const best = (n: number): Levels => {
    const done = known.get(n);
    if (done !== undefined) {
      return done;
    }
    const sizes = Array.from({ length: LARGEST_GROUP }, (_, i) => i + 1).filter(
      (each) => each < n && Math.ceil(n / each) * count < n,
    );
    const cut = sizes.map((group): Levels => {
      const rest = best(Math.ceil(n / group) * count);
      return { seconds: seconds(n, group) + rest.seconds, groups: [group, ...rest.groups] };
    });
    const whole: readonly Levels[] = n <= LONGEST_GROUP ? [{ seconds: seconds(n, n), groups: [] }] : [];
    const least = [...whole, ...cut].reduce((a, b) => (b.seconds < a.seconds ? b : a));
    known.set(n, least);
    return least;
  };
  return best(length).groups;
}

/** Bytes to P2 of one group: its comparisons, its places, the look-ups, and values and indices times them. */
function groupBytes(group: number, count: number, { bound, fraction }: { bound: number; fraction: number }): number {
  const pairs = (group * (group - 1)) / 2;
  const place = ceilLog2(group) + 1;
  const ring = fraction + ceilLog2(Math.max(bound, 1)) + 2;
  const chosen = count * group * (2 + 2 * ring);
  return (pairs * (comparisonBits(bound, fraction) + place) + group * 2 ** place + chosen) / 8;
}

/** The first `count` elements of every group of a row, in a row that is shorter. */
function firstOfGroups(lowering: Lowering, row: Row, group: number, count: number, bound: number): Row {
  const [rows, lanes] = row.values.type.shape;
  const { values, indices } = padded(lowering, row, group, bound);
  const groups = Math.ceil(lanes / group);
  const shape = [rows * groups, group];
  const cut: Row = {
    values: lowering.bounded(reshapeTo(lowering, values, shape), 2 * bound),
    indices: indices && reshapeTo(lowering, indices, shape),
    bound: 2 * bound,
  };
  const first = ranked(lowering, cut, count);
  const found = indicesOf(lowering, first);
  const starts = Array.from({ length: rows * groups * count }, (_, i) => (Math.floor(i / count) % groups) * group);
  const value = integers([rows * groups, count], starts);
  const placed = indices === undefined ? lowering.emit("addConstant", [found], { value }) : found;
  const gone = (each: ShareNode, most: number): ShareNode =>
    lowering.bounded(
      reshapeTo(lowering, lowering.remasked(lowering.bounded(each, most)), [rows, groups * count]),
      most,
    );
  return { values: gone(valuesOf(lowering, first), 2 * bound), indices: gone(placed, LARGEST_INDEX), bound: 2 * bound };
}

/** The row with elements behind it that come last, up to a multiple of the group. */
function padded(lowering: Lowering, row: Row, group: number, bound: number): Row {
  const [rows, lanes] = row.values.type.shape;
  const length = Math.ceil(lanes / group) * group;
  if (length === lanes) {
    return row;
  }
  const indices = Array.from({ length }, (_, i) => (i < lanes ? i : -1));
  const low = -Math.round(2 * bound * 2 ** fractionOf(row.values));
  const floor = integers(
    [length],
    indices.map((i) => (i < 0 ? low : 0)),
  );
  const attributes = { indices, shape: [rows, length] };
  const values = lowering.emit("addConstant", [lowering.emit("take", [row.values], attributes)], { value: floor });
  const moved = row.indices && lowering.emit("take", [row.indices], attributes);
  return { values: lowering.bounded(values, 2 * bound), indices: moved, bound: 2 * bound };
}

function integers(shape: readonly number[], data: readonly number[]): TensorValue {
  return { dtype: "i64", shape, data: Float64Array.from(data) };
}

/** For each element how many come before it, [rows, n] masked at fraction 0: of equal ones the first comes first. */
function placesOf(lowering: Lowering, x: ShareNode, bound: number): ShareNode {
  const [rows, n] = x.type.shape;
  const pairs = Array.from({ length: n }, (_, i) => Array.from({ length: n - 1 - i }, (_, k) => [i, i + 1 + k])).flat();
  const side = (which: number) =>
    lowering.emit("take", [x], {
      indices: pairs.map((pair) => pair[which]),
      shape: [rows, pairs.length],
    });
  const difference = lowering.bounded(lowering.emit("subtract", [side(0), side(1)]), 2 * bound);
  const [less] = below(lowering, difference, 2 * bound, [0], fractionOf(x));
  // [x_i < x_j] for i < j: then j comes before i, and otherwise i before j.
  const later = truth(lowering, less);
  const taken = (of: readonly number[]) => lowering.emit("take", [later], { indices: of, shape: [rows, n, n - 1] });
  const first: number[] = [];
  const second: number[] = [];
  const at = new Map(pairs.map(([i, j], k) => [i * n + j, k] as const));
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      if (i !== j) {
        first.push(i < j ? at.get(i * n + j)! : -1);
        second.push(i > j ? at.get(j * n + i)! : -1);
      }
    }
  }
  const own = lowering.emit("subtract", [taken(first), taken(second)]);
  const sum = lowering.emit("sum", [own], { axis: 2 });
  const before = Array.from({ length: n }, (_, i) => i);
  const value = { dtype: "i64", shape: [n], data: Float64Array.from(before) } as const;
  return lowering.remasked(lowering.bounded(lowering.emit("addConstant", [sum], { value }), n));
}

/** Masked bits [rows, count, n]: whether an element has place j. */
function atPlaces(lowering: Lowering, places: ShareNode, count: number): ShareNode {
  const [rows, n] = places.type.shape;
  const width = Math.max(1, ceilLog2(n));
  const value = lowering.emit("reduce", [places], { ring: width });
  const hot = lowering.emit("digits", [value], { at: 0, width });
  const bits = Array.from({ length: count }, (_, difference) =>
    lowering.emit("reshape", [lowering.emit("equals", [hot, value], { at: 0, offset: 0, difference })], {
      shape: [rows, 1, n],
    }),
  );
  return lowering.emit("remaskBits", [lowering.emit("concatenate", bits, { axis: 1 })]);
}

/** The widest digit that is dealt as a one-hot vector: 2^13 bits for each index. */
const WIDEST_INDEX = 13;

/** oneHot of secret whole numbers: one digit with a look-up for every place; all 0 for numbers outside. */
export function lowerOneHot(lowering: Lowering, node: TensorNode): ShareNode {
  const [argument] = node.args;
  const depth = node.attributes.depth as number;
  const width = ceilLog2(Math.max(lowering.boundOf(argument) + 1, depth)) + 1;
  if (width > WIDEST_INDEX) {
    throw fail({
      code: "E0402",
      what: `a one-hot vector of ${depth} places of a secret index up to ${lowering.boundOf(argument)}`,
      where: node.origin,
      why: `an index of ${width} bits needs a table of 2^${width} bits`,
      fix: "give the index as an input of the data owner, who makes the vector in the clear",
    });
  }
  const x = lowering.masked(argument, 0);
  const value = lowering.emit("reduce", [x], { ring: width });
  const hot = lowering.emit("digits", [value], { at: 0, width });
  const shape = [...argument.type.shape, 1];
  const bits = Array.from({ length: depth }, (_, difference) =>
    lowering.emit("reshape", [lowering.emit("equals", [hot, value], { at: 0, offset: 0, difference })], { shape }),
  );
  return truth(lowering, lowering.emit("concatenate", bits, { axis: shape.length - 1 }));
}

/** Where the elements at the first places stand, [rows, count] at fraction 0: additive. */
function indicesOf(lowering: Lowering, { chosen, indices }: Ranked): ShareNode {
  const [rows, , n] = chosen.type.shape;
  if (indices !== undefined) {
    const all = reshapeTo(lowering, indices, [rows, 1, n]);
    return lowering.emit("sum", [lowering.emit("timesBit", [chosen, all])], { axis: 2 });
  }
  const one = lowering.emit("toArithmetic", [chosen], { ring: 0, fraction: 0 });
  const value = integers(
    [n],
    Array.from({ length: n }, (_, i) => i),
  );
  return lowering.emit("sum", [lowering.emit("multiplyConstant", [one], { value, fraction: 0 })], { axis: 2 });
}

function valuesOf(lowering: Lowering, { chosen, values }: Ranked): ShareNode {
  const [rows, , n] = chosen.type.shape;
  const all = reshapeTo(lowering, values, [rows, 1, n]);
  return lowering.emit("sum", [lowering.emit("timesBit", [chosen, all])], { axis: 2 });
}
