/** Rows of a softmax before they are divided by their sum. */
import type { ShareNode } from "./context.js";

/** rows = numerators · reciprocal. */
export interface UnnormalisedRows {
  /** [..., n], masked. */
  readonly numerators: ShareNode;
  /** The largest sum of a row's numerators. */
  readonly bound: number;
  /** [..., 1], masked, 1 / row sum. */
  readonly reciprocal: ShareNode;
}
