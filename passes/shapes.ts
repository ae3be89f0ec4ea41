/**
 * Arithmetic on shapes that more than one rule needs: permutations, and how a reshape cuts the dimensions of its
 * argument into groups that it regroups. Broadcasting: ir/shape.ts.
 */
import { sameShape } from "../ir/shape.js";
import { sizeOf } from "../ir/tensor/value.js";

export type Shape = readonly number[];

/** The shape with leading ones up to this rank. */
export function padRank(shape: Shape, rank: number): Shape {
  return [...new Array<number>(Math.max(0, rank - shape.length)).fill(1), ...shape];
}

/** `shape` seen through numpy's transpose. */
export function permute(shape: Shape, permutation: Shape): Shape {
  return permutation.map((axis) => shape[axis]);
}

export function inverse(permutation: Shape): number[] {
  const result: number[] = new Array(permutation.length).fill(0);
  permutation.forEach((axis, place) => {
    result[axis] = place;
  });
  return result;
}

/** A run of axes of the source that a reshape turns into a run of axes of the target: half-open ranges. */
interface ReshapeGroup {
  readonly from: readonly [number, number];
  readonly to: readonly [number, number];
}

/**
 * The finest groups of a reshape, in order; every axis is in exactly one group. Axes of size one go with the group
 * before them, or stand in a group without a counterpart. Undefined for empty tensors.
 */
export function reshapeGroups(source: Shape, target: Shape): ReshapeGroup[] | undefined {
  if (sizeOf(source) === 0) {
    return undefined;
  }
  const groups: ReshapeGroup[] = [];
  let i = 0;
  let j = 0;
  while (i < source.length || j < target.length) {
    const [fromStart, toStart] = [i, j];
    let left = i < source.length ? source[i++] : 1;
    let right = j < target.length ? target[j++] : 1;
    while (left !== right) {
      if (left < right) {
        left *= source[i++];
      } else {
        right *= target[j++];
      }
    }
    groups.push({ from: [fromStart, i], to: [toStart, j] });
  }
  return groups;
}

/**
 * The shape in which an operand that broadcasts against the target of a reshape broadcasts alike against its source:
 * in every group it must be whole or all ones. Undefined where it is neither.
 */
export function unreshapeOperand(operand: Shape, source: Shape, target: Shape): Shape | undefined {
  const groups = reshapeGroups(source, target);
  const padded = padRank(operand, target.length);
  if (groups === undefined || padded.length !== target.length) {
    return undefined;
  }
  const result: number[] = [];
  for (const { from, to } of groups) {
    const [part, whole] = [padded.slice(...to), target.slice(...to)];
    const sizes = source.slice(...from);
    if (part.every((size) => size === 1)) {
      result.push(...sizes.map(() => 1));
    } else if (sameShape(part, whole)) {
      result.push(...sizes);
    } else {
      return undefined;
    }
  }
  return result;
}
