/** What the type rules of the ops that split a value's digits accept and refuse (`rules.test.ts`). */
import type { Attributes } from "../../ir/graph.js";
import type { ShareOpName } from "../../ir/share/index.js";

/** A use of an op: the types of its arguments as text, and its attributes. */
export type Use = readonly [args: string, attributes?: Attributes];

export interface Rule {
  readonly last: readonly Use[];
  readonly first: readonly Use[];
}

export const X = "masked<40,6>[4]";

const SERIES = {
  ...{ angle: 9, frequencies: [1], cosines: [1], sines: [1], drops: [0], constant: 0, coefficientFraction: 24 },
  ...{ publicFraction: 12, secretFraction: 12, ring: 40 },
};
const series = (change: Attributes) => ({ ...SERIES, ...change });
/** A series of so many frequencies. */
const terms = (count: number, coefficient: number) => {
  const all = (value: number) => new Array<number>(count).fill(value);
  return series({ frequencies: all(2 ** 24), cosines: all(coefficient), sines: all(-coefficient), drops: all(12) });
};

const DECAYS = {
  ...{ bits: 12, rates: [2 ** 40], coefficients: [2 ** 30], buckets: [6], publicFraction: 20, secretFraction: 20 },
  ...{ drop: 20, ring: 40 },
};
const decays = (change: Attributes) => ({ ...DECAYS, ...change });
/** So many terms of a decay. */
const decaying = (count: number) => {
  const all = (value: number) => new Array<number>(count).fill(value);
  return decays({ rates: all(2 ** 40), coefficients: all(1), buckets: all(6) });
};

