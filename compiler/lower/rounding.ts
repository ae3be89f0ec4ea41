/**
 * Whole numbers of fixed-point values, exact: `rescale` gives the nearest whole number up to two, for free, and what
 * is left, a number of a few bits, is compared with every step at once (one dealing, `thresholds.ts`). Two rounds.
 */

import { fail } from "../../ir/diagnostics.js";
import { TENSOR } from "../../ir/tensor/index.js";
import { isFloat, type TensorValue } from "../../ir/tensor/value.js";
import { truth } from "./comparison.js";
import { constantOf, encode, fractionOf, type Lowering, type ShareNode, type TensorNode } from "./context.js";
import { sumAdditive } from "./digits.js";
import { addReal } from "./linear.js";
import { below } from "./thresholds.js";

/** A rescaled value and the value differ by less than this many units of its last place. */
const SLACK = 2;

/** A function that is constant between steps: `start` far below, and one more at and above every step. */
interface Staircase {
  readonly start: number;
  /** Ascending. */
  readonly steps: readonly number[];
}

/** x as whole·unit + rest, |rest| < 2·unit, for a unit of 2^exponent; whole at fraction −exponent. */
function parted(
  lowering: Lowering,
  x: ShareNode,
  bound: number,
  exponent: number,
): { whole: ShareNode; rest: ShareNode } {
  const unit = 2 ** exponent;
  const whole = lowering.bounded(lowering.atFraction(x, -exponent), bound + SLACK * unit);
  const again = lowering.atFraction(whole, fractionOf(x));
  return { whole, rest: lowering.bounded(lowering.emit("subtract", [x, again]), SLACK * unit) };
}

/** whole + stairs(rest), additive at fraction 0. */
function climbed(lowering: Lowering, whole: ShareNode, rest: ShareNode, unit: number, stairs: Staircase): ShareNode {
  const bits = below(lowering, rest, SLACK * unit, stairs.steps, fractionOf(rest));
  const reached = bits.map((bit) => truth(lowering, lowering.emit("complement", [bit])));
  return addReal(lowering, sumAdditive(lowering, [lowering.additive(whole, 0), ...reached]), stairs.start);
}

/** The largest whole number not above x, additive at fraction 0. */
function floorOf(lowering: Lowering, x: ShareNode, bound: number): ShareNode {
  const { whole, rest } = parted(lowering, x, bound, 0);
  return climbed(lowering, whole, rest, 1, { start: -SLACK, steps: [-1, 0, 1] });
}

export function lowerFloor(lowering: Lowering, node: TensorNode): ShareNode {
  const x = lowering.masked(node.args[0]);
  const bound = lowering.boundOf(node.args[0]);
  return node.op === "floor"
    ? floorOf(lowering, x, bound)
    : lowering.emit("negate", [floorOf(lowering, lowering.emit("negate", [x]), bound)]);
}

/**
 * The nearest whole number, halves to even: from the nearest even number, a step is reached at its half where it leads
 * to an even number, and one unit of the last place later where it leads to an odd one.
 */
export function lowerRound(lowering: Lowering, node: TensorNode): ShareNode {
  const x = lowering.masked(node.args[0]);
  const { whole, rest } = parted(lowering, x, lowering.boundOf(node.args[0]), 1);
  const smallest = 2 ** -fractionOf(x);
  const steps = Array.from({ length: 4 * SLACK }, (_, i) => {
    const from = i - 2 * SLACK;
    return from + 0.5 + (from % 2 === 0 ? smallest : 0);
  });
  return climbed(lowering, whole, rest, 2, { start: -2 * SLACK, steps });
}

/** Casts: to floats nothing changes, to whole numbers they cut off the fraction, to truth values they ask x ≠ 0. */
export function lowerCast(lowering: Lowering, node: TensorNode): ShareNode {
  const [argument] = node.args;
  const from = argument.type.dtype;
  const { dtype } = node.type;
  const whole = /^[iu]\d+$/;
  const constant = constantOf(argument);
  if (constant !== undefined) {
    const value = TENSOR.ops.cast.evaluate([constant], node.attributes, node.type);
    const fraction = isFloat(dtype) ? lowering.precision.activation : 0;
    return lowering.emit("constant", [], { value: encode(value, fraction), ring: 0, fraction });
  }
  if (dtype === "bool" && from !== "bool") {
    return isNotZero(lowering, argument);
  }
  return whole.test(dtype) && !whole.test(from) && from !== "bool"
    ? truncated(lowering, argument)
    : lowering.value(argument);
}

/** [x ≠ 0], a number that is 0 or 1. */
function isNotZero(lowering: Lowering, argument: TensorNode): ShareNode {
  const x = lowering.masked(argument);
  const smallest = 2 ** -fractionOf(x);
  const [negative, notPositive] = below(lowering, x, lowering.boundOf(argument), [0, smallest], fractionOf(x));
  const isZero = lowering.emit("exclusiveOr", [negative, notPositive]);
  return truth(lowering, lowering.emit("complement", [isZero]));
}

