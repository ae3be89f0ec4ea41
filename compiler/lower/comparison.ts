/**
 * Comparisons of secret values and what selects by them. A comparison is exact on the fixed-point values; its result is
 * the number 0 or 1, and the masked bit that it is made of is remembered, so that `select` and `and` need no product.
 */
import { fail } from "../../ir/diagnostics.js";
import { stridesOf } from "../../ir/shape.js";
import { isFloat, sizeOf } from "../../ir/tensor/value.js";
import { fractionOf, type Lowering, type ShareNode, shapeOf, type TensorNode } from "./context.js";
import { addReal } from "./linear.js";
import { broadcastTo, reshapeTo } from "./movement.js";
import { atLeastZero, below } from "./thresholds.js";
import { type Compared, tournamentPlan, whereAll, winningBits, withRest } from "./tournament.js";

/** Values that fixed point cannot hold: usually a mask of −10⁴⁰ that no pass recognised. */
const LARGEST_VALUE = 2 ** 24;

function refuseUnbounded(lowering: Lowering, values: readonly TensorNode[], node: TensorNode): void {
  for (const argument of values) {
    if (!(lowering.boundOf(argument) < LARGEST_VALUE)) {
      throw fail({
        code: "E0404",
        what: `${node.op} with a value that has no useful bound`,
        where: node.origin,
        why: "a huge constant, as masks use, does not fit fixed point",
        fix: "declare the mask --public, or export the model with a finite mask such as -100",
      });
    }
  }
}

function sameFraction(lowering: Lowering, x: TensorNode, y: TensorNode, node: TensorNode): [ShareNode, ShareNode] {
  refuseUnbounded(lowering, [x, y], node);
  // Whole numbers keep the fraction that they have: rescaling one to fraction 0 could make it another.
  const whole = !isFloat(x.type.dtype) && !isFloat(y.type.dtype);
  const fractions = [x, y].map((argument) => lowering.fractionOf(argument) ?? 0);
  const fraction = whole ? Math.max(0, ...fractions) : lowering.precision.activation;
  return [lowering.masked(x, fraction), lowering.masked(y, fraction)];
}

/** x − y with its bound; masked. */
function difference(lowering: Lowering, node: TensorNode, x: TensorNode, y: TensorNode): Difference {
  const [a, b] = sameFraction(lowering, x, y, node);
  const bound = lowering.boundOf(x) + lowering.boundOf(y);
  return { a, b, value: lowering.bounded(lowering.emit("subtract", [a, b]), bound), bound };
}

interface Difference {
  readonly a: ShareNode;
  readonly b: ShareNode;
  readonly value: ShareNode;
  readonly bound: number;
}

/** The number 0 or 1 of a bit, remembered with its masked bit. */
export function truth(lowering: Lowering, bits: ShareNode): ShareNode {
  const masked = bits.type.kind === "maskedBits" ? bits : lowering.emit("remaskBits", [bits]);
  const value = lowering.emit("toArithmetic", [masked], { ring: 0, fraction: 0 });
  lowering.truths.set(value, masked);
  return value;
}

/** max(x, y) = y + [x ≥ y]·(x − y); min(x, y) = x − [x ≥ y]·(x − y). */
export function lowerMaximum(lowering: Lowering, node: TensorNode): ShareNode {
  const { a, b, value, bound } = difference(lowering, node, node.args[0], node.args[1]);
  const excess = lowering.emit("timesBit", [atLeastZero(lowering, value, bound, fractionOf(value)), value]);
  const fraction = fractionOf(value);
  return node.op === "maximum"
    ? lowering.emit("add", [excess, lowering.additive(b, fraction)])
    : lowering.emit("subtract", [lowering.additive(a, fraction), excess]);
}

/** low + relu(x − low) − relu(x − high): both borders from one dealing; a border may be infinite. */
export function lowerClamp(lowering: Lowering, node: TensorNode): ShareNode {
  const [argument] = node.args;
  const x = lowering.masked(argument);
  const fraction = fractionOf(x);
  const bound = lowering.boundOf(argument);
  const { low, high } = node.attributes as { low: number; high: number };
  const hasLow = low > -bound;
  const hasHigh = high < bound;
  const borders = [...(hasLow ? [low] : []), ...(hasHigh ? [high] : [])];
  if (borders.length === 0) {
    return x;
  }
  const beyond = below(lowering, x, bound, borders, fraction).map((bit, i) => {
    const reached = lowering.emit("remaskBits", [lowering.emit("complement", [bit])]);
    return lowering.emit("timesBit", [reached, addReal(lowering, x, -borders[i])]);
  });
  const start = hasLow ? addReal(lowering, beyond[0], low) : lowering.additive(x, fraction);
  return hasHigh ? lowering.emit("subtract", [start, beyond.at(-1)!]) : start;
}

/** Fractional bits at which a value is compared with the border of what no longer matters. */
const COARSE_BITS = 2;

