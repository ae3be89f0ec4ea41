/**
 * Products: MatMul, Gemm, Conv, Einsum and their fused forms.
 */
import { type Call, type OperatorFamily, rule } from "../call.js";
import type { Emitter, Value } from "../emitter.js";

/** alpha · A' · B' + beta · C. */
export function gemm(call: Call): Value {
  const { emitter } = call;
  const a = call.flag("transA", false) ? emitter.transposeLast(call.input(0)) : call.input(0);
  const b = call.flag("transB", false) ? emitter.transposeLast(call.input(1)) : call.input(1);
  const product = emitter.weigh(emitter.matmul(a, b), call.number("alpha", 1));
  const c = call.optional(2);
  return c === undefined ? product : emitter.add(product, emitter.weigh(c, call.number("beta", 1)));
}

/** Padding amounts of a window: explicit, or those that keep (SAME) or drop (VALID) the border. */
export function windowPads(
  call: Call,
  sizes: readonly number[],
  kernel: readonly number[],
  strides: readonly number[],
  dilations: readonly number[],
): readonly number[] {
  const automatic = call.string("auto_pad", "NOTSET");
  if (automatic === "VALID") {
    return sizes.flatMap(() => [0, 0]);
  }
  if (automatic === "NOTSET") {
    return call.integers("pads") ?? sizes.flatMap(() => [0, 0]);
  }
  if (automatic !== "SAME_UPPER" && automatic !== "SAME_LOWER") {
    throw call.malformed(`auto_pad '${automatic}'`);
  }
  const totals = sizes.map((n, i) => {
    const reach = (kernel[i] - 1) * dilations[i] + 1;
    return Math.max(0, (Math.ceil(n / strides[i]) - 1) * strides[i] + reach - n);
  });
  const lower = totals.map((n) => (automatic === "SAME_LOWER" ? Math.ceil(n / 2) : Math.floor(n / 2)));
  return [...lower, ...totals.map((n, i) => n - lower[i])];
}

function convolution(call: Call): readonly Value[] {
  const [x, weights, bias] = [call.input(0), call.input(1), call.optional(2)];
  const sizes = x.type.shape.slice(2);
  const kernel = weights.type.shape.slice(2);
  if (kernel.length !== sizes.length || sizes.length === 0) {
    throw call.malformed(`a kernel of ${kernel.length} dimensions over ${sizes.length}`);
  }
  const strides = call.integers("strides") ?? sizes.map(() => 1);
  const dilations = call.integers("dilations") ?? sizes.map(() => 1);
  const pads = windowPads(call, sizes, kernel, strides, dilations);
  const args = bias === undefined ? [x, weights] : [x, weights, bias];
  return [call.emitter.emit("convolution", args, { strides, pads, dilations, groups: call.integer("group", 1) })];
}

/** One operand of an einsum: a value and the letter of each of its axes. */
interface Operand {
  readonly value: Value;
  readonly letters: string;
}

/** Puts axes in the order of `letters`; letters it does not have become axes of one element. */
function arrange(emitter: Emitter, operand: Operand, letters: string): Value {
  const present = [...letters].filter((letter) => operand.letters.includes(letter));
  const moved = emitter.transpose(
    operand.value,
    present.map((letter) => operand.letters.indexOf(letter)),
  );
  const size = (letter: string): number => operand.value.type.shape[operand.letters.indexOf(letter)];
  return emitter.reshape(
    moved,
    [...letters].map((letter) => (operand.letters.includes(letter) ? size(letter) : 1)),
  );
}

/** Sums away the letters that nothing else needs. */
function drop(emitter: Emitter, operand: Operand, needed: string): Operand {
  const axes = [...operand.letters].flatMap((letter, i) => (needed.includes(letter) ? [] : [i]));
  const letters = [...operand.letters].filter((letter) => needed.includes(letter)).join("");
  return { value: emitter.reduce("reduceSum", operand.value, axes, false), letters };
}

/** A letter twice in one operand takes the diagonal. */
function diagonals(call: Call, operand: Operand): Operand {
  const twice = [...operand.letters].findIndex((letter, i) => operand.letters.indexOf(letter) !== i);
  if (twice < 0) {
    return operand;
  }
  const { emitter } = call;
  const first = operand.letters.indexOf(operand.letters[twice]);
  const rank = operand.letters.length;
  const others = [...Array(rank).keys()].filter((axis) => axis !== first && axis !== twice);
  const moved = emitter.transpose(operand.value, [first, twice, ...others]);
  const n = moved.type.shape[0];
  const pairs = Array.from({ length: n }, (_, i) => [i, i]).flat();
  const value = emitter.emit("gatherND", [moved, emitter.integers(pairs, [n, 2])], { batch: 0 });
  const letters = operand.letters[first] + others.map((axis) => operand.letters[axis]).join("");
  return diagonals(call, { value, letters });
}

