/** Element-wise ops: one rule of shape (numpy's broadcast) and one scalar function each. */

import type { Attributes } from "../../graph.js";
import {
  acos,
  acosh,
  asin,
  asinh,
  atan,
  atanh,
  cbrt,
  cos,
  cosh,
  erf,
  exp,
  exp2,
  expm1,
  ln,
  log1p,
  pow,
  sin,
  sinh,
  tan,
  tanh,
} from "../../real.js";
import { castNumber, gelu, roundHalfEven, sigmoid, softplus } from "../numeric.js";
import {
  broadcastData,
  broadcastShapes,
  doublesOf,
  isInteger,
  mapData,
  refuse,
  type TensorOp,
  tensorOf,
} from "../types.js";
import { DTYPES, type DType, sizeOf, type TensorType, type TensorValue } from "../value.js";

type Scalar = (x: number) => number;
type Pairwise = (x: number, y: number, dtype: DType) => number;
/** Of whole arrays of one length. A loop of its own for each op that models are full of: no call for an element. */
type PairLoop = (to: Float64Array, x: Float64Array, y: Float64Array, dtype: DType) => void;

function map(doc: string, compute: Scalar, result?: DType): TensorOp {
  return mapWith(doc, {}, () => compute, result);
}

/** A scalar function that depends on attributes. */
function mapWith(
  doc: string,
  attributes: TensorOp["attributes"],
  computeOf: (attributes: Attributes) => Scalar,
  result?: DType,
): TensorOp {
  return {
    doc,
    arity: [1, 1],
    attributes,
    infer: ([x]) => ({ dtype: result ?? x.dtype, shape: x.shape }),
    evaluate: ([x], given, type) => tensorOf(type, mapData(x.data, computeOf(given))),
  };
}

function pair(doc: string, compute: Pairwise, result?: DType): TensorOp {
  return pairWith(
    doc,
    (to, x, y, dtype) => {
      for (let i = 0; i < to.length; i++) {
        to[i] = compute(x[i], y[i], dtype);
      }
    },
    result,
  );
}

function pairWith(doc: string, loop: PairLoop, result?: DType): TensorOp {
  return {
    doc,
    arity: [2, 2],
    attributes: {},
    infer: ([x, y]) => ({ dtype: result ?? promote(x, y), shape: broadcastShapes(x.shape, y.shape) }),
    evaluate: ([x, y], _, type) => {
      const data = new Float64Array(sizeOf(type.shape));
      loop(data, broadcastDoubles(x, type.shape), broadcastDoubles(y, type.shape), type.dtype);
      return tensorOf(type, data);
    },
  };
}

function broadcastDoubles(x: TensorValue, shape: readonly number[]): Float64Array {
  return doublesOf(broadcastData(x, shape));
}

/** Types that meet must be equal; a boolean meets anything. */
function promote(x: TensorType, y: TensorType): DType {
  refuse(x.dtype !== y.dtype && x.dtype !== "bool" && y.dtype !== "bool", `types ${x.dtype} and ${y.dtype} differ`);
  return x.dtype === "bool" ? y.dtype : x.dtype;
}

const truth = (condition: boolean) => (condition ? 1 : 0);

function exactPower(x: number, y: number, dtype: DType): number {
  const power = pow(x, y);
  return isInteger(dtype) ? Math.trunc(power) : power;
}

export const UNARY = {
  negate: map("-x.", (x) => 0 - x),
  absolute: map("|x|.", Math.abs),
  sign: map("-1, 0 or 1.", Math.sign),
  reciprocal: map("1/x.", (x) => 1 / x),
  squareRoot: map("√x.", Math.sqrt),
  reciprocalSquareRoot: map("1/√x.", (x) => 1 / Math.sqrt(x)),
  cubeRoot: map("∛x.", cbrt),
  exponential: map("e^x.", exp),
  exponential2: map("2^x.", exp2),
  exponentialMinusOne: map("e^x - 1.", expm1),
  logarithm: map("ln x.", ln),
  logarithmPlusOne: map("ln(1 + x).", log1p),
  sine: map("sin x.", sin),
  cosine: map("cos x.", cos),
  tangent: map("tan x.", tan),
  arcSine: map("arcsin x.", asin),
  arcCosine: map("arccos x.", acos),
  arcTangent: map("arctan x.", atan),
  hyperbolicSine: map("sinh x.", sinh),
  hyperbolicCosine: map("cosh x.", cosh),
  arcHyperbolicSine: map("arsinh x.", asinh),
  arcHyperbolicCosine: map("arcosh x.", acosh),
  arcHyperbolicTangent: map("artanh x.", atanh),
  tangentHyperbolic: map("tanh x.", tanh),
  errorFunction: map("erf x.", erf),
  sigmoid: map("1/(1 + e^-x).", sigmoid),
  relu: map("max(x, 0).", (x) => (x > 0 ? x : Number.isNaN(x) ? x : 0)),
  silu: map("x·sigmoid(x) (Elfwing et al. 2018).", (x) => x * sigmoid(x)),
  softplus: map("ln(1 + e^x).", softplus),
  gelu: mapWith(
    "x·Φ(x) (Hendrycks & Gimpel 2016): exact by erf, by tanh, or quick, x·sigmoid(1.702 x).",
    { approximation: "string" },
    (attributes) => gelu(attributes.approximation as string),
  ),
  floor: map("The largest integer not above x.", Math.floor),
  ceiling: map("The smallest integer not below x.", Math.ceil),
  round: map("The nearest integer, halves to even.", roundHalfEven),
  isNaN: map("Whether x is not a number.", (x) => truth(Number.isNaN(x)), "bool"),
  isInfinite: map("Whether x is infinite.", (x) => truth(Math.abs(x) === Number.POSITIVE_INFINITY), "bool"),
  not: map("1 - x of booleans.", (x) => truth(x === 0), "bool"),
  clamp: mapWith(
    "x, but not below `low` and not above `high`.",
    { low: "number", high: "number" },
    ({ low, high }) =>
      (x) =>
        Math.min(Math.max(x, low as number), high as number),
  ),
} as const satisfies Record<string, TensorOp>;

