/**
 * The TypeScript twins of the fused kernels (interface.ts gives the meanings). Public factors are integers that must
 * agree bit for bit with the native kernels: products that exceed 53 bits are made from two exact halves.
 */
import { waveAt } from "../../ir/share/tables.js";
import type { FusedKernels, PowerTable, SeriesCombine, SeriesTable } from "./interface.js";
import type { Memory } from "./memory.js";
import { unpackHalves } from "./packing.js";
import { decayKernels } from "./portable-decays.js";

const LOW = 65536;

/** (value + half) >> shift for an integer |value| < 2^53 - half; exact. */
function roundShift(value: number, shift: number): number {
  return shift === 0 ? value : Math.floor((value + 2 ** (shift - 1)) / 2 ** shift);
}

/** (c x + s y + 2^(shift-1)) >> shift for 32-bit integers and shift >= 30: c and s are cut into 16-bit halves. */
function publicFactor(c: number, x: number, s: number, y: number, shift: number): number {
  const [cLow, sLow] = [((c % LOW) + LOW) % LOW, ((s % LOW) + LOW) % LOW];
  const high = ((c - cLow) / LOW) * x + ((s - sLow) / LOW) * y;
  const low = Math.floor((cLow * x + sLow * y) / LOW);
  return Math.floor((high + low + 2 ** (shift - 17)) / 2 ** (shift - 16));
}

function quarterOf(memory: Memory, series: SeriesTable): Int32Array {
  return memory.tables.subarray(series.table / 4, series.table / 4 + 2 ** (series.tableAngle - 2) + 1);
}

/** The public factors of one element, two per frequency. */
function publicFactors(quarter: Int32Array, series: SeriesCombine, word: bigint): number[] {
  const shift = 54 - series.fraction;
  const factors: number[] = [];
  series.frequencies.forEach((frequency, n) => {
    const [cosine, sine] = waveAt(quarter, series.tableAngle, series.angle, frequency, word);
    const [c, s] = [series.cosines[n], series.sines[n]];
    factors.push(publicFactor(c, cosine, s, sine, shift), publicFactor(c, sine, -s, cosine, shift));
  });
  return factors;
}

type SeriesKernels = Pick<FusedKernels, "seriesSecrets" | "seriesCombine" | "seriesTimes">;

function seriesKernels(memory: Memory): SeriesKernels {
  const { words } = memory;
  const combine = (
    to: number,
    m: number,
    series: SeriesCombine,
    count: number,
    share: (r: number, i: number) => bigint,
  ) => {
    const quarter = quarterOf(memory, series);
    for (let i = 0; i < count; i++) {
      let sum = 0n;
      publicFactors(quarter, series, words[m / 8 + i]).forEach((factor, r) => {
        sum += (BigInt(factor) * share(r, i)) << BigInt(series.drops[r >> 1]);
      });
      words[to / 8 + i] = BigInt.asUintN(64, sum);
    }
  };
  return {
    seriesSecrets(to, stride, mask1, mask2, series, count) {
      const quarter = quarterOf(memory, series);
      for (let i = 0; i < count; i++) {
        const mask = words[mask1 / 8 + i] + words[mask2 / 8 + i];
        series.frequencies.forEach((frequency, n) => {
          const shift = 30 - (series.fraction - series.drops[n]);
          waveAt(quarter, series.tableAngle, series.angle, frequency, mask).forEach((value, odd) => {
            const at = to / 8 + (2 * n + odd) * stride + i;
            words[at] = BigInt.asUintN(64, BigInt(roundShift(value, shift)));
          });
        });
      }
    },
    seriesCombine(to, m, shares, stride, series, count) {
      combine(to, m, series, count, (r, i) => words[shares / 8 + r * stride + i]);
    },
    seriesTimes(to, m, factor, shares, products, stride, series, count) {
      const term = (r: number, i: number) =>
        words[factor / 8 + i] * words[shares / 8 + r * stride + i] - words[products / 8 + r * stride + i];
      combine(to, m, series, count, term);
    },
  };
}

/** The whole and the fractional part of a word's low `cut` bits. */
function partsOf(word: bigint, power: PowerTable): [number, number] {
  const low = Number(BigInt.asUintN(power.cut, word));
  return [Math.floor(low / 2 ** power.fraction), low % 2 ** power.fraction];
}

