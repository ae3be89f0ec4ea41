/**
 * Values that fixed point cannot hold are refused when the plan is made, by name; what was only seen, or assumed, is a
 * warning; constants of masks never become numbers where a softmax uses them, and large values have fewer fractional
 * bits.
 */
import { describe, expect, test } from "vitest";
import type { TensorValue } from "../../ir/tensor/value.js";
import { compileText, floats, normal, refusals, runText, type TextModel } from "./support.js";

const WEIGHTS = new Map([["w", normal([8, 8], 0.4)]]);

/** Scores x·W in the middle, `body` from %2 to the output. */
const model = (body: string, x: TensorValue = normal([8, 8])): TextModel => ({
  text: `%0 = input {name = "x", dtype = "f32", shape = [8, 8]} : f32[8,8]
%1 = parameter {name = "w", dtype = "f32", shape = [8, 8]} : f32[8,8]
%2 = matmul %0, %1 : f32[8,8] @ "scores"
${body}`,
  weights: WEIGHTS,
  inputs: new Map([["x", x]]),
});

/** A causal mask as numbers: `kept` on and below the diagonal (by the distance from it), `far` above. */
const causal = (far: number, kept: (distance: number) => number = () => 0): string =>
  `constant {value = f32[8,8] [${Array.from({ length: 64 }, (_, i) => {
    const [row, column] = [Math.floor(i / 8), i % 8];
    return column > row ? far : kept(row - column);
  }).join(", ")}]} : f32[8,8]`;

const FAR = [-1e4, -3.4028234663852886e38];

const largestRing = (given: TextModel): number =>
  Math.max(...compileText(given).plan.steps.map(({ type }) => ("ring" in type ? type.ring : 0)));

describe("constants of masks", () => {
  test.each(FAR)("%d added to the scores of a softmax becomes a choice", async (far) => {
    const given = (mask: string) =>
      model(`%3 = ${mask}
%4 = add %2, %3 : f32[8,8] @ "mask"
%5 = softmax %4 {axis = 1} : f32[8,8] @ "softmax"
output "y" = %5`);
    const { error, warnings } = await runText(given(causal(far)));
    expect(warnings).toEqual([]);
    expect(error).toBeLessThan(2e-3);
    expect(largestRing(given(causal(far)))).toBe(largestRing(given(causal(-1e3))));
  });

  test.each(FAR)("%d in a bias of weights that is reshaped before it is added becomes a choice", async (far) => {
    const keep = Array.from({ length: 64 }, (_, i) => (i % 8 <= Math.floor(i / 8) ? 1 : 0));
    const given = model(`%3 = parameter {name = "b", dtype = "f32", shape = [1, 8, 8]} : f32[1,8,8]
%4 = constant {value = f32[] [${far}]} : f32[]
%5 = constant {value = bool[8,8] [${keep}]} : bool[8,8]
%6 = select %5, %3, %4 : f32[1,8,8] @ "masked bias"
%7 = reshape %6 {shape = [8, 8]} : f32[8,8] @ "masked bias"
%8 = add %2, %7 : f32[8,8] @ "bias and mask"
%9 = softmax %8 {axis = 1} : f32[8,8] @ "softmax"
output "y" = %9`);
    const weights = new Map([...WEIGHTS, ["b", normal([1, 8, 8], 1, 7)] as const]);
    const { error, warnings } = await runText({ ...given, weights });
    expect(warnings).toEqual([]);
    expect(error).toBeLessThan(2e-3);
  });

  test.each([-30, -100, -300])("%d, as shifted windows have it, is a number that raises no alarm", async (far) => {
    const given = model(`%3 = ${causal(far)}
%4 = add %2, %3 : f32[8,8] @ "mask"
%5 = softmax %4 {axis = 1} : f32[8,8] @ "softmax"
output "y" = %5`);
    const { error } = await runText(given);
    expect(error).toBeLessThan(2e-3);
  });

  test("a table that is larger than what is added to it raises no alarm", async () => {
    const given = model(`%3 = gelu %2 {approximation = "erf"} : f32[8,8] @ "gelu"
%4 = parameter {name = "t", dtype = "f32", shape = [8, 8]} : f32[8,8]
%5 = add %3, %4 : f32[8,8] @ "positions"
%6 = layerNorm %5 {epsilon = 1e-05} : f32[8,8]
output "y" = %6`);
    const weights = new Map([...WEIGHTS, ["t", floats([8, 8], (i) => 9 * Math.sin(i))] as const]);
    const { error } = await runText({ ...given, weights: new Map([...weights, ["w", normal([8, 8], 0.02)]]) });
    expect(error).toBeLessThan(4e-3);
  });

  test.each(FAR)("%d together with a positional slope becomes a choice and a slope", async (far) => {
    const given = model(`%3 = ${causal(far, (distance) => -distance / 4)}
%4 = add %2, %3 : f32[8,8] @ "slopes and mask"
%5 = softmax %4 {axis = 1} : f32[8,8] @ "softmax"
output "y" = %5`);
    const { error, warnings } = await runText(given);
    expect(warnings).toEqual([]);
    expect(error).toBeLessThan(2e-3);
  });

  test.each(FAR)("%d chosen by a secret where becomes a choice", async (far) => {
    const given = model(`%3 = constant {value = f32[] [${far}]} : f32[]
%4 = constant {value = f32[] [2]} : f32[]
%5 = less %2, %4 : bool[8,8] @ "less"
%6 = select %5, %2, %3 : f32[8,8] @ "where"
%7 = softmax %6 {axis = 1} : f32[8,8] @ "softmax"
output "y" = %7`);
    const { error, warnings } = await runText(given);
    expect(warnings).toEqual([]);
    expect(error).toBeLessThan(2e-3);
  });

  const outside: readonly (readonly [name: string, lines: (far: number) => string])[] = [
    ["add", (far) => `%3 = ${causal(far)}\n%4 = add %2, %3 : f32[8,8] @ "here"`],
    [
      "where",
      (far) => `%3 = constant {value = f32[] [${far}]} : f32[]
%6 = constant {value = f32[] [0]} : f32[]
%7 = less %2, %6 : bool[8,8]
%4 = select %7, %2, %3 : f32[8,8] @ "here"`,
    ],
  ];
  test.each(outside)("in %s outside of a softmax they are refused or warned of, with the node", (_, lines) => {
    const given = (far: number) =>
      model(`${lines(far)}
%5 = reduceMaximum %4 {axes = [1], keep = false} : f32[8]
output "y" = %5`);
    expect(refusals(given(FAR[1]))).toEqual(["E0404 here true"]);
    expect(compileText(given(FAR[0])).warnings.map(({ code, where }) => [code, where])).toEqual([["W0402", "here"]]);
  });

  const masked = (far: number): TextModel => ({
    text: `%0 = input {name = "x", dtype = "f32", shape = [4, 4]} : f32[4,4]
%1 = parameter {name = "w", dtype = "f32", shape = [4, 4]} : f32[4,4]
%2 = matmul %0, %1 : f32[4,4] @ "scores"
%3 = input {name = "bias", dtype = "f32", shape = [4, 4]} : f32[4,4]
%4 = add %2, %3 : f32[4,4] @ "mask"
%5 = softmax %4 {axis = 1} : f32[4,4] @ "softmax"
output "y" = %5`,
    inputs: new Map([
      ["x", normal([4, 4])],
      ["bias", floats([4, 4], (i) => (i % 4 === 3 ? far : 0))],
    ]),
    weights: new Map([["w", normal([4, 4])]]),
  });

  test.each([...FAR, -1e9])("%d that comes as an input becomes a choice", async (far) => {
    expect((await runText(masked(far))).error).toBeLessThan(2e-3);
  });
});

