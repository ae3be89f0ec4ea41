/**
 * Embedding: rows of an owner's table taken by indices that are not known. Around it, exporters guard the indices
 * (negative ones wrap by definition here) and, in JAX, the rows (NaN where an index is out of range).
 */
import { isFloat } from "../../ir/tensor/value.js";
import type { Rule, TensorNode } from "../rewriter.js";
import { constantOf, isScalar, scalarOf } from "../rules/common.js";

const lookUp: Rule = {
  name: "embedding",
  ops: ["gather"],
  apply(node, rewriter) {
    const [table, indices] = node.args;
    const rowsOfTable = table.type.shape.length === 2 && node.attributes.axis === 0;
    return rowsOfTable && rewriter.isOwned(table) && !rewriter.isStatic(indices)
      ? rewriter.emit("embedding", [table, indices], {}, node.origin)
      : undefined;
  },
};

/** select(i < 0, i + n, i) as an index into n entries is i. */
const wrap: Rule = {
  name: "wrapped index",
  ops: ["gather", "embedding"],
  apply(node, rewriter) {
    const [x, indices] = node.args;
    const axis = node.op === "gather" ? (node.attributes.axis as number) : 0;
    const plain = unwrap(indices, x.type.shape[axis]);
    return plain === undefined ? undefined : rewriter.emit(node.op, [x, plain], node.attributes, node.origin);
  },
};

/** The index without its wrap, seen through one reshape. */
function unwrap(indices: TensorNode, size: number): TensorNode | undefined {
  if (indices.op !== "select") {
    return undefined;
  }
  const [condition, shifted, index] = indices.args;
  const negative = condition.op === "less" && condition.args[0] === index && isScalar(condition.args[1], 0);
  const wrapped = shifted.op === "add" && shifted.args[0] === index && scalarOf(shifted.args[1]) === size;
  return negative && wrapped ? index : undefined;
}

/** select(in range, rows, NaN): indices out of range are the model's fault, and fixed point has no NaN. */
const rangeGuard: Rule = {
  name: "range guard",
  ops: ["select"],
  apply(node) {
    const [, rows, otherwise] = node.args;
    const value = constantOf(otherwise);
    const idle = value !== undefined && value.data.length > 0 && value.data.every(Number.isNaN);
    return idle && rows.type.shape.join() === node.type.shape.join() ? rows : undefined;
  },
};

/** Rows of a table of few bits become real numbers when they were taken: the table does, at its owner. */
const rowsOfFewBits: Rule = {
  name: "rows of a table of few bits",
  ops: ["cast"],
  apply(node, rewriter) {
    const [rows] = node.args;
    if (!isFloat(node.type.dtype) || (rows.op !== "gather" && rows.op !== "embedding")) {
      return undefined;
    }
    const [table, indices] = rows.args;
    if (!FEW_BITS.has(table.type.dtype) || !rewriter.isStatic(table) || rewriter.isStatic(indices)) {
      return undefined;
    }
    const numbers = rewriter.emit("cast", [table], node.attributes, node.origin);
    return rewriter.emit(rows.op, [numbers, indices], rows.attributes, rows.origin);
  },
};

const FEW_BITS: ReadonlySet<string> = new Set(["i8", "u8"]);

export const EMBEDDING: readonly Rule[] = [wrap, rowsOfFewBits, lookUp, rangeGuard];
