/**
 * What every share op means, on one value in the clear with its mask beside it. Written to be read: the law test holds
 * the three roles to it. Words are residues modulo 2^ring; a result's words are reduced by `make`.
 */
import { sizeOf } from "../tensor/value.js";
import { BIT_MEANING } from "./evaluate-bits.js";
import { BILINEAR_MEANING, LINEAR_MEANING, squares } from "./evaluate-linear.js";
import { SPLIT_MEANING } from "./evaluate-split.js";
import { type Meaning, make, signedOf } from "./meaning.js";
import type { WordType } from "./types.js";

const ROUND_MEANING = {
  squares,
  remask: ([x], _attributes, type, masks) => make(type, x.value, masks(sizeOf(type.shape))),
  remaskBits: ([x], _attributes, type, masks) => make(type, x.value, masks(sizeOf(type.shape))),
  widenAdditive: ([x], _attributes, type) =>
    make(
      type,
      BigUint64Array.from(signedOf(x), (word) => BigInt.asUintN(64, word)),
    ),
  widen: ([x], _attributes, type, masks) => {
    const low = (1n << BigInt((x.type as WordType).ring)) - 1n;
    const fresh = masks(sizeOf(type.shape));
    const mask = fresh.map((word, i) => (word & ~low) | (x.mask![i] & low));
    return make(
      type,
      BigUint64Array.from(signedOf(x), (word) => BigInt.asUintN(64, word)),
      mask,
    );
  },
} as const satisfies Record<string, Meaning>;

export const EVALUATE = {
  ...LINEAR_MEANING,
  ...BILINEAR_MEANING,
  ...ROUND_MEANING,
  ...SPLIT_MEANING,
  ...BIT_MEANING,
} as const satisfies Record<string, Meaning>;
