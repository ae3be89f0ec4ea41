/** Elementwise operations of StableHLO and CHLO as tensor nodes. */
import { type DType, isFloat } from "../../ir/tensor/value.js";
import { type Call, malformed, type Rule, resultType, text, unsupported } from "./context.js";
import { constantOf, type Emitter, isConstant, splatOf, type TensorNode, type Value } from "./values.js";

/** StableHLO's operations that the tensor graph has under another name. */
const SAME: Readonly<Record<string, string>> = {
  "stablehlo.abs": "absolute",
  "stablehlo.cbrt": "cubeRoot",
  "stablehlo.ceil": "ceiling",
  "stablehlo.cosine": "cosine",
  "stablehlo.divide": "divide",
  "stablehlo.exponential": "exponential",
  "stablehlo.exponential_minus_one": "exponentialMinusOne",
  "stablehlo.floor": "floor",
  "stablehlo.log": "logarithm",
  "stablehlo.log_plus_one": "logarithmPlusOne",
  "stablehlo.logistic": "sigmoid",
  "stablehlo.negate": "negate",
  "stablehlo.power": "power",
  "stablehlo.round_nearest_even": "round",
  "stablehlo.rsqrt": "reciprocalSquareRoot",
  "stablehlo.sign": "sign",
  "stablehlo.sine": "sine",
  "stablehlo.sqrt": "squareRoot",
  "stablehlo.subtract": "subtract",
  "stablehlo.tan": "tangent",
  "stablehlo.tanh": "tangentHyperbolic",
  "chlo.acos": "arcCosine",
  "chlo.asin": "arcSine",
  "chlo.atan": "arcTangent",
  "chlo.cosh": "hyperbolicCosine",
  "chlo.erf": "errorFunction",
  "chlo.sinh": "hyperbolicSine",
  "chlo.tan": "tangent",
};

/** Arithmetic that means logic on booleans: [on numbers, on booleans]; integers have no bits in the tensor graph. */
const LOGICAL: Readonly<Record<string, readonly [string | undefined, string]>> = {
  "stablehlo.add": ["add", "or"],
  "stablehlo.multiply": ["multiply", "and"],
  "stablehlo.maximum": ["maximum", "or"],
  "stablehlo.minimum": ["minimum", "and"],
  "stablehlo.and": [undefined, "and"],
  "stablehlo.or": [undefined, "or"],
  "stablehlo.xor": [undefined, "xor"],
  "stablehlo.not": [undefined, "not"],
};

const COMPARISONS: Readonly<Record<string, string>> = {
  EQ: "equal",
  GE: "greaterOrEqual",
  GT: "greater",
  LE: "lessOrEqual",
  LT: "less",
};

const renamed = (op: string): Rule => {
  return ({ context }, operands) => [context.emitter.elementwise(op, operands)];
};

const logical = ([onNumbers, onBooleans]: readonly [string | undefined, string]): Rule => {
  return (call, operands) => {
    const op = operands[0].node.type.dtype === "bool" ? onBooleans : onNumbers;
    if (op === undefined) {
      throw unsupported(call, "the bits of integers", "compare the integers and combine the booleans");
    }
    return [call.context.emitter.elementwise(op, operands)];
  };
};

/** One input through a formula. */
const formula = (build: (x: Value, emitter: Emitter) => Value): Rule => {
  return ({ context }, [x]) => [build(x, context.emitter)];
};

/** A rank-0 constant of the same dtype as `x`. */
export function like(emitter: Emitter, x: Value, value: number): Value {
  return { node: emitter.scalar(value, x.node.type.dtype), shape: [] };
}

export const ELEMENTWISE: Readonly<Record<string, Rule>> = {
  ...Object.fromEntries(Object.entries(SAME).map(([name, op]) => [name, renamed(op)])),
  ...Object.fromEntries(Object.entries(LOGICAL).map(([name, ops]) => [name, logical(ops)])),
  "stablehlo.clamp": ({ context }, [low, x, high]) => [
    context.emitter.elementwise("minimum", [context.emitter.elementwise("maximum", [x, low]), high]),
  ],
  "stablehlo.compare": compare,
  "stablehlo.convert": (call, [x]) => [call.context.emitter.cast(x, resultType(call).dtype)],
  "stablehlo.reduce_precision": (_, [x]) => [x],
  "stablehlo.select": select,
  "stablehlo.remainder": ({ context }, operands) => [context.emitter.elementwise("modulo", operands, { fmod: true })],
  "stablehlo.is_finite": formula((x, emitter) =>
    emitter.elementwise("not", [
      emitter.elementwise("or", [emitter.elementwise("isNaN", [x]), emitter.elementwise("isInfinite", [x])]),
    ]),
  ),
  "stablehlo.round_nearest_afz": formula((x, emitter) => {
    const size = emitter.elementwise("absolute", [x]);
    const up = emitter.elementwise("floor", [emitter.elementwise("add", [size, like(emitter, x, 0.5)])]);
    return emitter.elementwise("multiply", [emitter.elementwise("sign", [x]), up]);
  }),
  "stablehlo.shift_left": shiftLeft,
  "chlo.square": formula((x, emitter) => emitter.elementwise("multiply", [x, x])),
  "chlo.erfc": formula(complementaryError),
};

