/** The TypeScript twins of the stream and wire kernels (interface.ts gives the meanings). */
import { createCipheriv } from "node:crypto";
import { counterBytes } from "../../ir/share/split.js";
import type { StreamKernels, WireKernels } from "./interface.js";
import type { Memory } from "./memory.js";
import { packHalves, unpackHalves } from "./packing.js";

const PIECE = 1 << 20;

/** Stream bytes of AES-128-CTR from a block on. */
export function streamBytes(key: Uint8Array, block: number, bytes: number): Uint8Array {
  const counter = Buffer.alloc(16);
  counter.writeBigUInt64BE(BigInt(block), 8);
  const cipher = createCipheriv("aes-128-ctr", key, counter);
  const zeros = new Uint8Array(Math.min(PIECE, bytes));
  const result = new Uint8Array(Math.ceil(bytes / 8) * 8);
  for (let at = 0; at < bytes; at += PIECE) {
    result.set(cipher.update(zeros.subarray(0, Math.min(PIECE, bytes - at))), at);
  }
  return result;
}

/** Bits [at, at + width) of the sum of two masks. */
function digitOfSum(memory: Memory, mask1: number, mask2: number, at: number, width: number): number {
  return Number(BigInt.asUintN(width, (memory.words[mask1] + memory.words[mask2]) >> BigInt(at)));
}

/** Packed hot elements to one element per 2^width bits, at least a byte each. */
function spreadHot(memory: Memory, packed: Uint8Array, to: number, count: number, width: number): void {
  if (width >= 3) {
    memory.bytes.set(packed.subarray(0, (count * 2 ** width) / 8), to);
    return;
  }
  const size = 2 ** width;
  for (let i = 0; i < count; i++) {
    memory.bytes[to + i] = (packed[(i * size) >> 3] >> ((i * size) & 7)) & (2 ** size - 1);
  }
}

/** Packed bits, from the stream's, with the bit of a one-hot field flipped for every element. */
function hotSections(
  memory: Memory,
  packed: Uint8Array,
  digit: (i: number) => number,
  count: number,
  width: number,
  to: number,
): void {
  const bytes = Math.ceil((count * 2 ** width) / 8);
  memory.bytes.set(packed.subarray(0, bytes), to);
  const extra = (count * 2 ** width) % 8;
  if (extra !== 0) {
    memory.bytes[to + bytes - 1] &= 2 ** extra - 1;
  }
  for (let i = 0; i < count; i++) {
    const bit = i * 2 ** width + digit(i);
    memory.bytes[to + Math.floor(bit / 8)] ^= 1 << (bit % 8);
  }
}

/** The words of a stream from a block on. */
export type StreamWords = (key: number, block: number, count: number) => BigUint64Array;

/** What P0 does with words that lie in a row: their differences with the stream. */
function wordDealing({ bytes, words }: Memory, streamWords: StreamWords): Pick<StreamKernels, "dealWords" | "borrow"> {
  return {
    dealWords(key, block, from, count, bits, drop, to) {
      const random = streamWords(key, block, count);
      for (let i = 0; i < count; i++) {
        random[i] = BigInt.asUintN(64, words[from / 8 + i] - random[i]) >> BigInt(drop);
      }
      packHalves(new Uint32Array(random.buffer), 0, count, bits, bytes, to);
    },
    borrow(key, block, to, from, count) {
      const random = streamWords(key, block, count);
      for (let i = 0; i < count; i++) {
        words[to / 8 + i] -= words[from / 8 + i] < random[i] ? 1n : 0n;
      }
    },
  };
}

