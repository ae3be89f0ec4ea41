/** Rows of a softmax before they are divided by their sum. */
import { sameShape } from "../../ir/shape.js";
import { fractionOf, type Lowering, type ShareNode, shapeOf } from "./context.js";
import { broadcastTo } from "./movement.js";

/** rows = numerators · reciprocal. */
export interface UnnormalisedRows {
  /** [..., n], masked. */
  readonly numerators: ShareNode;
  /** The largest sum of a row's numerators. */
  readonly bound: number;
  /** [..., 1], masked, 1 / row sum. */
  readonly reciprocal: ShareNode;
}

/**
 * The sum of every row. A sum needs more bits than what is summed: where the numerators are opened, they are summed
 * before, so that the sum has an opening of its own beside theirs and they need not be wide for it.
 */
export function sumOfRows(lowering: Lowering, numerators: ShareNode): ShareNode {
  if (numerators.op === "add") {
    const shape = shapeOf(numerators);
    const whole = numerators.args.map((each) =>
      sameShape(shapeOf(each), shape) ? each : broadcastTo(lowering, each, shape),
    );
    const sums = whole.map((each) => sumOfRows(lowering, each));
    const fraction = Math.max(...sums.map(fractionOf));
    return lowering.emit(
      "add",
      sums.map((each) => lowering.additive(each, fraction)),
    );
  }
  const opening = numerators.op === "rescale" ? numerators.args[0] : numerators;
  const summed = opening.op === "remask" ? opening.args[0] : numerators;
  return lowering.emit("sum", [summed], { axis: shapeOf(summed).length - 1 });
}
