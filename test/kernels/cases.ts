/**
 * A random call of every kernel. The record's type demands an entry for each function of the interface, so that a new
 * kernel without a test does not compile.
 */
import fc from "fast-check";
import { cosineQuarter, LEAST_TURNED } from "../../ir/share/tables.js";
import { MAXIMUM_HOT_WIDTH } from "../../ir/share/types.js";
import type {
  CoarseShape,
  DigitLookUp,
  Factor,
  Kernels,
  ProductMode,
  SeriesTable,
  Work,
} from "../../runtime/kernels/interface.js";
import type { Layout } from "./layout.js";
import { POWERS } from "./power-cases.js";

export type KernelName = Exclude<keyof Kernels, "name" | "arena" | "close" | "key">;
type Call = (kernels: Kernels) => Work;
type Case = (at: Layout) => Call;

const packed = (count: number, bits: number) => Math.ceil((count * bits) / 8);
const hotBytes = (count: number, width: number) => count * Math.max(1, 2 ** (width - 3));
const SIGNS = fc.constantFrom<ProductMode>(-1, 0, 1);

function bigWord(at: Layout): bigint {
  return at.draw(fc.oneof(fc.bigInt({ min: -1n, max: 1n }), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })));
}

function safeInteger(at: Layout): number {
  return at.draw(fc.oneof(fc.constant(0), fc.maxSafeInteger()));
}

/** A real number for a ring: anywhere in it, at its edges, half-way between two integers, or none at all. */
function nearRing(at: Layout, fraction: number, ring: number): number {
  const limit = 2 ** (ring - 1);
  const [kind, part] = [at.integer(0, 19), at.integer(-(2 ** 31), 2 ** 31 - 1) / 2 ** 31];
  const odd = [Number.NaN, Number.POSITIVE_INFINITY, -0, Number.MIN_VALUE, -0.49999999999999994, 0.49999999999999994];
  const near = [limit, limit - 0.5, limit - 1, -limit, -limit - 0.5, -limit - 1, Math.round(part * limit) + 0.5];
  return ([...odd, ...near][kind] ?? part * limit) / 2 ** fraction;
}

/** Bits of a ring: anywhere, and as often where another kernel takes over (words of 32 bits, whole words). */
function ringOf(at: Layout, least = 1): number {
  const borders = [least, 31, 32, 33, 34, 63, 64].filter((ring) => ring >= least);
  return at.draw(fc.oneof(fc.constantFrom(...borders), fc.integer({ min: least, max: 64 })));
}

/** A key and the first block of a draw. */
function streamOf(at: Layout): { key: Uint8Array; block: number } {
  return { key: at.draw(fc.uint8Array({ minLength: 16, maxLength: 16 })), block: at.integer(0, 2 ** 40) };
}

function factorOf(at: Layout, count: number): Factor {
  const sign = at.draw(fc.constantFrom(0, 1, -1, -2));
  return { at: at.words(count), other: at.words(count), sign, ...(sign === -2 && { ring: ringOf(at) }) };
}

/** A digit's width: any for few elements, narrow for many, because the twins take a step for every entry. */
function widthOf(at: Layout, count: number): number {
  const widest = Math.min(MAXIMUM_HOT_WIDTH, Math.max(5, Math.floor(Math.log2(2 ** 18 / Math.max(count, 1)))));
  return at.integer(1, at.draw(fc.constantFrom(5, 6, widest)));
}

function digitOf(at: Layout, count: number): DigitLookUp {
  const width = widthOf(at, count);
  const ring = ringOf(at, width);
  return { ring, width, at: at.integer(0, ring - width), offset: safeInteger(at) };
}

