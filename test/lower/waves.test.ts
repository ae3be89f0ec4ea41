/**
 * Free-frequency series: the fits reach what the protocol's reference measures, and the three roles give the fitted
 * function over the whole window; outside it the value stays as small as the amplitudes say.
 */
import { describe, expect, test } from "vitest";
import type { Lowering } from "../../compiler/lower/context.js";
import type { WaveFit } from "../../compiler/lower/fourier.js";
import { cheapestWaves, fitWaves, waveAt, waveBound, wavesOf } from "../../compiler/lower/waves.js";
import { Builder, definitionOf, type Node } from "../../ir/graph.js";
import { erf, exp, tanh } from "../../ir/real.js";
import { SHARE, type ShareType, type WordType } from "../../ir/share/index.js";
import { planOf, runPlan } from "../share/harness.js";

const gelu = (x: number) => (x / 2) * erf(x / Math.SQRT2);
const silu = (x: number) => (x / 2) * tanh(x / 2);
const sigmoid = (x: number) => 1 / (1 + exp(-x)) - 0.5;

/** Function, window, frequencies, integer bits, parity, largest error of the fit and of the roles at 12 bits. */
const CASES = [
  ["gelu - x/2", gelu, 3, 2, 8, "even", 1.5e-3],
  ["gelu - x/2", gelu, 3, 3, 6, "even", 9e-4],
  ["gelu - x/2", gelu, 4, 3, 9, "even", 4e-4],
  ["gelu - x/2", gelu, 5, 4, 10, "even", 4e-4],
  ["gelu - x/2", gelu, 8, 6, 11, "even", 6e-4],
  ["silu - x/2", silu, 8, 5, 11, "even", 9e-4],
  ["tanh", tanh, 4, 6, 8, "odd", 3e-4],
  ["sigmoid - 1/2", sigmoid, 8, 6, 10, "odd", 3e-4],
] as const;

const FRACTION = 10;
const COUNT = 4001;
const BITS = 12;

/** The series' values at real numbers, by the three roles, and how far from the fit masks may carry them at most. */
async function valuesOf(fit: WaveFit, x: readonly number[]) {
  const builder = new Builder(SHARE);
  const ring = fit.headroom + FRACTION;
  const emit = (op: string, args: readonly Node<ShareType>[], attributes: object) =>
    builder.emit(op, args, { ...attributes, ring: 48 });
  const input = builder.emit("input", [], { owner: "data", name: "x", ring, fraction: FRACTION, shape: [x.length] });
  const node = wavesOf({ emit } as unknown as Lowering, input, fit, BITS);
  const plan = planOf(builder.finish([{ name: "y", node }]));
  const words = BigUint64Array.from(x, (real) => BigInt.asUintN(64, BigInt(Math.round(real * 2 ** FRACTION))));
  const outcome = await runPlan(plan, () => words);
  const { fraction } = node.type as WordType;
  const values = Array.from(outcome.valueOf(1).value, (word) => Number(BigInt.asIntN(48, word)) / 2 ** fraction);
  outcome.close();
  const ulp = definitionOf(SHARE, node.op).ulp([input.type], node.attributes, node.type);
  return { values, rounding: ulp / 2 ** fraction };
}

describe.each(CASES)(
  "%s on ±%f, %i frequencies, %i integer bits",
  (_, compute, window, count, headroom, parity, limit) => {
    const fit = fitWaves(compute, [-window, window], count, headroom, parity);

    test("is fitted", () => {
      expect(new Set(fit.frequencies).size).toBe(count);
      expect(fit.error).toBeLessThan(limit);
    });

    test("is what the roles compute, inside and outside the window", async () => {
      const far = 2 ** (headroom - 1) - 1;
      const x = Array.from({ length: COUNT }, (__, i) => window * (-1 + (2 * i) / (COUNT - 1)));
      const { values: inside, rounding } = await valuesOf(fit, x);
      const worst = Math.max(...inside.map((value, i) => Math.abs(value - compute(Math.round(x[i] * 1024) / 1024))));
      expect(worst).toBeLessThan(fit.error + rounding);
      expect(rounding).toBeLessThan(2 ** (1 - BITS) * count);
      const { values: outside } = await valuesOf(fit, [-far, -2 * window, 2 * window, far]);
      [-far, -2 * window, 2 * window, far].forEach((each, i) => {
        expect(Math.abs(outside[i] - waveAt(fit, each))).toBeLessThan(2 ** -9);
        expect(Math.abs(outside[i])).toBeLessThan(waveBound(fit) + 2 ** -9);
      });
    });
  },
);

test("the fewest frequencies for a tolerance", () => {
  const fit = cheapestWaves(gelu, [-4, 4], 9, 1e-3, "even");
  expect(fit.frequencies.length).toBe(3);
  expect(fit.error).toBeLessThan(1e-3);
});

test("a window that is not symmetric, in time", () => {
  const started = performance.now();
  const fit = fitWaves(gelu, [-4.5, 3.5], 3, 9);
  expect(fit.error).toBeLessThan(1e-3);
  expect(performance.now() - started).toBeLessThan(20_000);
});
