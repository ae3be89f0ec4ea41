/**
 * The coarse maximum of long rows without counters (PROTOCOL.md, "coarse maximum"): for every bucket, whether some
 * element of the row reaches it, from the elements' look-ups alone: a random combination of their bits over GF(2) is 0
 * where none is set. 2^w dealt bits an element where counters take 2^w·c; the tests of zero cost a row, not an element.
 */
import { subsetsOf } from "../../ir/share/bits.js";
import { sizeOf } from "../../ir/tensor/value.js";
import { type Lowering, type ShareNode, shapeOf } from "./context.js";
import { joinedWords } from "./digits.js";

/** Sums of a row's bits for each bucket, in groups whose conjunctions are opened: a bucket is missed with 2^-20. */
export const GROUPS = 4;
const OF_GROUP = 5;
const SUMS = GROUPS * OF_GROUP;

/** Bits that reach P2 for the test of one row and bucket, without that of its groups: openings and conjunctions. */
export const REACHED_BITS = SUMS + GROUPS * (subsetsOf(OF_GROUP) + 1);

/** Bits of the ring in which the buckets of a row are counted. */
export function countRing(width: number): number {
  return width + 2;
}

/**
 * Additive zeros and ones [..., 1, 2^width]: one where no element of the last axis lies in or above a bucket of the
 * ring, counted from its least value, without the borrow. Two rounds, or three. What `keep`, which is public, leaves
 * out does not count.
 */
export function missedBuckets(
  lowering: Lowering,
  value: ShareNode,
  { ring, width }: { readonly ring: number; readonly width: number },
  keep: ShareNode | undefined,
): ShareNode {
  const at = ring - width;
  const hot = lowering.emit("digits", [value], { at, width });
  const sums = Array.from({ length: 2 ** width }, (_, from) => {
    const span = { at, offset: 2 ** (ring - 1), from, count: 2 ** width - from };
    const bits = lowering.emit("within", [hot, value], span);
    const kept = keep === undefined ? bits : lowering.emit("andPublic", [bits, keep]);
    return lowering.emit("randomCombination", [kept], { bits: SUMS });
  });
  const rows = shapeOf(value).slice(0, -1);
  const joined = lowering.emit("concatenate", sums, { axis: rows.length });
  const zeros = lowering.emit("remaskBits", [lowering.emit("complement", [joined])]);
  const shape = [...rows, 1, 2 ** width];
  const columns = Array.from({ length: SUMS }, (_, i) => everyNth(lowering, zeros, shape, SUMS, i));
  const groups = Array.from({ length: GROUPS }, (_, i) => columns.slice(i * OF_GROUP, (i + 1) * OF_GROUP));
  const opened = groups.map((group) => lowering.emit("remaskBits", [lowering.emit("conjunction", group)]));
  return joinedWords(lowering, opened, countRing(width));
}

/** Every n-th element of the flat argument, from the i-th on. */
function everyNth(lowering: Lowering, x: ShareNode, shape: readonly number[], n: number, i: number): ShareNode {
  const flat = lowering.emit("view", [x], { shape: [sizeOf(shape)], strides: [n], offset: i });
  return lowering.emit("reshape", [flat], { shape });
}