const STREAMS: Pick<Record<KernelName, Case>, "fillWords" | "addStream" | "fillBytes" | "fillBits" | "fillHot"> = {
  fillWords(at) {
    const [{ key, block }, count] = [streamOf(at), at.count()];
    const to = at.words(count);
    return (kernels) => kernels.fillWords(kernels.key(key), block, to, count);
  },
  addStream(at) {
    const [{ key, block }, count] = [streamOf(at), at.count()];
    const to = at.words(count);
    return (kernels) => kernels.addStream(kernels.key(key), block, to, count);
  },
  fillBytes(at) {
    const [{ key, block }, count] = [streamOf(at), at.count()];
    const to = at.bytes(count);
    return (kernels) => kernels.fillBytes(kernels.key(key), block, to, count);
  },
  fillBits(at) {
    const [{ key, block }, count] = [streamOf(at), at.count()];
    const to = at.bytes(count);
    return (kernels) => kernels.fillBits(kernels.key(key), block, to, count);
  },
  fillHot(at) {
    const [{ key, block }, count] = [streamOf(at), at.count()];
    const width = widthOf(at, count);
    const to = at.bytes(hotBytes(count, width));
    return (kernels) => kernels.fillHot(kernels.key(key), block, to, count, width);
  },
};

function coarseOf(at: Layout, count: number): CoarseShape {
  const width = widthOf(at, count);
  return {
    width,
    ring: ringOf(at, width),
    counter: at.draw(fc.oneof(fc.constant(8), fc.integer({ min: 1, max: 16 }))),
  };
}

const DEALS: Pick<Record<KernelName, Case>, "borrow" | "dealWords" | "dealBits" | "dealHot" | "dealCoarse"> = {
  dealWords(at) {
    const [{ key, block }, count, bits] = [streamOf(at), at.count(), ringOf(at)];
    const drop = at.integer(0, 64 - bits);
    const [from, to] = [at.words(count), at.bytes(packed(count, bits))];
    return (kernels) => kernels.dealWords(kernels.key(key), block, from, count, bits, drop, to);
  },
  borrow(at) {
    const [{ key, block }, count] = [streamOf(at), at.count()];
    const [to, from] = [at.words(count), at.words(count)];
    return (kernels) => kernels.borrow(kernels.key(key), block, to, from, count);
  },
  dealBits(at) {
    const [{ key, block }, count] = [streamOf(at), at.count()];
    const [from, to] = [at.bits(count), at.bytes(packed(count, 1))];
    return (kernels) => kernels.dealBits(kernels.key(key), block, from, count, to);
  },
  dealHot(at) {
    const [{ key, block }, count] = [streamOf(at), at.count()];
    const width = widthOf(at, count);
    const [mask1, mask2, first] = [at.words(count), at.words(count), at.integer(0, 64 - width)];
    const to = at.bytes(packed(count, 2 ** width));
    return (kernels) => kernels.dealHot(kernels.key(key), block, mask1, mask2, count, first, width, to);
  },
  dealCoarse(at) {
    const [{ key, block }, count] = [streamOf(at), at.count()];
    const shape = coarseOf(at, count);
    const [mask1, mask2] = [at.words(count), at.words(count)];
    const to = at.bytes(packed(count * 2 ** shape.width, shape.counter));
    return (kernels) => kernels.dealCoarse(kernels.key(key), block, mask1, mask2, count, shape, to);
  },
};

const WIRE: Pick<
  Record<KernelName, Case>,
  "packWords" | "unpackWords" | "unpackAdd" | "packBits" | "unpackBits" | "unpackXor" | "unpackHot"
> = {
  packWords(at) {
    const [count, bits] = [at.count(), ringOf(at)];
    const [from, to] = [at.words(count), at.bytes(packed(count, bits))];
    return (kernels) => kernels.packWords(from, count, bits, to);
  },
  unpackWords(at) {
    const [count, bits] = [at.count(), ringOf(at)];
    const [from, to] = [at.bytes(packed(count, bits)), at.words(count)];
    return (kernels) => kernels.unpackWords(from, count, bits, to);
  },
  unpackAdd(at) {
    const [count, bits, shift] = [at.count(), ringOf(at), at.integer(0, 63)];
    const [from, to] = [at.bytes(packed(count, bits)), at.words(count)];
    return (kernels) => kernels.unpackAdd(from, count, bits, to, shift);
  },
  packBits(at) {
    const count = at.count();
    const [from, to] = [at.bits(count), at.bytes(packed(count, 1))];
    return (kernels) => kernels.packBits(from, count, to);
  },
  unpackBits(at) {
    const count = at.count();
    const [from, to] = [at.bytes(packed(count, 1)), at.bytes(count)];
    return (kernels) => kernels.unpackBits(from, count, to);
  },
  unpackXor(at) {
    const count = at.count();
    const [from, to] = [at.bytes(packed(count, 1)), at.bits(count)];
    return (kernels) => kernels.unpackXor(from, count, to);
  },
  unpackHot(at) {
    const count = at.count();
    const width = widthOf(at, count);
    const [from, to] = [at.bytes(packed(count, 2 ** width)), at.bytes(hotBytes(count, width))];
    return (kernels) => kernels.unpackHot(from, count, width, to);
  },
};

