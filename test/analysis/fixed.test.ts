/** The fixed-point evaluator's fast matrix product is the share language's, for all rings and sizes of numbers. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { sumOfProducts } from "../../analysis/report/fixed.js";
import { seededNumbers } from "../../ir/seeded.js";
import { SHARE_OPS, type ShareValue, type WordType } from "../../ir/share/index.js";
import { sizeOf } from "../../ir/tensor/value.js";

/** Numbers of so many bits, of either sign, in a ring. */
function masked(shape: readonly number[], ring: number, bits: number, random: () => number): ShareValue {
  const type: WordType = { kind: "masked", ring, fraction: 0, shape };
  const value = BigUint64Array.from({ length: sizeOf(shape) }, () => {
    const word = (BigInt(Math.floor(random() * 2 ** 32)) << 32n) | BigInt(Math.floor(random() * 2 ** 32));
    return BigInt.asUintN(ring, BigInt.asIntN(bits, word));
  });
  return { type, value, mask: new BigUint64Array(value.length) };
}

it("a matrix product in doubles is exact", () => {
  const size = fc.integer({ min: 1, max: 9 });
  const ring = fc.integer({ min: 1, max: 64 });
  const shapes = fc.record({ batch: size, rows: size, inner: fc.integer({ min: 1, max: 70 }), columns: size });
  const cases = fc.record({ shapes, rings: fc.tuple(ring, ring), bits: fc.tuple(ring, ring), seed: fc.nat() });
  fc.assert(
    fc.property(cases, ({ shapes: { batch, rows, inner, columns }, rings, bits, seed }) => {
      const random = seededNumbers(seed);
      const x = masked([batch, rows, inner], rings[0], Math.min(...[rings[0], bits[0]]), random);
      const y = masked([inner, columns], rings[1], Math.min(...[rings[1], bits[1]]), random);
      const drop = seed % Math.min(...rings);
      const type = SHARE_OPS.matmul.infer([x.type, y.type, x.type, y.type], { keep: [], drop }) as WordType;
      const args = [x, y, x, y];
      const expected = SHARE_OPS.matmul.evaluate(args, { keep: [], drop }, type, (n) => new BigUint64Array(n));
      expect(sumOfProducts(args, drop, type).value).toEqual(expected.value);
    }),
    { numRuns: 200 },
  );
});
