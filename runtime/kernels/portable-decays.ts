/**
 * The TypeScript twins of the kernels of `decays` (interface.ts gives the meanings): integers of any length, written to
 * be read.
 */
import { POWER_INDEX_BITS, RATE_FRACTION } from "../../ir/share/decays.js";
import type { DecayCombine, DecaySecrets, DecayTerms, FusedKernels } from "./interface.js";
import type { Memory } from "./memory.js";

/** ln 2 at 30 fractional bits. */
const LN2 = 744261118n;
const LOW_EXPONENT = (1n << BigInt(RATE_FRACTION)) - 1n;
const WORD = 64n;

/** 2^-(e / 2^48) at 30 fractional bits, 0 <= e < 2^48. */
function powerOf(tables: Int32Array, { table, tableFraction }: DecayTerms, e: bigint): bigint {
  const index = Number(e >> 36n) * 2 ** (tableFraction - POWER_INDEX_BITS);
  const entry = BigInt(tables[table / 4 + index]);
  const rest = (e >> 16n) & 0xfffffn;
  return entry - ((((entry * rest) >> 20n) * LN2) >> 42n);
}

/** value * 2^shift, rounded to the nearest. */
function scaled(value: bigint, shift: number): bigint {
  return shift >= 0 ? value << BigInt(shift) : (value + (1n << BigInt(-shift - 1))) >> BigInt(-shift);
}

/** A word's digit and low part for a term. */
function partsOf(word: bigint, { bits, buckets }: DecayTerms, term: number): [digit: number, low: number] {
  const read = Number(BigInt.asUintN(bits, word));
  const size = 2 ** buckets[term];
  return [Math.floor(read / size), read % size];
}

function secretOf(tables: Int32Array, terms: DecaySecrets, term: number, low: number): bigint {
  const exponent = terms.rates[term] * BigInt(low);
  const whole = (exponent + LOW_EXPONENT) >> BigInt(RATE_FRACTION);
  const shift = Number(whole) + terms.fraction - 30;
  return BigInt.asUintN(128, scaled(powerOf(tables, terms, -exponent & LOW_EXPONENT), shift));
}

function publicOf(tables: Int32Array, terms: DecayCombine, term: number, value: number): bigint {
  const exponent = terms.rates[term] * BigInt(value);
  const coefficient = terms.coefficients[term];
  const size = coefficient < 0n ? -coefficient : coefficient;
  const shift = terms.fraction - 60 - Number(exponent >> BigInt(RATE_FRACTION));
  const factor = shift < -63 ? 0n : scaled(powerOf(tables, terms, exponent & LOW_EXPONENT) * size, shift);
  return coefficient < 0n ? -factor : factor;
}

export function decayKernels({ words, tables }: Memory): Pick<FusedKernels, "decaysSecrets" | "decaysCombine"> {
  return {
    decaysSecrets(to, stride, mask1, mask2, terms, count) {
      for (let i = 0; i < count; i++) {
        let at = to / 8 + i;
        for (const [term, bucket] of terms.buckets.entries()) {
          const [digit, low] = partsOf(words[mask1 / 8 + i] + words[mask2 / 8 + i], terms, term);
          const secret = secretOf(tables, terms, term, low);
          for (let j = 0; j < 2 ** (terms.bits - bucket); j++) {
            for (let lane = 0n; lane < terms.lanes; lane++) {
              words[at] = j === digit ? BigInt.asUintN(64, secret >> (WORD * lane)) : 0n;
              at += stride;
            }
          }
        }
      }
    },
    decaysCombine(to, m, from, stride, terms, count) {
      const half = terms.drop === 0 ? 0n : 1n << BigInt(terms.drop - 1);
      for (let i = 0; i < count; i++) {
        let at = from / 8 + i;
        let sum = half;
        for (const [term, bucket] of terms.buckets.entries()) {
          const [digit, low] = partsOf(words[m / 8 + i], terms, term);
          const size = 2 ** (terms.bits - bucket);
          for (let j = 0; j < size; j++) {
            const value = low + ((digit - j + size) % size) * 2 ** bucket;
            const high = terms.lanes === 2 ? words[at + stride] << WORD : 0n;
            sum += publicOf(tables, terms, term, value) * (words[at] + high);
            at += stride * terms.lanes;
          }
        }
        words[to / 8 + i] = BigInt.asUintN(64, BigInt.asUintN(terms.ring, sum) >> BigInt(terms.drop));
      }
    },
  };
}