const WORDS: Pick<
  Record<KernelName, Case>,
  "add" | "subtract" | "addWord" | "multiplyWord" | "shiftLeft" | "rescale" | "encode" | "put" | "copy" | "zero"
> = {
  add(at) {
    const count = at.count();
    const [a, b] = [at.words(count), at.words(count)];
    const to = at.result("words", count, a, b);
    return (kernels) => kernels.add(to, a, b, count);
  },
  subtract(at) {
    const count = at.count();
    const [a, b] = [at.words(count), at.words(count)];
    const to = at.result("words", count, a, b);
    return (kernels) => kernels.subtract(to, a, b, count);
  },
  addWord(at) {
    const [count, word] = [at.count(), bigWord(at)];
    const a = at.words(count);
    const to = at.result("words", count, a);
    return (kernels) => kernels.addWord(to, a, word, count);
  },
  multiplyWord(at) {
    const [count, word] = [at.count(), bigWord(at)];
    const a = at.words(count);
    const to = at.result("words", count, a);
    return (kernels) => kernels.multiplyWord(to, a, word, count);
  },
  shiftLeft(at) {
    const [count, bits] = [at.count(), at.integer(0, 63)];
    const a = at.words(count);
    const to = at.result("words", count, a);
    return (kernels) => kernels.shiftLeft(to, a, bits, count);
  },
  rescale(at) {
    const [count, ring, offset] = [at.count(), ringOf(at, 2), bigWord(at)];
    const [a, bits] = [at.words(count), at.integer(1, ring - 1)];
    const to = at.result("words", count, a);
    return (kernels) => kernels.rescale(to, a, ring, bits, offset, count);
  },
  encode(at) {
    const [count, fraction, ring] = [at.count(), at.integer(-4, 30), ringOf(at)];
    const from = at.reals(Float64Array.from({ length: count }, () => nearRing(at, fraction, ring)));
    const [to, refused] = [at.result("words", count, from), at.words(1)];
    return (kernels) => kernels.encode(to, from, count, fraction, ring, refused);
  },
  put(at) {
    const halves = Int32Array.from({ length: 2 * at.count() }, () => at.integer(-(2 ** 31), 2 ** 31 - 1));
    const to = at.words(halves.length / 2);
    return (kernels) => kernels.put(to, halves);
  },
  copy(at) {
    const count = at.count();
    const [from, to] = [at.bytes(count), at.bytes(count)];
    return (kernels) => kernels.copy(to, from, count);
  },
  zero(at) {
    const count = at.count();
    const to = at.bytes(count);
    return (kernels) => kernels.zero(to, count);
  },
};

