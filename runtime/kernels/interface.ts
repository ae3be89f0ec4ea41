/**
 * The kernels: everything that a role computes, on byte offsets of one arena. Two implementations hold the same
 * meaning: `portable.ts`, a few plain lines of TypeScript each, and the native addon; a property test keeps them equal,
 * bit for bit (P1 may run one and P2 the other).
 *
 * Conventions
 * - Every place (`to`, `from`, `a`, …) is a byte offset into `arena`. Places of words are multiples of 8, places of
 *   packed sections and of bits are any byte. Counts are elements, unless a name says bytes.
 * - A word is a little-endian u64; arithmetic wraps modulo 2^64. Words of a smaller ring have arbitrary high bits:
 *   a kernel that needs a residue takes `ring` and masks by itself.
 * - A bit is a byte 0 or 1. A packed section holds `bits`-bit fields one after the other from bit 0 of byte 0 on
 *   (little-endian bit order), ceil(count * bits / 8) bytes, unused high bits of the last byte 0.
 * - A hot element of width w is 2^w bits in max(1, 2^w / 8) bytes, entry j in bit j & 7 of byte j >> 3; its packed form
 *   has 2^w bits for each element.
 * - A stream is AES-128-CTR under a key handle: the 16-byte counter of block n is n as a big-endian 128-bit integer.
 *   `block` says where a draw starts. Stream words are little-endian; stream bits are packed as above.
 * - `to` may be one of the inputs exactly, but not overlap one in another way.
 * - A call returns when the work is done, or a promise of that; the caller issues no other call before it resolves.
 */
export type Work = void | Promise<void>;

/** What a product does to its destination: 0 overwrites it, 1 adds to it, -1 subtracts from it. */
export type ProductMode = 0 | 1 | -1;

/**
 * A factor made of one or two places, element by element: a (sign 0), a + other (sign 1), a - other (sign -1), or
 * (a mod 2^ring) - 2 other (sign -2).
 */
export interface Factor {
  readonly at: number;
  readonly other: number;
  readonly sign: ProductMode | -2;
  /** Of sign -2; 64 without. */
  readonly ring?: number;
}

/** A batched row-major matrix product: to_i (rows x columns) from a_i (rows x inner) and b_i (inner x columns). */
export interface MatrixProduct {
  readonly mode: ProductMode;
  readonly a: Factor;
  readonly b: Factor;
  readonly batch: number;
  /** Words from one matrix of the batch to the next; 0 repeats the same one. The result's are consecutive. */
  readonly aStride: number;
  readonly bStride: number;
  readonly rows: number;
  readonly inner: number;
  readonly columns: number;
  /** Words from one row of a to the next, at least `inner`, which it is without. */
  readonly aRow?: number;
  /** Only the low `ring` bits of the result matter: 32 or fewer allow 32-bit arithmetic. */
  readonly ring: number;
}

/**
 * A matrix (inner x columns) of an input's words, made where they are multiplied. With `fields`, a place of words that
 * are packed at `bits` bits: (field i mod 2^ring) - 2 stream word i of `key`. Without: stream word i of `key` minus
 * that of `other`. Streams begin at `block`.
 */
export interface MaskedMatrix {
  readonly fields: number | undefined;
  readonly bits: number;
  readonly ring: number;
  readonly key: number;
  readonly other: number;
  readonly block: number;
}

/** The public side of a trigonometric series, and where its cosine table lies. */
export interface SeriesTable {
  /** Place of an Int32 table: round(2^30 cos(2 pi i / 2^tableAngle)), i = 0 … 2^(tableAngle - 2). */
  readonly table: number;
  readonly tableAngle: number;
  /** A word's angle is 2 pi (word mod 2^angle) / 2^angle; angle <= tableAngle, or 12 <= tableAngle and angle <= 32. */
  readonly angle: number;
  /** The terms' frequencies: a term is of cos(j t) and sin(j t), t the word's angle. */
  readonly frequencies: Int32Array;
  /** Bits by which each term's secret factors are shorter. */
  readonly drops: Int32Array;
}

