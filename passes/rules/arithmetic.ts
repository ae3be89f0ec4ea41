/**
 * The normal form of arithmetic: constants and owned values stand second; no `divide` of floats, no `subtract` of a
 * static value, no `power` with a small constant exponent; scalar factors stand outermost; neighbours merge.
 * The floats are real numbers here (ir/tensor), so these are equalities, not approximations.
 */
import { isFloat } from "../../ir/tensor/value.js";
import type { Rule, TensorNode } from "../rewriter.js";
import { COMMUTATIVE, constantOf, floats, isScalar, scalarOf } from "./common.js";

/** Values that vary come first, then owned ones, then constants; equals by structure, then by age. */
const order: Rule = {
  name: "order of arguments",
  ops: COMMUTATIVE,
  apply(node, rewriter) {
    const rank = (each: TensorNode) => (each.op === "constant" ? 2 : rewriter.isStatic(each) ? 1 : 0);
    const [a, b] = node.args;
    const [factsA, factsB] = [rewriter.factsOf(a), rewriter.factsOf(b)];
    const swapped = rank(a) - rank(b) || factsA.hash - factsB.hash || factsA.id - factsB.id;
    return swapped > 0 ? rewriter.emit(node.op, [b, a], node.attributes, node.origin) : undefined;
  },
};

const NEUTRAL: Readonly<Record<string, number>> = {
  ...{ add: 0, multiply: 1, maximum: Number.NEGATIVE_INFINITY, minimum: Number.POSITIVE_INFINITY },
  ...{ and: 1, or: 0, xor: 0, power: 1 },
};

/** x + 0, x · 1, max(x, −∞), x and true, … where the shape stays. */
const neutral: Rule = {
  name: "neutral element",
  ops: Object.keys(NEUTRAL),
  apply(node) {
    const [x, c] = node.args;
    const value = constantOf(c);
    const idle =
      value !== undefined &&
      x.type.shape.length === node.type.shape.length &&
      x.type.shape.every((size, axis) => size === node.type.shape[axis]) &&
      value.data.every((each) => each === NEUTRAL[node.op]);
    return idle ? x : undefined;
  },
};

/** x and false, x or true. */
const absorbing: Rule = {
  name: "absorbing element",
  ops: ["and", "or"],
  apply(node, rewriter) {
    const [x, c] = node.args;
    const value = constantOf(c);
    const decided = node.op === "and" ? 0 : 1;
    return x.op !== "constant" && value?.data.every((each) => each === decided) && value.data.length > 0
      ? rewriter.emit("broadcast", [rewriter.scalar(decided, node)], { shape: node.type.shape }, node.origin)
      : undefined;
  },
};

const same: Rule = {
  name: "equal arguments",
  ops: ["and", "or", "maximum", "minimum"],
  apply: (node) => (node.args[0] === node.args[1] ? node.args[0] : undefined),
};

/** x − c = x + (−c); c − x = −x + c; x − (−y) = x + y. */
const subtraction: Rule = {
  name: "subtraction of a static value",
  ops: ["subtract"],
  apply(node, rewriter) {
    const [x, y] = node.args;
    const make = (op: string, ...args: TensorNode[]) => rewriter.emit(op, args, {}, node.origin);
    if (!floats(node)) {
      return undefined;
    }
    if (rewriter.isStatic(y)) {
      return make("add", x, make("negate", y));
    }
    if (rewriter.isStatic(x)) {
      return make("add", make("negate", y), x);
    }
    return y.op === "negate" ? make("add", x, y.args[0]) : undefined;
  },
};

const sumWithNegative: Rule = {
  name: "sum with a negated term",
  ops: ["add"],
  apply(node, rewriter) {
    const [x, y] = node.args;
    if (!floats(node) || rewriter.isStatic(y)) {
      return undefined;
    }
    if (y.op === "negate") {
      return rewriter.emit("subtract", [x, y.args[0]], {}, node.origin);
    }
    return x.op === "negate" ? rewriter.emit("subtract", [y, x.args[0]], {}, node.origin) : undefined;
  },
};

const division: Rule = {
  name: "division",
  ops: ["divide"],
  apply(node, rewriter) {
    if (!floats(node)) {
      return undefined;
    }
    const inverse = rewriter.emit("reciprocal", [node.args[1]], {}, node.origin);
    return rewriter.emit("multiply", [node.args[0], inverse], {}, node.origin);
  },
};

