/**
 * Operators that work element by element, with numpy broadcasting. Most have a twin in the tensor graph; the rest are
 * written out in it.
 */

import { dtypeOf } from "../../../formats/onnx/tensor-proto.js";
import { isFloat } from "../../../ir/tensor/value.js";
import { type Call, type Convert, type OperatorFamily, rule } from "../call.js";
import { type Emitter, knownValue, type Value } from "../emitter.js";

/** An operator of one input that is one op of the tensor graph. */
function unary(op: string): Convert {
  return (call) => [call.emitter.emit(op, [call.input(0)])];
}

/** An operator of two inputs that is one op of the tensor graph. */
function binary(op: string): Convert {
  return (call) => [call.emitter.emit(op, [call.input(0), call.input(1)])];
}

/** Any number of inputs, folded from the left. */
function variadic(op: string): Convert {
  return (call) => [fold(call, op)];
}

function fold(call: Call, op: string): Value {
  return call
    .all()
    .slice(1)
    .reduce((value, next) => call.emitter.emit(op, [value, next]), call.input(0));
}

/** An operator of one input written out with numbers, in the input's type. */
function formula(write: (x: Value, emitter: Emitter, call: Call) => Value): Convert {
  return (call) => [write(call.input(0), call.emitter, call)];
}

function mean(call: Call): readonly Value[] {
  return [call.emitter.scale(fold(call, "add"), 1 / call.inputs.length)];
}

/** Power keeps the base's type; a whole base with a fractional exponent is computed in the exponent's type. */
function power(call: Call): readonly Value[] {
  const { emitter } = call;
  const [base, exponent] = [call.input(0), call.input(1)];
  const { dtype } = base.type;
  if (!isFloat(dtype) && isFloat(exponent.type.dtype)) {
    const result = emitter.emit("power", [emitter.cast(base, exponent.type.dtype), exponent]);
    return [emitter.cast(result, dtype)];
  }
  return [emitter.emit("power", [base, emitter.cast(exponent, dtype)])];
}

function modulo(call: Call): readonly Value[] {
  return [call.emitter.emit("modulo", [call.input(0), call.input(1)], { fmod: call.flag("fmod", false) })];
}

function cast(call: Call): readonly Value[] {
  return [call.emitter.cast(call.input(0), dtypeOf(call.requiredInteger("to"), call.label))];
}

function castLike(call: Call): readonly Value[] {
  return [call.emitter.cast(call.input(0), call.input(1).type.dtype)];
}

/** Bounds were attributes before operator set 11 and are inputs since. */
function clip(call: Call): readonly Value[] {
  const { emitter } = call;
  const x = call.input(0);
  const bound = (index: number, name: string, fallback: number): Value | number => {
    if (call.opset < 11) {
      return call.number(name, fallback);
    }
    const value = call.optional(index);
    const known = value && knownValue(value);
    return known ? known.data[0] : (value ?? fallback);
  };
  const low = bound(1, "min", Number.NEGATIVE_INFINITY);
  const high = bound(2, "max", Number.POSITIVE_INFINITY);
  if (typeof low === "number" && typeof high === "number" && low <= high) {
    const open = low === Number.NEGATIVE_INFINITY && high === Number.POSITIVE_INFINITY;
    return [open ? x : emitter.emit("clamp", [x], { low, high })];
  }
  const asValue = (limit: Value | number): Value =>
    typeof limit === "number" ? emitter.scalar(limit, x.type.dtype) : limit;
  return [emitter.emit("minimum", [emitter.emit("maximum", [x, asValue(low)]), asValue(high)])];
}

function isInfinite(call: Call): readonly Value[] {
  const { emitter } = call;
  const x = call.input(0);
  const zero = emitter.scalar(0, x.type.dtype);
  const infinite = emitter.emit("isInfinite", [x]);
  const negative = call.flag("detect_negative", true);
  const positive = call.flag("detect_positive", true);
  if (negative && positive) {
    return [infinite];
  }
  if (!negative && !positive) {
    return [emitter.filled(0, x.type.shape, "bool")];
  }
  return [emitter.emit("and", [infinite, emitter.emit(negative ? "less" : "greater", [x, zero])])];
}

function gelu(call: Call): readonly Value[] {
  const approximation = call.string("approximate", "none") === "tanh" ? "tanh" : "erf";
  return [call.emitter.emit("gelu", [call.input(0)], { approximation })];
}

/** x · sigmoid(alpha x): SiLU at one, the quick GELU at 1.702. */
export function swish(emitter: Emitter, x: Value, alpha: number): Value {
  if (alpha === 1) {
    return emitter.emit("silu", [x]);
  }
  if (Math.abs(alpha - 1.702) < 1e-6) {
    return emitter.emit("gelu", [x], { approximation: "quick" });
  }
  return emitter.multiply(x, emitter.emit("sigmoid", [emitter.scale(x, alpha)]));
}

function hardSigmoid(emitter: Emitter, x: Value, alpha: number, beta: number): Value {
  return emitter.emit("clamp", [emitter.offset(emitter.scale(x, alpha), beta)], { low: 0, high: 1 });
}

/** positive where x > 0, negative elsewhere. */
function bySign(emitter: Emitter, x: Value, positive: Value, negative: Value): Value {
  return emitter.select(emitter.emit("greater", [x, emitter.scalar(0, x.type.dtype)]), positive, negative);
}