const PRODUCTS: Pick<Record<KernelName, Case>, "multiply" | "dot" | "matmul" | "matmulMasked" | "sumAxis"> = {
  multiply(at) {
    const [count, mode] = [at.count(), at.draw(SIGNS)];
    const [a, b] = [factorOf(at, count), factorOf(at, count)];
    const to = at.result("words", count, a.at, b.other);
    return (kernels) => kernels.multiply(to, mode, a, b, count);
  },
  dot(at) {
    const [rows, mode, length] = [at.integer(0, 9), at.draw(SIGNS), Math.ceil(at.count() / 5)];
    const [a, b, to] = [factorOf(at, rows * length), factorOf(at, rows * length), at.words(rows)];
    return (kernels) => kernels.dot(to, mode, a, b, rows, length);
  },
  matmul(at) {
    const [mode, ring, batch] = [at.draw(SIGNS), ringOf(at), at.integer(0, 3)];
    const [rows, inner, columns] = [at.integer(0, 20), Math.ceil(at.count() / 2), at.integer(0, 40)];
    const aRow = inner + at.draw(fc.constantFrom(0, 0, 3));
    const [aStride, bStride] = [at.draw(fc.boolean()) ? 0 : rows * aRow, at.draw(fc.boolean()) ? 0 : inner * columns];
    const a = factorOf(at, batch * rows * aRow);
    const b = factorOf(at, batch * inner * columns);
    const to = at.words(batch * rows * columns);
    at.loose.push({ at: to, count: batch * rows * columns, ring });
    return (kernels) => kernels.matmul(to, { mode, a, b, batch, aStride, bStride, rows, inner, columns, ring, aRow });
  },
  matmulMasked(at) {
    const [mode, ring, bits] = [at.draw(SIGNS), ringOf(at), at.integer(1, 64)];
    const [rows, inner, columns] = [at.integer(0, 20), Math.ceil(at.count() / 2), at.integer(0, 140)];
    const [a, to] = [factorOf(at, rows * (inner + 3)), at.words(rows * columns)];
    const [{ key, block }, other] = [streamOf(at), streamOf(at)];
    const fields = at.draw(fc.boolean()) ? at.bytes(packed(inner * columns, bits)) : undefined;
    at.loose.push({ at: to, count: rows * columns, ring });
    return (kernels) => {
      const b = { fields, bits, ring: bits, key: kernels.key(key), other: kernels.key(other.key), block };
      return kernels.matmulMasked(to, { mode, a, rows, inner, columns, ring, aRow: inner + 3 }, b);
    };
  },
  sumAxis(at) {
    const [outer, inner] = [at.integer(0, 5), at.draw(fc.oneof(fc.constant(1), fc.integer({ min: 0, max: 9 })))];
    const length = Math.ceil(at.count() / 9);
    const [from, to] = [at.words(outer * length * inner), at.words(outer * inner)];
    return (kernels) => kernels.sumAxis(to, from, outer, length, inner);
  },
};

/** Strides of a random view of a tensor: its axes permuted, some reversed, repeated or cut short. */
function viewOf(at: Layout): { shape: number[]; strides: number[]; offset: number; span: number } {
  const sizes = at.draw(fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 3 }));
  const steps = sizes.map((_, i) => sizes.slice(i + 1).reduce((product, size) => product * size, 1));
  const order = at.draw(
    fc.shuffledSubarray(
      sizes.map((_, i) => i),
      { minLength: sizes.length },
    ),
  );
  const [shape, strides] = [[] as number[], [] as number[]];
  let offset = 0;
  for (const axis of order) {
    const kind = at.integer(0, 4);
    shape.push(kind === 4 ? at.integer(0, sizes[axis]) : sizes[axis]);
    strides.push(kind === 2 ? -steps[axis] : kind === 3 ? 0 : steps[axis]);
    offset += kind === 2 ? (sizes[axis] - 1) * steps[axis] : 0;
  }
  return { shape, strides, offset, span: sizes.reduce((product, size) => product * size, 1) };
}

const MOVES: Pick<Record<KernelName, Case>, "view" | "take"> = {
  view(at) {
    const { shape, strides, offset, span } = viewOf(at);
    const count = shape.reduce((product, size) => product * size, 1);
    const element = at.draw(fc.constantFrom<1 | 8>(1, 8));
    const place = (n: number) => (element === 8 ? at.words(n) : at.bytes(n));
    const [from, to] = [place(span), place(count)];
    return (kernels) => kernels.view(to, from, element, shape, strides, offset);
  },
  take(at) {
    const [count, span] = [at.count(), at.integer(0, 50)];
    const element = at.draw(fc.constantFrom<1 | 8>(1, 8));
    const place = (n: number) => (element === 8 ? at.words(n) : at.bytes(n));
    const [from, to, spice] = [place(span), place(count), at.integer(1, 1000)];
    const indices = Int32Array.from({ length: count }, (_, i) => ((i * spice) % (span + 1)) - 1);
    return (kernels) => kernels.take(to, from, element, indices);
  },
};

const BITS: Pick<
  Record<KernelName, Case>,
  "exclusiveOr" | "and" | "complement" | "sumBit" | "wordBit" | "bitWords" | "combineBits" | "hotLess" | "hotWithin"
