/**
 * LayerNorm and RMSNorm written with means, roots and quotients. The order is: a fast variance E[x²] − E[x]² becomes
 * the mean of (x − E[x])² (NUMERICS.md: the fast form loses its digits in fixed point); a value over the root of its
 * mean square is `rmsNorm`; `rmsNorm` of a centred value is `layerNorm`. γ and β stay products and sums around them. A
 * value over its length ‖x‖ is an `rmsNorm` too, over √n, so that whoever bounds values knows that it is at most 1.
 */
import type { Rewriter, Rule, TensorNode } from "../rewriter.js";
import { floats, reducesLastAxis, scalarOf } from "../rules/common.js";
import { factorsOf, product, termsOf, without } from "./chains.js";

/** The z of mean(z · z) over the last axis. */
function meanSquare(node: TensorNode): TensorNode | undefined {
  const [square] = node.args;
  const squared = node.op === "reduceMean" && reducesLastAxis(node) && square.op === "multiply";
  return squared && square.args[0] === square.args[1] ? square.args[0] : undefined;
}

interface ScaledSquare {
  readonly z: TensorNode;
  /** What the mean square is multiplied with. */
  readonly factor: number;
}

/**
 * The z and c of c · mean(z · z) over the last axis, wherever the c stands: it is what z was multiplied with. Heads
 * that were split are squared before that: the z is split then.
 */
function scaledMeanSquare(node: TensorNode, rewriter: Rewriter): ScaledSquare | undefined {
  const plain = meanSquare(node);
  if (plain !== undefined) {
    return { z: plain, factor: 1 };
  }
  if (node.op === "reduceMean" && reducesLastAxis(node) && node.args[0].op === "reshape") {
    const [split] = node.args;
    const [square] = split.args;
    const isSquare = square.op === "multiply" && square.args[0] === square.args[1];
    const z = isSquare ? rewriter.emit("reshape", [square.args[0]], split.attributes, split.origin) : undefined;
    return z === undefined ? undefined : { z, factor: 1 };
  }
  const inner = node.op === "reduceMean" && reducesLastAxis(node) ? node.args[0] : node;
  const { scale, factors } = factorsOf(inner);
  if (!(scale > 0)) {
    return undefined;
  }
  if (inner !== node) {
    return factors.length === 2 && factors[0] === factors[1] ? { z: factors[0], factor: scale } : undefined;
  }
  const z = factors.length === 1 ? meanSquare(factors[0]) : undefined;
  return z === undefined ? undefined : { z, factor: scale };
}

/** The x of mean(x) over the last axis. */
function meanOf(node: TensorNode): TensorNode | undefined {
  return node.op === "reduceMean" && reducesLastAxis(node) ? node.args[0] : undefined;
}

/** mean(x²) − mean(x)² = mean((x − mean(x))²). */
const fastVariance: Rule = {
  name: "variance in two passes",
  ops: ["subtract"],
  apply(node, rewriter) {
    const [square, mean] = [node.args[0], node.args[1].args[0]];
    const x = meanSquare(square);
    const same = node.args[1].op === "multiply" && node.args[1].args[0] === node.args[1].args[1];
    if (x === undefined || !same || meanOf(mean) !== x) {
      return undefined;
    }
    const centred = rewriter.emit("subtract", [x, mean], {}, node.origin);
    const squared = rewriter.emit("multiply", [centred, centred], {}, node.origin);
    return rewriter.emit("reduceMean", [squared], square.attributes, node.origin);
  },
};

/** A mean of squares is not negative. */
const idleRectifier: Rule = {
  name: "rectifier of a mean square",
  ops: ["relu", "absolute"],
  apply: (node) => (meanSquare(node.args[0]) === undefined ? undefined : node.args[0]),
};

/** z / √(mean(z²) + ε). */
const rmsNorm: Rule = {
  name: "rms norm",
  ops: ["multiply"],
  apply(node, rewriter) {
    const { scale, factors } = factorsOf(node);
    const root = factors.find((factor) => factor.op === "reciprocalSquareRoot" && floats(factor));
    if (root === undefined) {
      return undefined;
    }
    const [inside] = root.args;
    const epsilon = inside.op === "add" ? scalarOf(inside.args[1]) : 0;
    const square = scaledMeanSquare(inside.op === "add" ? inside.args[0] : inside, rewriter);
    if (square === undefined || epsilon === undefined) {
      return { why: "the root is not of a mean square over the last axis plus a constant" };
    }
    const { z, factor } = square;
    const rest = without(factors, [...factorsOf(z).factors, root]);
    if (rest === undefined || factorsOf(z).scale !== 1) {
      return { why: "the root does not divide the value whose mean square it is of" };
    }
    const own = Math.sqrt(factor);
    const value = rewriter.emit("rmsNorm", [product(rewriter, z, [], own, node.origin)], { epsilon }, node.origin);
    return product(rewriter, value, rest, scale / own, node.origin);
  },
};

/** The z of a sum of squares z · z over the last axis, of rows that a reshape may have gathered. */
function sumOfSquares(node: TensorNode): TensorNode | undefined {
  if (node.op !== "reduceSum" || !reducesLastAxis(node)) {
    return undefined;
  }
  const keepsRows = (each: TensorNode) =>
    each.op === "reshape" && each.type.shape.at(-1) === each.args[0].type.shape.at(-1);
  const square = behind(node.args[0], keepsRows);
  return square.op === "multiply" && square.args[0] === square.args[1] ? square.args[0] : undefined;
}