export interface SeriesSecrets extends SeriesTable {
  /** Fractional bits of the secret factors that are not shorter, at most 30. */
  readonly fraction: number;
}

export interface SeriesCombine extends SeriesTable {
  /** Coefficients of each frequency at 24 fractional bits. */
  readonly cosines: Int32Array;
  readonly sines: Int32Array;
  /** Fractional bits of the public factors, at most 24. */
  readonly fraction: number;
}

/** Where an Int32 table of round(2^30 2^-(i / 2^tableFraction)), i < 2^tableFraction, lies; how a word reads it. */
export interface PowerTable {
  readonly table: number;
  readonly tableFraction: number;
  /** Fractional bits of the word, at most tableFraction. */
  readonly fraction: number;
  /** How many low bits of the word are read; fraction <= cut <= fraction + 5. */
  readonly cut: number;
  /** Fractional bits of the factor that is computed, at most 30. */
  readonly factorFraction: number;
}

/** The terms of `decays`, and where its table of powers lies: PowerTable's, at 12 or more bits. */
export interface DecayTerms {
  readonly table: number;
  readonly tableFraction: number;
  /** How many low bits of the word are read, at most 30. */
  readonly bits: number;
  /** Octaves a unit, at 48 fractional bits; a rate times 2^bits is less than 2^62. */
  readonly rates: BigInt64Array;
  /** At 30 fractional bits, at most 2^32. */
  readonly coefficients: BigInt64Array;
  /** Bits of the part of a word below its digit; at least bits - 8, less than bits. */
  readonly buckets: Int32Array;
}

export interface DecaySecrets extends DecayTerms {
  /** Fractional bits of the secret factors, at most 127. */
  readonly fraction: number;
  /** Rows of 64 bits that a dealt word takes: 1 or 2. */
  readonly lanes: number;
}

export interface DecayCombine extends DecaySecrets {
  /** Bits of a dealt word, at most 128, and how many of the sum are cut, at most 64. */
  readonly ring: number;
  readonly drop: number;
}

/** A public look-up in a dealt digit: d = bits [at, at + width) of (m + offset) mod 2^ring. */
export interface DigitLookUp {
  readonly ring: number;
  readonly at: number;
  readonly width: number;
  /** A safe integer, possibly negative. */
  readonly offset: number;
}

export interface CoarseShape {
  /** Ring of the value. */
  readonly ring: number;
  readonly width: number;
  /** Ring of the counters, at most 16. */
  readonly counter: number;
}

export interface StreamKernels {
  /** Registers a 16-byte AES key and returns its handle. */
  key(bytes: Uint8Array): number;
  /** to[i] = stream word i. */
  fillWords(key: number, block: number, to: number, count: number): Work;
  /** to[i] += stream word i. */
  addStream(key: number, block: number, to: number, count: number): Work;
  /** `bytes` stream bytes as they are. */
  fillBytes(key: number, block: number, to: number, bytes: number): Work;
  /** to[i] = stream bit i, a byte each. */
  fillBits(key: number, block: number, to: number, count: number): Work;
  /** Hot elements whose packed form is the stream. */
  fillHot(key: number, block: number, to: number, count: number, width: number): Work;
  /** Packs bits [drop, drop + bits) of from[i] - stream word i. drop + bits <= 64. */
  dealWords(key: number, block: number, from: number, count: number, bits: number, drop: number, to: number): Work;
  /** to[i] -= [from[i] < stream word i]: what the difference below takes from the word above. */
  borrow(key: number, block: number, to: number, from: number, count: number): Work;
  /** Packs bit from[i] XOR stream bit i. */
  dealBits(key: number, block: number, from: number, count: number, to: number): Work;
  /** Packs (one-hot of bits [at, at + width) of mask1 + mask2) XOR stream. */
  dealHot(
    key: number,
    block: number,
    mask1: number,
    mask2: number,
    count: number,
    at: number,
    width: number,
    to: number,
  ): Work;
  /**
   * Packs, at `counter` bits each, for every element 2^width fields: [top digit of (mask1 + mask2) mod 2^ring = j]
   * minus a stream field of 1 byte (counter <= 8) or 2 bytes.
   */
  dealCoarse(
    key: number,
    block: number,
    mask1: number,
    mask2: number,
    count: number,
    shape: CoarseShape,
    to: number,
  ): Work;
}