function powerKernels({ words, tables }: Memory): Pick<FusedKernels, "powerSecrets" | "powerCombine"> {
  const entry = (power: PowerTable, part: number) =>
    tables[power.table / 4 + part * 2 ** (power.tableFraction - power.fraction)];
  return {
    powerSecrets(to, mask1, mask2, power, count) {
      for (let i = 0; i < count; i++) {
        const [whole, part] = partsOf(words[mask1 / 8 + i] + words[mask2 / 8 + i], power);
        const value = part === 0 ? 2 ** 30 : 2 * entry(power, 2 ** power.fraction - part);
        const shift = 30 - power.factorFraction - whole;
        words[to / 8 + i] = shift >= 0 ? BigInt(roundShift(value, shift)) : BigInt(value) << BigInt(-shift);
      }
    },
    powerCombine(to, m, share, power, count) {
      for (let i = 0; i < count; i++) {
        const [whole, part] = partsOf(words[m / 8 + i], power);
        const factor = roundShift(entry(power, part), 30 - power.factorFraction + whole);
        words[to / 8 + i] = BigInt.asUintN(64, BigInt(factor) * words[share / 8 + i]);
      }
    },
  };
}

function widenKernels({ words }: Memory): Pick<FusedKernels, "widenSecrets" | "widenShare" | "widenJoin"> {
  return {
    widenSecrets(carry, top, mask1, mask2, ring, count) {
      for (let i = 0; i < count; i++) {
        const sum = BigInt.asUintN(ring, words[mask1 / 8 + i]) + BigInt.asUintN(ring, words[mask2 / 8 + i]);
        words[carry / 8 + i] = sum >> BigInt(ring);
        words[top / 8 + i] = (sum >> BigInt(ring - 1)) & 1n;
      }
    },
    widenShare(to, m, carry, top, random, ring, count) {
      const bias = 1n << BigInt(ring - 2);
      for (let i = 0; i < count; i++) {
        const msb = ((words[m / 8 + i] + bias) >> BigInt(ring - 1)) & 1n;
        const sum = words[carry / 8 + i] + (msb === 0n ? words[top / 8 + i] : 0n) + words[random / 8 + i];
        words[to / 8 + i] = BigInt.asUintN(64, sum);
      }
    },
    widenJoin(to, a, high, ring, biased, count) {
      const bias = biased ? 1n << BigInt(ring - 2) : 0n;
      for (let i = 0; i < count; i++) {
        const low = BigInt.asUintN(ring, words[a / 8 + i] + bias);
        words[to / 8 + i] = BigInt.asUintN(64, low + (words[high / 8 + i] << BigInt(ring)) - bias);
      }
    },
  };
}

function countKernels({ words, bytes }: Memory): Pick<FusedKernels, "coarseAccumulate" | "suffixSum"> {
  return {
    coarseAccumulate(to, m, fields, bits, shape, first, segments, count) {
      const size = 2 ** shape.width;
      const shares = new Uint32Array(2 * count * size);
      unpackHalves(bytes, fields, count * size, bits, shares, 0);
      const length = segments.reduce((sum, n) => sum + n, 0);
      let row = Math.floor(first / length) * segments.length;
      let left = segments[0] - (first % length);
      while (left <= 0) {
        row++;
        left += segments[row % segments.length];
      }
      const top = 1n << BigInt(shape.ring - 1);
      for (let i = 0; i < count; i++) {
        const biased = BigInt.asUintN(shape.ring, words[m / 8 + i] + top);
        const digit = Number(biased >> BigInt(shape.ring - shape.width));
        for (let v = 0; v < size; v++) {
          const at = to / 8 + row * size + v;
          words[at] = BigInt.asUintN(64, words[at] + BigInt(shares[2 * (i * size + ((digit - v + size) % size))]));
        }
        left--;
        while (left === 0 && i + 1 < count) {
          row++;
          left = segments[row % segments.length];
        }
      }
    },
    suffixSum(to, rows, length) {
      for (let row = 0; row < rows; row++) {
        for (let v = length - 2; v >= 0; v--) {
          const at = to / 8 + row * length + v;
          words[at] = BigInt.asUintN(64, words[at] + words[at + 1]);
        }
      }
    },
  };
}

export function fusedKernels(memory: Memory): Omit<FusedKernels, "matmulMasked"> {
  const { bytes, words } = memory;
  return {
    ...seriesKernels(memory),
    ...powerKernels(memory),
    ...decayKernels(memory),
    ...widenKernels(memory),
    ...countKernels(memory),
    timesBit(to, b, x, mask, share, product, first, count) {
      for (let i = 0; i < count; i++) {
        const bit = BigInt(bytes[b + i]);
        const flipped = (1n - 2n * bit) * (words[x / 8 + i] * words[share / 8 + i] - words[product / 8 + i]);
        const own = first ? words[x / 8 + i] - words[mask / 8 + i] : -words[mask / 8 + i];
        words[to / 8 + i] = BigInt.asUintN(64, flipped + bit * own);
      }
    },
    toArithmetic(to, b, share, first, count) {
      for (let i = 0; i < count; i++) {
        const bit = BigInt(bytes[b + i]);
        words[to / 8 + i] = BigInt.asUintN(64, (1n - 2n * bit) * words[share / 8 + i] + (first ? bit : 0n));
      }
    },
  };
}