const reciprocal: Rule = {
  name: "reciprocal",
  ops: ["reciprocal"],
  apply(node, rewriter) {
    const [x] = node.args;
    const make = (op: string, ...args: TensorNode[]) => rewriter.emit(op, args, {}, node.origin);
    switch (x.op) {
      case "squareRoot":
        return make("reciprocalSquareRoot", x.args[0]);
      case "reciprocalSquareRoot":
        return make("squareRoot", x.args[0]);
      case "reciprocal":
        return x.args[0];
      case "exponential":
        return make("exponential", make("negate", x.args[0]));
      case "multiply":
        return x.args[1].op === "constant"
          ? make("multiply", make("reciprocal", x.args[0]), make("reciprocal", x.args[1]))
          : undefined;
      case "add": // 1 / (e^z + 1) = sigmoid(−z)
        return x.args[0].op === "exponential" && isScalar(x.args[1], 1)
          ? make("sigmoid", make("negate", x.args[0].args[0]))
          : undefined;
      default:
        return undefined;
    }
  },
};

const negation: Rule = {
  name: "negation",
  ops: ["negate"],
  apply(node, rewriter) {
    const [x] = node.args;
    const make = (op: string, ...args: TensorNode[]) => rewriter.emit(op, args, {}, node.origin);
    if (x.op === "negate") {
      return x.args[0];
    }
    if (x.op === "subtract") {
      return make("subtract", x.args[1], x.args[0]);
    }
    const linear = (x.op === "add" || x.op === "multiply") && floats(x) && x.args[1].op === "constant";
    if (!linear) {
      return undefined;
    }
    const first = x.op === "add" ? make("negate", x.args[0]) : x.args[0];
    return make(x.op, first, make("negate", x.args[1]));
  },
};

/** Powers with a small constant exponent are products, roots and reciprocals. */
const power: Rule = {
  name: "power",
  ops: ["power"],
  apply(node, rewriter) {
    const [x, exponent] = node.args;
    const make = (op: string, ...args: TensorNode[]) => rewriter.emit(op, args, {}, node.origin);
    if (!floats(node)) {
      return undefined;
    }
    switch (scalarOf(exponent)) {
      case 2:
        return make("multiply", x, x);
      case 3:
        return make("multiply", make("multiply", x, x), x);
      case 4:
        return make("multiply", make("multiply", x, x), make("multiply", x, x));
      case 0.5:
        return make("squareRoot", x);
      case -0.5:
        return make("reciprocalSquareRoot", x);
      case -1:
        return make("reciprocal", x);
      default:
        return undefined;
    }
  },
};

/** (x ∘ p) ∘ q = x ∘ (p ∘ q) for static p and q: the owner, or the compiler, does p ∘ q. */
const regroup: Rule = {
  name: "regroup static operands",
  ops: ["add", "multiply"],
  apply(node, rewriter) {
    const [inner, q] = node.args;
    if (inner.op !== node.op || !floats(node)) {
      return undefined;
    }
    const [x, p] = inner.args;
    const known = rewriter.isStatic(inner) ? rewriter.isConstant : rewriter.isStatic;
    if (known.call(rewriter, p) && known.call(rewriter, q)) {
      return rewriter.emit(node.op, [x, rewriter.emit(node.op, [p, q], {}, node.origin)], {}, node.origin);
    }
    return undefined;
  },
};

/** Scalar factors move outwards: (x · c) · y = (x · y) · c; −x · y = −(x · y). */
const hoistFactor: Rule = {
  name: "hoist a scalar factor",
  ops: ["multiply"],
  apply(node, rewriter) {
    const make = (op: string, ...args: TensorNode[]) => rewriter.emit(op, args, {}, node.origin);
    for (const [x, y] of [node.args, [node.args[1], node.args[0]]]) {
      if (x.op === "multiply" && scalarOf(x.args[1]) !== undefined && !rewriter.isStatic(y) && floats(node)) {
        return make("multiply", make("multiply", x.args[0], y), x.args[1]);
      }
      if (x.op === "negate" && floats(node)) {
        return y.op === "constant"
          ? make("multiply", x.args[0], make("negate", y))
          : make("negate", make("multiply", x.args[0], y));
      }
    }
    return isScalar(node.args[1], -1) && floats(node) ? make("negate", node.args[0]) : undefined;
  },
};

