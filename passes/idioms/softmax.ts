/**
 * Softmax written with exponentials and sums, its shift, and the guards around it. Masks are `masking.ts`.
 */
import type { Rule } from "../rewriter.js";
import { integersOf } from "../rules/common.js";
import { factorsOf, product, without } from "./chains.js";

/** e^x / Σ e^x over one axis. */
const quotient: Rule = {
  name: "softmax",
  ops: ["multiply"],
  apply(node, rewriter) {
    const { scale, factors } = factorsOf(node);
    for (const inverse of factors) {
      const sum = inverse.op === "reciprocal" && inverse.args[0].op === "reduceSum" ? inverse.args[0] : undefined;
      const exponential = sum?.args[0];
      if (sum === undefined || exponential?.op !== "exponential" || integersOf(sum, "axes").length !== 1) {
        continue;
      }
      const rest = without(factors, [exponential, inverse]);
      if (rest === undefined) {
        return { why: "the sum of exponentials divides something else" };
      }
      const axis = integersOf(sum, "axes")[0];
      const value = rewriter.emit("softmax", [exponential.args[0]], { axis }, node.origin);
      return product(rewriter, value, rest, scale, node.origin);
    }
    return undefined;
  },
};

/** softmax(x − m) = softmax(x) where m does not vary along the axis: the row's maximum, or any shift. */
const shift: Rule = {
  name: "shift of a softmax",
  ops: ["softmax"],
  apply(node, rewriter) {
    const [x, ...keep] = node.args;
    const back = x.type.shape.length - (node.attributes.axis as number);
    if (x.op !== "subtract") {
      return undefined;
    }
    const [value, shifted] = x.args;
    const constantAlong = (shifted.type.shape.at(-back) ?? 1) === 1;
    const whole = value.type.shape.join() === x.type.shape.join();
    return constantAlong && whole
      ? rewriter.emit("softmax", [value, ...keep], node.attributes, node.origin)
      : undefined;
  },
};

/** A softmax here is never NaN: rows with nothing kept are zero by definition (ir/tensor). */
const guard: Rule = {
  name: "NaN guard",
  ops: ["select"],
  apply(node) {
    const [condition, , value] = node.args;
    const guarded = condition.op === "isNaN" ? condition.args[0] : undefined;
    const viewed =
      condition.op === "reshape" && condition.args[0].op === "isNaN" ? condition.args[0].args[0] : undefined;
    if (guarded?.op === "softmax" && guarded === value) {
      return value;
    }
    return viewed?.op === "softmax" && value.op === "reshape" && value.args[0] === viewed ? value : undefined;
  },
};

export const SOFTMAX: readonly Rule[] = [quotient, shift, guard];
