/**
 * Matrix products over doubles decide measured ranges, and those a plan: every tier and the plain loops give the same
 * bits, whatever the precision of the second factor and wherever matrices begin; and so do rows that are nearly empty.
 */
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { multiplyReals } from "../../ir/tensor/arithmetic.js";
import { TENSOR_OPS } from "../../ir/tensor/index.js";
import { type NativeModule, openNative } from "../../runtime/kernels/native.js";
import { tensor } from "../tensor/apply.js";

const opened = openNative();
const native = typeof opened === "string" ? undefined : opened;

const number = fc.oneof(fc.double({ min: -1e3, max: 1e3, noNaN: true }), fc.constantFrom(0, -0, 1e300, -1e-300));
const size = fc.oneof(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 0, max: 70 }));

/** Numbers that repeat a few drawn ones in no order: long matrices from short draws. */
function numbersOf(seeds: readonly number[], count: number): Float64Array {
  return Float64Array.from({ length: count }, (_, i) => seeds[(i * i + 3 * i) % seeds.length] * (1 + (i % 7)));
}

const product = fc
  .record({
    rows: size,
    inner: fc.oneof(size, fc.integer({ min: 250, max: 530 })),
    columns: size,
    start: fc.integer({ min: 0, max: 3 }),
    short: fc.boolean(),
    seeds: fc.array(number, { minLength: 1, maxLength: 50 }),
  })
  .map(({ rows, inner, columns, start, short, seeds }) => {
    const a = numbersOf(seeds, start + rows * inner);
    const b = numbersOf([...seeds].reverse(), start + inner * columns);
    const places = { cAt: start, aAt: start, bAt: start };
    return { rows, inner, columns, a, b: short ? Float32Array.from(b) : b, ...places };
  });

describe.skipIf(native === undefined)("native products of doubles", () => {
  const module = native as NativeModule;
  const threads = native?.threads() ?? 1;
  beforeAll(() => {
    module.threads(3); // also where there is one core: the cuts are what is tested
  });
  afterAll(() => {
    module.threads(threads);
  });

  it("equal the plain loops bit for bit on every tier", () => {
    fc.assert(
      fc.property(product, (given) => {
        const expected = new Float64Array(given.cAt + given.rows * given.columns + 1);
        multiplyReals({ ...given, c: expected });
        for (const tier of module.tiers) {
          const c = new Float64Array(expected.length).fill(7, given.cAt, expected.length - 1);
          module.multiplyReals(tier)({ ...given, c });
          expect(c, tier).toEqual(expected);
        }
      }),
      { numRuns: 150 },
    );
  });

  it("equal them where threads share the work", () => {
    const [rows, inner, columns] = [150, 600, 130];
    const [a, b] = [numbersOf([0.1, -0.7, 3.3], rows * inner), numbersOf([1.5, -0.3], inner * columns)];
    const given = { rows, inner, columns, a, b, aAt: 0, bAt: 0, cAt: 0 };
    const [expected, c] = [new Float64Array(rows * columns), new Float64Array(rows * columns)];
    multiplyReals({ ...given, c: expected });
    module.multiplyReals()({ ...given, c });
    expect(c).toEqual(expected);
  });

  it("refuse places outside their arrays", () => {
    const four = new Float64Array(4);
    const given = { c: four, cAt: 0, a: four, aAt: 0, b: four, bAt: 0, rows: 2, inner: 2, columns: 2 };
    const multiply = module.multiplyReals();
    expect(() => multiply({ ...given, c: new Float64Array(4) })).not.toThrow();
    for (const wrong of [{ cAt: 1 }, { aAt: 1 }, { bAt: 1 }, { rows: 3 }, { columns: 3 }, { aAt: -1 }, { bAt: 0.5 }]) {
      const place = { ...given, ...wrong };
      expect(() => multiply(place), JSON.stringify(wrong)).toThrow(RangeError);
    }
  });
});

describe("rows with few numbers that are not zero", () => {
  const sparse = (count: number) => Float64Array.from({ length: count }, (_, i) => (i % 37 === 5 ? -1.5 : 0));
  const b = numbersOf([0.1, -0, 2.5], 40 * 3);

  it("give the same bits as full ones", () => {
    const [a, c] = [sparse(8 * 40), new Float64Array(24)];
    multiplyReals({ c, cAt: 0, a, aAt: 0, b, bAt: 0, rows: 8, inner: 40, columns: 3 });
    const args = [tensor([8, 40], [...a]), tensor([40, 3], [...b])];
    expect(TENSOR_OPS.matmul.evaluate(args, {}, { dtype: "f32", shape: [8, 3] }).data).toEqual(c);
  });

  it("still meet what is not finite", () => {
    const args = [tensor([1, 40], [...sparse(40)]), tensor([40, 3], [...b.with(0, Number.POSITIVE_INFINITY)])];
    const { data } = TENSOR_OPS.matmul.evaluate(args, {}, { dtype: "f32", shape: [1, 3] });
    expect(Number.isNaN(data[0])).toBe(true);
  });
});
