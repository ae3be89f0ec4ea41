/**
 * Every approximation declares its window, its largest error and what it gives outside, and keeps it: each declared
 * formula is evaluated in the clear on a grid much finer than the one that its error was found on.
 */
import { describe, expect, test } from "vitest";
import { DEFAULT_PRECISION } from "../../compiler/compile.js";
import { largestError, type NotedFormula } from "../../compiler/lower/formulas.js";
import { lower, type Profile } from "../../compiler/lower/index.js";
import { DEFAULT_NETWORK, linkCost } from "../../compiler/network.js";
import { decodePlan, encodePlan } from "../../ir/plan/codec.js";
import { TENSOR } from "../../ir/tensor/index.js";
import { parse } from "../../ir/text.js";
import { calibratedRanges } from "../../passes/range.js";
import { compileText, floats, normal, type TextModel } from "./support.js";

const FINE = 9600;
const INPUT = { owner: "data", integral: false, oneHot: false } as const;

/** The formulas of one op of a row of numbers from low to high. */
function formulasOf(op: string, [low, high]: readonly [number, number], profile: Profile): readonly NotedFormula[] {
  const graph = parse(
    `%0 = input {name = "x", dtype = "f32", shape = [2, 64]} : f32[2,64]
%1 = ${op.includes("{") ? op.replace(" {", " %0 {") : `${op} %0`} : f32[2,64]
output "y" = %1`,
    TENSOR,
  );
  const x = floats([2, 64], (i) => low + ((high - low) * (i % 64)) / 63);
  const { ranges, variances } = calibratedRanges(graph, [() => x], () => INPUT);
  const inputs = new Map([["x", INPUT]]);
  const link = linkCost(DEFAULT_NETWORK);
  return lower(graph, { profile, precision: DEFAULT_PRECISION, ranges, variances, inputs, link }).formulas;
}

const CASES: readonly (readonly [op: string, range: readonly [number, number], names: string, profile?: Profile])[] = [
  ['gelu {approximation = "erf"}', [-6, 6], "gelu (erf)"],
  ['gelu {approximation = "tanh"}', [-6, 6], "gelu (tanh)"],
  ['gelu {approximation = "quick"}', [-6, 6], "gelu (quick)"],
  ['gelu {approximation = "erf"}', [-6, 6], "gelu (erf)", "puma"],
  ["silu", [-6, 6], "silu"],
  ["silu", [-6, 6], "silu", "puma"],
  ["tangentHyperbolic", [-6, 6], "tangentHyperbolic"],
  ["errorFunction", [-6, 6], "errorFunction"],
  ["sigmoid", [-6, 6], "sigmoid"],
  ["softplus", [-6, 6], "softplus"],
  ["relu", [-6, 6], "max(x, 0)"],
  ["absolute", [-6, 6], "max(x, 0)"],
  ["exponential", [-6, 2], "2^x"],
  ["reciprocal", [1, 60], "1/x"],
  ["logarithm", [0.5, 60], "ln x"],
  ["squareRoot", [0.5, 60], "√x"],
  ["reciprocalSquareRoot", [0.5, 60], "1/√x"],
  ["sine", [-6, 6], "sin x"],
  ["cosine", [-6, 6], "cos x"],
  ["arcTangent", [-0.2, 0.2], "arctan x"],
  ["softmaxBase2", [-6, 6], "1/x, 2^-t of a softmax, maximum of a softmax's row"],
  ["softmax {axis = 1}", [-6, 6], "1/x, e^x of a softmax", "puma"],
  ["rmsNorm {epsilon = 1e-05}", [-6, 6], "1/√x"],
];

/** The window as numbers. */
const windowOf = ({ window }: NotedFormula) => JSON.parse(window) as readonly [number, number];

/** What the pieces give far on one side: a rule "0 below, x above" names 0, x and constants. */
function expectOutside(formula: NotedFormula): void {
  const { outside, pieces } = formula;
  const [low, high] = windowOf(formula);
  const ends = { below: Math.min(...pieces.map(({ from }) => from)), above: Math.max(...pieces.map(({ to }) => to)) };
  for (const side of ["below", "above"] as const) {
    const [, said] = new RegExp(`(\\S+) ${side}`).exec(outside) ?? [];
    if (said !== undefined && /^(x|-?\d+)$/.test(said)) {
      const x = ends[side];
      expect(side === "below" ? x < low : x > high, `${side} the window`).toBe(true);
      const piece = pieces.find(({ from, to }) => (side === "below" ? from === x : to === x))!;
      expect(piece.value(x)).toBe(said === "x" ? x : Number(said));
    } else {
      const slack = 1e-3 * (high - low);
      expect(side === "below" ? ends.below >= low - slack : ends.above <= high + slack, `nothing ${side}`).toBe(true);
    }
  }
}

describe("formulas", () => {
  const cases = CASES.map(([op, range, names, profile = "fourier"]) => ({ op, range, names, profile }));
  test.each(cases)("$op, profile $profile: $names", ({ op, range, names, profile }) => {
    const formulas = formulasOf(op, range, profile);
    expect(formulas.map((formula) => formula.function).join(", ")).toBe(names);
    for (const formula of formulas) {
      const errors = formula.pieces.map((piece) => largestError(piece, formula.distance, FINE));
      expect(Math.max(...errors)).toBeLessThanOrEqual(formula.maxError);
      // A twentieth for what lies between the points of the compiler's grid, and two digits, rounded up.
      expect(formula.maxError).toBeLessThanOrEqual(Math.max(...errors) * 1.05 * 1.1);
      expect(formula.digest).toMatch(/^[0-9a-f]{16}$/);
      if (!formula.outside.startsWith("exact")) {
        expectOutside(formula);
      }
    }
  });
});

describe("a plan", () => {
  const model = (scale: number): TextModel => ({
    text: `%0 = input {name = "x", dtype = "f32", shape = [8, 8]} : f32[8,8]
%1 = parameter {name = "w", dtype = "f32", shape = [8, 8]} : f32[8,8]
%2 = matmul %0, %1 : f32[8,8]
%3 = gelu %2 {approximation = "erf"} : f32[8,8]
%4 = matmul %3, %1 : f32[8,8]
%5 = gelu %4 {approximation = "erf"} : f32[8,8]
%6 = layerNorm %5 {epsilon = 1e-05} : f32[8,8]
output "y" = %6`,
    weights: new Map([["w", normal([8, 8], scale)]]),
    inputs: new Map([["x", normal([8, 8])]]),
  });

  test("names every formula once, and so does its file", () => {
    const { plan } = compileText(model(0.5));
    expect(plan.formulas.map((formula) => formula.function)).toEqual(["1/√x", "gelu (erf)", "gelu (erf) less x/2"]);
    expect(decodePlan(encodePlan(plan)).formulas).toEqual(plan.formulas);
    expect(JSON.stringify(plan.formulas)).not.toMatch(/pieces/);
  });
});
