/**
 * x^y: small whole exponents are products, other public ones a root or a power of a positive value, and a secret
 * exponent is e^(y·ln x). What holds of one exponent holds of a tensor with a few different ones: every power is
 * computed, and a public mask picks.
 */
import { ln, pow } from "../../ir/real.js";
import type { TensorValue } from "../../ir/tensor/value.js";
import { constantOf, fractionOf, type Lowering, type ShareNode, type TensorNode } from "./context.js";
import { logarithmOf, positiveArgument, positivePower, powerOfTwo, reciprocalOf, squareRootOf } from "./functions.js";
import { positiveInterval } from "./interval.js";
import { addReal, timesPublic } from "./linear.js";

/** The largest exponent that is computed by products, and how many different ones are. */
const LARGEST_PRODUCT = 8;
const MOST_PRODUCTS = 4;

export function lowerPower(lowering: Lowering, node: TensorNode): ShareNode {
  const [x, y] = node.args;
  const exponents = [...new Set(constantOf(y)?.data ?? [])];
  if (exponents.length === 1) {
    return oneExponent(lowering, node, exponents[0]);
  }
  const products = exponents.every((each) => Number.isInteger(each) && each >= 0 && each <= LARGEST_PRODUCT);
  return products && exponents.length > 0 && exponents.length <= MOST_PRODUCTS
    ? pickedPowers(lowering, lowering.masked(x), lowering.boundOf(x), constantOf(y)!)
    : anyPower(lowering, node);
}

function oneExponent(lowering: Lowering, node: TensorNode, exponent: number): ShareNode {
  const [x] = node.args;
  if (exponent === 0.5) {
    return squareRootOf(lowering, node, x);
  }
  if (exponent === -1) {
    return reciprocalOf(lowering, node, x);
  }
  return Number.isInteger(exponent) && exponent >= 1 && exponent <= LARGEST_PRODUCT
    ? wholePower(lowering, lowering.masked(x), lowering.boundOf(x), exponent)
    : positivePower(lowering, node, x, exponent);
}

/** x^n by the fewest rounds: halves first. */
function wholePower(lowering: Lowering, x: ShareNode, bound: number, exponent: number): ShareNode {
  const fraction = fractionOf(x);
  const powers = new Map<number, ShareNode>([[1, x]]);
  const of = (n: number): ShareNode => {
    const known = powers.get(n);
    if (known !== undefined) {
      return known;
    }
    const parts = [of(Math.ceil(n / 2)), of(Math.floor(n / 2))].map((part) =>
      lowering.atFraction(part, lowering.factorFraction(pow(bound, n), fraction)),
    );
    const made = lowering.bounded(lowering.emit("multiply", parts, { drop: 0 }), pow(bound, n));
    powers.set(n, made);
    return made;
  };
  return of(exponent);
}

/** Σ [y = n]·x^n over the different exponents n, with public masks. */
function pickedPowers(lowering: Lowering, x: ShareNode, bound: number, y: TensorValue): ShareNode {
  const fraction = 2 * fractionOf(x);
  const only = (n: number): TensorValue => ({
    dtype: "i64",
    shape: y.shape,
    data: Float64Array.from(y.data, (each) => (each === n ? 1 : 0)),
  });
  const terms = [...new Set(y.data)].map((n) => {
    const power =
      n === 0
        ? addReal(lowering, lowering.emit("multiplyConstant", [x], { value: only(-1), fraction: 0 }), 1)
        : wholePower(lowering, x, bound, n);
    const picked = lowering.emit("multiplyConstant", [power], { value: only(n), fraction: 0 });
    return lowering.additive(lowering.bounded(picked, Math.max(1, pow(bound, n))), fraction);
  });
  return terms.slice(1).reduce((sum, term) => lowering.emit("add", [sum, term]), terms[0]);
}

/** e^(y·ln x) for a positive x. */
function anyPower(lowering: Lowering, node: TensorNode): ShareNode {
  const [x, y] = node.args;
  const base = constantOf(x);
  const range = positiveInterval(lowering, node, x);
  const ends = [ln(range.low), ln(range.high)];
  const exponents = lowering.ranges.get(y)!;
  const products = ends.flatMap((end) => exponents.map((exponent) => end * exponent));
  const largest = Math.min(Math.max(...products), ln(lowering.boundOf(node)));
  const interval = { low: Math.min(...products) * Math.LOG2E, high: largest * Math.LOG2E };
  const product =
    base === undefined
      ? withExponent(lowering, logarithmOf(lowering, positiveArgument(lowering, x, range), range), y)
      : timesPublic(lowering, lowering.masked(y), {
          ...base,
          dtype: "f64",
          data: Float64Array.from(base.data, ln),
        });
  const bound = Math.max(...products.map(Math.abs));
  const opened = lowering.atFraction(lowering.bounded(product, bound), lowering.precision.activation);
  return powerOfTwo(lowering, opened, interval, Math.LOG2E);
}

function withExponent(lowering: Lowering, logarithm: ShareNode, y: TensorNode): ShareNode {
  const exponents = constantOf(y);
  return exponents === undefined
    ? lowering.emit("multiply", [lowering.masked(y), logarithm], { drop: 0 })
    : timesPublic(lowering, logarithm, exponents);
}
