/**
 * A norm's scale after the matrix: (r·x)W = r·(xW). x·W does not wait for r, so that it is opened beside the variance
 * or 1/√v, and the rows themselves are never opened: one round less from x to what follows, two where they would have
 * been widened. It costs a second opening of every column of W, so it pays where rows are few or rounds dear.
 */
import { ceilLog2 } from "../../ir/real.js";
import { stridesOf } from "../../ir/shape.js";
import { sizeOf } from "../../ir/tensor/value.js";
import { fractionOf, isSource, type Lowering, type ShareNode, shapeOf, type TensorNode } from "./context.js";

/** The rows of a norm before they are scaled. */
export interface ScaledRows {
  /** Masked, as they came in. */
  readonly rows: ShareNode;
  /** Masked, with a last axis of one. */
  readonly scale: ShareNode;
  /** The least and the largest scale. */
  readonly least: number;
  readonly most: number;
  /** Whether the scale is there as early as the rows are. */
  readonly isKnown?: boolean;
}

/** Bits of an element of x·W beyond what it takes unscaled, opened and dealt, and those that an opened row takes. */
const BITS_OF_COLUMN = 80;
const BITS_OF_ROW = 110;
/** Rounds that are saved: the rows' own opening, and most often their widening. */
const ROUNDS = 2;

/** The forms of a norm's scale, as a plan names them. */
const AFTER = "after the matrix";
const BEFORE = "before it";

/**
 * The users of a norm that are scaled after their products: all of them where all are products with an owner's
 * matrices and that pays; where somebody else reads the scaled rows, those products that are cheap beside a round.
 */
export function scaledAfter(
  lowering: Lowering,
  node: TensorNode,
  users: ReadonlyMap<TensorNode, readonly TensorNode[]>,
): ReadonlySet<TensorNode> {
  const own = users.get(node) ?? [];
  const columns = new Map(own.map((user) => [user, columnsOf(user, node, users)]));
  const seconds = (count: number) => lowering.seconds(0, (count * BITS_OF_COLUMN) / 8);
  const products = [...columns].flatMap(([user, count]) => (count === undefined ? [] : [[user, count] as const]));
  if (products.length < columns.size) {
    const cheap = products.filter(([, count]) => seconds(count) < lowering.seconds(1, 0));
    return new Set(cheap.map(([user]) => user));
  }
  const after = seconds(products.reduce((sum, [, count]) => sum + count, 0));
  const before = lowering.seconds(ROUNDS, (sizeOf(node.type.shape) * BITS_OF_ROW) / 8);
  const isAfter = after < before && own.length > 0;
  const forms = { [AFTER]: after, [BEFORE]: before };
  lowering.choices.add(node.origin, "a norm's scale", isAfter ? AFTER : BEFORE, forms);
  return new Set(isAfter ? own : []);
}

/** Elements of all products with a value that a user makes, or undefined where it uses it in another way. */
function columnsOf(
  user: TensorNode,
  value: TensorNode,
  users: ReadonlyMap<TensorNode, readonly TensorNode[]>,
): number | undefined {
  if (slicesRows(user)) {
    const all = (users.get(user) ?? []).map((each) => columnsOf(each, user, users));
    return all.length === 0 || all.includes(undefined) ? undefined : all.reduce<number>((sum, n) => sum + n!, 0);
  }
  const isProduct =
    user.op === "matmul" && user.args[0] === value && isSource(user.args[1]) && user.args[1].type.shape.length === 2;
  return isProduct ? sizeOf(user.type.shape) : undefined;
}

/** Fractional bits more of a matrix of queries, which carry log₂e/√d: the keys ask the rows for more bits anyway. */
const FINER_QUERIES = 3;

/**
 * Queries [..., heads, n, d] times a number for each head, by their owner where they are a matrix's product: the
 * factor of a matrix's columns costs no bit of a ring, that of a secret does.
 */
