/**
 * The normal form of products: rank two weights on the right, no reshape that only flattens rows, batches as the
 * operands have them, merged projections split into their parts (a slice of a product is a product with a slice of
 * the weight).
 */
import { jointShape, sameShape } from "../../ir/shape.js";
import { sizeOf } from "../../ir/tensor/value.js";
import type { Rewriter, Rule, TensorNode } from "../rewriter.js";
import { reshapeGroups } from "../shapes.js";
import { floats, integersOf, isClose, scalarOf } from "./common.js";
import { emitSlice } from "./movement.js";

/** Operands of rank one become matrices. */
const vectors: Rule = {
  name: "matrix form of vectors",
  ops: ["matmul"],
  apply(node, rewriter) {
    const [a, b] = node.args;
    if (a.type.shape.length > 1 && b.type.shape.length > 1) {
      return undefined;
    }
    const view = (x: TensorNode, shape: number[]) =>
      x.type.shape.length === 1 ? rewriter.emit("reshape", [x], { shape }, x.origin) : x;
    const args = [view(a, [1, a.type.shape[0]]), view(b, [b.type.shape[0], 1])];
    const product = rewriter.emit("matmul", args, {}, node.origin);
    return rewriter.emit("reshape", [product], { shape: node.type.shape }, node.origin);
  },
};

/** reshape(x) · W = reshape(x · W) for a matrix W, where the reshape keeps the last axis. */
const rows: Rule = {
  name: "product before flattening rows",
  ops: ["matmul"],
  apply(node, rewriter) {
    const [view, weight] = node.args;
    const rankOne = view.op === "reshape" && view.args[0].type.shape.length < 2;
    if (view.op !== "reshape" || rankOne || weight.type.shape.length !== 2) {
      return undefined;
    }
    const x = unflattened(view, rewriter);
    if (x === undefined) {
      return undefined;
    }
    const product = rewriter.emit("matmul", [x, weight], {}, node.origin);
    return rewriter.emit("reshape", [product], { shape: node.type.shape }, node.origin);
  },
};

/** A product over one element is element-wise. */
const outer: Rule = {
  name: "product over one element",
  ops: ["matmul"],
  apply(node, rewriter) {
    const matrices = node.args.every((x) => x.type.shape.length > 1);
    return matrices && node.args[0].type.shape.at(-1) === 1
      ? rewriter.emit("multiply", node.args, {}, node.origin)
      : undefined;
  },
};

/** The reshape's argument with the same last axis and its own axes before it, where that is another shape. */
function unflattened(view: TensorNode, rewriter: Rewriter): TensorNode | undefined {
  const [x] = view.args;
  const [source, target] = [x.type.shape, view.type.shape];
  if (source.at(-1) === target.at(-1)) {
    return x;
  }
  const last = reshapeGroups(source, target)?.at(-1);
  const shape = last === undefined ? [] : [...source.slice(0, last.from[0]), target[target.length - 1]];
  const merges = last !== undefined && last.to[0] === target.length - 1 && shape.length > 1;
  return merges && !sameShape(shape, target) ? rewriter.emit("reshape", [x], { shape }, view.origin) : undefined;
}

/** (x · W + y) + p = (x · W + p) + y for a vector p: a bias stands beside its product (but not the β of a norm). */
const biasBesideProduct: Rule = {
  name: "bias beside its product",
  ops: ["add"],
  apply(node, rewriter) {
    const vector = (p: TensorNode) => rewriter.isStatic(p) && p.type.shape.length === 1;
    const make = (...args: TensorNode[]) => rewriter.emit("add", args, {}, node.origin);
    const linear = (x: TensorNode) => x.op === "matmul" && rewriter.isOwned(x.args[1]) && !rewriter.isStatic(x.args[0]);
    for (const [inner, other] of [node.args, [node.args[1], node.args[0]]]) {
      if (inner.op !== "add" || !floats(node) || rewriter.isStatic(inner)) {
        continue;
      }
      const [a, b] = inner.args;
      if (vector(other) && linear(a) !== linear(b)) {
        return linear(a) ? make(make(a, other), b) : make(make(b, other), a);
      }
      if (linear(other) && vector(b) && !linear(a) && a.op !== "multiply") {
        return make(make(other, b), a);
      }
    }
    return undefined;
  },
};

/** An operand that flattens its batch axes: the product is of the batch as it was, and flattened after. */
const batches: Rule = {
  name: "product before flattening batches",
  ops: ["matmul"],
  apply(node, rewriter) {
    const [left, right] = node.args;
    const matrix = (x: TensorNode) => x.type.shape.slice(-2);
    const batch = (x: TensorNode) => x.type.shape.slice(0, -2);
    const flattens = (x: TensorNode) =>
      x.op === "reshape" && batch(x.args[0]).length > batch(x).length && sameShape(matrix(x.args[0]), matrix(x));
    const view = flattens(left) ? left : right;
    if (!flattens(view) || batch(node).length === 0 || !sameShape(batch(left), batch(right))) {
      return undefined;
    }
    const axes = batch(view.args[0]);
    const args = node.args.map((x) => rewriter.emit("reshape", [x], { shape: [...axes, ...matrix(x)] }, x.origin));
    const product = rewriter.emit("matmul", args, {}, node.origin);
    return rewriter.emit("reshape", [product], { shape: node.type.shape }, node.origin);
  },
};

