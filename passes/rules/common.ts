/** What the rules share: reading constants, recognising chains, and the names of op families. */
import { isFloat, type TensorValue } from "../../ir/tensor/value.js";
import type { TensorNode } from "../rewriter.js";

/** Element-wise functions of one argument that keep the shape (all but `cast` keep the kind of type too). */
export const UNARY: readonly string[] = [
  ...["negate", "absolute", "sign", "reciprocal", "squareRoot", "reciprocalSquareRoot", "exponential", "exponential2"],
  ...["logarithm", "sine", "cosine", "tangentHyperbolic", "errorFunction", "sigmoid", "relu", "floor", "ceiling"],
  ...["round", "isNaN", "isInfinite", "not", "gelu", "silu", "softplus", "cast", "clamp"],
];

/** Element-wise functions of two arguments that broadcast. */
export const BINARY: readonly string[] = [
  ...["add", "subtract", "multiply", "divide", "power", "maximum", "minimum", "modulo"],
  ...["equal", "less", "lessOrEqual", "greater", "greaterOrEqual", "and", "or", "xor"],
];

export const COMMUTATIVE: readonly string[] = ["add", "multiply", "maximum", "minimum", "equal", "and", "or", "xor"];

export const REDUCTIONS: readonly string[] = [
  "reduceSum", "reduceMean", "reduceMaximum", "reduceMinimum", "reduceProduct",
]; // biome-ignore format: one line says it

/** The constant value of a tensor node, if it is one. */
export function constantOf(node: TensorNode): TensorValue | undefined {
  return node.op === "constant" ? (node.attributes.value as TensorValue) : undefined;
}

/** The value of a constant of rank 0. */
export function scalarOf(node: TensorNode): number | undefined {
  const value = constantOf(node);
  return value !== undefined && value.shape.length === 0 ? value.data[0] : undefined;
}

export function isScalar(node: TensorNode, value: number): boolean {
  return scalarOf(node) === value;
}

/** Whether two numbers agree as well as float32 constants of different exporters do. */
export function isClose(a: number, b: number, relative = 1e-5): boolean {
  return Math.abs(a - b) <= relative * Math.max(Math.abs(a), Math.abs(b));
}

export function floats(node: TensorNode): boolean {
  return isFloat(node.type.dtype);
}

export function integersOf(node: TensorNode, name: string): readonly number[] {
  return node.attributes[name] as readonly number[];
}

/** The axes of a reduction are exactly the last axis of its argument. */
export function reducesLastAxis(node: TensorNode): boolean {
  const axes = integersOf(node, "axes");
  return axes.length === 1 && axes[0] === node.args[0].type.shape.length - 1;
}
