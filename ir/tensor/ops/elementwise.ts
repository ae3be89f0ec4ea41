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
  expm1,
  ln,
  log1p,
  pow,
  sin,
  sinh,
  tan,
  tanh,
} from "../../real.js";
import { broadcastStrides, sameShape } from "../../shape.js";
import { PLAIN } from "../arithmetic.js";
import { castNumber, gelu, geluErf, geluTanh, roundHalfEven, softplus } from "../numeric.js";
import { erf, exp, exp2, sigmoid } from "../quick.js";
import { ARITHMETIC, BOUNDED_FUNCTION, CHOICE, commuting, FUNCTION, TRUTH, type Traits } from "../traits.js";
import {
  broadcastData,
  broadcastShapes,
  doublesOf,
  isInteger,
  mapData,
  refuse,
  type TensorOp,
  tensorOf,
  walk,
} from "../types.js";
import { DTYPES, type DType, sizeOf, type TensorType, type TensorValue } from "../value.js";

type Scalar = (x: number) => number;
type Pairwise = (x: number, y: number, dtype: DType) => number;
/** Of whole arrays of one length. A loop of its own for each op that models are full of: no call for an element. */
type PairLoop = (to: Float64Array, x: Float64Array, y: Float64Array, dtype: DType) => void;

function map(traits: Traits, doc: string, compute: Scalar, result?: DType): TensorOp {
  return mapWith(traits, doc, {}, () => compute, result);
}

/** A scalar function that depends on attributes. */
function mapWith(
  traits: Traits,
  doc: string,
  attributes: TensorOp["attributes"],
  computeOf: (attributes: Attributes) => Scalar,
  result?: DType,
): TensorOp {
  return {
    traits,
    doc,
    arity: [1, 1],
    attributes,
    infer: ([x]) => ({ dtype: result ?? x.dtype, shape: x.shape }),
    evaluate: ([x], given, type) => tensorOf(type, mapData(x.data, computeOf(given))),
  };
}

/** Of whole arrays of one length: a loop of its own for each function that models are full of. */
type Loop = (to: Float64Array, x: Float64Array) => void;

function loopWith(
  traits: Traits,
  doc: string,
  attributes: TensorOp["attributes"],
  loopOf: (attributes: Attributes) => Loop,
): TensorOp {
  return {
    traits,
    doc,
    arity: [1, 1],
    attributes,
    infer: ([x]) => x,
    evaluate: ([x], given, type, { room } = PLAIN) => {
      const data = room(x.data.length);
      loopOf(given)(data, doublesOf(x.data));
      return tensorOf(type, data);
    },
  };
}

function loop(traits: Traits, doc: string, run: Loop): TensorOp {
  return loopWith(traits, doc, {}, () => run);
}

function each(compute: Scalar): Loop {
  return (to, x) => {
    for (let i = 0; i < to.length; i++) {
      to[i] = compute(x[i]);
    }
  };
}

const GELU: Readonly<Record<string, Loop>> = {
  erf: (to, x) => {
    for (let i = 0; i < to.length; i++) {
      to[i] = geluErf(x[i]);
    }
  },
  tanh: (to, x) => {
    for (let i = 0; i < to.length; i++) {
      to[i] = geluTanh(x[i]);
    }
  },
};

function pair(traits: Traits, doc: string, compute: Pairwise, result?: DType): TensorOp {
  return pairWith(
    traits,
    doc,
    (to, x, y, dtype) => {
      for (let i = 0; i < to.length; i++) {
        to[i] = compute(x[i], y[i], dtype);
      }
    },
    result,
  );
}

function pairWith(traits: Traits, doc: string, loop: PairLoop, result?: DType): TensorOp {
  return {
    traits,
    doc,
    arity: [2, 2],
    attributes: {},
    infer: ([x, y]) => ({ dtype: result ?? promote(x, y), shape: broadcastShapes(x.shape, y.shape) }),
    evaluate: ([x, y], _, type, { room } = PLAIN) => {
      const data = room(sizeOf(type.shape));
      const length = type.shape.at(-1) ?? 1;
      if (length >= LEAST_ROW && [x, y].some((each) => isWrittenOut(each, type.shape))) {
        rowByRow(loop, [x, y], type, data);
        return tensorOf(type, data);
      }
      return tensorOf(type, wholly(loop, [x, y], type, data));
    },
  };
}

/** Of arguments that are there as long as the result, or repeat in it. */
function wholly(loop: PairLoop, [x, y]: readonly TensorValue[], type: TensorType, data: Float64Array): Float64Array {
  const [a, b] = [repeated(x, type.shape), repeated(y, type.shape)];
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < data.length; at += length) {
    const [left, right] = [a, b].map((whole) => whole.subarray(at % whole.length, (at % whole.length) + length));
    loop(data.subarray(at, at + length), left, right, type.dtype);
  }
  return data;
}

