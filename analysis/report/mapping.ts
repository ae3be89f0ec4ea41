/**
 * Which elements of a node's value a session has. A plan says which steps hold the value of which node of the secret
 * program (`Plan.values`): whole, in parts of some heads, or as rows that are yet to be scaled.
 */

import type { HeldPart, Plan, Step } from "../../ir/plan/types.js";
import type { TensorNode } from "../../ir/tensor/index.js";
import { sizeOf } from "../../ir/tensor/value.js";

export type Reals = Float64Array;

/** Where a node's value is, and which of its elements; all where `places` is undefined. */
export interface Held {
  readonly parts: readonly HeldPart[];
  readonly places: readonly number[] | undefined;
}

/** By index into the secret program's nodes. */
export type Mapping = ReadonlyMap<number, Held>;

export function mapNodes(nodes: readonly TensorNode[], plan: Plan): Mapping {
  return new Map(
    plan.values.map(({ node, parts }) => {
      const cells = keptCells(plan.steps[parts[0].step]);
      return [node, { parts, places: cells.length === 0 ? undefined : keptPlaces(nodes[node], cells) }] as const;
    }),
  );
}

/** The cells of each matrix that a product computes where a public mask leaves some; none where it computes all. */
function keptCells({ op, attributes }: Step): readonly number[] {
  return op === "matmul" ? (attributes.keep as readonly number[]) : [];
}

function keptPlaces({ type }: TensorNode, cells: readonly number[]): readonly number[] {
  const size = sizeOf(type.shape.slice(-2));
  return Array.from({ length: sizeOf(type.shape.slice(0, -2)) }, (_, i) => cells.map((cell) => i * size + cell)).flat();
}

/** A node's value of those of the steps that hold it: rows scaled, heads in their places. */
export function assembled({ parts }: Held, shape: readonly number[], realsOf: (part: HeldPart) => Reals): Reals {
  if (parts.length === 1) {
    return realsOf(parts[0]);
  }
  const heads = shape.at(-3) ?? 1;
  const size = sizeOf(shape.slice(-2));
  const whole = new Float64Array(sizeOf(shape));
  for (const part of parts) {
    const own = realsOf(part);
    const of = part.heads ?? [];
    for (let matrix = 0; matrix * size < own.length; matrix++) {
      const at = Math.floor(matrix / of.length) * heads + of[matrix % of.length];
      whole.set(own.subarray(matrix * size, (matrix + 1) * size), at * size);
    }
  }
  return whole;
}

/** Every row times its scale. */
export function scaledRows(rows: Reals, scales: Reals): Reals {
  const columns = rows.length / scales.length;
  return rows.map((x, i) => x * scales[Math.floor(i / columns)]);
}