export interface WireKernels {
  packWords(from: number, count: number, bits: number, to: number): Work;
  unpackWords(from: number, count: number, bits: number, to: number): Work;
  /** to[i] += field i << shift. */
  unpackAdd(from: number, count: number, bits: number, to: number, shift: number): Work;
  packBits(from: number, count: number, to: number): Work;
  unpackBits(from: number, count: number, to: number): Work;
  /** to[i] ^= bit i. */
  unpackXor(from: number, count: number, to: number): Work;
  /** Packed hot elements to hot elements. */
  unpackHot(from: number, count: number, width: number, to: number): Work;
}

export interface WordKernels {
  add(to: number, a: number, b: number, count: number): Work;
  subtract(to: number, a: number, b: number, count: number): Work;
  /** to[i] = a[i] + word. */
  addWord(to: number, a: number, word: bigint, count: number): Work;
  /** to[i] = a[i] * word (-1n negates). */
  multiplyWord(to: number, a: number, word: bigint, count: number): Work;
  shiftLeft(to: number, a: number, bits: number, count: number): Work;
  /** to[i] = ((a[i] + offset) mod 2^ring) >> bits. 1 <= bits < ring. */
  rescale(to: number, a: number, ring: number, bits: number, offset: bigint, count: number): Work;
  /** Element-wise product of two factors. */
  multiply(to: number, mode: ProductMode, a: Factor, b: Factor, count: number): Work;
  /** to[row] = sum over i < length of the products of two factors of rows x length words. */
  dot(to: number, mode: ProductMode, a: Factor, b: Factor, rows: number, length: number): Work;
  matmul(to: number, product: MatrixProduct): Work;
  /** to[o, i] = sum over j of from[o, j, i]. */
  sumAxis(to: number, from: number, outer: number, length: number, inner: number): Work;
  /** Strided copy of elements of 1 or 8 bytes; strides and offset in elements, strides may be negative or 0. */
  view(
    to: number,
    from: number,
    elementBytes: 1 | 8,
    shape: readonly number[],
    strides: readonly number[],
    offset: number,
  ): Work;
  /** to[i] = from[indices[i]], 0 where the index is -1; elements of 1 or 8 bytes. */
  take(to: number, from: number, elementBytes: 1 | 8, indices: Int32Array): Work;
  /**
   * Real numbers to words: from[i] is a double, to[i] the integer nearest to from[i] * 2^fraction (of two equally near
   * ones the larger) if it is in [-2^(ring - 1), 2^(ring - 1)), else 0. The word at `refused` becomes the index of the
   * first element that is not, or `count`. -64 <= fraction <= 64.
   */
  encode(to: number, from: number, count: number, fraction: number, ring: number, refused: number): Work;
  /** Words that are known beforehand, each as two halves of 32 bits, the low one first. */
  put(to: number, halves: Int32Array): Work;
  copy(to: number, from: number, bytes: number): Work;
  zero(to: number, bytes: number): Work;
}

export interface BitKernels {
  exclusiveOr(to: number, a: number, b: number, count: number): Work;
  and(to: number, a: number, b: number, count: number): Work;
  /** to[i] = 1 - a[i]. */
  complement(to: number, a: number, count: number): Work;
  /** to[i] = bit `bit` of a[i] + b[i]. */
  sumBit(to: number, a: number, b: number, bit: number, count: number): Work;
  /** to[i] = bit `bit` of from[i] + offset. */
  wordBit(to: number, from: number, offset: number, bit: number, count: number): Work;
  /** Bits to words: to[i] = a[i] XOR b[i]. */
  bitWords(to: number, a: number, b: number, count: number): Work;
  /**
   * For every bit i that is set, row r = (first + i) / length rounded down: to[r * bits + j] ^= bit j of words[i], for
   * j < bits <= 64. Bits are bytes of 0 and 1.
   */
  combineBits(
    to: number,
    from: number,
    words: number,
    first: number,
    length: number,
    bits: number,
    count: number,
  ): Work;
  /** to[i] = XOR of the entries j > d of hot[i]. */
  hotLess(to: number, hot: number, m: number, look: DigitLookUp, count: number): Work;
  /** to[i] = XOR of the entries j of hot[i] with (d - j - from) mod 2^width < span. */
  hotWithin(to: number, hot: number, m: number, look: DigitLookUp, from: number, span: number, count: number): Work;
}