function behind(node: TensorNode, passes: (node: TensorNode) => boolean): TensorNode {
  return passes(node) ? behind(node.args[0], passes) : node;
}

/** A length is not told from zero below this: fixed point rounds its elements to 2^-14 or so. */
const LEAST_LENGTH = 1e-5;

interface Length {
  readonly z: TensorNode;
  /** What is added to the sum of the squares, or keeps it above zero. */
  readonly floor: number;
}

/** What 1/√(Σz² + ε), 1/max(√(Σz²), ε), 1/√max(Σz², ε) and 1/(√(Σz²) + ε) are of. */
function lengthUnder(inverse: TensorNode): Length | undefined {
  if (inverse.op !== "reciprocal" && inverse.op !== "reciprocalSquareRoot") {
    return undefined;
  }
  const [inside] = inverse.args;
  if (inverse.op === "reciprocalSquareRoot" && inside.op === "add") {
    const floor = scalarOf(inside.args[1]);
    const z = sumOfSquares(inside.args[0]);
    return z === undefined || floor === undefined ? undefined : { z, floor };
  }
  const { value, floor } = keptAbove(inside);
  if (floor < 0 || (inverse.op === "reciprocalSquareRoot" ? Math.sqrt(floor) : floor) > LEAST_LENGTH) {
    return undefined;
  }
  if (inverse.op === "reciprocalSquareRoot") {
    const z = sumOfSquares(value);
    return z === undefined ? undefined : { z, floor };
  }
  const z = value.op === "squareRoot" ? sumOfSquares(value.args[0]) : undefined;
  return z === undefined ? undefined : { z, floor: floor * floor };
}

/** A value and the small constant that keeps it from zero: max(x, c), x + c, or x itself. */
function keptAbove(node: TensorNode): { readonly value: TensorNode; readonly floor: number } {
  if (node.op === "clamp" && node.attributes.high === Number.POSITIVE_INFINITY) {
    return { value: node.args[0], floor: node.attributes.low as number };
  }
  const added = node.op === "add" || node.op === "maximum" ? scalarOf(node.args[1]) : undefined;
  return added === undefined ? { value: node, floor: 0 } : { value: node.args[0], floor: added };
}

/** z / max(‖z‖, ε) = rmsNorm(z) / √n: what ends sentence embedders, and what normalises queries and keys. */
const unitLength: Rule = {
  name: "value over its length",
  ops: ["multiply"],
  apply(node, rewriter) {
    const { scale, factors } = factorsOf(node);
    for (const factor of factors.filter(floats)) {
      const length = lengthUnder(behind(factor, ({ op }) => op === "reshape"));
      const rest = length && without(factors, [...factorsOf(length.z).factors, factor]);
      if (length === undefined || rest === undefined || factorsOf(length.z).scale !== 1) {
        continue;
      }
      const { z, floor } = length;
      const n = z.type.shape.at(-1)!;
      if (squeezed(factor.type.shape) !== squeezed([...z.type.shape.slice(0, -1), 1])) {
        return { why: "the lengths are not of the rows that they divide" };
      }
      const value = rewriter.emit("rmsNorm", [z], { epsilon: floor / n }, node.origin);
      return product(rewriter, value, rest, scale / Math.sqrt(n), node.origin);
    }
    return undefined;
  },
};

/** A shape without leading ones, as text. */
function squeezed(shape: readonly number[]): string {
  const first = shape.findIndex((n) => n !== 1);
  return first < 0 ? "" : shape.slice(first).join(",");
}

/** rmsNorm(x − mean(x)) = layerNorm(x). */
const layerNorm: Rule = {
  name: "layer norm",
  ops: ["rmsNorm"],
  apply(node, rewriter) {
    const [centred] = node.args;
    const centring = centred.op === "subtract" && meanOf(centred.args[1]) === centred.args[0];
    return centring ? rewriter.emit("layerNorm", [centred.args[0]], node.attributes, node.origin) : undefined;
  },
};

/** x · f − mean(x) · f = (x − mean(x)) · f, whatever stands between the two terms (TensorFlow's batch-norm form). */
const gatheredCentre: Rule = {
  name: "centre before factors",
  ops: ["add", "subtract"],
  apply(node, rewriter) {
    const terms = termsOf(rewriter, node, 3).map((term) => ({ term, ...factorsOf(term) }));
    for (const minus of terms) {
      const mean = minus.scale === -1 ? minus.factors.find((factor) => meanOf(factor) !== undefined) : undefined;
      if (mean === undefined) {
        continue;
      }
      const others = without(minus.factors, [mean])!;
      const x = meanOf(mean)!;
      const plus = terms.find(
        (each) =>
          each !== minus &&
          each.scale === 1 &&
          others.length > 0 &&
          without(each.factors, [x, ...others])?.length === 0,
      );
      if (plus === undefined) {
        continue;
      }
      const centred = rewriter.emit("subtract", [x, mean], {}, node.origin);
      const value = product(rewriter, centred, others, 1, node.origin);
      const rest = terms.filter((each) => each !== plus && each !== minus).map((each) => each.term);
      return rest.reduce((sum, each) => rewriter.emit("add", [sum, each], {}, node.origin), value);
    }
    return undefined;
  },
};

export const NORMS: readonly Rule[] = [fastVariance, idleRectifier, rmsNorm, unitLength, layerNorm, gatheredCentre];