/** ⌈x⌉ below zero, ⌊x⌋ above: ⌊x⌋ + [x < 0]·[x is not whole]. */
function truncated(lowering: Lowering, argument: TensorNode): ShareNode {
  const x = lowering.masked(argument);
  const bound = lowering.boundOf(argument);
  const { whole, rest } = parted(lowering, x, bound, 0);
  const smallest = 2 ** -fractionOf(x);
  const down = climbed(lowering, whole, rest, 1, { start: -SLACK, steps: [-1, 0, 1] });
  const up = climbed(lowering, whole, rest, 1, {
    start: -SLACK + 1,
    steps: [-1 + smallest, smallest, 1 + smallest],
  });
  const [negative] = below(lowering, x, bound, [0], fractionOf(x)).map((bit) => lowering.emit("remaskBits", [bit]));
  const gap = lowering.bounded(lowering.remasked(lowering.emit("subtract", [up, down])), 1);
  return lowering.emit("add", [down, lowering.emit("timesBit", [negative, gap])]);
}

/**
 * x − y·⌊x/y⌋ for a public y: the quotient is right up to two, and what is left says how many times y is missing or
 * too much. With the sign of x (`fmod`): the remainder of |x|, negated where x is negative.
 */
export function lowerModulo(lowering: Lowering, node: TensorNode): ShareNode {
  const [argument, y] = node.args;
  const modulus = constantOf(y);
  if (modulus === undefined || modulus.data.some((each) => each === 0)) {
    throw fail({
      code: "E0402",
      what: "a remainder by a value that is secret, or zero",
      where: node.origin,
      why: "its quotient is found by a public factor",
      fix: "pass the divisor as a constant",
    });
  }
  const x = lowering.masked(argument);
  const bound = lowering.boundOf(argument);
  if (node.attributes.fmod !== true) {
    return remainder(lowering, x, bound, modulus);
  }
  const [negative] = below(lowering, x, bound, [0], fractionOf(x)).map((bit) => lowering.emit("remaskBits", [bit]));
  const flipped = (value: ShareNode, largest: number): ShareNode => {
    const twice = lowering.emit("relabel", [value], { fraction: fractionOf(value) - 1 });
    const excess = lowering.emit("timesBit", [negative, lowering.atFraction(twice, fractionOf(value))]);
    const sum = lowering.emit("subtract", [lowering.additive(value, fractionOf(value)), excess]);
    return lowering.bounded(sum, largest);
  };
  const magnitude = lowering.remasked(flipped(x, bound));
  const rest = remainder(lowering, magnitude, bound, { ...modulus, data: Float64Array.from(modulus.data, Math.abs) });
  const largest = Math.max(...Array.from(modulus.data, Math.abs));
  return flipped(lowering.remasked(lowering.bounded(rest, largest)), largest);
}

/** Bits of the public factor 1/y. */
const INVERSE_BITS = 20;

function remainder(lowering: Lowering, x: ShareNode, bound: number, modulus: TensorValue): ShareNode {
  const fraction = fractionOf(x);
  const inverse = encode({ ...modulus, data: Float64Array.from(modulus.data, (c) => 1 / c) }, INVERSE_BITS);
  const least = Math.min(...Array.from(modulus.data, Math.abs));
  const largest = Math.max(...Array.from(modulus.data, Math.abs));
  const quotient = lowering.emit("multiplyConstant", [x], { value: inverse, fraction: INVERSE_BITS });
  const whole = lowering.bounded(lowering.atFraction(quotient, 0), bound / least + SLACK);
  const times = (value: ShareNode) =>
    lowering.emit("multiplyConstant", [value], { value: encode(modulus, fraction), fraction });
  const rest = lowering.bounded(lowering.emit("subtract", [x, times(whole)]), (SLACK + 1) * largest);
  const signs = { ...modulus, data: Float64Array.from(modulus.data, Math.sign) };
  const upright = lowering.emit("multiplyConstant", [rest], { value: encode(signs, 0), fraction: 0 });
  const steps = [-1, 0, 1, 2].map((k) => {
    const beyond = { ...modulus, data: Float64Array.from(modulus.data, (c) => -k * Math.abs(c)) };
    const from = lowering.emit("addConstant", [upright], { value: encode(beyond, fraction) });
    const [bit] = below(lowering, from, (SLACK + 3) * largest, [0], fraction);
    return truth(lowering, lowering.emit("complement", [bit]));
  });
  const missing = addReal(lowering, sumAdditive(lowering, steps), -SLACK);
  return lowering.emit("subtract", [lowering.additive(rest, fraction), times(missing)]);
}
