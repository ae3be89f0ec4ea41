/**
 * Scalar factors reach whoever can fold them: a weight, a table, or else the left operand of a product. These rules
 * run after `fuse` only, because idioms share the values that the factors would be drawn into. A factor is drawn
 * through a value although others may use it too: what it is drawn through (a query, its rotation) has one user.
 */
import type { Rewriter, Rule, TensorNode } from "../rewriter.js";
import { floats, scalarOf } from "./common.js";

const VIEWS: ReadonlySet<string> = new Set(["reshape", "transpose", "broadcast"]);

interface Split {
  readonly x: TensorNode;
  readonly c: TensorNode;
}

/** One number, known when the plan is made or to the model's owner. */
function isFactor(rewriter: Rewriter, node: TensorNode): boolean {
  return scalarOf(node) !== undefined || (rewriter.isOwned(node) && node.type.shape.length === 0);
}

/** The scalar factor of a value, seen through movement, and the value without it. */
function splitFactor(rewriter: Rewriter, node: TensorNode): Split | undefined {
  if (node.op === "multiply" && isFactor(rewriter, node.args[1])) {
    return { x: node.args[0], c: node.args[1] };
  }
  const inner = VIEWS.has(node.op) ? splitFactor(rewriter, node.args[0]) : undefined;
  return inner === undefined
    ? undefined
    : { x: rewriter.emit(node.op, [inner.x], node.attributes, node.origin), c: inner.c };
}

/** (a · c) · b and a · (b · c) for a scalar c: on the weight, or else on the left. */
const factorOfOperand: Rule = {
  name: "scalar factor of an operand",
  ops: ["matmul"],
  apply(node, rewriter) {
    const [a, b] = node.args;
    const make = (op: string, ...args: TensorNode[]) => rewriter.emit(op, args, {}, node.origin);
    if (rewriter.isStatic(b)) {
      const left = rewriter.isStatic(a) ? undefined : splitFactor(rewriter, a);
      return left === undefined ? undefined : make("matmul", left.x, make("multiply", b, left.c));
    }
    const right = splitFactor(rewriter, b);
    return right === undefined ? undefined : make("matmul", make("multiply", a, right.c), right.x);
  },
};

/** A number for each column, known to the model's owner: the scale of a layer. */
function isColumnFactor(rewriter: Rewriter, node: TensorNode): boolean {
  return rewriter.isOwned(node) && node.type.shape.slice(0, -1).every((n) => n === 1);
}

/** (a · b) · c for a scalar c: the factor goes to the weight, or else to the left operand; a column's to the weight. */
const factorOfProduct: Rule = {
  name: "scalar factor of a product",
  ops: ["multiply"],
  apply(node, rewriter) {
    const [product, c] = node.args;
    const columns = isColumnFactor(rewriter, c) && !isFactor(rewriter, c);
    if (!(columns || isFactor(rewriter, c)) || !floats(node)) {
      return undefined;
    }
    // The product stays the node that it is: who asks for the factor does not become its origin.
    const make = (op: string, ...args: TensorNode[]) => rewriter.emit(op, args, {}, product.origin);
    if (product.op === "matmul") {
      const [a, b] = product.args;
      if (rewriter.isStatic(b)) {
        return columns && b.type.shape.length !== 2 ? undefined : make("matmul", a, make("multiply", b, c));
      }
      return columns ? undefined : make("matmul", make("multiply", a, c), b);
    }
    const [x, p] = product.args;
    if (product.op === "add" && x.op === "matmul" && rewriter.isStatic(p)) {
      return make("add", rewriter.emit("multiply", [x, c], {}, x.origin), make("multiply", p, c));
    }
    return undefined;
  },
};

/** What the series of a cap have amplitudes for: 64·log₂e is below. */
const LARGEST_CAP = 96;

/** cap(x) · c for a known c > 0: the cap of x · c that is c times as high. */
const factorOfCap: Rule = {
  name: "factor of a soft cap",
  ops: ["multiply"],
  apply(node, rewriter) {
    const [capped, c] = node.args;
    const factor = scalarOf(c);
    const cap = factor === undefined ? 0 : factor * Number(capped.attributes.cap);
    if (capped.op !== "softCap" || !(cap > 0 && cap < LARGEST_CAP)) {
      return undefined;
    }
    const scaled = rewriter.emit("multiply", [capped.args[0], c], {}, capped.origin);
    return rewriter.emit("softCap", [scaled], { cap }, capped.origin);
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
    const split = rewriter.isStatic(b) ? undefined : splitFactor(rewriter, a);
    const drawn = split === undefined ? undefined : absorb(rewriter, split.x, split.c);
    return drawn === undefined ? undefined : rewriter.emit("matmul", [drawn, b], {}, node.origin);
  },
};

export const FACTORS: readonly Rule[] = [factorOfOperand, factorOfProduct, factorOfCap, factorOfQuery];
