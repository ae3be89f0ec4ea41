/**
 * The next token without its logits: argmax over a row by a tournament. In a group all pairs are compared at once; a
 * lane wins if it wins all its comparisons. Three rounds a level, or up to five for large groups: the inputs of the
 * comparisons' conjunctions, the comparisons, perhaps the winners, the winner's value and index.
 *
 * Comparisons are of one rounding of every value, so they are transitive; of equal values the first wins.
 */
import type { TensorValue } from "../../ir/tensor/value.js";
import { sizeOf } from "../../ir/tensor/value.js";
import { fractionOf, type Lowering, type ShareNode, type TensorNode } from "./context.js";
import { sumAdditive } from "./digits.js";
import { addReal } from "./linear.js";
import { reshapeTo, swapped } from "./movement.js";
import { below } from "./thresholds.js";
import { type Step, tournamentPlan, whereAll, winningBits } from "./tournament.js";

/**
 * Fractional bits at which the values of long rows (logits over a vocabulary) are compared: values that differ by less
 * may be taken for each other. Shorter rows are compared exactly.
 */
export const COMPARED_BITS = 10;
export const LONG_ROW = 1024;
/** Differences of values of which some are lanes that cannot win. */
const PADDED = 4;

interface Field {
  /** Values at the fraction that they are compared at, masked, [rows, lanes]. */
  readonly values: ShareNode;
  /** Indices at fraction 0, masked, or undefined at the first level, where a lane is its own index. */
  readonly indices: ShareNode | undefined;
  readonly rows: number;
  readonly lanes: number;
}

/** argmax and argmin along an axis; of equal values the first counts, or the last. */
export function lowerArgmax(lowering: Lowering, node: TensorNode): ShareNode {
  const [argument] = node.args;
  const axis = node.attributes.axis as number;
  const end = argument.type.shape.length - 1;
  const x = swapped(lowering, lowering.masked(argument), axis, end);
  const lanes = argument.type.shape[axis];
  const rows = sizeOf(argument.type.shape) / lanes;
  const upright = node.op === "argmin" ? lowering.emit("negate", [x]) : x;
  const last = node.attributes.last === true;
  const [shape, strides] = [
    [rows, lanes],
    [lanes, last ? -1 : 1],
  ];
  const ordered = last ? lowering.emit("view", [upright], { shape, strides, offset: lanes - 1 }) : upright;
  const index = argmaxOfRows(lowering, ordered, Math.max(1, lowering.boundOf(argument)), rows, lanes);
  const found = last ? addReal(lowering, lowering.emit("negate", [index]), lanes - 1) : index;
  const column = argument.type.shape.with(axis, argument.type.shape[end]).with(end, 1);
  return reshapeTo(lowering, swapped(lowering, reshapeTo(lowering, found, column), axis, end), node.type.shape);
}

/** The index of the first largest value of every row, [rows, 1] at fraction 0. */
function argmaxOfRows(lowering: Lowering, x: ShareNode, bound: number, rows: number, lanes: number): ShareNode {
  const rounded = lanes > LONG_ROW ? lowering.atFraction(x, COMPARED_BITS) : x;
  const values = reshapeTo(lowering, rounded, [rows, lanes]);
  let field: Field = { values: lowering.bounded(values, bound), indices: undefined, rows, lanes };
  const compared = { bound: PADDED * bound, fraction: fractionOf(values), leaves: paddedLeaves, values: 2 };
  for (const step of tournamentPlan(lowering, lanes, rows, compared).steps) {
    field = playLevel(lowering, padded(lowering, field, step.group, bound), step, bound);
  }
  return (
    field.indices ?? lowering.emit("constant", [], { value: integers([rows, 1], zeros(rows)), ring: 0, fraction: 0 })
  );
}

function zeros(count: number): number[] {
  return new Array<number>(count).fill(0);
}

function integers(shape: readonly number[], data: readonly number[]): TensorValue {
  return { dtype: "i64", shape, data: Float64Array.from(data) };
}

function paddedLeaves(lanes: number, group: number): number {
  return Math.ceil(lanes / group);
}

