/**
 * PUMA's softmax (arXiv 2307.12533, section 4.4, Algorithm 2): x̂ = x − max, exactly; e^x̂ is 0 below −14 and
 * (1 + x̂/2⁵)^(2⁵) above; one reciprocal a row, one product an element. The clipped elements become 0 *before* the sum:
 * the paper masks after it, where (1 + x̂/32)^32 of a large |x̂| has already spoilt the sum.
 */

import { exp, pow } from "../../../ir/real.js";
import { tournament } from "../comparison.js";
import { constantOf, encode, fractionOf, type Lowering, type ShareNode, shapeOf, type TensorNode } from "../context.js";
import { addReal } from "../linear.js";
import { reshapeTo } from "../movement.js";
import { power } from "../power.js";
import { sumOfRows } from "../rows.js";
import { idleRowsOf, withIdleRows, withShares } from "../softmax.js";
import { below } from "../thresholds.js";

const CLIP = -14;
/** (1 + x/2^SQUARINGS)^(2^SQUARINGS). */
const SQUARINGS = 5;
/** Fractional bits of the squared value: every squaring doubles its relative error. */
const SQUARE_FRACTION = 18;
const RECIPROCAL_FRACTION = 18;

/** softmax(x, keep?, idle?, even?) over the last axis, additive. */
export function lowerPumaSoftmax(lowering: Lowering, node: TensorNode): ShareNode {
  const [argument, keepNode] = node.args;
  const { idleNode, evenNode } = idleRowsOf(node);
  const bound = lowering.boundOf(argument);
  const x = keepNode === undefined ? lowering.masked(argument) : lowered(lowering, argument, keepNode, bound);
  const shape = shapeOf(x);
  const column = [...shape.slice(0, -1), 1];
  const maximum = reshapeTo(lowering, tournament(lowering, x, bound), column);
  const distance = lowering.bounded(lowering.emit("subtract", [x, maximum]), 2 * bound);
  const power = negativeExponential(lowering, distance, 2 * bound);
  const kept = keepNode === undefined ? power : timesKeep(lowering, power, keepNode);
  const own = lowering.atFraction(lowering.bounded(kept, 1.01), SQUARE_FRACTION);
  const numerators = evenNode === undefined ? own : lowering.bounded(withShares(lowering, own, evenNode), 1.01);
  const sums = lowering.remasked(sumOfRows(lowering, numerators));
  const sum = idleNode === undefined || evenNode !== undefined ? sums : withIdleRows(lowering, sums, idleNode);
  const reciprocal = reciprocalOfSum(lowering, sum, shape.at(-1)!);
  return lowering.emit("multiply", [numerators, reshapeTo(lowering, reciprocal, column)], { drop: 0 });
}

function reciprocalOfSum(lowering: Lowering, sum: ShareNode, count: number): ShareNode {
  return power(lowering, sum, -1, { low: 0.9, high: count * 1.01 }, RECIPROCAL_FRACTION);
}

function noteExponential(lowering: Lowering): void {
  const value = (x: number) => pow(1 + x / 2 ** SQUARINGS, 2 ** SQUARINGS);
  lowering.formulas.add("puma exponential", "", () => ({
    function: "e^x of a softmax",
    profile: "puma",
    form: `(1 + x/${2 ** SQUARINGS})^${2 ** SQUARINGS}`,
    distance: "absolute",
    outside: "0 below; there is nothing above",
    section: "Profile `puma`",
    window: [CLIP, 0],
    coefficients: [CLIP, SQUARINGS],
    pieces: [
      { from: CLIP, to: 0, value, exact: exp },
      { from: 4 * CLIP, to: CLIP, value: () => 0, exact: exp },
    ],
  }));
}

/** e^x for x ≤ 0, additive: zero below the clip. Five squarings; the comparison runs beside them. */
function negativeExponential(lowering: Lowering, x: ShareNode, bound: number): ShareNode {
  noteExponential(lowering);
  const [clipped] = below(lowering, x, bound, [CLIP], fractionOf(x));
  const inside = lowering.emit("remaskBits", [lowering.emit("complement", [clipped])]);
  const quotient = lowering.emit("relabel", [x], { fraction: fractionOf(x) + SQUARINGS });
  let value = lowering.atFraction(addReal(lowering, quotient, 1), SQUARE_FRACTION);
  for (let i = 0; i < SQUARINGS; i++) {
    const square = lowering.bounded(lowering.emit("multiply", [value, value], { drop: 0 }), 1.01);
    value = lowering.atFraction(square, SQUARE_FRACTION);
  }
  return lowering.emit("timesBit", [inside, value]);
}

/** x times a value of 0 and 1: free of an opening where the value is public; a conjunction is one after the other. */
function timesKeep(lowering: Lowering, x: ShareNode, keepNode: TensorNode): ShareNode {
  const constant = constantOf(keepNode);
  if (constant !== undefined) {
    return lowering.emit("multiplyConstant", [x], { value: encode(constant, 0), fraction: 0 });
  }
  if (keepNode.op === "and") {
    return keepNode.args.reduce((product, each) => timesKeep(lowering, product, each), x);
  }
  const keep = lowering.value(keepNode, 0);
  return lowering.isOpen(keepNode)
    ? lowering.emit("timesPublic", [lowering.additive(x, fractionOf(x)), keep])
    : lowering.emit("multiply", [lowering.remasked(x), lowering.remasked(keep)], { drop: 0 });
}

/** Scores where kept, −bound elsewhere, masked: what is not kept never is the maximum. */
function lowered(lowering: Lowering, scores: TensorNode, keepNode: TensorNode, bound: number): ShareNode {
  const raised = lowering.bounded(addReal(lowering, lowering.value(scores), bound), 2 * bound);
  const kept = lowering.bounded(timesKeep(lowering, raised, keepNode), 2 * bound);
  return lowering.bounded(lowering.atFraction(addReal(lowering, kept, -bound), lowering.precision.activation), bound);
}
