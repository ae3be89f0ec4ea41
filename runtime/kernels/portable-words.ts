/** The TypeScript twins of the word kernels (see interface.ts). V8 turns `asUintN(64, …)` into u64 code. */
import type { Factor, MatrixProduct, ProductMode, WordKernels } from "./interface.js";
import type { Memory } from "./memory.js";

/** The words of a factor, as one array. */
export function factorWords(words: BigUint64Array, factor: Factor, count: number): BigUint64Array {
  const at = factor.at / 8;
  if (factor.sign === 0) {
    return words.subarray(at, at + count);
  }
  const other = factor.other / 8;
  const result = new BigUint64Array(count);
  // One expression for all three, so that V8 keeps to 64-bit arithmetic: (a & mask) + times * other.
  const mask = factor.sign === -2 ? (1n << BigInt(factor.ring ?? 64)) - 1n : (1n << 64n) - 1n;
  const times = BigInt.asUintN(64, BigInt(factor.sign));
  for (let i = 0; i < count; i++) {
    result[i] = BigInt.asUintN(64, (words[at + i] & mask) + BigInt.asUintN(64, times * words[other + i]));
  }
  return result;
}

function store(words: BigUint64Array, at: number, mode: ProductMode, value: bigint): void {
  words[at] = BigInt.asUintN(64, mode === 0 ? value : mode === 1 ? words[at] + value : words[at] - value);
}

/** One matrix of the batch: a's rows against b's rows, so that memory is read in order. */
export function multiplyMatrix(
  to: BigUint64Array,
  a: BigUint64Array,
  b: BigUint64Array,
  product: Pick<MatrixProduct, "rows" | "inner" | "columns" | "mode" | "aRow">,
): void {
  const { rows, inner, columns, mode, aRow = inner } = product;
  const line = new BigUint64Array(columns);
  for (let row = 0; row < rows; row++) {
    line.fill(0n);
    for (let i = 0; i < inner; i++) {
      const left = a[row * aRow + i];
      const from = i * columns;
      for (let column = 0; column < columns; column++) {
        line[column] = BigInt.asUintN(64, line[column] + BigInt.asUintN(64, left * b[from + column]));
      }
    }
    for (let column = 0; column < columns; column++) {
      store(to, row * columns + column, mode, line[column]);
    }
  }
}

/** Visits the flat source index of every element of a strided view, in row-major order of its shape. */
function visitView(
  shape: readonly number[],
  strides: readonly number[],
  offset: number,
  visit: (target: number, source: number, count: number, stride: number) => void,
): void {
  const size = shape.reduce((product, n) => product * n, 1);
  const inner = shape.at(-1) ?? 1;
  const step = strides.at(-1) ?? 1;
  const index = new Array<number>(shape.length).fill(0);
  let source = offset;
  for (let target = 0; target < size; target += inner) {
    visit(target, source, inner, step);
    for (let axis = shape.length - 2; axis >= 0; axis--) {
      source += strides[axis];
      if (++index[axis] < shape[axis]) {
        break;
      }
      source -= strides[axis] * shape[axis];
      index[axis] = 0;
    }
  }
}

function products({ words }: Memory): Pick<WordKernels, "multiply" | "dot" | "matmul"> {
  return {
    multiply(to, mode, a, b, count) {
      const left = factorWords(words, a, count);
      const right = factorWords(words, b, count);
      for (let i = 0; i < count; i++) {
        store(words, to / 8 + i, mode, BigInt.asUintN(64, left[i] * right[i]));
      }
    },
    dot(to, mode, a, b, rows, length) {
      const left = factorWords(words, a, rows * length);
      const right = factorWords(words, b, rows * length);
      for (let row = 0; row < rows; row++) {
        let sum = 0n;
        for (let i = row * length; i < (row + 1) * length; i++) {
          sum = BigInt.asUintN(64, sum + BigInt.asUintN(64, left[i] * right[i]));
        }
        store(words, to / 8 + row, mode, sum);
      }
    },
    matmul(to, product) {
      const { a, b, batch, aStride, bStride, rows, inner, columns, aRow = inner } = product;
      for (let i = 0; i < batch; i++) {
        const shift = (factor: Factor, stride: number): Factor => ({
          ...factor,
          at: factor.at + 8 * stride * i,
          other: factor.other + 8 * stride * i,
        });
        const left = factorWords(words, shift(a, aStride), rows === 0 ? 0 : (rows - 1) * aRow + inner);
        const right = factorWords(words, shift(b, bStride), inner * columns);
        const at = to / 8 + i * rows * columns;
        multiplyMatrix(words.subarray(at, at + rows * columns), left, right, product);
      }
    },
  };
}