/** A batch of one matrix is a matrix; a broadcast over batches happens by itself. */
const plainRight: Rule = {
  name: "matrix without idle batch",
  ops: ["matmul"],
  apply(node, rewriter) {
    const bare = node.args.map((x) => (x.op === "broadcast" && keepsMatrix(x) ? x.args[0] : x));
    const [a, b] = bare;
    const free = rewriter.isStatic(b) || b.op === "reshape";
    const idle = free && b.type.shape.length > 2 && sizeOf(b.type.shape.slice(0, -2)) === 1;
    const right = idle && a.type.shape.length >= b.type.shape.length
      ? rewriter.emit("reshape", [b], { shape: b.type.shape.slice(-2) }, b.origin)
      : b; // biome-ignore format: condition above, cases below
    if (a === node.args[0] && right === node.args[1]) {
      return undefined;
    }
    const batch = jointShape(a.type.shape.slice(0, -2), right.type.shape.slice(0, -2));
    return batch !== undefined && sameShape(batch, node.type.shape.slice(0, -2))
      ? rewriter.emit("matmul", [a, right], {}, node.origin)
      : undefined;
  },
};

function keepsMatrix(x: TensorNode): boolean {
  const [source] = x.args;
  return source.type.shape.length >= 2 && sameShape(source.type.shape.slice(-2), x.type.shape.slice(-2));
}

function swapLast(rewriter: Rewriter, x: TensorNode): TensorNode {
  const rank = x.type.shape.length;
  const permutation = x.type.shape.map((_, axis) =>
    axis === rank - 1 ? rank - 2 : axis === rank - 2 ? rank - 1 : axis,
  );
  return rewriter.emit("transpose", [x], { permutation }, x.origin);
}

/** W · x = (xᵀ · Wᵀ)ᵀ: weights stand on the right. */
const weightRight: Rule = {
  name: "weight on the right",
  ops: ["matmul"],
  apply(node, rewriter) {
    const [a, b] = node.args;
    const plain = a.type.shape.length === 2 && b.type.shape.length >= 2;
    if (!plain || !rewriter.isStatic(a) || rewriter.isStatic(b)) {
      return undefined;
    }
    const product = rewriter.emit("matmul", [swapLast(rewriter, b), swapLast(rewriter, a)], {}, node.origin);
    return swapLast(rewriter, product);
  },
};

/** A transpose that brings a product's columns before its rows is a product of the transposed operands. */
const turnedProduct: Rule = {
  name: "rows before columns",
  ops: ["transpose"],
  apply(node, rewriter) {
    const [product] = node.args;
    const permutation = integersOf(node, "permutation");
    const rank = permutation.length;
    const [row, column] = [rank - 2, rank - 1];
    if (product.op !== "matmul" || permutation.indexOf(column) > permutation.indexOf(row)) {
      return undefined;
    }
    const [a, b] = product.args;
    if (rewriter.isStatic(b) || a.type.shape.length !== b.type.shape.length) {
      return undefined;
    }
    const turned = rewriter.emit("matmul", [swapLast(rewriter, b), swapLast(rewriter, a)], {}, product.origin);
    const next = permutation.map((axis) => (axis === row ? column : axis === column ? row : axis));
    return rewriter.emit("transpose", [turned], { permutation: next }, node.origin);
  },
};

/** slice(x · W + b) over columns = x · slice(W) + slice(b). */
const sliceOfLinear: Rule = {
  name: "slice of a linear map",
  ops: ["slice"],
  apply(node, rewriter) {
    const [x] = node.args;
    const last = node.type.shape.length - 1;
    const onlyLast = node.type.shape.every((size, axis) => axis === last || size === x.type.shape[axis]);
    const [operand, p] = x.args;
    const linear = (x.op === "add" || x.op === "multiply") && sameShape(operand.type.shape, x.type.shape);
    if (!onlyLast || !(linear || x.op === "matmul") || !floats(x) || !rewriter.isStatic(p)) {
      return undefined;
    }
    const [start, step] = [integersOf(node, "starts")[last], integersOf(node, "steps")[last]];
    const cut = (value: TensorNode): TensorNode => {
      const end = value.type.shape.length - 1;
      if (end < 0 || value.type.shape[end] === 1) {
        return value;
      }
      const at = (axis: number, inside: number, outside: number) => (axis === end ? inside : outside);
      const axes = value.type.shape.map((size, axis) => ({ size, axis }));
      return emitSlice(
        rewriter,
        value,
        axes.map(({ axis }) => at(axis, start, 0)),
        axes.map(({ size, axis }) => at(axis, node.type.shape[last], size)),
        axes.map(({ axis }) => at(axis, step, 1)),
        node.origin,
      );
    };
    if (x.op === "matmul") {
      return p.type.shape.at(-1) === 1 ? undefined : rewriter.emit("matmul", [operand, cut(p)], {}, x.origin);
    }
    return rewriter.emit(x.op, [cut(operand), cut(p)], {}, x.origin);
  },
};

/** Σ x · (1/n) over n elements is their mean. */
const mean: Rule = {
  name: "mean",
  ops: ["multiply"],
  apply(node, rewriter) {
    const [sum, c] = node.args;
    const factor = scalarOf(c);
    if (sum.op !== "reduceSum" || factor === undefined) {
      return undefined;
    }
    const count = sizeOf(integersOf(sum, "axes").map((axis) => sum.args[0].type.shape[axis]));
    return isClose(factor, 1 / count) ? rewriter.emit("reduceMean", sum.args, sum.attributes, node.origin) : undefined;
  },
};

export const PRODUCTS: readonly Rule[] = [
  ...[vectors, outer, rows, biasBesideProduct, batches, plainRight, weightRight, turnedProduct, sliceOfLinear, mean],
];