function compare(call: Call, operands: readonly Value[]): readonly Value[] {
  const { emitter } = call.context;
  const direction = text(call, "comparison_direction");
  if (direction === "NE") {
    return [emitter.elementwise("not", [emitter.elementwise("equal", operands)])];
  }
  if (!Object.hasOwn(COMPARISONS, direction)) {
    throw malformed(call, `there is no comparison '${direction}'`);
  }
  return [emitter.elementwise(COMPARISONS[direction], operands)];
}

/**
 * Selection. Two idioms of JAX end here: a NaN branch marks a lookup out of range or an undefined variance, and NaN
 * must never reach fixed point, so the other branch is taken; `select(i < 0, i + n, i)` is numpy's wrap of negative
 * indices, undone where the lookup asks for it (ops-gather).
 */
function select(call: Call, [condition, whenTrue, whenFalse]: readonly Value[]): readonly Value[] {
  const { emitter, exact } = call.context;
  const chosen = splatOf(condition.node);
  const shape = whenTrue.shape;
  if (chosen !== undefined) {
    const { node } = chosen === 0 ? whenFalse : whenTrue;
    return [{ node, shape }];
  }
  if (!exact && isUndefined(whenFalse.node)) {
    return [{ node: whenTrue.node, shape }];
  }
  if (!exact && isUndefined(whenTrue.node)) {
    return [{ node: whenFalse.node, shape }];
  }
  return [emitter.elementwise("select", [condition, whenTrue, whenFalse])];
}

function isUndefined(node: TensorNode): boolean {
  return isFloat(node.type.dtype) && Number.isNaN(splatOf(node) ?? 0);
}

const BITS: Partial<Record<DType, number>> = { i8: 8, u8: 8, i16: 16, u16: 16, i32: 32, u32: 32 };

/** By a public amount: a multiplication. */
function shiftLeft(call: Call, [x, amount]: readonly Value[]): readonly Value[] {
  const bits = isConstant(amount.node) ? constantOf(amount.node).data : undefined;
  const width = BITS[x.node.type.dtype] ?? 53;
  if (bits?.length !== 1 || bits[0] < 0 || bits[0] >= width) {
    throw unsupported(call, "shifts by other than one public amount");
  }
  const { emitter } = call.context;
  return [emitter.elementwise("multiply", [x, like(emitter, x, 2 ** bits[0])])];
}

/** erfc(x) = 1 − erf(x), written 1 + erf(−x) where −x is at hand: that is the form of GELU that matchers know. */
function complementaryError(x: Value, emitter: Emitter): Value {
  const one = like(emitter, x, 1);
  const opposite = negated(x, emitter);
  if (opposite !== undefined) {
    return emitter.elementwise("add", [one, emitter.elementwise("errorFunction", [opposite])]);
  }
  return emitter.elementwise("subtract", [one, emitter.elementwise("errorFunction", [x])]);
}

/** −x without a negation: x is negated already, or a product with something negated or with a negative constant. */
function negated(x: Value, emitter: Emitter): Value | undefined {
  const { op, args } = x.node;
  if (op === "negate") {
    return { node: args[0], shape: x.shape };
  }
  if (op !== "multiply" && op !== "divide") {
    return undefined;
  }
  const [a, b] = args.map((node): Value => ({ node, shape: node.type.shape }));
  const other = (value: Value): Value | undefined => {
    const splat = splatOf(value.node);
    if (splat !== undefined && splat < 0) {
      return like(emitter, value, -splat);
    }
    return value.node.op === "negate" ? { node: value.node.args[0], shape: value.shape } : undefined;
  };
  const [left, right] = [other(a), other(b)];
  if (left === undefined && right === undefined) {
    return undefined;
  }
  const pair = left === undefined ? [a, right!] : [left, b];
  return { node: emitter.elementwise(op, pair).node, shape: x.shape };
}
