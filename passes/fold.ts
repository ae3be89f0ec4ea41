/**
 * The pass `fold`: matrices on both sides of an attention become one, at their owner (PROTOCOL-2, section 3).
 *
 * Σ_h P_h·(y·W_v,h + b_v,h)·W_o,h = Σ_h P_h·(y·(W_v,h·W_o,h) + b_v,h·W_o,h): the values of every head are as wide as
 * the model, and what the heads give is a sum, where it was an opened value and another product. That is two rounds
 * less for heads − 1 values more, so that it pays for few heads.
 *
 * Where one row asks (a classifier's last layer), no key and no value is made at all: the scores of a head are
 * (y₀·W_q,h + b_q,h)·W_k,hᵀ·y_jᵀ, but for b_k, which adds the same to all of a row's scores; and what it gives is
 * (P_h·y)·(W_v,h·W_o,h) + (Σ P_h)·b_v,h·W_o,h. The heads are rows of one product with y.
 */
import { usersOf } from "../ir/graph.js";
import { type Rewriter, replaced, type TensorGraph, type TensorNode } from "./rewriter.js";

export interface FoldOptions {
  /** Whether so many rounds less are worth so many bytes more; default: they never are. */
  readonly pays?: (rounds: number, bytes: number) => boolean;
}

/** Folded matrices may be twice what they stand for, no more: they are shared and multiplied. */
const MOST_HEADS = 4;
/** Bits that an element takes: of the values, of the product with them, and of an opened value before W_o. */
const VALUE_BITS = 180;
const PRODUCT_BITS = 145;
const CONTEXT_BITS = 167;
const ROUNDS = 2;

export function fold(graph: TensorGraph, { pays = () => false }: FoldOptions = {}): TensorGraph {
  const users = usersOf(graph);
  const outputs = new Set(graph.outputs.map(({ node }) => node));
  const isOwn = (node: TensorNode) => users.get(node)!.length === 1 && !outputs.has(node);
  return replaced(graph, (node, _, rewriter, made) => {
    const attention = attentionOf(node, isOwn);
    const known = attention && isKnown(attention, rewriter, made) ? attention : undefined;
    return known && folding(known, pays)?.(rewriter, known, made, node);
  });
}

/** A value [B, n, H·d] = x·W + b as the heads [B, H, n, d], or [B, H, d, n] turned. */
interface Projected {
  readonly x: TensorNode;
  readonly weight: TensorNode;
  readonly bias: TensorNode | undefined;
}

/** softmax(q·kᵀ)·v·W_o, the heads side by side. */
interface Attention {
  readonly softmax: TensorNode;
  readonly queries: Projected;
  readonly keys: Projected;
  readonly values: Projected;
  readonly output: TensorNode;
  readonly batch: number;
  readonly heads: number;
  readonly rows: number;
  readonly columns: number;
}

type IsOwn = (node: TensorNode) => boolean;

function attentionOf(node: TensorNode, isOwn: IsOwn): Attention | undefined {
  const [joined, output] = node.args;
  const turned = node.op === "matmul" && joined.op === "reshape" ? joined.args[0] : undefined;
  // With one row, turning is nothing that a graph keeps.
  const context = turned?.op === "transpose" && isPermuted(turned, [0, 2, 1, 3]) ? turned.args[0] : turned;
  const softmax = context?.op === "matmul" ? context.args[0] : undefined;
  const scores = softmax?.op === "softmaxBase2" ? softmax.args[0] : undefined;
  const [queries, keys] = scores?.op === "matmul" ? scores.args : [];
  if (context === undefined || softmax === undefined || scores === undefined || keys === undefined) {
    return undefined;
  }
  const [batch, heads, rows, columns] = scores.type.shape;
  const parts = [queries, keys, context.args[1]].map((each, i) => projected(each, heads, i === 1, isOwn));
  const [q, k, v] = parts;
  const isWhole = scores.type.shape.length === 4 && output.type.shape.length === 2 && heads > 1;
  const chain = [joined, ...(turned === context ? [] : [turned!]), context, softmax, scores];
  return isWhole && q && k && v && chain.every(isOwn)
    ? { softmax, queries: q, keys: k, values: v, output, batch, heads, rows, columns }
    : undefined;
}