export function scaleAtOwner(
  lowering: Lowering,
  queries: TensorNode,
  scales: readonly number[],
  users: ReadonlyMap<TensorNode, readonly TensorNode[]>,
): void {
  const isOwn = (node: TensorNode) => users.get(node)!.length === 1;
  const isWeight = (node: TensorNode, rank: number) =>
    node.op === "input" &&
    node.type.shape.length === rank &&
    lowering.secretInputs.get(String(node.attributes.name))?.owner === "model" &&
    isOwn(node);
  const split = queries.op === "transpose" ? queries.args[0] : queries;
  const flat = split.op === "reshape" ? split.args[0] : undefined;
  if (flat === undefined) {
    return;
  }
  const rank = split.type.shape.length;
  const isByHead =
    scales.length === 1 ||
    (queries !== split &&
      (queries.attributes.permutation as readonly number[]).at(-3) === rank - 2 &&
      split.type.shape.at(-2) === scales.length &&
      scales.length * split.type.shape.at(-1)! === flat.type.shape.at(-1));
  const [product, bias] = flat.op === "add" ? flat.args : [flat, undefined];
  const matrix = product.op === "matmul" ? product.args[1] : undefined;
  const values = [...new Set([queries, split, flat, product])];
  if (
    isByHead &&
    matrix !== undefined &&
    isWeight(matrix, 2) &&
    (bias === undefined || isWeight(bias, 1)) &&
    values.every(isOwn)
  ) {
    const width = flat.type.shape.at(-1)! / scales.length;
    const columns = Float64Array.from({ length: scales.length * width }, (_, i) => scales[Math.floor(i / width)]);
    lowering.refine(matrix, lowering.precision.weight + FINER_QUERIES);
    for (const each of [matrix, ...values, ...(bias === undefined ? [] : [bias])]) {
      lowering.scaleByOwner(each, columns);
    }
  }
}

/** Whether a node is a slice of whole rows. */
export function slicesRows(node: TensorNode): boolean {
  return node.op === "slice" && node.type.shape.at(-1) === node.args[0].type.shape.at(-1);
}

/** The same rows of unscaled values. */
export function slicedRows(lowering: Lowering, node: TensorNode, { rows, scale, ...range }: ScaledRows): ScaledRows {
  const { starts, steps } = node.attributes as { starts: readonly number[]; steps: readonly number[] };
  const cut = (x: ShareNode, shape: readonly number[]) => {
    const own = stridesOf(shapeOf(x));
    const offset = starts.reduce((sum, start, axis) => sum + start * own[axis], 0);
    return lowering.emit("view", [x], { shape, strides: own.map((stride, axis) => stride * steps[axis]), offset });
  };
  const shape = node.type.shape;
  return { rows: cut(rows, shape), scale: cut(scale, [...shape.slice(0, -1), 1]), ...range };
}

/** The rows as the norm gives them, additive. */
export function scaledRows(lowering: Lowering, { rows, scale, most }: ScaledRows): ShareNode {
  const finer = Math.max(0, ceilLog2(most));
  const numerator = lowering.atFraction(rows, Math.min(fractionOf(rows), lowering.precision.activation + finer));
  return lowering.emit("multiply", [numerator, scale], { drop: 0 });
}

/** r·(xW), additive. */
export function productOfRows(
  lowering: Lowering,
  node: TensorNode,
  { rows, scale, least, most }: ScaledRows,
): ShareNode {
  const { weight, activation } = lowering.precision;
  const bound = lowering.boundOf(node);
  const matrix = lowering.masked(node.args[1], lowering.weightFraction(node.args[1]));
  const finer = Math.max(0, ceilLog2(most));
  const x = lowering.atFraction(rows, Math.min(fractionOf(rows), activation + finer));
  const product = lowering.bounded(lowering.emit("matmul", [x, matrix], { drop: 0, keep: [] }), bound / least);
  const opened = lowering.atFraction(product, Math.min(fractionOf(product), activation + finer));
  const drop = Math.max(0, fractionOf(opened) + fractionOf(scale) - activation - weight);
  return lowering.emit("multiply", [opened, scale], { drop });
}
