/**
 * The k largest (or smallest) elements of rows, in order: every pair is compared once, all at the same time; the number
 * of elements that come before one is its place; and the element whose place is j is found by one look-up. The rounds
 * do not grow with the rows' length, the bytes with its square: for rows of experts or classes, not of a vocabulary.
 */

import { fail } from "../../ir/diagnostics.js";
import { ceilLog2 } from "../../ir/real.js";
import { sizeOf } from "../../ir/tensor/value.js";
import { truth } from "./comparison.js";
import { fractionOf, type Lowering, type ShareNode, type TensorNode } from "./context.js";
import { reshapeTo, swapped } from "./movement.js";
import { below } from "./thresholds.js";

const LONGEST_ROW = 512;

/** topValues and topIndices. */
export function lowerTop(lowering: Lowering, node: TensorNode): ShareNode {
  const [argument] = node.args;
  const { axis, count, largest } = node.attributes as { axis: number; count: number; largest: boolean };
  const shape = argument.type.shape;
  const length = shape[axis];
  if (length > LONGEST_ROW) {
    throw fail({
      code: "E0402",
      what: `the ${count} largest of ${length} secret elements`,
      where: node.origin,
      why: `every pair of a row is compared: rows of at most ${LONGEST_ROW} elements`,
      fix: "reveal the values and choose outside the protocol, or take the largest one only (argmax)",
    });
  }
  const end = shape.length - 1;
  const rows = sizeOf(shape) / length;
  const moved = swapped(lowering, lowering.masked(argument), axis, end);
  const x = reshapeTo(lowering, moved, [rows, length]);
  const bound = lowering.boundOf(argument);
  const places = placesOf(lowering, largest ? x : lowering.emit("negate", [x]), bound, rows, length);
  const chosen = atPlaces(lowering, places, count);
  const result =
    node.op === "topIndices" ? indicesOf(lowering, chosen, length) : valuesOf(lowering, chosen, x, rows, length);
  const column = shape.with(axis, shape[end]).with(end, count);
  return reshapeTo(lowering, swapped(lowering, reshapeTo(lowering, result, column), axis, end), node.type.shape);
}

/** For each element how many come before it, [rows, n] masked at fraction 0: of equal ones the first comes first. */
function placesOf(lowering: Lowering, x: ShareNode, bound: number, rows: number, n: number): ShareNode {
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

function indicesOf(lowering: Lowering, chosen: ShareNode, n: number): ShareNode {
  const one = lowering.emit("toArithmetic", [chosen], { ring: 0, fraction: 0 });
  const value = { dtype: "i64", shape: [n], data: Float64Array.from({ length: n }, (_, i) => i) } as const;
  return lowering.emit("sum", [lowering.emit("multiplyConstant", [one], { value, fraction: 0 })], { axis: 2 });
}

function valuesOf(lowering: Lowering, chosen: ShareNode, x: ShareNode, rows: number, n: number): ShareNode {
  const all = reshapeTo(lowering, x, [rows, 1, n]);
  return lowering.emit("sum", [lowering.emit("timesBit", [chosen, all])], { axis: 2 });
}