> = {
  exclusiveOr(at) {
    const count = at.count();
    const [a, b] = [at.bits(count), at.bits(count)];
    const to = at.result("bits", count, a, b);
    return (kernels) => kernels.exclusiveOr(to, a, b, count);
  },
  and(at) {
    const count = at.count();
    const [a, b] = [at.bits(count), at.bits(count)];
    const to = at.result("bits", count, a, b);
    return (kernels) => kernels.and(to, a, b, count);
  },
  complement(at) {
    const count = at.count();
    const a = at.bits(count);
    const to = at.result("bits", count, a);
    return (kernels) => kernels.complement(to, a, count);
  },
  sumBit(at) {
    const [count, bit] = [at.count(), at.integer(0, 63)];
    const [a, b, to] = [at.words(count), at.words(count), at.bytes(count)];
    return (kernels) => kernels.sumBit(to, a, b, bit, count);
  },
  wordBit(at) {
    const [count, bit, offset] = [at.count(), at.integer(0, 63), safeInteger(at)];
    const [from, to] = [at.words(count), at.bytes(count)];
    return (kernels) => kernels.wordBit(to, from, offset, bit, count);
  },
  bitWords(at) {
    const count = at.count();
    const [a, b, to] = [at.bits(count), at.bits(count), at.words(count)];
    return (kernels) => kernels.bitWords(to, a, b, count);
  },
  combineBits(at) {
    const [count, length, bits, first] = [at.count(), at.integer(1, 50), at.integer(1, 64), at.integer(0, 60)];
    const [from, words] = [at.bits(count), at.words(count)];
    const to = at.bits((Math.floor((first + count) / length) + 1) * bits);
    return (kernels) => kernels.combineBits(to, from, words, first, length, bits, count);
  },
  hotLess(at) {
    const count = at.count();
    const digit = digitOf(at, count);
    const [hot, m, to] = [at.bytes(hotBytes(count, digit.width)), at.words(count), at.bytes(count)];
    return (kernels) => kernels.hotLess(to, hot, m, digit, count);
  },
  hotWithin(at) {
    const count = at.count();
    const digit = digitOf(at, count);
    const [from, span] = [at.integer(-1000, 1000), at.integer(0, 2 ** digit.width)];
    const [hot, m, to] = [at.bytes(hotBytes(count, digit.width)), at.words(count), at.bytes(count)];
    return (kernels) => kernels.hotWithin(to, hot, m, digit, from, span, count);
  },
};

const WIDEN: Pick<Record<KernelName, Case>, "widenSecrets" | "widenShare" | "widenJoin"> = {
  widenSecrets(at) {
    const [count, ring] = [at.count(), at.integer(2, 63)];
    const [mask1, mask2] = [at.words(count), at.words(count)];
    const [carry, top] = [at.words(count), at.words(count)];
    return (kernels) => kernels.widenSecrets(carry, top, mask1, mask2, ring, count);
  },
  widenShare(at) {
    const [count, ring] = [at.count(), at.integer(2, 63)];
    const [m, carry, top, random] = [at.words(count), at.words(count), at.words(count), at.words(count)];
    const to = at.result("words", count, carry, random);
    return (kernels) => kernels.widenShare(to, m, carry, top, random, ring, count);
  },
  widenJoin(at) {
    const [count, ring, biased] = [at.count(), at.integer(2, 63), at.draw(fc.boolean())];
    const [a, high] = [at.words(count), at.words(count)];
    const to = at.result("words", count, a, high);
    return (kernels) => kernels.widenJoin(to, a, high, ring, biased, count);
  },
};

/** A series of so many frequencies; a table of 12 bits or more is turned for finer angles. */
function wavesOf(at: Layout, count: number, fraction: number): SeriesTable {
  const tableAngle = at.draw(fc.constantFrom(3, 5, 9, LEAST_TURNED, 13));
  const angle = at.integer(3, tableAngle < LEAST_TURNED ? tableAngle : 32);
  const table = at.table(cosineQuarter(tableAngle));
  const frequencies = Int32Array.from({ length: count }, () => at.integer(1, 2 ** 24));
  return { table, tableAngle, angle, frequencies, drops: Int32Array.from(frequencies, () => at.integer(0, fraction)) };
}

