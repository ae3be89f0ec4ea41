/**
 * Every function of a secret value, in the profiles that compute it, over its domain through the three roles: the
 * measured error must not exceed the stated one. PUMA's functions are also held to PUMA's own formulas, in doubles.
 */
import { describe, expect, test } from "vitest";
import { FUNCTION_CASES, type FunctionCase } from "../../analysis/accuracy/cases.js";
import { type Measurement, measureFunction } from "../../analysis/accuracy/measure.js";
import { PUMA_GELU, PUMA_SILU } from "../../compiler/lower/puma/activation.js";
import type { Polynomial, PumaActivation } from "../../compiler/lower/puma/polynomial.js";

const caseOf = (name: string): FunctionCase => FUNCTION_CASES.find((given) => given.name === name)!;

describe.each(["fourier", "puma"] as const)("profile %s", (profile) => {
  const cases = FUNCTION_CASES.filter((given) => given[profile] !== undefined);
  test.each(cases)("$name", async (given) => {
    const { maximum, points } = await measureFunction(given, profile);
    expect(points.length).toBeGreaterThan(30);
    expect(maximum).toBeLessThanOrEqual(given[profile]!);
  });
});

function polynomialAt(polynomial: Polynomial, x: number): number {
  return polynomial.reduce((sum, [power, coefficient]) => sum + coefficient * x ** power, 0);
}

function inTheClear({ thresholds, lower, middle }: PumaActivation, x: number): number {
  const [first, second, third] = thresholds;
  if (x < first) {
    return 0;
  }
  return x < second ? polynomialAt(lower, x) : x < third ? polynomialAt(middle, x) : x;
}

describe("PUMA's formulas", () => {
  test.each([
    ["GELU (erf)", PUMA_GELU],
    ["SiLU", PUMA_SILU],
  ] as const)("%s is the published polynomials, to 2e-3", async (name, formula) => {
    const { points } = await measureFunction(caseOf(name), "puma");
    for (const { x, got } of points) {
      expect(Math.abs(got - inTheClear(formula, x)), `at ${x}`).toBeLessThan(2e-3);
    }
  });

  test("softmax is (1 + x/32)^32 of x - max, zero below -14, over its sum", async () => {
    const given = caseOf("softmax");
    const { points } = await measureFunction(given, "puma");
    const length = given.inputs[0].values(12).shape[1];
    for (let start = 0; start < points.length; start += length) {
      const row = points.slice(start, start + length);
      const maximum = Math.max(...row.map(({ x }) => x));
      const powers = row.map(({ x }) => (x - maximum < -14 ? 0 : (1 + (x - maximum) / 32) ** 32));
      const sum = powers.reduce((total, power) => total + power, 0);
      row.forEach(({ got }, i) => {
        expect(Math.abs(got - powers[i] / sum), `row ${start / length}, element ${i}`).toBeLessThan(1e-3);
      });
    }
  });
});

describe("domains", () => {
  const on = (op: string, low: number, high: number): FunctionCase => ({
    name: `my ${op}`,
    op,
    distance: "absolute",
    inputs: [
      {
        domain: "",
        values: () => ({ dtype: "f64", shape: [2], data: Float64Array.of(low, high) }),
      },
    ],
  });
  const codeOf = async (run: Promise<Measurement>): Promise<string> => {
    const error = await run.then(
      () => undefined,
      (thrown: unknown) => thrown as { diagnostics: readonly { code: string; where: string; fix: string }[] },
    );
    const [{ code, where, fix }] = error!.diagnostics;
    return `${code} ${where} ${fix.length > 20}`;
  };

  test.each(["reciprocal", "logarithm", "reciprocalSquareRoot"])("%s of what may be zero is E0404", async (op) => {
    expect(await codeOf(measureFunction(on(op, -1, 2), "fourier"))).toBe(`E0404 my ${op} true`);
    expect(await codeOf(measureFunction(on(op, 2 ** -20, 2 ** 8), "fourier"))).toBe(`E0404 my ${op} true`);
  });

  test("√x of what may be negative is E0404, of what may be zero it is not", async () => {
    expect(await codeOf(measureFunction(on("squareRoot", -1, 4), "fourier"))).toBe("E0404 my squareRoot true");
    expect((await measureFunction(on("squareRoot", 0, 4), "fourier")).maximum).toBeLessThan(8e-3);
  });
});
