/**
 * Scalar factors reach whoever can fold them: a weight, a table, or else the left operand of a product. These rules
 * run after `fuse` only, because idioms share the values that the factors would be drawn into. A factor is drawn
 * through a value although others may use it too: what it is drawn through (a query, its rotation) has one user.
 */
import type { Rewriter, Rule, TensorNode } from "../rewriter.js";
import { floats, scalarOf } from "./common.js";

/** (a · c) · b and a · (b · c) for a scalar c: on the weight, or else on the left. */
const factorOfOperand: Rule = {
  name: "scalar factor of an operand",
  ops: ["matmul"],
  apply(node, rewriter) {
    const [a, b] = node.args;
    const factor = (x: TensorNode) => (x.op === "multiply" ? scalarOf(x.args[1]) : undefined);
    const [left, right] = [factor(a), factor(b)];
    const make = (op: string, ...args: TensorNode[]) => rewriter.emit(op, args, {}, node.origin);
    if (left !== undefined && rewriter.isStatic(b) && !rewriter.isStatic(a)) {
      return make("matmul", a.args[0], make("multiply", b, a.args[1]));
    }
    if (right !== undefined && !rewriter.isStatic(b)) {
      return make("matmul", make("multiply", a, b.args[1]), b.args[0]);
    }
    return undefined;
  },
};

/** (a · b) · c for a scalar c: the factor goes to the weight, or else to the left operand. */
const factorOfProduct: Rule = {
  name: "scalar factor of a product",
  ops: ["multiply"],
  apply(node, rewriter) {
    const [product, c] = node.args;
    if (scalarOf(c) === undefined || !floats(node)) {
      return undefined;
    }
    const make = (op: string, ...args: TensorNode[]) => rewriter.emit(op, args, {}, node.origin);
    if (product.op === "matmul") {
      const [a, b] = product.args;
      return rewriter.isStatic(b)
        ? make("matmul", a, make("multiply", b, c))
        : make("matmul", make("multiply", a, c), b);
    }
    const [x, p] = product.args;
    if (product.op === "add" && x.op === "matmul" && rewriter.isStatic(p)) {
      return make("add", make("multiply", x, c), make("multiply", p, c));
    }
    return undefined;
  },
};

const DEEPEST_FACTOR = 12;
const LINEAR_VIEWS: ReadonlySet<string> = new Set([
  "negate",
  "reshape",
  "transpose",
  "slice",
  "broadcast",
  "concatenate",
]);

/** `x · c` with the factor in owners' values only, or undefined where some path ends in something that has no owner. */
function absorb(rewriter: Rewriter, x: TensorNode, c: TensorNode, depth = DEEPEST_FACTOR): TensorNode | undefined {
  const facts = rewriter.factsOf(x);
  if (!facts.parameter || !facts.input) {
    return rewriter.emit("multiply", [x, c], {}, x.origin);
  }
  if (depth === 0) {
    return undefined;
  }
  const inner = (each: TensorNode) => absorb(rewriter, each, c, depth - 1);
  const rebuilt = (args: readonly (TensorNode | undefined)[]) =>
    args.every((each) => each !== undefined) ? rewriter.emit(x.op, args, x.attributes, x.origin) : undefined;
  if (x.op === "add" || x.op === "subtract" || LINEAR_VIEWS.has(x.op)) {
    return rebuilt(x.args.map(inner));
  }
  if (x.op !== "multiply" && x.op !== "matmul") {
    return undefined;
  }
  const [a, b] = x.args;
  const second = inner(b);
  return second !== undefined ? rebuilt([a, second]) : rebuilt([inner(a), b]);
}

/** (q · c) · kᵀ where q is made of weights: into them, through rotations, heads and biases. */
const factorOfQuery: Rule = {
  name: "scalar factor into the query's weights",
  ops: ["matmul"],
  apply(node, rewriter) {
    const [a, b] = node.args;
    if (a.op !== "multiply" || scalarOf(a.args[1]) === undefined || rewriter.isStatic(b)) {
      return undefined;
    }
    const drawn = absorb(rewriter, a.args[0], a.args[1]);
    return drawn === undefined ? undefined : rewriter.emit("matmul", [drawn, b], {}, node.origin);
  },
};

export const FACTORS: readonly Rule[] = [factorOfOperand, factorOfProduct, factorOfQuery];