const ODD = ["errorFunction", "tangentHyperbolic", "sine"];

/** f(−x) = −f(x) for odd f, f(−x) = f(x) for even f; also where the sign is in a factor. */
const parity: Rule = {
  name: "parity",
  ops: [...ODD, "cosine", "absolute"],
  apply(node, rewriter) {
    const [x] = node.args;
    const factor = x.op === "multiply" ? scalarOf(x.args[1]) : undefined;
    const negative = x.op === "negate" || (factor !== undefined && factor < 0);
    if (!negative || !floats(node)) {
      return undefined;
    }
    const positive = rewriter.emit("negate", [x], {}, node.origin);
    const value = rewriter.emit(node.op, [positive], {}, node.origin);
    return ODD.includes(node.op) ? rewriter.emit("negate", [value], {}, node.origin) : value;
  },
};

const rectifier: Rule = {
  name: "maximum with zero",
  ops: ["maximum"],
  apply: (node, rewriter) =>
    isScalar(node.args[1], 0) && floats(node) ? rewriter.emit("relu", [node.args[0]], {}, node.origin) : undefined,
};

/** Casts that change no real number: between floats, from booleans, and twice. */
const cast: Rule = {
  name: "cast",
  ops: ["cast"],
  apply(node, rewriter) {
    const [x] = node.args;
    const [from, to] = [x.type.dtype, node.type.dtype];
    if (from === to || (isFloat(from) && isFloat(to))) {
      return x;
    }
    const lossless = x.op === "cast" && x.args[0].type.dtype === "bool";
    return lossless ? rewriter.emit("cast", [x.args[0]], { dtype: to }, node.origin) : undefined;
  },
};

const choice: Rule = {
  name: "select with a known or idle condition",
  ops: ["select"],
  apply(node) {
    const [condition, x, y] = node.args;
    const value = constantOf(condition);
    if (value === undefined || value.data.length === 0) {
      return undefined;
    }
    const chosen = value.data.every((each) => each === value.data[0]) ? (value.data[0] !== 0 ? x : y) : undefined;
    return chosen?.type.shape.join() === node.type.shape.join() ? chosen : undefined;
  },
};

/** Far below every value. */
const LOWEST = -1e30;
const MIRRORED: Readonly<Record<string, string>> = { greater: "less", less: "greater", equal: "equal" };

/** select(c, x, −3.4·10³⁸) compared with the least float says c. */
const comparisonWithLowest: Rule = {
  name: "comparison with the least float",
  ops: Object.keys(MIRRORED),
  apply(node, rewriter) {
    for (const [x, limit, op] of [
      [node.args[0], node.args[1], node.op],
      [node.args[1], node.args[0], MIRRORED[node.op]],
    ] as const) {
      const lowest = scalarOf(limit) ?? 0;
      if (x.op !== "select" || lowest > LOWEST || op === "less") {
        continue;
      }
      const [condition, yes, no] = x.args;
      const isFar = (each: TensorNode) => {
        const data = constantOf(each)?.data ?? [];
        return data.length > 0 && data.every((far) => (op === "equal" ? far === lowest : far <= lowest));
      };
      if (isFar(yes) === isFar(no)) {
        continue;
      }
      const above = isFar(no) ? condition : rewriter.emit("not", [condition], {}, node.origin);
      const truth = op === "greater" ? above : rewriter.emit("not", [above], {}, node.origin);
      return rewriter.emit("broadcast", [truth], { shape: node.type.shape }, node.origin);
    }
    return undefined;
  },
};

const doubleNot: Rule = {
  name: "double not",
  ops: ["not"],
  apply: (node) => (node.args[0].op === "not" ? node.args[0].args[0] : undefined),
};

export const ARITHMETIC: readonly Rule[] = [
  ...[order, neutral, absorbing, same, subtraction, sumWithNegative, division, reciprocal, negation, power, regroup],
  ...[hoistFactor, parity, rectifier, cast, choice, comparisonWithLowest, doubleNot],
];