/** alpha · (e^(x/width) − 1); the exponent is held at zero from above, where the other branch is taken. */
function exponentialTail(emitter: Emitter, x: Value, alpha: number, width = 1): Value {
  const capped = emitter.emit("minimum", [emitter.scale(x, 1 / width), emitter.scalar(0, x.type.dtype)]);
  return emitter.scale(emitter.offset(emitter.emit("exponential", [capped]), -1), alpha);
}

function parametricRelu(call: Call): readonly Value[] {
  const { emitter } = call;
  const [x, slope] = [call.input(0), call.input(1)];
  return [bySign(emitter, x, x, emitter.multiply(x, slope))];
}

function shrink(x: Value, emitter: Emitter, call: Call): Value {
  const { dtype } = x.type;
  const [limit, bias] = [call.number("lambd", 0.5), call.number("bias", 0)];
  const below = emitter.emit("less", [x, emitter.scalar(-limit, dtype)]);
  const above = emitter.emit("greater", [x, emitter.scalar(limit, dtype)]);
  const middle = emitter.select(above, emitter.offset(x, -bias), emitter.scalar(0, dtype));
  return emitter.select(below, emitter.offset(x, bias), middle);
}

const UNARY_OPS = {
  Abs: "absolute",
  Neg: "negate",
  Sign: "sign",
  Reciprocal: "reciprocal",
  Sqrt: "squareRoot",
  Exp: "exponential",
  Log: "logarithm",
  Sin: "sine",
  Cos: "cosine",
  Tan: "tangent",
  Asin: "arcSine",
  Acos: "arcCosine",
  Atan: "arcTangent",
  Sinh: "hyperbolicSine",
  Cosh: "hyperbolicCosine",
  Asinh: "arcHyperbolicSine",
  Acosh: "arcHyperbolicCosine",
  Atanh: "arcHyperbolicTangent",
  Tanh: "tangentHyperbolic",
  Erf: "errorFunction",
  Sigmoid: "sigmoid",
  Relu: "relu",
  Floor: "floor",
  Ceil: "ceiling",
  Round: "round",
  IsNaN: "isNaN",
  Not: "not",
  Softplus: "softplus",
} as const;

const BINARY_OPS = {
  Add: "add",
  Sub: "subtract",
  Mul: "multiply",
  Div: "divide",
  Equal: "equal",
  Less: "less",
  Greater: "greater",
  LessOrEqual: "lessOrEqual",
  GreaterOrEqual: "greaterOrEqual",
  And: "and",
  Or: "or",
  Xor: "xor",
} as const;

function family(ops: Readonly<Record<string, string>>, since: number, make: (op: string) => Convert): OperatorFamily {
  return Object.fromEntries(Object.entries(ops).map(([name, op]) => [name, rule(since, make(op))]));
}

export const ELEMENTWISE: OperatorFamily = {
  ...family(UNARY_OPS, 1, unary),
  // Before operator set 7, broadcasting was an attribute with rules of its own.
  ...family(BINARY_OPS, 7, binary),
  Max: rule(7, variadic("maximum")),
  Min: rule(7, variadic("minimum")),
  Sum: rule(7, variadic("add")),
  Mean: rule(7, mean),
  Pow: rule(7, power),
  Mod: rule(10, modulo),
  Cast: rule(6, cast),
  CastLike: rule(15, castLike),
  Clip: rule(6, clip),
  IsInf: rule(10, isInfinite),
  Where: rule(9, (call) => [call.emitter.select(call.input(0), call.input(1), call.input(2))]),
  Gelu: rule(1, gelu),
  Swish: rule(
    1,
    formula((x, emitter, call) => swish(emitter, x, call.number("alpha", 1))),
  ),
  HardSigmoid: rule(
    1,
    formula((x, emitter, call) => hardSigmoid(emitter, x, call.number("alpha", 0.2), call.number("beta", 0.5))),
  ),
  HardSwish: rule(
    14,
    formula((x, emitter) => emitter.multiply(x, hardSigmoid(emitter, x, 1 / 6, 0.5))),
  ),
  LeakyRelu: rule(
    1,
    formula((x, emitter, call) => bySign(emitter, x, x, emitter.scale(x, call.number("alpha", 0.01)))),
  ),
  PRelu: rule(7, parametricRelu),
  Elu: rule(
    1,
    formula((x, emitter, call) => bySign(emitter, x, x, exponentialTail(emitter, x, call.number("alpha", 1)))),
  ),
  Selu: rule(
    1,
    formula((x, emitter, call) => {
      const tail = exponentialTail(emitter, x, call.number("alpha", 1.6732631921768188));
      return emitter.scale(bySign(emitter, x, x, tail), call.number("gamma", 1.0507010221481323));
    }),
  ),
  Celu: rule(
    12,
    formula((x, emitter, call) => {
      const alpha = call.number("alpha", 1);
      return bySign(emitter, x, x, exponentialTail(emitter, x, alpha, alpha));
    }),
  ),
  ThresholdedRelu: rule(
    1,
    formula((x, emitter, call) => {
      const above = emitter.emit("greater", [x, emitter.scalar(call.number("alpha", 1), x.type.dtype)]);
      return emitter.select(above, x, emitter.scalar(0, x.type.dtype));
    }),
  ),
  Softsign: rule(
    1,
    formula((x, emitter) => emitter.divide(x, emitter.offset(emitter.emit("absolute", [x]), 1))),
  ),
  Mish: rule(
    18,
    formula((x, emitter) => emitter.multiply(x, emitter.emit("tangentHyperbolic", [emitter.emit("softplus", [x])]))),
  ),
  Shrink: rule(9, formula(shrink)),
};