const COUNT = { width: 4, ring: 2, segments: [3, 1] };
export const SPLITS: Partial<Record<ShareOpName, Rule>> = {
  series: {
    last: [
      ["masked<9,6>[4]", SERIES],
      [X, series({ angle: 32 })],
      [X, series({ angle: 3 })],
      [X, terms(64, 2 ** 31 - 1)],
      [X, series({ constant: 2 ** 52, publicFraction: 24, secretFraction: 30, ring: 64 })],
      [X, series({ publicFraction: 1, secretFraction: 1 })],
    ],
    first: [
      ["masked<8,6>[4]", SERIES],
      ["masked<64,6>[4]", series({ angle: 33 })],
      [X, series({ frequencies: [2 ** 24 + 1] })],
      [X, series({ frequencies: [0] })],
      [X, series({ frequencies: [1, 2] })],
      [X, series({ drops: [0, 0] })],
      [X, series({ drops: [13] })],
      [X, series({ drops: [12], ring: 12 })],
      [X, series({ drops: [-1] })],
      [X, series({ angle: 2 })],
      [X, terms(0, 1)],
      [X, series({ cosines: [1, 2] })],
      [X, terms(65, 1)],
      [X, series({ cosines: [2 ** 31] })],
      [X, series({ sines: [-(2 ** 31) - 1] })],
      [X, series({ constant: 2 ** 52 + 2 })],
      [X, series({ coefficientFraction: 23 })],
      [X, series({ publicFraction: 25 })],
      [X, series({ secretFraction: 31 })],
      [X, series({ publicFraction: 0 })],
      [X, series({ secretFraction: 0 })],
      [X, series({ ring: 65 })],
      ["additive<40,6>[4]", SERIES],
    ],
  },
  seriesTimes: {
    last: [[`${X} masked<40,2>[4]`, SERIES]],
    first: [
      [`${X} masked<39,2>[4]`, SERIES],
      [`${X} masked<40,2>[1]`, SERIES],
      [`masked<8,6>[4] ${X}`, SERIES],
    ],
  },
  exponential: {
    last: [
      [X, { cut: 11, publicFraction: 1, secretFraction: 30, ring: 64 }],
      [X, { cut: 6, publicFraction: 30, secretFraction: 1, ring: 40 }],
      ["masked<9,6>[4]", { cut: 9, publicFraction: 12, secretFraction: 12, ring: 40 }],
      [`${X} maskedBits[4] maskedBits[4]`, { cut: 9, publicFraction: 8, secretFraction: 12, ring: 40 }],
      ["masked<40,24>[4]", { cut: 24, publicFraction: 12, secretFraction: 12, ring: 40 }],
    ],
    first: [
      [X, { cut: 12, publicFraction: 12, secretFraction: 12, ring: 40 }],
      [X, { cut: 5, publicFraction: 12, secretFraction: 12, ring: 40 }],
      [X, { cut: 9, publicFraction: 31, secretFraction: 12, ring: 40 }],
      [X, { cut: 9, publicFraction: 12, secretFraction: 0, ring: 40 }],
      ["masked<8,6>[4]", { cut: 9, publicFraction: 12, secretFraction: 12, ring: 40 }],
      [`${X} maskedBits[4] maskedBits[4]`, { cut: 9, publicFraction: 7, secretFraction: 12, ring: 40 }],
      [`${X} maskedBits[3]`, { cut: 9, publicFraction: 12, secretFraction: 12, ring: 40 }],
      [`${X} bits[4]`, { cut: 9, publicFraction: 12, secretFraction: 12, ring: 40 }],
      ["masked<40,25>[4]", { cut: 25, publicFraction: 12, secretFraction: 12, ring: 40 }],
      ["masked<40,0>[4]", { cut: 1, publicFraction: 12, secretFraction: 12, ring: 40 }],
    ],
  },
  decays: {
    last: [
      ["masked<12,6>[4]", DECAYS],
      [X, decays({ bits: 30, rates: [2 ** 32 - 1], buckets: [22] })],
      [X, decays({ bits: 1, buckets: [0] })],
      [X, decays({ rates: [2 ** 50 - 1] })],
      [X, decays({ coefficients: [2 ** 32] })],
      [X, decays({ coefficients: [-(2 ** 32)] })],
      [X, decays({ buckets: [4] })],
      [X, decays({ buckets: [11] })],
      [X, decays({ publicFraction: 127, secretFraction: 1 })],
      [X, decays({ publicFraction: 1, secretFraction: 127 })],
      [X, decays({ drop: 64, ring: 64 })],
      [X, decaying(64)],
    ],
    first: [
      ["masked<11,6>[4]", DECAYS],
      ["additive<40,6>[4]", DECAYS],
      [X, decays({ bits: 31, rates: [1], buckets: [23] })],
      [X, decays({ bits: 0, buckets: [0] })],
      [X, decays({ rates: [2 ** 50] })],
      [X, decays({ rates: [-1] })],
      [X, decays({ rates: [1, 1] })],
      [X, decays({ coefficients: [2 ** 32 + 1] })],
      [X, decays({ coefficients: [-(2 ** 32) - 1] })],
      [X, decays({ coefficients: [1, 1] })],
      [X, decays({ buckets: [3] })],
      [X, decays({ buckets: [12] })],
      [X, decays({ buckets: [6, 6] })],
      [X, decays({ publicFraction: 128 })],
      [X, decays({ publicFraction: 0 })],
      [X, decays({ secretFraction: 128 })],
      [X, decays({ secretFraction: 0 })],
      [X, decays({ drop: 65, ring: 40 })],
      [X, decays({ drop: -1 })],
      [X, decays({ ring: 65 })],
      [X, decaying(0)],
      [X, decaying(65)],
    ],
  },
  coarseCount: {
    last: [
      [X, COUNT],
      ["masked<4,0>[4]", COUNT],
      ["masked<40,6>[2,65535]", { ...COUNT, ring: 16, segments: [65535] }],
      [`${X} masked<40,0>[1]`, { ...COUNT, width: 3 }],
    ],
    first: [
      [X, { ...COUNT, segments: [4] }],
      [X, { ...COUNT, segments: [3] }],
      [X, { ...COUNT, segments: [3, 1, 1] }],
      [X, { ...COUNT, segments: [3, 1, 0] }],
      ["masked<3,0>[4]", COUNT],
      ["masked<40,6>[65536]", { ...COUNT, ring: 16, segments: [65536] }],
      [X, { ...COUNT, ring: 17 }],
      [X, { ...COUNT, ring: 0 }],
      [X, { ...COUNT, width: 14 }],
      ["masked<40,6>[]", COUNT],
      [`${X} masked<40,0>[1]`, { ...COUNT, width: 2 }],
      [`${X} masked<40,0>[2,4]`, COUNT],
      [`${X} additive<40,0>[4]`, COUNT],
    ],
  },
};
