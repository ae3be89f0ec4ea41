/**
 * Softmax written with exponentials and sums, its shift, and the guards around it. Masks are `masking.ts`.
 */
import type { Rule, TensorNode } from "../rewriter.js";
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

/** e^(ln softmax x). */
const ofLogarithm: Rule = {
  name: "exponential of a log softmax",
  ops: ["exponential"],
  apply(node, rewriter) {
    const [x] = node.args;
    return x.op === "logSoftmax" ? rewriter.emit("softmax", x.args, x.attributes, node.origin) : undefined;
  },
};

/** e^(z − ln Σ e^z) over one axis, however z and the logarithm are bracketed. */
const byLogarithmOfSum: Rule = {
  name: "softmax by a logarithm of the sum",
  ops: ["exponential"],
  apply(node, rewriter) {
    const terms = signedTerms(node.args[0]);
    const at = terms.findIndex(([sign, { op, args }]) => sign < 0 && op === "logarithm" && args[0].op === "reduceSum");
    const sum = terms[at]?.[1].args[0];
    const power = sum?.args[0];
    if (power?.op !== "exponential" || integersOf(sum, "axes").length !== 1) {
      return undefined;
    }
    const [z] = power.args;
    const rest = terms.filter((_, i) => i !== at);
    const same = signedTerms(z).every(([sign, term]) => {
      const found = rest.findIndex(([other, each]) => other === sign && each === term);
      return found >= 0 && rest.splice(found, 1).length === 1;
    });
    const whole = same && rest.length === 0 && z.type.shape.join() === node.type.shape.join();
    return whole ? rewriter.emit("softmax", [z], { axis: integersOf(sum, "axes")[0] }, node.origin) : undefined;
  },
};

type SignedTerm = readonly [sign: number, term: TensorNode];

/** The terms of sums, differences and negations, each with its sign. */
function signedTerms(node: TensorNode, sign = 1, depth = 6): SignedTerm[] {
  if (depth === 0 || !["add", "subtract", "negate"].includes(node.op)) {
    return [[sign, node]];
  }
  const [a, b] = node.args;
  if (b === undefined) {
    return signedTerms(a, -sign, depth - 1);
  }
  return [...signedTerms(a, sign, depth - 1), ...signedTerms(b, node.op === "add" ? sign : -sign, depth - 1)];
}

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

export const SOFTMAX: readonly Rule[] = [quotient, ofLogarithm, byLogarithmOfSum, shift, guard];