describe("values without a bound", () => {
  const exponential = model('%3 = exponential %2 : f32[8,8] @ "e"\noutput "y" = %3');

  test("e^x of what only the structure bounds is refused; calibrated it is planned", () => {
    expect(refusals(exponential, { weights: false })).toEqual(["E0404 e true"]);
    expect(refusals(exponential)).toEqual([]);
  });

  test("a sample that is too large is refused, at the first node that is", () => {
    const large = model('%3 = multiply %2, %2 : f32[8,8] @ "square"\noutput "y" = %3', normal([8, 8], 1e6));
    expect(refusals(large)).toEqual(["E0404 square true"]);
    const infinite = model(
      'output "y" = %2',
      floats([8, 8], () => Number.POSITIVE_INFINITY),
    );
    expect(refusals(infinite)).toEqual(["E0404 x true"]);
  });

  test("1/x near zero is refused; what was only seen positive is warned of; what is positive is not", () => {
    const inverse = (lines: string) => model(`${lines}\n%9 = reciprocal %8 : f32[8,8] @ "1/x"\noutput "y" = %9`);
    expect(refusals(inverse("%8 = negate %2 : f32[8,8]"))).toEqual(["E0404 1/x true"]);
    const one = "%3 = constant {value = f32[] [1]} : f32[]";
    const positive = inverse(`%4 = multiply %2, %2 : f32[8,8]\n${one}\n%8 = add %4, %3 : f32[8,8]`);
    expect(compileText(positive).warnings).toEqual([]);
    const far = "%3 = constant {value = f32[] [4]} : f32[]";
    const seen = inverse(`${far}\n%8 = add %2, %3 : f32[8,8]`);
    expect(compileText(seen).warnings.map(({ code, where }) => [code, where])).toEqual([["W0401", "1/x"]]);
  });
});

test.each([1, 100, 220])(
  "large values have fewer fractional bits, and keep their relative precision: %d",
  async (scale) => {
    const given = model(
      `%3 = multiply %2, %2 : f32[8,8] @ "x^2"
%4 = multiply %3, %3 : f32[8,8] @ "x^4"
output "y" = %4`,
      normal([8, 8], scale),
    );
    const { error, expected } = await runText(given);
    expect(error / Math.max(...expected.get("y")!.data)).toBeLessThan(1e-3);
  },
);
