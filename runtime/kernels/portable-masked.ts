/** The TypeScript twin of the product with words of an input (interface.ts). */
import type { FusedKernels } from "./interface.js";
import type { Memory } from "./memory.js";
import { unpackHalves } from "./packing.js";
import type { StreamWords } from "./portable-stream.js";
import { factorWords, multiplyMatrix } from "./portable-words.js";

export function maskedKernels({ bytes, words }: Memory, streamWords: StreamWords): Pick<FusedKernels, "matmulMasked"> {
  return {
    matmulMasked(to, product, { fields, bits, ring, key, other, block }) {
      const { a, rows, inner, columns, aRow = inner } = product;
      const right = streamWords(key, block, inner * columns);
      const from = fields === undefined ? streamWords(other, block, right.length) : new BigUint64Array(right.length);
      if (fields !== undefined) {
        unpackHalves(bytes, fields, right.length, bits, new Uint32Array(from.buffer), 0);
      }
      for (let i = 0; i < right.length; i++) {
        const made = fields === undefined ? right[i] - from[i] : BigInt.asUintN(ring, from[i]) - 2n * right[i];
        right[i] = BigInt.asUintN(64, made);
      }
      const left = factorWords(words, a, rows === 0 ? 0 : (rows - 1) * aRow + inner);
      const result = words.subarray(to / 8, to / 8 + rows * columns);
      multiplyMatrix(result, left, right, product);
    },
  };
}