/** The product of two operands, as one batched matmul; letters outside `needed` are summed. */
function contract(emitter: Emitter, left: Operand, right: Operand, needed: string): Operand {
  const [x, y] = [drop(emitter, left, needed + right.letters), drop(emitter, right, needed + left.letters)];
  const inX = new Set(x.letters);
  const inY = new Set(y.letters);
  const shared = [...x.letters].filter((letter) => inY.has(letter));
  const batch = shared.filter((letter) => needed.includes(letter)).join("");
  const inner = shared.filter((letter) => !needed.includes(letter)).join("");
  const rows = [...x.letters].filter((letter) => !inY.has(letter)).join("");
  const columns = [...y.letters].filter((letter) => !inX.has(letter)).join("");
  const flat = (operand: Operand, groups: readonly string[]): Value => {
    const arranged = arrange(emitter, operand, groups.join(""));
    const lengths = groups.slice(-2).map((group) => productOf(operand, group));
    return emitter.reshape(arranged, [...arranged.type.shape.slice(0, batch.length), ...lengths]);
  };
  const product = emitter.matmul(flat(x, [batch, rows, inner]), flat(y, [batch, inner, columns]));
  const sizes = [
    ...product.type.shape.slice(0, batch.length),
    ...[...rows].map((letter) => productOf(x, letter)),
    ...[...columns].map((letter) => productOf(y, letter)),
  ];
  return { value: emitter.reshape(product, sizes), letters: batch + rows + columns };
}

function productOf(operand: Operand, letters: string): number {
  return [...letters].reduce((n, letter) => n * operand.value.type.shape[operand.letters.indexOf(letter)], 1);
}

/** An ellipsis becomes upper-case letters of its own, counted from the right. */
function spellEllipsis(term: string, rank: number): string {
  const named = term.replace("...", "");
  const dots = Array.from({ length: Math.max(0, rank - named.length) }, (_, i) =>
    String.fromCharCode(0x3b1 + i),
  ).reverse();
  return term.replace("...", dots.join(""));
}

function einsum(call: Call): readonly Value[] {
  const equation = call.string("equation", "").replace(/\s+/g, "");
  const [left, right] = equation.split("->");
  const terms = left.split(",");
  const values = call.all();
  if (
    terms.length !== values.length ||
    !/^[A-Za-z.,]*$/.test(left) ||
    terms.some((t) => (t.match(/\./g) ?? []).length % 3)
  ) {
    throw call.malformed(`equation '${equation}' for ${values.length} inputs`);
  }
  const operands = values.map((value, i): Operand => {
    const letters = spellEllipsis(terms[i], value.type.shape.length);
    if (letters.length !== value.type.shape.length) {
      throw call.malformed(`'${terms[i]}' for a tensor of ${value.type.shape.length} dimensions`);
    }
    return diagonals(call, { value, letters });
  });
  const result = resultLetters(operands, left, right);
  const total = operands.slice(1).reduce((sum, next, i) => {
    const later = operands.slice(i + 2).map((operand) => operand.letters);
    return contract(call.emitter, sum, next, result + later.join(""));
  }, operands[0]);
  return [arrange(call.emitter, drop(call.emitter, total, result), result)];
}

/** The result's letters; without an arrow, those that occur once, in alphabetical order. */
function resultLetters(operands: readonly Operand[], left: string, right: string | undefined): string {
  const letters = [...new Set(operands.flatMap((operand) => [...operand.letters]))];
  const dots = letters
    .filter((letter) => letter >= "\u03b1")
    .sort()
    .reverse()
    .join("");
  if (right !== undefined) {
    return right.replace("...", dots);
  }
  const once = letters.filter((letter) => letter < "\u03b1" && left.split(letter).length === 2);
  return dots + once.sort().join("");
}

export const LINEAR: OperatorFamily = {
  MatMul: rule(1, (call) => [call.emitter.matmul(call.input(0), call.input(1))]),
  Gemm: rule(7, (call) => [gemm(call)]),
  Conv: rule(1, convolution),
  Einsum: rule(12, einsum),
};
