/** Helpers of the meanings in `evaluate*.ts`: making values, reading them as signed integers, strided reading. */
import { broadcastStrides } from "../shape.js";
import { sizeOf } from "../tensor/value.js";
import type { ShareOp, ShareType, ShareValue, WordType } from "./types.js";

export type Meaning = ShareOp["evaluate"];

/** A value of this type with its words reduced to the type's ring, and its mask if the type has one. */
export function make(type: ShareType, value: BigUint64Array, mask?: BigUint64Array): ShareValue {
  const bits = widthOfWords(type);
  const reduce = (words: BigUint64Array) => words.map((word) => BigInt.asUintN(bits, word));
  if (type.kind !== "masked" && type.kind !== "maskedBits") {
    return { type, value: reduce(value) };
  }
  return { type, value: reduce(value), mask: reduce(mask ?? new BigUint64Array(value.length)) };
}

function widthOfWords(type: ShareType): number {
  switch (type.kind) {
    case "masked":
    case "additive":
      return type.ring;
    case "hot":
      return type.width;
    default:
      return 1;
  }
}

/** The words as signed integers: residues modulo 2^ring read in [-2^(ring-1), 2^(ring-1)). */
export function signedOf(value: ShareValue): bigint[] {
  const { ring } = value.type as WordType;
  return Array.from(value.value, (word) => BigInt.asIntN(ring, word));
}

/** The public m of a masked value. */
export function openOf(value: ShareValue): BigUint64Array {
  return value.value.map((word, i) => BigInt.asUintN((value.type as WordType).ring, word + value.mask![i]));
}

/** The flat indices that a strided view reads, in row-major order of the shape. */
export function viewIndices(shape: readonly number[], strides: readonly number[], offset: number): Float64Array {
  const indices = new Float64Array(sizeOf(shape));
  const index = new Array<number>(shape.length).fill(0);
  let at = offset;
  for (let i = 0; i < indices.length; i++) {
    indices[i] = at;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      at += strides[axis];
      if (++index[axis] < shape[axis]) {
        break;
      }
      at -= strides[axis] * shape[axis];
      index[axis] = 0;
    }
  }
  return indices;
}

/** The elements at these indices; -1 gives 0. */
export function pick(words: BigUint64Array, indices: ArrayLike<number>): BigUint64Array {
  return BigUint64Array.from(indices, (index) => (index < 0 ? 0n : words[index]));
}

/** The words of a tensor of shape `from` repeated to shape `to`. */
export function repeat(words: BigUint64Array, from: readonly number[], to: readonly number[]): BigUint64Array {
  return pick(words, viewIndices(to, broadcastStrides(from, to), 0));
}

/** Applies a linear map to the value and, where there is one, to the mask. */
export function both(x: ShareValue, type: ShareType, map: (words: BigUint64Array) => BigUint64Array): ShareValue {
  return make(type, map(x.value), x.mask === undefined ? undefined : map(x.mask));
}
