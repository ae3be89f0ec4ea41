/**
 * The meanings of the split ops (see evaluate.ts): the real functions that they approximate, rounded. Only `evaluate`
 * uses floating-point functions; the roles use tables.
 */
import { cos, exp2, sin } from "../real.js";
import { broadcastStrides } from "../shape.js";
import { sizeOf } from "../tensor/value.js";
import { DECAY_COEFFICIENT_FRACTION, RATE_FRACTION } from "./decays.js";
import { type Meaning, make, openOf, signedOf } from "./meaning.js";
import type { ShareType, WordType } from "./types.js";

function toWord(real: number): bigint {
  return BigInt.asUintN(64, BigInt(Math.round(real)));
}

/** c_0 + sum c_n cos(j_n t) + s_n sin(j_n t) of x's integer modulo 2^angle, as real numbers. */
function seriesValues(words: BigUint64Array, attributes: Parameters<Meaning>[1]): Float64Array {
  const angle = attributes.angle as number;
  const unit = 2 ** (attributes.coefficientFraction as number);
  const sines = attributes.sines as readonly number[];
  const frequencies = attributes.frequencies as readonly number[];
  return Float64Array.from(words, (word) => {
    let sum = attributes.constant as number;
    (attributes.cosines as readonly number[]).forEach((c, i) => {
      const turns = Number(BigInt.asUintN(angle, word * BigInt(frequencies[i]))) / 2 ** angle;
      sum += c * cos(2 * Math.PI * turns) + sines[i] * sin(2 * Math.PI * turns);
    });
    return sum / unit;
  });
}

function seriesUnit(attributes: Parameters<Meaning>[1]): number {
  return 2 ** ((attributes.publicFraction as number) + (attributes.secretFraction as number));
}

const series: Meaning = ([x], attributes, type) =>
  make(
    type,
    BigUint64Array.from(seriesValues(x.value, attributes), (real) => toWord(real * seriesUnit(attributes))),
  );

/** The product of two reals of which only the first is inexact. */
const seriesTimes: Meaning = ([x, y], attributes, type) => {
  const unit = seriesUnit(attributes);
  const factor = signedOf(y);
  const values = seriesValues(x.value, attributes);
  return make(
    type,
    BigUint64Array.from(values, (real, i) => BigInt.asUintN(64, BigInt(Math.round(real * unit)) * factor[i])),
  );
};

const exponential: Meaning = ([x, ...bits], attributes, type) => {
  const cut = attributes.cut as number;
  const unit = 2 ** (x.type as WordType).fraction;
  const open = openOf(x);
  const real = (word: bigint) => Number(BigInt.asUintN(cut, word)) / unit;
  const scale = seriesUnit(attributes);
  const step = 2 ** cut / unit;
  const selected = (i: number) =>
    bits.length === 0 ? 1 : bits.reduce((sum, bit, j) => sum + Number(bit.value[i]) * exp2(-step * j), 0);
  return make(
    type,
    BigUint64Array.from(open, (word, i) => toWord(selected(i) * scale * exp2(real(x.mask![i]) - real(word)))),
  );
};

/** Sum of c_i 2^(-r_i (m_lo + q 2^w - mask_lo)), q the difference of the digits of m and of the mask, circular. */
const decays: Meaning = ([x], attributes, type) => {
  const { rates, coefficients, buckets } = attributes as Readonly<Record<string, readonly number[]>>;
  const bits = attributes.bits as number;
  const unit = 2 ** (type as WordType).fraction;
  const open = openOf(x);
  const digits = (word: bigint, bucket: number): [number, number] => {
    const low = Number(BigInt.asUintN(bits, word));
    return [Math.floor(low / 2 ** bucket), low % 2 ** bucket];
  };
  const term = (word: bigint, mask: bigint, i: number) => {
    const [[top, low], [maskTop, maskLow]] = [digits(word, buckets[i]), digits(mask, buckets[i])];
    const count = 2 ** (bits - buckets[i]);
    const value = ((top - maskTop + count) % count) * 2 ** buckets[i] + low - maskLow;
    return (coefficients[i] / 2 ** DECAY_COEFFICIENT_FRACTION) * exp2(-(rates[i] / 2 ** RATE_FRACTION) * value);
  };
  return make(
    type,
    BigUint64Array.from(open, (word, i) =>
      toWord(unit * rates.reduce((sum, _, k) => sum + term(word, x.mask![i], k), 0)),
    ),
  );
};

/** q of every element: top digit of the biased m minus top digit of the mask, modulo 2^width. */
function buckets(open: BigUint64Array, mask: BigUint64Array, ring: number, width: number): number[] {
  const shift = BigInt(ring - width);
  return Array.from(open, (word, i) => {
    const biased = BigInt.asUintN(ring, word + (1n << BigInt(ring - 1)));
    return Number(BigInt.asUintN(width, (biased >> shift) - (mask[i] >> shift)));
  });
}

/** Where a flat index of `shape` lies in a tensor read with `strides`. */
function stridedIndex(flat: number, shape: readonly number[], strides: readonly number[]): number {
  let rest = flat;
  let index = 0;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    index += (rest % shape[axis]) * strides[axis];
    rest = Math.floor(rest / shape[axis]);
  }
  return index;
}

const coarseCount: Meaning = ([x, keep], attributes, type: ShareType) => {
  const width = attributes.width as number;
  const segments = attributes.segments as readonly number[];
  const values = 2 ** width;
  const q = buckets(openOf(x), x.mask!, (x.type as WordType).ring, width);
  const strides = keep === undefined ? undefined : broadcastStrides(keep.type.shape, x.type.shape);
  const kept = (i: number) => strides === undefined || keep.value[stridedIndex(i, x.type.shape, strides)] === 1n;
  const counts = new BigUint64Array(sizeOf(type.shape));
  let at = 0;
  for (let row = 0; row * values < counts.length; row++) {
    const length = segments[row % segments.length];
    for (let v = 0; v < values; v++) {
      counts[row * values + v] = BigInt(q.slice(at, at + length).filter((each, i) => each >= v && kept(at + i)).length);
    }
    at += length;
  }
  return make(type, counts);
};

export const SPLIT_MEANING = { decays, series, seriesTimes, exponential, coarseCount } as const satisfies Record<
  string,
  Meaning
>;