function coefficients(at: Layout, harmonics: number): Int32Array {
  const [spice, largest] = [at.integer(1, 2 ** 31 - 1), at.draw(fc.constantFrom(2 ** 31, 2 ** 24))];
  return Int32Array.from({ length: harmonics }, (_, i) => (((i + 1) * spice * 7919) % (2 * largest)) - largest);
}

const SERIES: Pick<Record<KernelName, Case>, "seriesSecrets" | "seriesCombine" | "seriesTimes"> = {
  seriesSecrets(at) {
    const [count, harmonics] = [at.count(), at.integer(1, 6)];
    const fraction = at.integer(1, 30);
    const series = { ...wavesOf(at, harmonics, fraction), fraction };
    const stride = count + at.integer(0, 3);
    const [mask1, mask2, to] = [at.words(count), at.words(count), at.words(2 * harmonics * stride)];
    return (kernels) => kernels.seriesSecrets(to, stride, mask1, mask2, series, count);
  },
  seriesCombine(at) {
    const [count, harmonics] = [at.count(), at.integer(1, 6)];
    const [cosines, sines] = [coefficients(at, harmonics), coefficients(at, harmonics)];
    const series = { ...wavesOf(at, harmonics, 30), cosines, sines, fraction: at.integer(1, 24) };
    const stride = count + at.integer(0, 3);
    const [m, shares] = [at.words(count), at.words(2 * harmonics * stride)];
    const to = at.result("words", count, m);
    return (kernels) => kernels.seriesCombine(to, m, shares, stride, series, count);
  },
  seriesTimes(at) {
    const [count, harmonics] = [at.count(), at.integer(1, 6)];
    const [cosines, sines] = [coefficients(at, harmonics), coefficients(at, harmonics)];
    const series = { ...wavesOf(at, harmonics, 30), cosines, sines, fraction: at.integer(1, 24) };
    const stride = count + at.integer(0, 3);
    const [m, factor] = [at.words(count), at.words(count)];
    const [shares, products] = [at.words(2 * harmonics * stride), at.words(2 * harmonics * stride)];
    const to = at.result("words", count, m, factor);
    return (kernels) => kernels.seriesTimes(to, m, factor, shares, products, stride, series, count);
  },
};

const REST: Pick<Record<KernelName, Case>, "coarseAccumulate" | "suffixSum" | "timesBit" | "toArithmetic"> = {
  coarseAccumulate(at) {
    const [count, first] = [at.count(), at.integer(0, 40)];
    const shape = coarseOf(at, count);
    const segments = Int32Array.from(
      at.draw(fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 4 })),
    );
    const length = segments.reduce((sum, size) => sum + size, 0);
    const rows = (Math.floor((first + count) / length) + 1) * segments.length;
    const [m, fields] = [at.words(count), at.bytes(packed(count * 2 ** shape.width, shape.counter))];
    const to = at.words(rows << shape.width);
    return (kernels) => kernels.coarseAccumulate(to, m, fields, shape.counter, shape, first, segments, count);
  },
  suffixSum(at) {
    const [rows, length] = [at.integer(0, 9), Math.ceil(at.count() / 5)];
    const to = at.words(rows * length);
    return (kernels) => kernels.suffixSum(to, rows, length);
  },
  timesBit(at) {
    const [count, first] = [at.count(), at.draw(fc.boolean())];
    const [b, x, mask] = [at.bits(count), at.words(count), at.words(count)];
    const [share, product] = [at.words(count), at.words(count)];
    const to = at.result("words", count, x, mask, share, product);
    return (kernels) => kernels.timesBit(to, b, x, mask, share, product, first, count);
  },
  toArithmetic(at) {
    const [count, first] = [at.count(), at.draw(fc.boolean())];
    const [b, share] = [at.bits(count), at.words(count)];
    const to = at.result("words", count, share);
    return (kernels) => kernels.toArithmetic(to, b, share, first, count);
  },
};

export const CASES: Readonly<Record<KernelName, Case>> = {
  ...STREAMS,
  ...DEALS,
  ...WIRE,
  ...WORDS,
  ...PRODUCTS,
  ...MOVES,
  ...BITS,
  ...WIDEN,
  ...SERIES,
  ...POWERS,
  ...REST,
};