/** Of arguments of which one would have to be written out, in whole or as doubles: a row of each at a time. */
function rowByRow(loop: PairLoop, args: readonly TensorValue[], type: TensorType, data: Float64Array): void {
  const length = type.shape.at(-1)!;
  const outer = type.shape.slice(0, -1);
  const [left, right] = args.map((each) => new RowReader(each, type.shape));
  const places = new Float64Array(sizeOf(outer));
  walk(outer, left.strides, 0, (row, at) => {
    places[row] = at;
  });
  walk(outer, right.strides, 0, (row, at) => {
    const to = data.subarray(row * length, (row + 1) * length);
    loop(to, left.row(places[row]), right.row(at), type.dtype);
  });
}

/** The rows of an argument as doubles of the result's length. */
class RowReader {
  /** In elements, of the axes before the last. */
  readonly strides: readonly number[];
  private readonly length: number;
  private readonly isFull: boolean;
  private readonly data: TensorValue["data"];
  private readonly buffer: Float64Array;

  constructor(x: TensorValue, shape: readonly number[]) {
    const strides = broadcastStrides(x.shape, shape);
    this.length = shape.at(-1)!;
    this.isFull = strides.at(-1) !== 0;
    this.strides = strides.slice(0, -1);
    this.data = x.data;
    this.buffer = new Float64Array(this.length);
  }

  /** The row that begins at an element; it holds until the next call. */
  row(at: number): Float64Array {
    const { data, buffer, length } = this;
    if (!this.isFull) {
      return buffer.fill(data[at]);
    }
    if (data instanceof Float64Array) {
      return data.subarray(at, at + length);
    }
    buffer.set(data.subarray(at, at + length));
    return buffer;
  }
}

/** Rows shorter than this are not worth a call of a loop. */
const LEAST_ROW = 32;

/** Whether a value would be written out to have a shape, or so much of it as repeats. */
function isWrittenOut(x: TensorValue, shape: readonly number[]): boolean {
  return !isRepeated(x, shape) && !(sameShape(x.shape, shape) && x.data instanceof Float64Array);
}

/** x broadcast to a shape, or as much of it as repeats: a row of a bias, and not the whole of it written out. */
function repeated(x: TensorValue, shape: readonly number[]): Float64Array {
  return doublesOf(isRepeated(x, shape) ? x.data : broadcastData(x, shape));
}