const cast: TensorOp = {
  doc: "The same number in another type: integers truncate and wrap, short floats round.",
  arity: [1, 1],
  attributes: { dtype: "string" },
  infer: ([x], attributes) => {
    const dtype = attributes.dtype as DType;
    refuse(!DTYPES.includes(dtype), `no type '${String(dtype)}'`);
    return { dtype, shape: x.shape };
  },
  evaluate: ([x], _, type) => {
    const numbers = mapData(x.data, (value) => castNumber(value, type.dtype));
    return tensorOf(type, numbers);
  },
};

export const BINARY = {
  add: pairWith("x + y.", (to, x, y) => {
    for (let i = 0; i < to.length; i++) {
      to[i] = x[i] + y[i];
    }
  }),
  subtract: pairWith("x - y.", (to, x, y) => {
    for (let i = 0; i < to.length; i++) {
      to[i] = x[i] - y[i];
    }
  }),
  multiply: pairWith("x·y.", (to, x, y) => {
    for (let i = 0; i < to.length; i++) {
      to[i] = x[i] * y[i];
    }
  }),
  divide: pair("x/y; integers truncate toward zero.", (x, y, dtype) => (isInteger(dtype) ? Math.trunc(x / y) : x / y)),
  power: pair("x^y.", exactPower),
  maximum: pair("The larger of x and y.", (x, y) => Math.max(x, y)),
  minimum: pair("The smaller of x and y.", (x, y) => Math.min(x, y)),
  equal: pair("x = y.", (x, y) => truth(x === y), "bool"),
  less: pair("x < y.", (x, y) => truth(x < y), "bool"),
  lessOrEqual: pair("x ≤ y.", (x, y) => truth(x <= y), "bool"),
  greater: pair("x > y.", (x, y) => truth(x > y), "bool"),
  greaterOrEqual: pair("x ≥ y.", (x, y) => truth(x >= y), "bool"),
  and: pair("Both.", (x, y) => truth(x !== 0 && y !== 0), "bool"),
  or: pair("At least one.", (x, y) => truth(x !== 0 || y !== 0), "bool"),
  xor: pair("Exactly one.", (x, y) => truth((x !== 0) !== (y !== 0)), "bool"),
} as const satisfies Record<string, TensorOp>;

const modulo: TensorOp = {
  ...pair("The remainder of x/y.", (x) => x),
  doc: "The remainder of x/y: with the sign of x where `fmod`, with the sign of y otherwise.",
  attributes: { fmod: "boolean" },
  evaluate: ([x, y], attributes, type) => {
    const [a, b] = [broadcastData(x, type.shape), broadcastData(y, type.shape)];
    const floor = (p: number, q: number) => p - q * Math.floor(p / q);
    const remainders = mapData(a, (p, i) => (attributes.fmod === true ? p % b[i] : floor(p, b[i])));
    return tensorOf(type, remainders);
  },
};

const select: TensorOp = {
  doc: "x where the condition holds, y elsewhere.",
  arity: [3, 3],
  attributes: {},
  infer: ([condition, x, y]) => ({ dtype: promote(x, y), shape: broadcastShapes(condition.shape, x.shape, y.shape) }),
  evaluate: (args, _, type) => {
    const [condition, x, y] = args.map((value) => broadcastData(value, type.shape));
    const chosen = mapData(condition, (c, i) => (c !== 0 ? x[i] : y[i]));
    return tensorOf(type, chosen);
  },
};

export const ELEMENTWISE = { ...UNARY, cast, ...BINARY, modulo, select } as const satisfies Record<string, TensorOp>;
