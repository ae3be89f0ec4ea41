/** Arithmetic that decides plans: the same bits on every machine, exact where it says so, and right. */
import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import * as real from "../../ir/real.js";

type Scalar = (x: number) => number;

/** A function, where it is to be looked at, and what it must agree with to a few units. */
type Case = readonly [name: string, compute: Scalar, low: number, high: number, engine?: Scalar];

const FUNCTIONS: readonly Case[] = [
  ["acos", real.acos, -1, 1, Math.acos],
  ["acosh", real.acosh, 1, 50, Math.acosh],
  ["asin", real.asin, -1, 1, Math.asin],
  ["asinh", real.asinh, -50, 50, Math.asinh],
  ["atan", real.atan, -50, 50, Math.atan],
  ["atanh", real.atanh, -0.999, 0.999, Math.atanh],
  ["cbrt", real.cbrt, -1e6, 1e6, Math.cbrt],
  ["cos", real.cos, -100, 100, Math.cos],
  ["cosh", real.cosh, -50, 50, Math.cosh],
  ["erf", real.erf, -6, 6],
  ["exp", real.exp, -80, 80, Math.exp],
  ["exp2", real.exp2, -80, 80, (x) => 2 ** x],
  ["expm1", real.expm1, -5, 5, Math.expm1],
  ["ln", real.ln, 1e-9, 1e9, Math.log],
  ["log1p", real.log1p, -0.99, 10, Math.log1p],
  ["log2", real.log2, 1e-9, 1e9, Math.log2],
  ["power", (x) => real.pow(x, -0.5), 1e-6, 1e6, (x) => 1 / Math.sqrt(x)],
  ["sin", real.sin, -100, 100, Math.sin],
  ["sinh", real.sinh, -50, 50, Math.sinh],
  ["tan", real.tan, -1.5, 1.5, Math.tan],
  ["tanh", real.tanh, -10, 10, Math.tanh],
];

const POINTS = 2000;

function points(low: number, high: number): Float64Array {
  return Float64Array.from({ length: POINTS }, (_, i) => low + ((high - low) * (i + 0.3)) / POINTS);
}

/** A digest of the values' bits, in little-endian order whatever the machine. */
function digestOf(values: Float64Array): string {
  const bytes = new DataView(new ArrayBuffer(8 * values.length));
  for (const [i, value] of values.entries()) {
    bytes.setFloat64(8 * i, value, true);
  }
  return createHash("sha256").update(new Uint8Array(bytes.buffer)).digest("hex").slice(0, 16);
}

describe("functions over doubles", () => {
  it("give the stored bits, on whatever machine and Node this runs", () => {
    const digests = FUNCTIONS.map(([name, compute, low, high]) => [name, digestOf(points(low, high).map(compute))]);
    expect(Object.fromEntries(digests)).toMatchSnapshot();
  });

  for (const [name, compute, low, high, engine = compute] of FUNCTIONS) {
    it(`${name} agrees with the engine's`, () => {
      for (const x of points(low, high)) {
        const wanted = engine(x);
        const allowed = 4 * Number.EPSILON * Math.max(1e-3, Math.abs(wanted));
        expect(Math.abs(compute(x) - wanted)).toBeLessThanOrEqual(allowed);
      }
    });
  }

  it("erf agrees with tables to 15 digits (Abramowitz & Stegun, table 7.1, extended)", () => {
    const table: readonly (readonly [number, number])[] = [
      [0, 0],
      [0.1, 0.1124629160182849],
      [0.25, 0.2763263901682369],
      [0.5, 0.5204998778130465],
      [1, 0.8427007929497149],
      [1.5, 0.9661051464753108],
      [2, 0.9953222650189527],
      [2.5, 0.999593047982555],
      [3, 0.9999779095030014],
      [5, 0.9999999999984626],
      [30, 1],
    ];
    for (const [x, wanted] of table) {
      expect(Math.abs(real.erf(x) - wanted)).toBeLessThan(4e-15);
      expect(real.erf(-x)).toBe(-real.erf(x));
    }
    expect(real.erf(Number.NaN)).toBeNaN();
    expect(real.erf(Number.NEGATIVE_INFINITY)).toBe(-1);
  });
});

describe("powers and logarithms of two", () => {
  const view = new DataView(new ArrayBuffer(8));
  /** 2^n by its bits. */
  function power(n: number): number {
    view.setBigUint64(0, n >= -1022 ? BigInt(n + 1023) << 52n : 1n << BigInt(n + 1074));
    return view.getFloat64(0);
  }

  it("`2 ** n` is exact for every integer n in this engine, so it may be written", () => {
    for (let n = -1074; n <= 1023; n++) {
      expect(2 ** n).toBe(power(n));
    }
  });

  it("floor and ceiling are exact at and beside every power", () => {
    for (let n = -1074; n <= 1023; n++) {
      expect([real.floorLog2(power(n)), real.ceilLog2(power(n))]).toEqual([n, n]);
    }
    for (let n = -1000; n <= 1000; n++) {
      const [below, above] = [power(n) * (1 - 2 ** -53), power(n) * (1 + 2 ** -52)];
      expect([real.floorLog2(below), real.ceilLog2(below)]).toEqual([n - 1, n]);
      expect([real.floorLog2(above), real.ceilLog2(above)]).toEqual([n, n + 1]);
    }
  });

  it("what has no logarithm says so", () => {
    expect([0, -1, Number.POSITIVE_INFINITY].map(real.floorLog2)).toEqual([-Infinity, Number.NaN, Infinity]);
    expect([0, -1, Number.POSITIVE_INFINITY].map(real.ceilLog2)).toEqual([-Infinity, Number.NaN, Infinity]);
  });
});