export interface FusedKernels {
  /** As matmul, of a single matrix b that is an input's. */
  matmulMasked(
    to: number,
    product: Pick<MatrixProduct, "mode" | "a" | "rows" | "inner" | "columns" | "ring" | "aRow">,
    b: MaskedMatrix,
  ): Work;
  /** carry[i] = [mask1 mod 2^ring + mask2 mod 2^ring >= 2^ring], top[i] = bit ring - 1 of mask1 + mask2; words. */
  widenSecrets(carry: number, top: number, mask1: number, mask2: number, ring: number, count: number): Work;
  /** to[i] = carry[i] + (1 - top bit of (m[i] + 2^(ring-2)) mod 2^ring) * top[i] + random[i]. */
  widenShare(to: number, m: number, carry: number, top: number, random: number, ring: number, count: number): Work;
  /** to[i] = ((a[i] + bias) mod 2^ring) + (high[i] << ring) - bias, bias = 2^(ring-2) if `biased`, else 0. */
  widenJoin(to: number, a: number, high: number, ring: number, biased: boolean, count: number): Work;
  /**
   * The secret factors of a series, t = angle of mask1 + mask2, term r at to + 8 * r * stride: for frequency j_n, n =
   * 0, 1, … with F_n = fraction - drops_n >= 0, term 2n is (C + half) >> (30 - F_n) with C = cos(j_n t) as in `waveAt`
   * (ir/share/tables.ts), half = 2^(29 - F_n) (0 where F_n = 30), term 2n+1 the same of sin(j_n t).
   */
  seriesSecrets(to: number, stride: number, mask1: number, mask2: number, series: SeriesSecrets, count: number): Work;
  /**
   * to[i] = sum over terms of (pub_r * share_r[i]) << drop_r, term r at shares + 8 * r * stride, a = angle of m[i],
   * in integers: pub_{2n} = (c_n cos(j_n a) + s_n sin(j_n a) + half) >> s, pub_{2n+1} = (c_n sin(j_n a) - s_n
   * cos(j_n a) + half) >> s, s = 54 - fraction, half = 2^(s-1), arithmetic shift, drop_{2n} = drop_{2n+1} = drops_n.
   */
  seriesCombine(to: number, m: number, shares: number, stride: number, series: SeriesCombine, count: number): Work;
  /** As seriesCombine, with (factor[i] * share_r[i] - product_r[i]) for share_r[i]. */
  seriesTimes(
    to: number,
    m: number,
    factor: number,
    shares: number,
    products: number,
    stride: number,
    series: SeriesCombine,
    count: number,
  ): Work;
  /**
   * to[i] = 2^v, v = (mask1 + mask2) mod 2^cut read at `fraction`: with v = whole + part / 2^fraction,
   * V = 2^30 if part = 0, else 2 * table of 2^fraction - part; shift = 30 - factorFraction - whole;
   * (V + 2^(shift-1)) >> shift if shift > 0, else V << -shift.
   */
  powerSecrets(to: number, mask1: number, mask2: number, power: PowerTable, count: number): Work;
  /**
   * to[i] = share[i] * 2^-u, u = m[i] mod 2^cut = whole + part / 2^fraction: V = table of part,
   * shift = 30 - factorFraction + whole, (V + 2^(shift-1)) >> shift, or V where shift = 0.
   */
  powerCombine(to: number, m: number, share: number, power: PowerTable, count: number): Work;
  /**
   * The dealt words of `decays`. With v = (mask1 + mask2) mod 2^bits, term t's digit d = v >> w and low part l = v mod
   * 2^w (w = buckets[t]), row j of the term's 2^(bits - w) words is 0 but for j = d: there 2^(rate * l + fraction) mod
   * 2^128, with e = -rate * l mod 2^48 and whole = ceil(rate * l / 2^48), P(e) << s, s = whole + fraction - 30, or
   * (P(e) + 2^(-s-1)) >> -s where s < 0. Words lie in rows of `stride`, low lane before high lane.
   * P(e) = T - (((T * r >> 20) * round(ln 2 * 2^30)) >> 42), T = table of e >> 36, r = (e >> 16) mod 2^20.
   */
  decaysSecrets(to: number, stride: number, mask1: number, mask2: number, terms: DecaySecrets, count: number): Work;
  /**
   * to[i] = ((sum of pub_tj * word_tj + 2^(drop-1)) mod 2^ring) >> drop (as it is where drop = 0), words of two rows
   * being low + 2^64 high. With u = m mod 2^bits, digit d, low part l, y = l + ((d - j) mod 2^(bits - w)) 2^w, e and
   * whole the parts of rate * y, M = P(e) * |coefficient| and s = fraction - 60 - whole: |pub| is M << s, or
   * (M + 2^(-s-1)) >> -s where s < 0, 0 where s < -63; its sign is the coefficient's.
   */
  decaysCombine(to: number, m: number, words: number, stride: number, terms: DecayCombine, count: number): Work;
  /**
   * to[i] += field, for every element and v < 2^width: the counter of the element's row and v gains field
   * (d - v) mod 2^width of the element, d = top digit of (m + 2^(ring-1)) mod 2^ring. Fields are packed at `bits` bits.
   * Element i is number `first + i` of a sequence that is cut again and again into rows of these lengths; row r's
   * counters are at to + 8 * (r << width).
   */
  coarseAccumulate(
    to: number,
    m: number,
    fields: number,
    bits: number,
    shape: CoarseShape,
    first: number,
    segments: Int32Array,
    count: number,
  ): Work;
  /** In place, for each row: to[v] = sum over w >= v of to[w]. */
  suffixSum(to: number, rows: number, length: number): Work;
  /**
   * to[i] = c * (x[i] * share[i] - product[i]) + (first ? b[i] * (x[i] - mask[i]) : -b[i] * mask[i]), c = 1 - 2 b[i],
   * for bits b and words x, mask, share, product.
   */
  timesBit(
    to: number,
    b: number,
    x: number,
    mask: number,
    share: number,
    product: number,
    first: boolean,
    count: number,
  ): Work;
  /** to[i] = (1 - 2 b[i]) * share[i] + (first ? b[i] : 0). */
  toArithmetic(to: number, b: number, share: number, first: boolean, count: number): Work;
}

export interface Kernels extends StreamKernels, WireKernels, WordKernels, BitKernels, FusedKernels {
  /** "portable", "avx512", … for reports. */
  readonly name: string;
  readonly arena: ArrayBuffer;
  /** Frees what is outside the JavaScript heap; the kernels may not be used after. */
  close(): void;
}

/** Calls of kernels that are noted once and made as often as is wanted, on any arena. */
export interface Tape {
  /** Notes its calls, and does nothing else. */
  readonly recorder: Kernels;
  /** How many calls are noted. */
  readonly length: number;
  /** Forgets all but the first so many. */
  cut(length: number): void;
  /** Makes the calls [from, to) on kernels of the factory that the tape is of. */
  play(kernels: Kernels, from: number, to: number): Work;
}

export interface KernelsFactory {
  /** Makes kernels with an arena of at least this many bytes, zeroed, on a 64-byte boundary if it can. */
  (arenaBytes: number): Kernels;
  /** An empty tape, where these kernels make noted calls faster than one by one. */
  readonly tape?: (() => Tape) | undefined;
}