function elementwise({
  words,
}: Memory): Pick<WordKernels, "add" | "subtract" | "addWord" | "multiplyWord" | "shiftLeft" | "rescale"> {
  return {
    add(to, a, b, count) {
      for (let i = 0; i < count; i++) {
        words[to / 8 + i] = BigInt.asUintN(64, words[a / 8 + i] + words[b / 8 + i]);
      }
    },
    subtract(to, a, b, count) {
      for (let i = 0; i < count; i++) {
        words[to / 8 + i] = BigInt.asUintN(64, words[a / 8 + i] - words[b / 8 + i]);
      }
    },
    addWord(to, a, word, count) {
      for (let i = 0; i < count; i++) {
        words[to / 8 + i] = BigInt.asUintN(64, words[a / 8 + i] + word);
      }
    },
    multiplyWord(to, a, word, count) {
      for (let i = 0; i < count; i++) {
        words[to / 8 + i] = BigInt.asUintN(64, words[a / 8 + i] * word);
      }
    },
    shiftLeft(to, a, bits, count) {
      const factor = 1n << BigInt(bits);
      for (let i = 0; i < count; i++) {
        words[to / 8 + i] = BigInt.asUintN(64, words[a / 8 + i] * factor);
      }
    },
    rescale(to, a, ring, bits, offset, count) {
      const mask = (1n << BigInt(ring)) - 1n;
      const shift = BigInt(bits);
      for (let i = 0; i < count; i++) {
        words[to / 8 + i] = (BigInt.asUintN(64, words[a / 8 + i] + offset) & mask) >> shift;
      }
    },
  };
}

export function wordKernels(memory: Memory): WordKernels {
  const { bytes, halves, words } = memory;
  return {
    ...elementwise(memory),
    ...products(memory),
    sumAxis(to, from, outer, length, inner) {
      const result = new BigUint64Array(inner);
      for (let o = 0; o < outer; o++) {
        result.fill(0n);
        for (let j = 0; j < length; j++) {
          const at = from / 8 + (o * length + j) * inner;
          for (let i = 0; i < inner; i++) {
            result[i] = BigInt.asUintN(64, result[i] + words[at + i]);
          }
        }
        words.set(result, to / 8 + o * inner);
      }
    },
    view(to, from, elementBytes, shape, strides, offset) {
      const elements = elementBytes === 8 ? words : bytes;
      const [target, source] = [to / elementBytes, from / elementBytes];
      visitView(shape, strides, offset, (at, start, count, stride) => {
        for (let i = 0; i < count; i++) {
          elements[target + at + i] = elements[source + start + i * stride];
        }
      });
    },
    take(to, from, elementBytes, indices) {
      for (let i = 0; i < indices.length; i++) {
        if (elementBytes === 8) {
          words[to / 8 + i] = indices[i] < 0 ? 0n : words[from / 8 + indices[i]];
        } else {
          bytes[to + i] = indices[i] < 0 ? 0 : bytes[from + indices[i]];
        }
      }
    },
    encode(to, from, count, fraction, ring, refused) {
      const reals = new Float64Array(memory.arena);
      const [scale, limit] = [2 ** fraction, 2 ** (ring - 1)];
      let first = count;
      for (let i = 0; i < count; i++) {
        const integer = Math.round(reals[from / 8 + i] * scale);
        const fits = integer >= -limit && integer < limit;
        // Each word in two halves: doubles hold them exactly.
        const high = fits ? Math.floor(integer / 2 ** 32) : 0;
        halves[to / 4 + 2 * i] = fits ? integer - high * 2 ** 32 : 0;
        halves[to / 4 + 2 * i + 1] = high;
        first = fits ? first : Math.min(first, i);
      }
      words[refused / 8] = BigInt(first);
    },
    put(to, given) {
      halves.set(new Uint32Array(given.buffer, given.byteOffset, given.length), to / 4);
    },
    copy(to, from, count) {
      bytes.copyWithin(to, from, from + count);
    },
    zero(to, count) {
      bytes.fill(0, to, to + count);
    },
  };
}
