/**
 * Linear and bilinear tensor ops. Additions, public factors and movements are local on every form of a value, so a sum
 * of products stays additive until somebody needs it masked: one opening for a product with its bias and residual.
 */
import { floorLog2, log2 } from "../../ir/real.js";
import { sameShape } from "../../ir/shape.js";
import { isFloat, sizeOf, type TensorValue } from "../../ir/tensor/value.js";
import {
  constantOf, encode, encodedScalar, fractionOf, isSource, type Lowering, type ShareNode, type TensorNode,
} from "./context.js"; // biome-ignore format: one import

/** Bits of relative precision of a public factor. */
const FACTOR_BITS = 12;
const LARGEST_PUBLIC_FRACTION = 24;
/** Fractional bits of a local product beyond which its secret factor is opened at fewer first. */
const LARGEST_FRACTION = 46;

export function lowerAdd(lowering: Lowering, node: TensorNode): ShareNode {
  const [x, y] = node.args;
  const constant = constantOf(y) ?? constantOf(x);
  if (constant !== undefined) {
    return addPublic(lowering, constantOf(y) === undefined ? y : x, constant);
  }
  return addSecret(lowering, x, y);
}

export function lowerSubtract(lowering: Lowering, node: TensorNode): ShareNode {
  const [x, y] = node.args;
  const subtrahend = constantOf(y);
  if (subtrahend !== undefined) {
    return addPublic(lowering, x, { ...subtrahend, data: Float64Array.from(subtrahend.data, (v) => -v) });
  }
  const minuend = constantOf(x);
  if (minuend !== undefined) {
    return addConstant(lowering, lowering.emit("negate", [lowering.value(y)]), minuend);
  }
  const [a, b] = aligned(lowering, x, y);
  return lowering.emit("subtract", [a, b]);
}

export function lowerNegate(lowering: Lowering, node: TensorNode): ShareNode {
  return lowering.emit("negate", [lowering.value(node.args[0])]);
}

function addPublic(lowering: Lowering, x: TensorNode, constant: TensorValue): ShareNode {
  return addConstant(lowering, lowering.value(x), constant);
}

function addConstant(lowering: Lowering, x: ShareNode, constant: TensorValue): ShareNode {
  return lowering.emit("addConstant", [x], { value: encode(constant, fractionOf(x)) });
}

function addSecret(lowering: Lowering, x: TensorNode, y: TensorNode): ShareNode {
  const [a, b] = aligned(lowering, x, y);
  return lowering.emit("add", [a, b]);
}

/** Two values in the same form and at the same fraction: the larger of the two, an input at the other's. */
function aligned(lowering: Lowering, x: TensorNode, y: TensorNode): [ShareNode, ShareNode] {
  const known = [x, y].filter((node) => !isSource(node)).map((node) => fractionOf(lowering.value(node)));
  const fraction = known.length === 0 ? lowering.precision.activation : Math.max(...known);
  const [a, b] = [lowering.value(x, fraction), lowering.value(y, fraction)];
  if (a.type.kind === "additive" || b.type.kind === "additive") {
    return [lowering.additive(a, fraction), lowering.additive(b, fraction)];
  }
  return [lowering.atFraction(a, fraction), lowering.atFraction(b, fraction)];
}

export function lowerMultiply(lowering: Lowering, node: TensorNode): ShareNode {
  const [x, y] = node.args;
  const factor = constantOf(y) ?? constantOf(x);
  if (factor !== undefined) {
    const other = constantOf(y) === undefined ? y : x;
    return timesPublic(lowering, withPlace(lowering, other), factor);
  }
  const open = [y, x].find((argument) => lowering.isPublic(argument));
  const secret = open === y ? x : y;
  if (open !== undefined && sameShape(secret.type.shape, node.type.shape)) {
    return timesInput(lowering, lowering.value(secret), open);
  }
  const fraction = lowering.factorFraction(lowering.boundOf(node));
  return lowering.emit("multiply", [operand(lowering, x, fraction), operand(lowering, y, fraction)], { drop: 0 });
}

/** A factor of public reals, opened at fewer fractional bits where the product would have too many. */
function withPlace(lowering: Lowering, argument: TensorNode): ShareNode {
  const value = lowering.value(argument);
  const { activation, weight } = lowering.precision;
  // A product with weights has place for a factor; one that was scaled already has not.
  const isFull = fractionOf(value) > activation + weight && fractionOf(value) + FACTOR_BITS > LARGEST_FRACTION;
  if (isFull && argument.op === "multiply") {
    // What was seen of a product says little of it where a factor turns with the position, as rotary ones do.
    const [a, b] = argument.args.map((each) => lowering.boundOf(each));
    lowering.expect(value, Math.max(lowering.boundOf(argument), a * b));
  }
  return isFull ? lowering.atFraction(value, activation) : value;
}

