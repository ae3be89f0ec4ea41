/** The TypeScript twins of the bit kernels (interface.ts gives the meanings). */
import type { BitKernels, DigitLookUp } from "./interface.js";
import type { Memory } from "./memory.js";

/** The public digit of element i. */
function publicDigit(words: BigUint64Array, index: number, look: DigitLookUp): number {
  const shifted = BigInt.asUintN(look.ring, words[index] + BigInt(look.offset));
  return Number(BigInt.asUintN(look.width, shifted >> BigInt(look.at)));
}

function logic({ bytes }: Memory): Pick<BitKernels, "exclusiveOr" | "and" | "complement"> {
  return {
    exclusiveOr(to, a, b, count) {
      for (let i = 0; i < count; i++) {
        bytes[to + i] = bytes[a + i] ^ bytes[b + i];
      }
    },
    and(to, a, b, count) {
      for (let i = 0; i < count; i++) {
        bytes[to + i] = bytes[a + i] & bytes[b + i];
      }
    },
    complement(to, a, count) {
      for (let i = 0; i < count; i++) {
        bytes[to + i] = 1 ^ bytes[a + i];
      }
    },
  };
}

export function bitKernels(memory: Memory): BitKernels {
  const { bytes, words } = memory;
  /** XOR of the entries of hot element i that the public digit selects. */
  const select = (hot: number, i: number, width: number, wanted: (entry: number) => boolean) => {
    const size = 2 ** width;
    const at = hot + i * Math.max(1, size / 8);
    let bit = 0;
    for (let entry = 0; entry < size; entry++) {
      if (wanted(entry)) {
        bit ^= (bytes[at + (entry >> 3)] >> (entry & 7)) & 1;
      }
    }
    return bit;
  };
  return {
    ...logic(memory),
    sumBit(to, a, b, bit, count) {
      for (let i = 0; i < count; i++) {
        bytes[to + i] = Number(((words[a / 8 + i] + words[b / 8 + i]) >> BigInt(bit)) & 1n);
      }
    },
    wordBit(to, from, offset, bit, count) {
      for (let i = 0; i < count; i++) {
        bytes[to + i] = Number(((words[from / 8 + i] + BigInt(offset)) >> BigInt(bit)) & 1n);
      }
    },
    bitWords(to, a, b, count) {
      for (let i = 0; i < count; i++) {
        words[to / 8 + i] = BigInt(bytes[a + i] ^ bytes[b + i]);
      }
    },
    combineBits(to, from, coefficients, first, length, bits, count) {
      for (let i = 0; i < count; i++) {
        const row = to + Math.floor((first + i) / length) * bits;
        for (let j = 0; j < bits && bytes[from + i] === 1; j++) {
          bytes[row + j] ^= Number((words[coefficients / 8 + i] >> BigInt(j)) & 1n);
        }
      }
    },
    hotLess(to, hot, m, look, count) {
      for (let i = 0; i < count; i++) {
        const digit = publicDigit(words, m / 8 + i, look);
        bytes[to + i] = select(hot, i, look.width, (entry) => entry > digit);
      }
    },
    hotWithin(to, hot, m, look, from, span, count) {
      const size = 2 ** look.width;
      const start = ((from % size) + size) % size;
      for (let i = 0; i < count; i++) {
        const digit = publicDigit(words, m / 8 + i, look);
        bytes[to + i] = select(hot, i, look.width, (entry) => (digit - entry - start + 2 * size) % size < span);
      }
    },
  };
}
