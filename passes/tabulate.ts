/**
 * The pass `tabulate`: what a norm divides an embedding by is known to the model's owner for every token and place,
 * because its rows are a row of one table, chosen by an index, plus rows that the owner knows. So 1/√(mean square + ε)
 * is a table of its own, and the norm's scale a product with the one-hot rows that the data's owner shares anyway: no
 * square, no 1/√ and no round for them, and no value that may leave a measured range (PROTOCOL-2, section 3).
 *
 * Σ(w + e)² = Σw² + 2·w·e + Σe² for a token's row w and a place's row e, a product of matrices at their owner. Token
 * types, where they are public, have a table each, of which every row takes its own.
 */
import { sizeOf } from "../ir/tensor/value.js";
import { type Rewriter, replaced, type TensorGraph, type TensorNode } from "./rewriter.js";
import { isKnownToAll, type ShiftOptions } from "./shift.js";

/** More token types than this would make more tables than rows are worth. */
const MOST_TYPES = 4;
/** Scales that are shared and held for it, at most: a round is not worth the memory of more. */
const MOST_SCALES = 2 ** 19;

export function tabulate(graph: TensorGraph, options: ShiftOptions = {}): TensorGraph {
  if (options.measured !== true) {
    // Where nothing is measured, ranges rest on what norms are assumed to divide by.
    return graph;
  }
  return replaced(graph, (node, args, rewriter) => {
    const scale = node.op === "rmsNorm" ? scaleOf(rewriter, node, args, options) : undefined;
    return scale && rewriter.emit(node.op, [...args, scale], node.attributes, node.origin);
  });
}

/** Rows [..., S, D] as a sum: of a table's rows, of rows that are the same for all texts, of rows by a token's type. */
interface Parts {
  readonly words: TensorNode;
  readonly types?: TensorNode;
  /** [D], [1, D] or [S, D], of the owner's or constant. */
  readonly rows: readonly TensorNode[];
}

/** What is added up, as far as it is not the owner's alone. */
function termsOf(rewriter: Rewriter, node: TensorNode): TensorNode[] {
  const isSum = node.op === "add" && !rewriter.isStatic(node);
  return isSum ? node.args.flatMap((each) => termsOf(rewriter, each)) : [node];
}

function partsOf(rewriter: Rewriter, x: TensorNode, isPublic: (input: string) => boolean): Parts | undefined {
  const [length, width] = x.type.shape.slice(-2);
  const terms = termsOf(rewriter, x);
  const looked = terms.filter(({ op, args }) => op === "embedding" && !rewriter.isStatic(args[1]));
  const rows = terms.filter((each) => !looked.includes(each));
  const types = looked.filter(
    ({ args }) => args[0].type.shape[0] <= MOST_TYPES && isKnownToAll(args[1], isPublic) && rewriter.isOwned(args[0]),
  );
  const words = looked.filter((each) => !types.includes(each));
  const isRow = (each: TensorNode) => {
    const [own, of] = [each.type.shape.at(-1), each.type.shape.at(-2) ?? 1];
    return (
      rewriter.isStatic(each) && own === width && sizeOf(each.type.shape) === of * width && [1, length].includes(of)
    );
  };
  const isWhole = looked.every(({ type }) => type.shape.join() === x.type.shape.join());
  const fits = words.length === 1 && types.length <= 1 && rows.every(isRow) && isWhole;
  if (!fits || x.type.shape.length < 3 || !rewriter.isOwned(words[0].args[0])) {
    return undefined;
  }
  const scales = words[0].args[0].type.shape[0] * length * (types[0]?.args[0].type.shape[0] ?? 1);
  if (scales > MOST_SCALES) {
    return undefined;
  }
  return { words: words[0], rows, ...(types.length === 1 && { types: types[0] }) };
}

