/**
 * Masks that are partly known when the plan is made (causal ones). Scores that nobody may look at are never computed:
 * the product of queries and keys is dealt and opened for the kept scores only, row after row, and all that follows up
 * to
 * the exponential works on that packed list (NUMERICS.md: a public causal mask removes work).
 */

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
}

/** Index lists longer than this are not worth their place in the plan. */
const LONGEST_LIST = 1 << 20;

/** The products whose results are scores under a partly constant mask, with what to keep of them. */
export function packedScores(graph: Graph<TensorType>): ReadonlyMap<TensorNode, Packing> {
  const users = usersOf(graph);
  const outputs = new Set(graph.outputs.map(({ node }) => node));
  const packed = new Map<TensorNode, Packing>();
  for (const node of graph.nodes) {
    const [scores, keep] = node.args;
    const only = node.op === "softmaxBase2" && scores.op === "matmul" && users.get(scores)!.length === 1;
    const packing = only && !outputs.has(scores) && keep !== undefined ? packingOf(scores, keep) : undefined;
    if (packing !== undefined) {
      packed.set(scores, packing);
    }
  }
  return packed;
}

function packingOf(scores: TensorNode, keep: TensorNode): Packing | undefined {
  const mask = partsOf(keep).constant;
  const value = mask === undefined ? undefined : constantOf(mask);
  const [rows, columns] = scores.type.shape.slice(-2);
  if (value === undefined || sizeOf(scores.type.shape) > LONGEST_LIST) {
    return undefined;
  }
  const [own, across] = [value.shape.at(-2) ?? 1, value.shape.at(-1) ?? 1];
  if (sizeOf(value.shape) !== own * across || (own !== rows && own !== 1) || (across !== columns && across !== 1)) {
    return undefined;
  }
  const at = (row: number, column: number) => value.data[(own === 1 ? 0 : row * across) + (across === 1 ? 0 : column)];
  const kept: number[] = [];
  const lengths = Array.from({ length: rows }, (_, row) => {
    const before = kept.length;
    for (let column = 0; column < columns; column++) {
      if (at(row, column) !== 0) {
        kept.push(row * columns + column);
      }
    }
    return kept.length - before;
  });
  const useful = kept.length < rows * columns && lengths.every((length) => length > 0);
  return useful ? { rows, columns, kept, lengths } : undefined;
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
  const count = sizeOf(batch);
  const whole = broadcastTo(lowering, x, [...batch, rows, columns]);
  const indices: number[] = [];
  for (let i = 0; i < count; i++) {
    for (const index of kept) {
      indices.push(i * rows * columns + index);
    }
  }
  return lowering.emit("take", [whole], { indices, shape: [...batch, kept.length] });
}

/** A packed value as [batch…, rows, columns], zero where nothing was kept. */
export function unpack(lowering: Lowering, x: ShareNode, { rows, columns, kept }: Packing): ShareNode {
  const batch = shapeOf(x).slice(0, -1);
  const place = new Int32Array(rows * columns).fill(-1);
  kept.forEach((index, i) => {
    place[index] = i;
  });
  const indices: number[] = [];
  for (let i = 0; i < sizeOf(batch); i++) {
    for (const index of place) {
      indices.push(index < 0 ? -1 : i * kept.length + index);
    }
  }
  return lowering.emit("take", [x], { indices, shape: [...batch, rows, columns] });
}

/** One number a row, [batch…, rows], repeated for every kept score of the row: [batch…, kept]. */
export function perRow(lowering: Lowering, x: ShareNode, packing: Packing): ShareNode {
  const batch = shapeOf(x).slice(0, -1);
  const column = reshapeTo(lowering, x, [...batch, packing.rows, 1]);
  return pack(lowering, column, batch, packing);
}
