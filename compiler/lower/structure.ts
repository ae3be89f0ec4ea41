/**
 * Masks that are partly known when the plan is made (causal ones). Scores that nobody may look at are never computed:
 * the product of queries and keys is dealt and opened for the kept scores only, row after row, and all that follows up
 * to
 * the exponential works on that packed list (NUMERICS.md: a public causal mask removes work).
 */

import { createHash } from "node:crypto";
import type { Graph } from "../../ir/graph.js";
import { usersOf } from "../../ir/graph.js";
import { sizeOf, type TensorType } from "../../ir/tensor/value.js";
import { constantOf, type Lowering, type ShareNode, shapeOf, type TensorNode } from "./context.js";
import { broadcastTo, reshapeTo } from "./movement.js";

/** The kept scores of one matrix [rows, columns], the same for all heads and batches. */
export interface Packing {
  readonly rows: number;
  readonly columns: number;
  /** Flat indices of kept scores in one matrix, ascending; every row keeps at least one. */
  readonly kept: readonly number[];
  /** Kept scores of each row. */
  readonly lengths: readonly number[];
  /** For each score of a matrix its place among the kept ones, or -1. */
  readonly places: readonly number[];
}

/**
 * The largest matrix whose scores are packed, 2048 tokens. Its lists are as long as itself, and are there once for all
 * heads and, as every layer has the same mask, once for all layers; on file they are runs of a row each.
 */
const LARGEST_MATRIX = 1 << 22;

/** The products whose results are scores under a partly constant mask, with what to keep of them. */
export function packedScores(graph: Graph<TensorType>): ReadonlyMap<TensorNode, Packing> {
  const users = usersOf(graph);
  const outputs = new Set(graph.outputs.map(({ node }) => node));
  const packed = new Map<TensorNode, Packing>();
  const known = new Map<string, Packing | undefined>();
  for (const node of graph.nodes) {
    const [scores, keep] = node.args;
    const only = node.op === "softmaxBase2" && scores.op === "matmul" && users.get(scores)!.length === 1;
    const packing = only && !outputs.has(scores) && keep !== undefined ? packingOf(scores, keep, known) : undefined;
    if (packing !== undefined) {
      packed.set(scores, packing);
    }
  }
  return packed;
}

function packingOf(scores: TensorNode, keep: TensorNode, known: Map<string, Packing | undefined>): Packing | undefined {
  const mask = partsOf(keep).constant;
  const value = mask === undefined ? undefined : constantOf(mask);
  const [rows, columns] = scores.type.shape.slice(-2);
  if (value === undefined || rows * columns > LARGEST_MATRIX) {
    return undefined;
  }
  const [own, across] = [value.shape.at(-2) ?? 1, value.shape.at(-1) ?? 1];
  if (sizeOf(value.shape) !== own * across || (own !== rows && own !== 1) || (across !== columns && across !== 1)) {
    return undefined;
  }
  // Equal masks of many layers have one packing, so that their lists are one.
  const key = `${rows} ${columns} ${own} ${createHash("sha256").update(Uint8Array.from(value.data)).digest("hex")}`;
  if (!known.has(key)) {
    const at = (row: number, column: number) =>
      value.data[(own === 1 ? 0 : row * across) + (across === 1 ? 0 : column)];
    known.set(key, packed(rows, columns, at));
  }
  return known.get(key);
}

function packed(rows: number, columns: number, at: (row: number, column: number) => number): Packing | undefined {
  const kept: number[] = [];
  const places: number[] = [];
  const lengths = Array.from({ length: rows }, (_, row) => {
    const before = kept.length;
    for (let column = 0; column < columns; column++) {
      const isKept = at(row, column) !== 0;
      places.push(isKept ? kept.length : -1);
      if (isKept) {
        kept.push(row * columns + column);
      }
    }
    return kept.length - before;
  });
  const useful = kept.length < rows * columns && lengths.every((length) => length > 0);
  return useful ? { rows, columns, kept, lengths, places } : undefined;
}

/** A mask as what is constant of it and what is an input. */
export function partsOf(keep: TensorNode): { readonly constant?: TensorNode; readonly input?: TensorNode } {
  if (keep.op === "constant") {
    return { constant: keep };
  }
  if (keep.op === "and") {
    const constant = keep.args.find((argument) => argument.op === "constant");
    const input = keep.args.find((argument) => argument.op !== "constant");
    return constant === undefined || input === undefined ? { input: keep } : { constant, input };
  }
  return { input: keep };
}

/** A value that broadcasts to [batch…, rows, columns], in packed form [batch…, kept]. */
export function pack(
  lowering: Lowering,
  x: ShareNode,
  batch: readonly number[],
  { rows, columns, kept }: Packing,
): ShareNode {
  const whole = broadcastTo(lowering, x, [...batch, rows, columns]);
  return lowering.emit("take", [whole], { indices: kept, shape: [...batch, kept.length] });
}

/** A packed value as [batch…, rows, columns], zero where nothing was kept. */
export function unpack(lowering: Lowering, x: ShareNode, { rows, columns, places }: Packing): ShareNode {
  const batch = shapeOf(x).slice(0, -1);
  return lowering.emit("take", [x], { indices: places, shape: [...batch, rows, columns] });
}

/** One number a row, [batch…, rows], repeated for every kept score of the row: [batch…, kept]. */
export function perRow(lowering: Lowering, x: ShareNode, packing: Packing): ShareNode {
  const batch = shapeOf(x).slice(0, -1);
  const column = reshapeTo(lowering, x, [...batch, packing.rows, 1]);
  return pack(lowering, column, batch, packing);
}