/** The values with lanes that cannot win up to a multiple of the group. */
function padded(lowering: Lowering, field: Field, group: number, bound: number): Field {
  const lanes = paddedLeaves(field.lanes, group) * group;
  if (lanes === field.lanes) {
    return field;
  }
  const { rows } = field;
  const indices = Array.from({ length: lanes }, (_, i) => (i < field.lanes ? i : -1));
  const shape = [rows, lanes];
  const low = -Math.round(2 * bound * 2 ** fractionOf(field.values));
  const floor = integers(
    [lanes],
    Array.from({ length: lanes }, (_, i) => (i < field.lanes ? 0 : low)),
  );
  const taken = lowering.emit("take", [field.values], { indices, shape });
  const values = lowering.bounded(lowering.emit("addConstant", [taken], { value: floor }), 2 * bound);
  const moved = field.indices === undefined ? undefined : lowering.emit("take", [field.indices], { indices, shape });
  return { values, indices: moved, rows, lanes };
}

function playLevel(lowering: Lowering, field: Field, { group, isJoined }: Step, bound: number): Field {
  const { rows } = field;
  const groups = field.lanes / group;
  const lane = (x: ShareNode, i: number) =>
    lowering.emit("view", [x], { shape: [rows, groups], strides: [field.lanes, group], offset: i });
  const values = Array.from({ length: group }, (_, i) => lane(field.values, i));
  const winners = winnersOf(lowering, values, { bound, shape: [rows, groups], isJoined });
  const value = sumAdditive(
    lowering,
    winners.map((winner, i) => whereAll(lowering, winner, values[i])),
  );
  const index = sumAdditive(
    lowering,
    winners.map((winner, i) => indexTerm(lowering, winner, { ...field, group }, i, lane)),
  );
  const masked = lowering.remasked(lowering.bounded(value, 2 * bound));
  const indices = groups === 1 ? index : lowering.remasked(lowering.bounded(index, 2 ** 20));
  return { values: masked, indices, rows, lanes: groups };
}

/** winner · index of its lane: a public factor at the first level, a product later. */
function indexTerm(
  lowering: Lowering,
  winner: readonly ShareNode[],
  { indices, rows, lanes, group }: Field & { readonly group: number },
  i: number,
  lane: (x: ShareNode, i: number) => ShareNode,
): ShareNode {
  if (indices !== undefined) {
    return whereAll(lowering, winner, lane(indices, i));
  }
  const one = lowering.emit("toArithmetic", winner, { ring: 0, fraction: 0 });
  const groups = lanes / group;
  const own = Array.from({ length: rows * groups }, (_, k) => (k % groups) * group + i);
  return lowering.emit("multiplyConstant", [one], { value: integers([rows, groups], own), fraction: 0 });
}

interface Level {
  readonly bound: number;
  readonly shape: readonly [rows: number, groups: number];
  readonly isJoined: boolean;
}

/**
 * Masked bits for each lane of a group, all of which are set where it holds the group's (first) largest value. Two
 * rounds to four.
 */
function winnersOf(
  lowering: Lowering,
  values: readonly ShareNode[],
  { bound, shape, isJoined }: Level,
): readonly (readonly ShareNode[])[] {
  const lanes = values.map((_, i) => i);
  const pairs = lanes.flatMap((i) => lanes.slice(i + 1).map((j) => [i, j] as const));
  const differences = pairs.map(([i, j]) => lowering.emit("subtract", [values[i], values[j]]));
  const all = lowering.emit("concatenate", differences, { axis: 1 });
  const smaller = lowering.emit("remaskBits", below(lowering, all, PADDED * bound, [0], fractionOf(all)));
  const groups = shape[1];
  const part = (x: ShareNode, k: number, parts: number) =>
    lowering.emit("view", [x], { shape, strides: [parts * groups, 1], offset: k * groups });
  const beaten = pairs.map((_, k) => part(smaller, k, pairs.length));
  const won = lanes.map((lane) =>
    pairs.flatMap(([i, j], k) =>
      i === lane ? [lowering.emit("complement", [beaten[k]])] : j === lane ? [beaten[k]] : [],
    ),
  );
  const open = (wins: readonly ShareNode[]) => {
    const opened = lowering.emit("remaskBits", [lowering.emit("concatenate", wins, { axis: 1 })]);
    return wins.map((_, k) => part(opened, k, wins.length));
  };
  return winningBits(lowering, won, isJoined, open);
}
