/**
 * Views of an expression that do not depend on how it was bracketed: a product as its factors, a sum as its terms, a
 * value as a polynomial of another. Idioms are matched on these, so that one rule covers every order of operands.
 */
import type { Rewriter, TensorNode } from "../rewriter.js";
import { scalarOf } from "../rules/common.js";

export interface Factors {
  /** The product of the scalar constants. */
  readonly scale: number;
  readonly factors: readonly TensorNode[];
}

/** The factors of a product; a node that is none is its own only factor. */
export function factorsOf(node: TensorNode): Factors {
  const factors: TensorNode[] = [];
  let scale = 1;
  const visit = (each: TensorNode): void => {
    const value = scalarOf(each);
    if (value !== undefined) {
      scale *= value;
    } else if (each.op === "multiply") {
      each.args.forEach(visit);
    } else if (each.op === "negate") {
      scale = -scale;
      visit(each.args[0]);
    } else {
      factors.push(each);
    }
  };
  visit(node);
  return { scale, factors };
}

/** `all` without one copy of each of `some`, or undefined where one of them is missing. */
export function without(all: readonly TensorNode[], some: readonly TensorNode[]): TensorNode[] | undefined {
  const rest = [...all];
  for (const each of some) {
    const place = rest.indexOf(each);
    if (place < 0) {
      return undefined;
    }
    rest.splice(place, 1);
  }
  return rest;
}

/** `first · rest… · scale`. */
export function product(
  rewriter: Rewriter,
  first: TensorNode,
  rest: readonly TensorNode[],
  scale: number,
  origin: string,
): TensorNode {
  const all = rest.reduce((left, right) => rewriter.emit("multiply", [left, right], {}, origin), first);
  return scale === 1 ? all : rewriter.emit("multiply", [all, rewriter.scalar(scale, all)], {}, origin);
}

/** The terms of a sum or difference, down to `depth` levels; subtracted terms come negated. */
export function termsOf(rewriter: Rewriter, node: TensorNode, depth = 4): TensorNode[] {
  if (depth === 0 || (node.op !== "add" && node.op !== "subtract")) {
    return [node];
  }
  const [a, b] = node.args;
  const second = node.op === "add" ? b : rewriter.emit("negate", [b], {}, b.origin);
  return [...termsOf(rewriter, a, depth - 1), ...termsOf(rewriter, second, depth - 1)];
}

/** The coefficients, lowest first, of `node` as a polynomial of `x`, or undefined where it is none of low degree. */
export function polynomialOf(node: TensorNode, x: TensorNode, depth = 9): number[] | undefined {
  if (node === x) {
    return [0, 1];
  }
  const value = scalarOf(node);
  if (value !== undefined || depth === 0) {
    return value === undefined ? undefined : [value];
  }
  if (node.op === "negate") {
    return polynomialOf(node.args[0], x, depth - 1)?.map((each) => -each);
  }
  if (node.op !== "add" && node.op !== "subtract" && node.op !== "multiply") {
    return undefined;
  }
  const a = polynomialOf(node.args[0], x, depth - 1);
  const b = a === undefined ? undefined : polynomialOf(node.args[1], x, depth - 1);
  if (a === undefined || b === undefined) {
    return undefined;
  }
  if (node.op === "multiply") {
    const result: number[] = new Array(a.length + b.length - 1).fill(0);
    a.forEach((p, i) => {
      b.forEach((q, j) => {
        result[i + j] += p * q;
      });
    });
    return result;
  }
  const sign = node.op === "add" ? 1 : -1;
  return Array.from({ length: Math.max(a.length, b.length) }, (_, i) => (a[i] ?? 0) + sign * (b[i] ?? 0));
}