function isPermuted({ attributes }: TensorNode, permutation: readonly number[]): boolean {
  return (attributes.permutation as readonly number[]).join() === permutation.join();
}

function projected(node: TensorNode, heads: number, isTurned: boolean, isOwn: IsOwn): Projected | undefined {
  const isMoved = node.op === "transpose" && isPermuted(node, isTurned ? [0, 2, 3, 1] : [0, 2, 1, 3]);
  const split = isMoved ? node.args[0] : node;
  const hasHeads = split.type.shape.length === 4 && split.type.shape.at(isMoved ? 2 : 1) === heads;
  const flat = split.op === "reshape" && hasHeads && (isMoved || split.type.shape[2] === 1) ? split.args[0] : undefined;
  const isBiased = flat?.op === "add" && flat.args[1].type.shape.length === 1;
  const product = isBiased ? flat.args[0] : flat;
  if (flat === undefined || product?.op !== "matmul" || product.args[1].type.shape.length !== 2) {
    return undefined;
  }
  const [x, weight] = product.args;
  const own = new Set([node, split, flat, product]);
  return x.type.shape.length === 3 && [...own].every(isOwn)
    ? { x, weight, bias: isBiased ? flat.args[1] : undefined }
    : undefined;
}

function isKnown(attention: Attention, rewriter: Rewriter, made: ReadonlyMap<TensorNode, TensorNode>): boolean {
  const { queries, keys, values, output } = attention;
  const owned = [queries, keys, values].flatMap(({ weight, bias }) => [weight, ...(bias === undefined ? [] : [bias])]);
  return [output, ...owned].every((each) => rewriter.isOwned(made.get(each)!));
}

type Folding = (
  rewriter: Rewriter,
  attention: Attention,
  made: ReadonlyMap<TensorNode, TensorNode>,
  node: TensorNode,
) => TensorNode;

function folding(attention: Attention, pays: (rounds: number, bytes: number) => boolean): Folding | undefined {
  const { softmax, keys, values, output, batch, heads, rows, columns } = attention;
  if (rows === 1) {
    const isOneRow = softmax.args
      .slice(1)
      .every(({ type: { shape } }) => (shape.at(-2) ?? 1) * (shape.at(-3) ?? 1) === 1);
    return heads <= MOST_HEADS && keys.x === values.x && isOneRow ? oneRow : undefined;
  }
  const width = output.type.shape[1];
  const more = (heads - 1) * (columns * VALUE_BITS + rows * PRODUCT_BITS) - rows * CONTEXT_BITS;
  return pays(ROUNDS, (batch * width * more) / 8) ? manyRows : undefined;
}

/** Emits at an origin. */
function emitter(rewriter: Rewriter, { origin }: TensorNode) {
  const emit = (op: string, args: readonly TensorNode[], attributes = {}) =>
    rewriter.emit(op, args, attributes, origin);
  const reshape = (x: TensorNode, shape: readonly number[]) => emit("reshape", [x], { shape });
  const transpose = (x: TensorNode, permutation: readonly number[]) => emit("transpose", [x], { permutation });
  const matmul = (a: TensorNode, b: TensorNode) => emit("matmul", [a, b]);
  return { emit, reshape, transpose, matmul };
}

/** A matrix [n, H·d] as [H, n, d]. */
function byHead(rewriter: Rewriter, matrix: TensorNode, heads: number): TensorNode {
  const { reshape, transpose } = emitter(rewriter, matrix);
  const [n, width] = matrix.type.shape;
  return transpose(reshape(matrix, [n, heads, width / heads]), [1, 0, 2]);
}

