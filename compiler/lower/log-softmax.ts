/** log softmax = (x − max) − ln Σ e^(x − max), on the exact maximum: the logarithm's argument then lies in [1, n]. */

import { tournament } from "./comparison.js";
import { fractionOf, type Lowering, type ShareNode, shapeOf, type TensorNode } from "./context.js";
import { logarithmOf, powerOfTwo } from "./functions.js";
import { reshapeTo, swapped } from "./movement.js";

export function lowerLogSoftmax(lowering: Lowering, node: TensorNode): ShareNode {
  const last = node.type.shape.length - 1;
  const axis = node.attributes.axis as number;
  const bound = lowering.boundOf(node.args[0]);
  const x = swapped(lowering, lowering.masked(node.args[0]), axis, last);
  const fraction = fractionOf(x);
  const column = [...shapeOf(x).slice(0, -1), 1];
  const maximum = reshapeTo(lowering, tournament(lowering, x, bound), column);
  const distance = lowering.bounded(lowering.emit("subtract", [x, maximum]), 2 * bound);
  const powers = powerOfTwo(lowering, distance, { low: -2 * bound * Math.LOG2E, high: 0 }, Math.LOG2E);
  const count = shapeOf(x)[last];
  const sum = lowering.bounded(lowering.emit("sum", [powers], { axis: last }), 2 * count);
  const range = { low: 0.9, high: count * 1.01 };
  const logarithm = logarithmOf(lowering, lowering.atFraction(sum, fraction + 2), range);
  const offset = reshapeTo(lowering, lowering.atFraction(logarithm, fraction), column);
  return swapped(lowering, lowering.emit("subtract", [distance, offset]), axis, last);
}