/** Whether the value repeats in a shape: a row of a bias does. */
function isRepeated(x: TensorValue, shape: readonly number[]): boolean {
  const first = x.shape.findIndex((n) => n !== 1);
  const rest = first < 0 ? [] : x.shape.slice(first);
  return rest.length > 0 && x.data.length >= LEAST_ROW && sameShape(rest, shape.slice(-rest.length));
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

const UNARY = {
  negate: map(CHOICE, "-x.", (x) => 0 - x),
  absolute: map(ARITHMETIC, "|x|.", Math.abs),
  sign: map({ ...CHOICE, image: "interval" }, "-1, 0 or 1.", Math.sign),
  reciprocal: map(FUNCTION, "1/x.", (x) => 1 / x),
  squareRoot: map(FUNCTION, "√x.", Math.sqrt),
  reciprocalSquareRoot: map(FUNCTION, "1/√x.", (x) => 1 / Math.sqrt(x)),
  cubeRoot: map(FUNCTION, "∛x.", cbrt),
  exponential: loop(FUNCTION, "e^x.", (to, x) => {
    for (let i = 0; i < to.length; i++) {
      to[i] = exp(x[i]);
    }
  }),
  exponential2: map(FUNCTION, "2^x.", exp2),
  exponentialMinusOne: map(FUNCTION, "e^x - 1.", expm1),
  logarithm: map(FUNCTION, "ln x.", ln),
  logarithmPlusOne: map(FUNCTION, "ln(1 + x).", log1p),
  sine: map(BOUNDED_FUNCTION, "sin x.", sin),
  cosine: map(BOUNDED_FUNCTION, "cos x.", cos),
  tangent: map(FUNCTION, "tan x.", tan),
  arcSine: map(BOUNDED_FUNCTION, "arcsin x.", asin),
  arcCosine: map(BOUNDED_FUNCTION, "arccos x.", acos),
  arcTangent: map(BOUNDED_FUNCTION, "arctan x.", atan),
  hyperbolicSine: map(FUNCTION, "sinh x.", sinh),
  hyperbolicCosine: map(FUNCTION, "cosh x.", cosh),
  arcHyperbolicSine: map(FUNCTION, "arsinh x.", asinh),
  arcHyperbolicCosine: map(FUNCTION, "arcosh x.", acosh),
  arcHyperbolicTangent: map(FUNCTION, "artanh x.", atanh),
  tangentHyperbolic: map(BOUNDED_FUNCTION, "tanh x.", tanh),
  softCap: mapWith(
    BOUNDED_FUNCTION,
    "cap·tanh(x/cap): x, bent so that it stays below `cap` (Bello et al. 2016; Gemma 2).",
    { cap: "number" },
    ({ cap }) =>
      (x) =>
        (cap as number) * tanh(x / (cap as number)),
  ),
  errorFunction: map(BOUNDED_FUNCTION, "erf x.", erf),
  sigmoid: map(BOUNDED_FUNCTION, "1/(1 + e^-x).", sigmoid),
  relu: map(ARITHMETIC, "max(x, 0).", (x) => (x > 0 ? x : Number.isNaN(x) ? x : 0)),
  silu: loop(FUNCTION, "x·sigmoid(x) (Elfwing et al. 2018).", (to, x) => {
    for (let i = 0; i < to.length; i++) {
      to[i] = x[i] * sigmoid(x[i]);
    }
  }),
  softplus: map(FUNCTION, "ln(1 + e^x).", softplus),
  gelu: loopWith(
    FUNCTION,
    "x·Φ(x) (Hendrycks & Gimpel 2016): exact by erf, by tanh, or quick, x·sigmoid(1.702 x).",
    { approximation: "string" },
    ({ approximation }) => GELU[approximation as string] ?? each(gelu(approximation as string)),
  ),
  geluEven: loopWith(
    FUNCTION,
    "gelu(x) - x/2, the even part of GELU: what is left when the linear half goes into the weights behind it.",
    { approximation: "string" },
    ({ approximation }) => {
      const whole = GELU[approximation as string] ?? each(gelu(approximation as string));
      return (to, x) => {
        whole(to, x);
        for (let i = 0; i < to.length; i++) {
          to[i] -= x[i] / 2;
        }
      };
    },
  ),
  floor: map(ARITHMETIC, "The largest integer not above x.", Math.floor),
  ceiling: map(ARITHMETIC, "The smallest integer not below x.", Math.ceil),
  round: map(ARITHMETIC, "The nearest integer, halves to even.", roundHalfEven),
  isNaN: map(TRUTH, "Whether x is not a number.", (x) => truth(Number.isNaN(x)), "bool"),
  isInfinite: map(TRUTH, "Whether x is infinite.", (x) => truth(Math.abs(x) === Number.POSITIVE_INFINITY), "bool"),
  not: map(TRUTH, "1 - x of booleans.", (x) => truth(x === 0), "bool"),
  clamp: mapWith(
    CHOICE,
    "x, but not below `low` and not above `high`.",
    { low: "number", high: "number" },
    ({ low, high }) =>
      (x) =>
        Math.min(Math.max(x, low as number), high as number),
  ),
} as const satisfies Record<string, TensorOp>;

const cast: TensorOp = {
  traits: CHOICE,
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

export const COMPARISON = {
  equal: pair(commuting(TRUTH), "x = y.", (x, y) => truth(x === y), "bool"),
  less: pair(TRUTH, "x < y.", (x, y) => truth(x < y), "bool"),
  lessOrEqual: pair(TRUTH, "x ≤ y.", (x, y) => truth(x <= y), "bool"),
  greater: pair(TRUTH, "x > y.", (x, y) => truth(x > y), "bool"),
  greaterOrEqual: pair(TRUTH, "x ≥ y.", (x, y) => truth(x >= y), "bool"),
} as const satisfies Record<string, TensorOp>;

const BINARY = {
  add: pairWith(commuting(ARITHMETIC), "x + y.", (to, x, y) => {
    for (let i = 0; i < to.length; i++) {
      to[i] = x[i] + y[i];
    }
  }),
  subtract: pairWith(ARITHMETIC, "x - y.", (to, x, y) => {
    for (let i = 0; i < to.length; i++) {
      to[i] = x[i] - y[i];
    }
  }),
  multiply: pairWith(commuting(ARITHMETIC), "x·y.", (to, x, y) => {
    for (let i = 0; i < to.length; i++) {
      to[i] = x[i] * y[i];
    }
  }),
  divide: pair(FUNCTION, "x/y; integers truncate toward zero.", (x, y, dtype) =>
    isInteger(dtype) ? Math.trunc(x / y) : x / y,
  ),
  power: pair(FUNCTION, "x^y.", exactPower),
  maximum: pair(commuting(ARITHMETIC), "The larger of x and y.", (x, y) => Math.max(x, y)),
  minimum: pair(commuting(ARITHMETIC), "The smaller of x and y.", (x, y) => Math.min(x, y)),
  ...COMPARISON,
  and: pair(commuting(TRUTH), "Both.", (x, y) => truth(x !== 0 && y !== 0), "bool"),
  or: pair(commuting(TRUTH), "At least one.", (x, y) => truth(x !== 0 || y !== 0), "bool"),
  xor: pair(commuting(TRUTH), "Exactly one.", (x, y) => truth((x !== 0) !== (y !== 0)), "bool"),
} as const satisfies Record<string, TensorOp>;

const modulo: TensorOp = {
  ...pair(ARITHMETIC, "The remainder of x/y.", (x) => x),
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
  traits: CHOICE,
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
