/** What the rules share: reading constants, recognising chains, and the names of op families. */
import { opsWhere, traitsOf } from "../../ir/tensor/index.js";
import { COMPARISON } from "../../ir/tensor/ops/elementwise.js";
import { isFloat, type TensorValue } from "../../ir/tensor/value.js";
import type { TensorNode } from "../rewriter.js";

/** Element-wise functions of one argument that keep the shape (all but `cast` keep the kind of type too). */
export const UNARY = opsWhere(({ traits, arity }) => traits.pattern === "elementwise" && arity[1] === 1);

/** Element-wise functions of two arguments that broadcast. */
export const BINARY = opsWhere(({ traits, arity }) => traits.pattern === "elementwise" && arity[1] === 2);

/** Element-wise functions of several arguments that broadcast: the binary ones and `select`. */
export const BROADCASTING = opsWhere(({ traits, arity }) => traits.pattern === "elementwise" && arity[1] > 1);

export const COMMUTATIVE = opsWhere(({ traits }) => traits.commutative);

/** Functions of all elements along one axis, which keep the shape. */
export const ROWWISE = opsWhere(({ traits }) => traits.pattern === "rowwise");

export const REDUCTIONS = opsWhere(({ traits }) => traits.pattern === "reduction");

/** Which of two numbers is larger, or whether they are equal. */
export const COMPARISONS: readonly string[] = Object.keys(COMPARISON);

/** The arguments of which a node's elements are copies: of movement, a look-up, a change of type; none of other ops. */
export function copiedFrom(node: TensorNode): readonly TensorNode[] {
  const { pattern, indices } = traitsOf(node);
  const copies = pattern === "movement" || pattern === "lookup" || node.op === "cast";
  return copies ? node.args.filter((_, i) => !indices.includes(i)) : [];
}

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
