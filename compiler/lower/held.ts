/** Where the share program has the value of a node of the secret program. */
import type { Node } from "../../ir/graph.js";
import type { ShareType } from "../../ir/share/types.js";

/** Rows that hold a node's value, or will when they are scaled. */
export interface HeldRows {
  readonly value: Node<ShareType>;
  /** One element a row, with which every row is yet to be multiplied. */
  readonly scale?: Node<ShareType>;
  /** The heads (axis third from last) that these rows are of; all if absent. */
  readonly heads?: readonly number[];
}

/** The same rows in a program that was made of another; undefined where it does not have them. */
export function movedRows(
  { value, scale, heads }: HeldRows,
  moved: (node: Node<ShareType>) => Node<ShareType> | undefined,
): HeldRows | undefined {
  const [to, by] = [moved(value), scale && moved(scale)];
  if (to === undefined || (scale !== undefined && by === undefined)) {
    return undefined;
  }
  return { value: to, ...(by && { scale: by }), ...(heads && { heads }) };
}