/** The kernels of streams, and the words of a stream for others that read it. */
export function streamKernels(memory: Memory): StreamKernels & { readonly streamWords: StreamWords } {
  const { bytes, words } = memory;
  const keys: Uint8Array[] = [];
  const stream = (key: number, block: number, size: number) => streamBytes(keys[key], block, size);
  const streamWords = (key: number, block: number, count: number) =>
    new BigUint64Array(stream(key, block, 8 * count).buffer, 0, count);
  return {
    streamWords,
    key(material) {
      return keys.push(Uint8Array.from(material)) - 1;
    },
    fillWords(key, block, to, count) {
      bytes.set(stream(key, block, 8 * count), to);
    },
    addStream(key, block, to, count) {
      const random = streamWords(key, block, count);
      for (let i = 0; i < count; i++) {
        words[to / 8 + i] = BigInt.asUintN(64, words[to / 8 + i] + random[i]);
      }
    },
    fillBytes(key, block, to, count) {
      bytes.set(stream(key, block, count).subarray(0, count), to);
    },
    fillBits(key, block, to, count) {
      const random = stream(key, block, Math.ceil(count / 8));
      for (let i = 0; i < count; i++) {
        bytes[to + i] = (random[i >> 3] >> (i & 7)) & 1;
      }
    },
    fillHot(key, block, to, count, width) {
      spreadHot(memory, stream(key, block, Math.ceil((count * 2 ** width) / 8)), to, count, width);
    },
    ...wordDealing(memory, streamWords),
    dealBits(key, block, from, count, to) {
      const random = stream(key, block, Math.ceil(count / 8));
      bytes.fill(0, to, to + Math.ceil(count / 8));
      for (let i = 0; i < count; i++) {
        bytes[to + (i >> 3)] |= (((random[i >> 3] >> (i & 7)) & 1) ^ bytes[from + i]) << (i & 7);
      }
    },
    dealHot(key, block, mask1, mask2, count, at, width, to) {
      const digit = (i: number) => digitOfSum(memory, mask1 / 8 + i, mask2 / 8 + i, at, width);
      hotSections(memory, stream(key, block, Math.ceil((count * 2 ** width) / 8)), digit, count, width, to);
    },
    dealCoarse(key, block, mask1, mask2, count, shape, to) {
      const size = 2 ** shape.width;
      const step = counterBytes(shape.counter);
      const random = stream(key, block, count * size * step);
      const fields = new Uint32Array(2 * count * size);
      for (let i = 0; i < count; i++) {
        const digit = digitOfSum(memory, mask1 / 8 + i, mask2 / 8 + i, shape.ring - shape.width, shape.width);
        for (let j = 0; j < size; j++) {
          const entry = i * size + j;
          const field = step === 1 ? random[entry] : random[2 * entry] + 256 * random[2 * entry + 1];
          fields[2 * entry] = (j === digit ? 1 : 0) - field;
        }
      }
      packHalves(fields, 0, count * size, shape.counter, bytes, to);
    },
  };
}

/** A scratch copy of unpacked fields. */
function fieldsOf(memory: Memory, from: number, count: number, bits: number): BigUint64Array {
  const fields = new BigUint64Array(count);
  unpackHalves(memory.bytes, from, count, bits, new Uint32Array(fields.buffer), 0);
  return fields;
}

export function wireKernels(memory: Memory): WireKernels {
  const { bytes, words, halves } = memory;
  return {
    packWords(from, count, bits, to) {
      packHalves(halves, from / 8, count, bits, bytes, to);
    },
    unpackWords(from, count, bits, to) {
      unpackHalves(bytes, from, count, bits, halves, to / 8);
    },
    unpackAdd(from, count, bits, to, shift) {
      const fields = fieldsOf(memory, from, count, bits);
      for (let i = 0; i < count; i++) {
        words[to / 8 + i] = BigInt.asUintN(64, words[to / 8 + i] + (fields[i] << BigInt(shift)));
      }
    },
    packBits(from, count, to) {
      bytes.fill(0, to, to + Math.ceil(count / 8));
      for (let i = 0; i < count; i++) {
        bytes[to + (i >> 3)] |= bytes[from + i] << (i & 7);
      }
    },
    unpackBits(from, count, to) {
      for (let i = 0; i < count; i++) {
        bytes[to + i] = (bytes[from + (i >> 3)] >> (i & 7)) & 1;
      }
    },
    unpackXor(from, count, to) {
      for (let i = 0; i < count; i++) {
        bytes[to + i] ^= (bytes[from + (i >> 3)] >> (i & 7)) & 1;
      }
    },
    unpackHot(from, count, width, to) {
      spreadHot(memory, bytes.slice(from, from + Math.ceil((count * 2 ** width) / 8)), to, count, width);
    },
  };
}