/** max(x, low) for a public low far from the values that matter, so that the comparison is a coarse one; masked. */
export function atLeast(lowering: Lowering, x: ShareNode, bound: number, low: number): ShareNode {
  const above = lowering.bounded(addReal(lowering, x, -low), bound + Math.abs(low));
  const reached = atLeastZero(lowering, above, bound + Math.abs(low), COARSE_BITS);
  const kept = addReal(lowering, lowering.emit("timesBit", [reached, above]), low);
  return lowering.atFraction(lowering.bounded(kept, bound), fractionOf(x));
}

/** sign x = 1 − [x < 0] − [x < smallest]: both from one dealing. */
export function lowerSign(lowering: Lowering, node: TensorNode): ShareNode {
  const x = lowering.masked(node.args[0]);
  const smallest = 2 ** -fractionOf(x);
  const bits = below(lowering, x, lowering.boundOf(node.args[0]), [0, smallest], fractionOf(x));
  const [negative, notPositive] = bits.map((bit) => truth(lowering, bit));
  return addReal(lowering, lowering.emit("negate", [lowering.emit("add", [negative, notPositive])]), 1);
}

/** x < y, ≤, >, ≥, = of two values as fixed point holds them; 0 or 1. */
export function lowerComparison(lowering: Lowering, node: TensorNode): ShareNode {
  const [x, y] = node.args;
  const { value, bound } = difference(lowering, node, x, y);
  const smallest = 2 ** -fractionOf(value);
  const at = (...thresholds: number[]) => below(lowering, value, bound, thresholds, fractionOf(value));
  const not = (bit: ShareNode) => lowering.emit("complement", [bit]);
  switch (node.op) {
    case "less":
      return truth(lowering, at(0)[0]);
    case "greaterOrEqual":
      return truth(lowering, not(at(0)[0]));
    case "lessOrEqual":
      return truth(lowering, at(smallest)[0]);
    case "greater":
      return truth(lowering, not(at(smallest)[0]));
    default: {
      const [negative, notPositive] = at(0, smallest);
      return truth(lowering, lowering.emit("exclusiveOr", [negative, notPositive]));
    }
  }
}

function sameShape(x: ShareNode, y: ShareNode): boolean {
  return shapeOf(x).length === shapeOf(y).length && shapeOf(x).every((n, i) => n === shapeOf(y)[i]);
}

/** and, or, xor of values that are 0 or 1: of bits where they are at hand, else x·y, x + y − x·y, x + y − 2x·y. */
export function lowerBoolean(lowering: Lowering, node: TensorNode): ShareNode {
  const values = node.args.map((argument) => lowering.value(argument, 0));
  const bits = values.map((value) => lowering.truths.get(value));
  if (bits[0] !== undefined && bits[1] !== undefined && sameShape(bits[0], bits[1])) {
    return truth(lowering, ofBits(lowering, node.op, bits[0], bits[1]));
  }
  // Never rescaled: an ulp of a 0 or 1 at fraction 0 is all of it.
  const product = lowering.bounded(
    lowering.emit(
      "multiply",
      values.map((value) => lowering.remasked(value)),
      { drop: 0 },
    ),
    1,
  );
  if (node.op === "and") {
    return product;
  }
  const [x, y] = values.map((value) => lowering.additive(value, fractionOf(product)));
  const once = lowering.emit("subtract", [lowering.emit("add", [x, y]), product]);
  return node.op === "or" ? once : lowering.emit("subtract", [once, product]);
}

function ofBits(lowering: Lowering, op: string, x: ShareNode, y: ShareNode): ShareNode {
  const not = (bit: ShareNode) => lowering.emit("complement", [bit]);
  if (op === "xor") {
    return lowering.emit("exclusiveOr", [x, y]);
  }
  return op === "and" ? lowering.emit("conjunction", [x, y]) : not(lowering.emit("conjunction", [not(x), not(y)]));
}

export function lowerNot(lowering: Lowering, node: TensorNode): ShareNode {
  const value = lowering.value(node.args[0], 0);
  const bit = lowering.truths.get(value);
  return bit === undefined
    ? addReal(lowering, lowering.emit("negate", [value]), 1)
    : truth(lowering, lowering.emit("complement", [bit]));
}

/** isNaN and isInfinite: a number in fixed point is neither. */
export function lowerNever(lowering: Lowering, node: TensorNode): ShareNode {
  const value = { dtype: "i64", shape: [], data: Float64Array.of(0) } as const;
  const zero = lowering.emit("constant", [], { value, ring: 0, fraction: 0 });
  return broadcastTo(lowering, zero, node.type.shape);
}

/** condition ? x : y = y + condition·(x − y). */
export function lowerSelect(lowering: Lowering, node: TensorNode): ShareNode {
  const [conditionNode, x, y] = node.args;
  if (lowering.isOpen(conditionNode) && conditionNode.op !== "constant") {
    return selectOpenly(lowering, conditionNode, x, y, node);
  }
  const condition = lowering.value(conditionNode, 0);
  const { b, value, bound } = difference(lowering, node, x, y);
  const bit = lowering.truths.get(condition);
  const chosen =
    bit === undefined
      ? lowering.emit("multiply", [lowering.remasked(condition), value], { drop: 0 })
      : lowering.emit("timesBit", [bit, value]);
  return lowering.emit("add", [lowering.bounded(chosen, bound), lowering.additive(b, fractionOf(chosen))]);
}

