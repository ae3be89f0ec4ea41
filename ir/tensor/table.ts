/**
 * The tensor language: what a model says, over real numbers. The table has one family a file; everything that works on
 * graphs (builder, printer, parser, verifier, evaluator, documentation, law tests) is a loop over it.
 */
import { definitionOf, type Language } from "../graph.js";
import { ELEMENTWISE } from "./ops/elementwise.js";
import { FUSED } from "./ops/fused.js";
import { LINEAR } from "./ops/linear.js";
import { MOVEMENT } from "./ops/movement.js";
import { REDUCE } from "./ops/reduce.js";
import { SCATTER } from "./ops/scatter.js";
import { SIGNATURE } from "./ops/signature.js";
import type { Traits } from "./traits.js";
import type { TensorOp } from "./types.js";
import { parseTensorType, printTensorType, type TensorType } from "./value.js";

export const TENSOR_OPS = {
  ...SIGNATURE,
  ...ELEMENTWISE,
  ...LINEAR,
  ...MOVEMENT,
  ...SCATTER,
  ...REDUCE,
  ...FUSED,
} as const satisfies Record<string, TensorOp>;

/** The ops whose table entry is so: what passes use for lists of ops. */
export function opsWhere(holds: (definition: TensorOp) => boolean): readonly string[] {
  return Object.entries<TensorOp>(TENSOR_OPS).flatMap(([op, definition]) => (holds(definition) ? [op] : []));
}

/** The flags of an op's table entry. */
export function traitsOf({ op }: { readonly op: string }): Traits {
  return definitionOf(TENSOR, op).traits;
}

export type TensorOpName = keyof typeof TENSOR_OPS;

export const TENSOR: Language<TensorType, TensorOp> = {
  name: "tensor",
  ops: TENSOR_OPS,
  printType: printTensorType,
  parseType: parseTensorType,
};