/** 1/√(mean square + ε) of every row, [..., S, 1], by a table. */
function scaleOf(
  rewriter: Rewriter,
  node: TensorNode,
  [x, known]: readonly TensorNode[],
  { isPublic = () => false }: ShiftOptions,
): TensorNode | undefined {
  const parts = known === undefined ? partsOf(rewriter, x, isPublic) : undefined;
  if (parts === undefined) {
    return undefined;
  }
  const emit = (op: string, args: readonly TensorNode[], attributes = {}) =>
    rewriter.emit(op, args, attributes, node.origin);
  const reshape = (from: TensorNode, shape: readonly number[]) => emit("reshape", [from], { shape });
  const [length, width] = x.type.shape.slice(-2);
  const batch = x.type.shape.slice(0, -2);
  const [table, ids] = parts.words.args;
  const vocabulary = table.type.shape[0];
  const zero = emit("broadcast", [rewriter.scalar(0, x)], { shape: [length, width] });
  const flat = parts.rows.map((row) => reshape(row, [sizeOf(row.type.shape) / width, width]));
  const rows = flat.reduce((sum, row) => emit("add", [sum, row]), zero);
  const count = parts.types?.args[0].type.shape[0] ?? 1;
  const tables = Array.from({ length: count }, (_, i) => {
    const type =
      parts.types && emit("slice", [parts.types.args[0]], { starts: [i, 0], ends: [i + 1, width], steps: [1, 1] });
    const own = type === undefined ? rows : emit("add", [rows, type]);
    return reshape(inverseRoots(rewriter, node, table, own), [length, vocabulary, 1]);
  });
  const all = count === 1 ? tables[0] : emit("concatenate", tables, { axis: 2 });
  const hot = emit("oneHot", [ids], { depth: vocabulary });
  const chosen = emit("matmul", [reshape(hot, [...batch, length, 1, vocabulary]), all]);
  const scales = reshape(chosen, [...batch, length, count]);
  if (parts.types === undefined) {
    return scales;
  }
  const ofType = emit("oneHot", [parts.types.args[1]], { depth: count });
  return emit("reduceSum", [emit("multiply", [scales, ofType])], { axes: [batch.length + 1], keep: true });
}

/** [S, V]: 1/√(mean square + ε) of every row of `rows` [S, D] and every row of the table [V, D] together. */
function inverseRoots(rewriter: Rewriter, node: TensorNode, table: TensorNode, rows: TensorNode): TensorNode {
  const emit = (op: string, args: readonly TensorNode[], attributes = {}) =>
    rewriter.emit(op, args, attributes, node.origin);
  const real = (value: number) => rewriter.scalar(value, table);
  const squares = (x: TensorNode) => emit("reduceSum", [emit("multiply", [x, x])], { axes: [1], keep: true });
  const turned = (x: TensorNode) => emit("transpose", [x], { permutation: [1, 0] });
  const width = table.type.shape[1];
  const products = emit("matmul", [rows, turned(table)]);
  const both = emit("add", [emit("multiply", [products, real(2)]), squares(rows)]);
  const mean = emit("multiply", [emit("add", [both, turned(squares(table))]), real(1 / width)]);
  // Rounding may leave a little less than nothing of rows that cancel.
  const kept = emit("add", [emit("maximum", [mean, real(0)]), real(node.attributes.epsilon as number)]);
  return emit("reciprocalSquareRoot", [kept]);
}

/** The owner's tables behind an embedding's norm, in the secret program: rows that are added up, and their scales. */
export interface NormTables {
  readonly norm: TensorNode;
  readonly rows: readonly TensorNode[];
  readonly scales: TensorNode;
}

/** The tables of every norm that this pass gave a scale. */
export function tablesOf({ nodes }: TensorGraph): readonly NormTables[] {
  return nodes.flatMap((norm) => {
    let scale = norm.op === "rmsNorm" ? norm.args[1] : undefined;
    while (scale !== undefined && scale.op !== "matmul") {
      scale = scale.args[0];
    }
    const summands = (node: TensorNode): TensorNode[] => (node.op === "add" ? node.args.flatMap(summands) : [node]);
    const rows = () => summands(norm.args[0]).flatMap(({ op, args }) => (op === "matmul" ? [args[1]] : []));
    return scale === undefined ? [] : [{ norm, rows: rows(), scales: scale.args[1] }];
  });
}