/** A choice that P1 and P2 know is local: what asks a public mask whether a row sees anything costs no round. */
function selectOpenly(
  lowering: Lowering,
  condition: TensorNode,
  x: TensorNode,
  y: TensorNode,
  node: TensorNode,
): ShareNode {
  refuseUnbounded(lowering, [x, y], node);
  const least = isFloat(node.type.dtype) ? lowering.precision.activation : 0;
  const fraction = Math.max(least, ...[x, y].map((each) => lowering.fractionOf(each) ?? 0));
  const [a, b] = [x, y].map((each) => lowering.additive(lowering.value(each, fraction), fraction));
  const whole = broadcastTo(lowering, lowering.emit("subtract", [a, b]), node.type.shape);
  const kept = lowering.emit("timesPublic", [whole, lowering.value(condition, 0)]);
  return lowering.emit("add", [kept, b]);
}

/** What a tournament of values within ±bound compares: their differences. */
export function comparedScores(bound: number, fraction: number): Compared {
  return { bound: 2 * bound, fraction, leaves: withRest, values: 1 };
}

/** [..., n] → [...], masked: the exact maximum of the last axis. Three rounds a step of pairs, four or five of more. */
export function tournament(lowering: Lowering, x: ShareNode, bound: number): ShareNode {
  let current = x;
  const rows = sizeOf(shapeOf(x).slice(0, -1));
  const { steps } = tournamentPlan(lowering, shapeOf(x).at(-1)!, rows, comparedScores(bound, fractionOf(x)));
  for (const { group, isJoined } of steps) {
    const n = shapeOf(current).at(-1)!;
    const size = Math.floor(n / group);
    const parts = Array.from({ length: group }, (_, i) => part(lowering, current, i * size, size));
    const winners = lowering.atFraction(
      lowering.bounded(winner(lowering, parts, bound, isJoined), bound),
      fractionOf(x),
    );
    current =
      n === group * size
        ? winners
        : lowering.emit("concatenate", [winners, part(lowering, current, group * size, n - group * size)], {
            axis: shapeOf(current).length - 1,
          });
    lowering.bounded(current, bound);
  }
  return reshapeTo(lowering, current, shapeOf(x).slice(0, -1));
}

/** Elements [start, start + size) of the last axis. */
function part(lowering: Lowering, x: ShareNode, start: number, size: number): ShareNode {
  const shape = [...shapeOf(x).slice(0, -1), size];
  return lowering.emit("view", [x], { shape, strides: stridesOf(shapeOf(x)), offset: start });
}

/** The largest of some values, element by element: each that beats all others, times itself. Additive. */
function winner(lowering: Lowering, parts: readonly ShareNode[], bound: number, isJoined: boolean): ShareNode {
  const last = parts.length - 1;
  const fraction = fractionOf(parts[0]);
  const minus = (i: number, j: number) => lowering.emit("subtract", [parts[i], parts[j]]);
  const beats = parts.map((_, i) =>
    parts.map((_, j) => (j > i ? atLeastZero(lowering, minus(i, j), 2 * bound, fraction) : undefined)),
  );
  const wins = (i: number, j: number) => beats[i][j] ?? lowering.emit("complement", [beats[j][i]!]);
  const won = parts.slice(0, last).map((_, i) => parts.flatMap((_, j) => (j === i ? [] : [wins(i, j)])));
  const open = (all: readonly ShareNode[]) => all.map((bits) => lowering.emit("remaskBits", [bits]));
  return winningBits(lowering, won, isJoined, open).reduce(
    (sum, bits, i) => lowering.emit("add", [sum, whereAll(lowering, bits, minus(i, last))]),
    lowering.additive(parts[last], fraction),
  );
}

/** Maximum or minimum over axes: they go last, become one, and a tournament decides. */
export function lowerReduceMaximum(lowering: Lowering, node: TensorNode): ShareNode {
  const x = lowering.masked(node.args[0]);
  const axes = node.attributes.axes as readonly number[];
  const shape = shapeOf(x);
  if (shape.includes(0)) {
    throw fail({
      code: "E0402",
      what: `${node.op} of no elements`,
      where: node.origin,
      why: "it is infinite, which fixed point does not hold",
      fix: "give the model inputs without an empty axis",
    });
  }
  const kept = shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
  const strides = stridesOf(shape);
  const order = [...kept, ...axes];
  const moved = lowering.emit("view", [x], {
    shape: order.map((axis) => shape[axis]),
    strides: order.map((axis) => strides[axis]),
    offset: 0,
  });
  const rows = reshapeTo(lowering, moved, [
    ...kept.map((axis) => shape[axis]),
    axes.reduce((product, axis) => product * shape[axis], 1),
  ]);
  const bound = lowering.boundOf(node.args[0]);
  const minimum = node.op === "reduceMinimum";
  const found = tournament(lowering, minimum ? lowering.emit("negate", [rows]) : rows, bound);
  return reshapeTo(lowering, minimum ? lowering.emit("negate", [found]) : found, node.type.shape);
}
