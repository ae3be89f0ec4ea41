/**
 * Norms of rows with an outlier, as GPT-2 and LLaMA have them: one channel is thousands of times the others. Every row
 * goes through the three roles; the channel itself must be right, and so must the others, which the norm makes small.
 */
import { describe, expect, test } from "vitest";
import type { TensorValue } from "../../ir/tensor/value.js";
import { floats, normal, refusals, runText } from "./support.js";

const ROWS = 6;

/** Rows about normal, but for one channel, which is ±outlier in the rows that `hasOutlier` says. */
function rowsOf(features: number, outlier: number, hasOutlier: (row: number) => boolean) {
  const { data } = normal([ROWS, features]);
  return floats([ROWS, features], (i) => {
    const [row, channel] = [Math.floor(i / features), i % features];
    return channel === 5 && hasOutlier(row) ? (row % 2 === 0 ? outlier : -outlier) : data[i];
  });
}

const run = (op: string, features: number, outlier: number, hasOutlier: (row: number) => boolean) =>
  runText({
    text: `%0 = input {name = "x", dtype = "f32", shape = [${ROWS}, ${features}]} : f32[${ROWS},${features}]
%1 = parameter {name = "w", dtype = "f32", shape = [${features}]} : f32[${features}]
%2 = add %0, %1 : f32[${ROWS},${features}]
%3 = ${op} %2 {epsilon = 1e-05} : f32[${ROWS},${features}]
output "y" = %3`,
    weights: new Map([["w", normal([features], 0.1, 2)]]),
    inputs: new Map([["x", rowsOf(features, outlier, hasOutlier)]]),
  });

describe.each([
  [64, 1000],
  [768, 1000],
  [64, 8000],
])("%i features, one of them at %i", (features, outlier) => {
  test.each(["layerNorm", "rmsNorm"])("%s of rows that all have it", async (op) => {
    const { error } = await run(op, features, outlier, () => true);
    expect(error).toBeLessThan(1e-2);
  });

  test.each(["layerNorm", "rmsNorm"])("%s of rows with it beside rows without", async (op) => {
    const { error } = await run(op, features, outlier, (row) => row % 3 === 0);
    expect(error).toBeLessThan(1e-2);
  });
});

describe("rows whose variance is about epsilon", () => {
  // 48 is no power of two: the sum of squares is scaled, and epsilon with it.
  test.each(["layerNorm", "rmsNorm"])("%s is right to the last digits that are kept", async (op) => {
    const { error } = await runText({
      text: `%0 = input {name = "x", dtype = "f32", shape = [4, 48]} : f32[4,48]
%1 = parameter {name = "w", dtype = "f32", shape = [48]} : f32[48]
%2 = add %0, %1 : f32[4,48]
%3 = ${op} %2 {epsilon = 0.5} : f32[4,48]
output "y" = %3`,
      weights: new Map([["w", normal([48], 0.1, 2)]]),
      inputs: new Map([["x", normal([4, 48], 0.7)]]),
    });
    expect(error).toBeLessThan(2e-3);
  });
});

describe("rows that do not vary at all, as padding set to zero or a first token without a value", () => {
  test.each([
    ["layerNorm", [0]],
    ["rmsNorm", [0]],
    ["layerNorm", [2, 3]],
    ["rmsNorm", [2, 3]],
    ["layerNorm", [0, 1, 2, 3]],
  ] as const)("%s of zeros in rows %j", async (op, still) => {
    const keep = [0, 1, 2, 3].map((row) => ((still as readonly number[]).includes(row) ? 0 : 1));
    const { error } = await runText({
      text: `%0 = input {name = "x", dtype = "f32", shape = [4, 32]} : f32[4,32]
%1 = parameter {name = "w", dtype = "f32", shape = [32, 32]} : f32[32,32]
%2 = constant {value = f32[4,1] [${keep}]} : f32[4,1]
%3 = matmul %0, %1 : f32[4,32]
%4 = multiply %3, %2 : f32[4,32]
%5 = ${op} %4 {epsilon = 1e-12} : f32[4,32]
output "y" = %5`,
      weights: new Map([["w", normal([32, 32], 0.1, 2)]]),
      inputs: new Map([["x", normal([4, 32], 1, 3)]]),
    });
    expect(error).toBeLessThan(1e-2);
  });
});