/** A bias [H·d] as [H, 1, d]. */
function biasByHead(rewriter: Rewriter, bias: TensorNode, heads: number): TensorNode {
  return emitter(rewriter, bias).reshape(bias, [heads, 1, bias.type.shape[0] / heads]);
}

/** W_o [H·d, D] as [H, d, D]. */
function outputByHead(rewriter: Rewriter, output: TensorNode, heads: number): TensorNode {
  const [n, width] = output.type.shape;
  return emitter(rewriter, output).reshape(output, [heads, n / heads, width]);
}

const manyRows: Folding = (rewriter, { softmax, values, output, batch, heads, columns }, made, node) => {
  const { emit, reshape, transpose, matmul } = emitter(rewriter, node);
  const width = output.type.shape[1];
  const last = outputByHead(rewriter, made.get(output)!, heads);
  const each = matmul(byHead(rewriter, made.get(values.weight)!, heads), last);
  const weight = reshape(transpose(each, [1, 0, 2]), [values.weight.type.shape[0], heads * width]);
  const product = emitter(rewriter, values.weight).matmul(made.get(values.x)!, weight);
  const bias = values.bias && matmul(biasByHead(rewriter, made.get(values.bias)!, heads), last);
  const wide = bias === undefined ? product : emit("add", [product, reshape(bias, [heads * width])]);
  const split = transpose(reshape(wide, [batch, columns, heads, width]), [0, 2, 1, 3]);
  return emit("reduceSum", [matmul(made.get(softmax)!, split)], { axes: [1], keep: false });
};

const oneRow: Folding = (rewriter, attention, made, node) => {
  const { softmax, queries, keys, values, output, batch, heads, columns } = attention;
  const { emit, reshape, transpose, matmul } = emitter(rewriter, node);
  const [inner, width] = [keys.weight.type.shape[0], output.type.shape[1]];
  // Queries in the place of keys: [D, H·D] of W_q,h·W_k,hᵀ.
  const keyed = transpose(byHead(rewriter, made.get(keys.weight)!, heads), [0, 2, 1]);
  const asking = matmul(byHead(rewriter, made.get(queries.weight)!, heads), keyed);
  const asked = reshape(transpose(asking, [1, 0, 2]), [queries.weight.type.shape[0], heads * inner]);
  const bias = queries.bias && matmul(biasByHead(rewriter, made.get(queries.bias)!, heads), keyed);
  const flat = matmul(made.get(queries.x)!, asked);
  const biased = bias === undefined ? flat : emit("add", [flat, reshape(bias, [heads * inner])]);
  const rows = reshape(made.get(keys.x)!, [batch, 1, columns, inner]);
  const scores = matmul(reshape(biased, [batch, 1, heads, inner]), transpose(rows, [0, 1, 3, 2]));
  const masks = softmax.args.slice(1).map((each) => made.get(each)!);
  const shares = rewriter.emit("softmaxBase2", [scores, ...masks], {}, softmax.origin);
  const last = outputByHead(rewriter, made.get(output)!, heads);
  const each = matmul(byHead(rewriter, made.get(values.weight)!, heads), last);
  if (values.bias === undefined) {
    const mixed = reshape(matmul(shares, rows), [batch, 1, heads * inner]);
    return matmul(mixed, reshape(each, [heads * inner, width]));
  }
  // A row of ones sums the shares: to one, or to nothing where a row sees nothing and the model makes zeros of that.
  const ones = emit("broadcast", [rewriter.scalar(1, rows)], { shape: [batch, 1, columns, 1] });
  const mixed = reshape(matmul(shares, emit("concatenate", [rows, ones], { axis: 3 })), [
    batch,
    1,
    heads * (inner + 1),
  ]);
  const own = matmul(biasByHead(rewriter, made.get(values.bias)!, heads), last);
  const all = emit("concatenate", [each, own], { axis: 1 });
  return matmul(mixed, reshape(all, [heads * (inner + 1), width]));
};