/** A value times a public input: every party multiplies its share, no round. */
function timesInput(lowering: Lowering, x: ShareNode, input: TensorNode): ShareNode {
  const factor = lowering.remasked(lowering.value(input, publicFraction(lowering, input)));
  const isFull = fractionOf(x) + fractionOf(factor) > LARGEST_FRACTION;
  const secret = isFull ? lowering.atFraction(x, lowering.precision.activation) : x;
  return lowering.emit("timesPublic", [lowering.additive(secret, fractionOf(secret)), factor]);
}

/** Fractional bits that give the smallest value of a public input its relative precision; 1/count is small. */
function publicFraction(lowering: Lowering, input: TensorNode): number {
  const [low] = lowering.ranges.get(input)!;
  const smallest = low > 0 ? low : lowering.boundOf(input);
  const wanted = FACTOR_BITS - floorLog2(smallest);
  return Math.min(LARGEST_PUBLIC_FRACTION, Math.max(lowering.precision.activation, wanted));
}

/** Functions whose results are given as many fractional bits as their smallest values need. */
const RELATIVE: ReadonlySet<string> = new Set(["reciprocal", "reciprocalSquareRoot", "power"]);
const VIEWS: ReadonlySet<string> = new Set(["reshape", "broadcast", "transpose"]);

/** An operand at the fraction of factors; a small factor such as 1/n keeps the bits that it was given. */
function operand(lowering: Lowering, argument: TensorNode, fraction: number): ShareNode {
  let source = argument;
  while (VIEWS.has(source.op)) {
    source = source.args[0];
  }
  if (!isFloat(argument.type.dtype)) {
    return lowering.remasked(lowering.value(argument, 0));
  }
  const isFine = RELATIVE.has(source.op) && lowering.fractionOf(argument)! > lowering.precision.activation;
  return isFine ? lowering.remasked(lowering.value(argument)) : lowering.masked(argument, fraction);
}

/** A value times public reals: a power of two only relabels; anything else is an integer factor, more fraction. */
export function timesPublic(lowering: Lowering, x: ShareNode, factor: TensorValue): ShareNode {
  const magnitude = largest(factor);
  const exponent = log2(magnitude);
  if (sizeOf(factor.shape) === 1 && Number.isInteger(exponent) && factor.data[0] > 0 && factor.shape.length === 0) {
    return lowering.emit("relabel", [x], { fraction: fractionOf(x) - exponent });
  }
  const integral = factor.data.every((value) => Number.isInteger(value)) && magnitude < 2 ** FACTOR_BITS;
  const fraction = integral ? 0 : Math.max(0, FACTOR_BITS - Math.floor(exponent));
  return lowering.emit("multiplyConstant", [x], { value: encode(factor, fraction), fraction });
}

function largest(tensor: TensorValue): number {
  let magnitude = 0;
  for (const value of tensor.data) {
    magnitude = Math.max(magnitude, Math.abs(value));
  }
  return magnitude === 0 ? 1 : magnitude;
}

/** The product; `keep` lists the elements of each matrix that are wanted, all if empty. */
export function lowerMatmul(lowering: Lowering, node: TensorNode, keep: readonly number[] = []): ShareNode {
  const { activation } = lowering.precision;
  const bound = lowering.boundOf(node);
  const [a, b] = node.args.map((argument) =>
    lowering.isIntegral(argument)
      ? lowering.value(argument)
      : lowering.masked(
          argument,
          lowering.factorFraction(bound, isSource(argument) ? lowering.weightFraction(argument) : activation),
        ),
  );
  return lowering.emit("matmul", [a, b], { drop: 0, keep });
}

/** Sum over axes; a mean is the sum with a public factor. */
export function lowerReduceSum(lowering: Lowering, node: TensorNode): ShareNode {
  return sumOver(lowering, lowering.value(node.args[0]), node);
}

export function lowerReduceMean(lowering: Lowering, node: TensorNode): ShareNode {
  const shape = node.args[0].type.shape;
  const count = (node.attributes.axes as readonly number[]).reduce((product, axis) => product * shape[axis], 1);
  const sum = sumOver(lowering, lowering.value(node.args[0]), node);
  return timesPublic(lowering, sum, { dtype: "f32", shape: [], data: Float64Array.of(1 / count) });
}

function sumOver(lowering: Lowering, x: ShareNode, node: TensorNode): ShareNode {
  const axes = [...(node.attributes.axes as readonly number[])].sort((a, b) => b - a);
  const sum = axes.reduce((value, axis) => lowering.emit("sum", [value], { axis }), x);
  return node.attributes.keep === true ? lowering.emit("reshape", [sum], { shape: node.type.shape }) : sum;
}

/** x − c for a real c, on any form. */
export function addReal(lowering: Lowering, x: ShareNode, value: number): ShareNode {
  return lowering.emit("addConstant", [x], { value: encodedScalar(value, fractionOf(x)) });
}
