/**
 * Activations written with elementary functions: GELU by erf or erfc, by tanh, by sigmoid; SiLU. All orders of the
 * factors are one rule, because products are matched as sets of factors and arguments as polynomials.
 */
import type { Refusal, Rewriter, Rule, TensorNode } from "../rewriter.js";
import { floats, isClose, isScalar } from "../rules/common.js";
import { type Factors, factorsOf, polynomialOf, product, without } from "./chains.js";

/** The function of which this is `f(u) + 1`. */
function onePlus(node: TensorNode, op: string): TensorNode | undefined {
  const [value, one] = node.args;
  return node.op === "add" && value.op === op && isScalar(one, 1) ? value.args[0] : undefined;
}

interface Found {
  readonly x: TensorNode;
  readonly rest: readonly TensorNode[];
  /** The inner argument as a polynomial of x. */
  readonly polynomial: readonly number[];
}

/** Finds among the other factors the x of which `inner` is a polynomial. */
function findArgument(inner: TensorNode, others: readonly TensorNode[]): Found | undefined {
  const base = inner.op === "multiply" && isFactor(inner.args[1]) ? inner.args[0] : inner;
  for (const x of [base, ...others]) {
    const rest = without(others, factorsOf(x).factors);
    const polynomial = rest === undefined ? undefined : polynomialOf(inner, x);
    if (rest !== undefined && polynomial !== undefined && factorsOf(x).scale === 1) {
      return { x, rest, polynomial };
    }
  }
  return undefined;
}

function isFactor(node: TensorNode): boolean {
  return node.op === "constant" && node.type.shape.length === 0;
}

function agrees(polynomial: readonly number[], wanted: readonly number[], relative: number): boolean {
  const length = Math.max(polynomial.length, wanted.length);
  return Array.from({ length }, (_, i) => [polynomial[i] ?? 0, wanted[i] ?? 0]).every(([a, b]) =>
    b === 0 ? Math.abs(a) < 1e-9 : isClose(a, b, relative),
  );
}

function sides(node: TensorNode, op: string): { all: Factors; inner: TensorNode; others: TensorNode[] } | undefined {
  const all = factorsOf(node);
  for (const factor of all.factors) {
    const inner = op === "sigmoid" ? (factor.op === "sigmoid" ? factor.args[0] : undefined) : onePlus(factor, op);
    if (inner !== undefined) {
      return { all, inner, others: without(all.factors, [factor])! };
    }
  }
  return undefined;
}

const ROOT_HALF = Math.SQRT1_2;
const ROOT_TWO_OVER_PI = Math.sqrt(2 / Math.PI);

/** ½ x (1 + f(p(x))) with f = erf, p = x/√2 or f = tanh, p = √(2/π)(x + 0.044715 x³). */
function gelu(op: string, approximation: string, wanted: readonly number[]): Rule {
  return {
    name: `gelu ${approximation}`,
    ops: ["multiply", "negate"],
    apply(node, rewriter): TensorNode | Refusal | undefined {
      const found = sides(node, op);
      if (found === undefined) {
        return undefined;
      }
      const argument = findArgument(found.inner, found.others);
      if (argument === undefined) {
        return { why: `no factor x of which the argument of ${op} is a polynomial` };
      }
      if (!agrees(argument.polynomial, wanted, 1e-3)) {
        return { why: `the argument of ${op} has coefficients ${argument.polynomial.join(", ")}` };
      }
      const value = rewriter.emit("gelu", [argument.x], { approximation }, node.origin);
      return product(rewriter, value, argument.rest, tidy(found.all.scale * 2), node.origin);
    },
  };
}

/** Exactly one where a float32 constant meant one. */
function tidy(scale: number): number {
  return isClose(scale, 1, 1e-6) ? 1 : scale;
}

const QUICK = 1.702;

/** x σ(x) is SiLU, x σ(1.702 x) quick GELU, x σ(c x) = SiLU(c x) / c. */
const sigmoidLinear: Rule = {
  name: "silu and quick gelu",
  ops: ["multiply", "negate"],
  apply(node, rewriter) {
    const found = sides(node, "sigmoid");
    const argument = found === undefined ? undefined : findArgument(found.inner, found.others);
    if (found === undefined || argument === undefined) {
      return undefined;
    }
    const { x, rest, polynomial } = argument;
    const slope = polynomial[1] ?? 0;
    if (slope === 0 || !agrees(polynomial, [0, slope], 1e-9)) {
      return { why: `the argument of sigmoid has coefficients ${polynomial.join(", ")}` };
    }
    return product(rewriter, sigmoidOf(rewriter, x, slope, node.origin), rest, found.all.scale, node.origin);
  },
};

function sigmoidOf(rewriter: Rewriter, x: TensorNode, slope: number, origin: string): TensorNode {
  if (isClose(slope, QUICK, 1e-3)) {
    return rewriter.emit("gelu", [x], { approximation: "quick" }, origin);
  }
  if (slope === 1) {
    return rewriter.emit("silu", [x], {}, origin);
  }
  const inner = rewriter.emit("multiply", [x, rewriter.scalar(slope, x)], {}, origin);
  const value = rewriter.emit("silu", [inner], {}, origin);
  return rewriter.emit("multiply", [value, rewriter.scalar(1 / slope, x)], {}, origin);
}

/**
 * A cap is a small whole number: a scale that was learnt is none, and stays its owner's. A series' amplitudes end at
 * 128.
 */
const CAPS = { least: 2, most: 64 };

/** c·tanh(a·x) for a cap c: as it is written the factor a, small beside c, would go into weights and lose its bits. */
const softCap: Rule = {
  name: "soft cap",
  ops: ["multiply"],
  apply(node, rewriter) {
    const { scale, factors } = factorsOf(node);
    const [bent] = factors;
    if (factors.length !== 1 || bent.op !== "tangentHyperbolic" || !floats(node)) {
      return undefined;
    }
    const cap = Math.round(scale);
    if (!isClose(scale, cap, 1e-6) || cap < CAPS.least || cap > CAPS.most) {
      return { why: `${scale} is no cap` };
    }
    const argument = factorsOf(bent.args[0]);
    const [first, ...rest] = argument.factors;
    const x = first === undefined ? undefined : product(rewriter, first, rest, tidy(argument.scale * cap), bent.origin);
    return x === undefined ? undefined : rewriter.emit("softCap", [x], { cap }, node.origin);
  },
};

export const ACTIVATIONS: readonly Rule[] = [
  softCap,
  gelu("errorFunction", "erf", [0, ROOT_HALF]),
  gelu("tangentHyperbolic", "tanh", [0, ROOT_TWO_OVER_PI, 0, ROOT_TWO_OVER_PI * 0.044715]),
  sigmoidLinear,
];