test("rows that are never numbers are an error with a way out", () => {
  const found = refusals({
    text: `%0 = input {name = "x", dtype = "f32", shape = [2, 8]} : f32[2,8]
%1 = parameter {name = "w", dtype = "f32", shape = [8, 8]} : f32[8,8]
%2 = matmul %0, %1 : f32[2,8]
%3 = rmsNorm %2 {epsilon = 0} : f32[2,8] @ "first"
%4 = rmsNorm %3 {epsilon = 0} : f32[2,8] @ "second"
output "y" = %4`,
    weights: new Map([["w", floats([8, 8], () => 0)]]),
    inputs: new Map([["x", normal([2, 8])]]),
  });
  expect(found).toEqual(["E0404 second true"]);
});

describe("rows of zeros beside others", () => {
  const model = (op: string, epsilon: number, tiny: number) => ({
    text: `%0 = input {name = "x", dtype = "f32", shape = [${ROWS}, 32]} : f32[${ROWS},32]
%1 = parameter {name = "w", dtype = "f32", shape = [32]} : f32[32]
%2 = multiply %0, %1 : f32[${ROWS},32]
%3 = ${op} %2 {epsilon = ${epsilon}} : f32[${ROWS},32]
%4 = parameter {name = "m", dtype = "f32", shape = [32, 32]} : f32[32,32]
%5 = matmul %3, %4 : f32[${ROWS},32]
%6 = ${op} %5 {epsilon = ${epsilon}} : f32[${ROWS},32]
output "y" = %6`,
    weights: new Map([
      ["w", floats([32], (i) => 1 + i / 64)],
      ["m", normal([32, 32], 0.1, 3)],
    ]),
    inputs: new Map([
      ["x", floats([ROWS, 32], (i) => normal([ROWS, 32], 0.02).data[i] * (i < 64 ? 0 : i < 96 ? tiny : 1))],
    ]),
  });

  // Rounding of zeros over the root of ε, twice, would be as large as any row.
  test.each([
    ["layerNorm", 1e-5, 1],
    ["rmsNorm", 1e-5, 1],
    ["rmsNorm", 1e-6, 1],
    ["rmsNorm", 1e-6, 0.1],
    ["rmsNorm", 1e-6, 300],
  ])("%s with ε %f: both norms give zeros, and the others are right, one of them %f of the usual", async (...given) => {
    const { error } = await runText(model(...given));
    expect(error).toBeLessThan(0.02);
  });

  // What samples did not show: a larger ε, which would hide the rounding of zeros, would be wrong for it.
  test.each([1e-5])("ε %f: a row that varies by less than any other does is right", async (epsilon) => {
    const usual = model("rmsNorm", epsilon, 1);
    const large = ({ data }: TensorValue, small: number) => floats([ROWS, 32], (i) => data[i] * (i < 96 ? small : 50));
    const x = usual.inputs.get("x")!;
    const calibration = [new Map([["x", large(x, 50)]])];
    const { error } = await runText({ ...usual, inputs: new Map([["x", large(x, 0.3)]]) }, { calibration });
    expect(error).toBeLessThan(0.02);
  });

  test("a row that is neither is refused", async () => {
    const { inputs } = model("rmsNorm", 1e-6, 0.027);
    const calibration = [model("rmsNorm", 1e-6, 1).inputs];
    const refused = runText({ ...model("rmsNorm", 1e-6, 1), inputs }, { calibration });
    await expect(refused).rejects.toMatchObject({ diagnostics: [{ code: "E0503" }] });
  });
});
