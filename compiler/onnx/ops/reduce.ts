/**
 * Reductions along axes. The axes were an attribute and became an input, at operator set 13 for ReduceSum and at 18 for
 * the others; no axes means all of them, unless `noop_with_empty_axes`.
 */
import { type Call, type Convert, type OperatorFamily, rule } from "../call.js";
import type { Emitter, Value } from "../emitter.js";
import { numbersOf } from "./movement.js";

type Write = (emitter: Emitter, x: Value, axes: readonly number[], keep: boolean) => Value;

function reduction(moved: number, write: Write): Convert {
  return (call: Call) => {
    const x = call.input(0);
    const rank = x.type.shape.length;
    const given = numbersOf(call, "axes", 1, moved);
    const none = given === undefined || given.length === 0;
    const keepAll = none && call.flag("noop_with_empty_axes", false);
    const axes = keepAll ? [] : none ? [...Array(rank).keys()] : call.axes(given, rank);
    return [write(call.emitter, x, axes, call.flag("keepdims", true))];
  };
}

function simple(op: string, moved: number): Convert {
  return reduction(moved, (emitter, x, axes, keep) => emitter.reduce(op, x, axes, keep));
}

function absolute(emitter: Emitter, x: Value): Value {
  return emitter.emit("absolute", [x]);
}

function sumOf(emitter: Emitter, x: Value, axes: readonly number[], keep: boolean): Value {
  return emitter.reduce("reduceSum", x, axes, keep);
}

/** log Σ e^x, with the maximum taken out so that nothing overflows; an infinite maximum is left in place as zero. */
function logSumExponential(emitter: Emitter, x: Value, axes: readonly number[], keep: boolean): Value {
  if (axes.length === 0) {
    return x;
  }
  const top = emitter.reduce("reduceMaximum", x, axes, true);
  const finite = emitter.select(emitter.emit("isInfinite", [top]), emitter.scalar(0, x.type.dtype), top);
  const sum = sumOf(emitter, emitter.emit("exponential", [emitter.subtract(x, finite)]), axes, true);
  const result = emitter.add(emitter.emit("logarithm", [sum]), finite);
  return keep
    ? result
    : emitter.reshape(
        result,
        result.type.shape.filter((_, i) => !axes.includes(i)),
      );
}

export const REDUCE: OperatorFamily = {
  ReduceSum: rule(1, simple("reduceSum", 13)),
  ReduceMean: rule(1, simple("reduceMean", 18)),
  ReduceMax: rule(1, simple("reduceMaximum", 18)),
  ReduceMin: rule(1, simple("reduceMinimum", 18)),
  ReduceProd: rule(1, simple("reduceProduct", 18)),
  ReduceL1: rule(
    1,
    reduction(18, (emitter, x, axes, keep) => sumOf(emitter, absolute(emitter, x), axes, keep)),
  ),
  ReduceL2: rule(
    1,
    reduction(18, (emitter, x, axes, keep) =>
      emitter.emit("squareRoot", [sumOf(emitter, emitter.multiply(x, x), axes, keep)]),
    ),
  ),
  ReduceSumSquare: rule(
    1,
    reduction(18, (emitter, x, axes, keep) => sumOf(emitter, emitter.multiply(x, x), axes, keep)),
  ),
  ReduceLogSum: rule(
    1,
    reduction(18, (emitter, x, axes, keep) => emitter.emit("logarithm", [sumOf(emitter, x, axes, keep)])),
  ),
  ReduceLogSumExp: rule(1, reduction(18, logSumExponential)),
};
