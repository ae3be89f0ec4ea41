/**
 * Inputs far beyond those of the calibration, form by form: the answer is right, or the session says E0503; never a
 * wrong answer without a word. One small model for every window and every interval that a formula relies on. Sizes
 * leave nothing to luck: one row, few elements.
 */
import { describe, expect, test } from "vitest";
import { simulate } from "../../client/local/simulation.js";
import { runOwners } from "../../client/owners.js";
import type { CompileOptions } from "../../compiler/compile.js";
import type { PumacError } from "../../ir/diagnostics.js";
import { planDigest } from "../../ir/plan/codec.js";
import type { Plan } from "../../ir/plan/types.js";
import { evaluateGraph, TENSOR, type WeightStore } from "../../ir/tensor/index.js";
import type { TensorValue } from "../../ir/tensor/value.js";
import { parse } from "../../ir/text.js";
import { compileText, floats, normal, type TextModel } from "./support.js";

type Values = ReadonlyMap<string, TensorValue>;

/** A plan on ranges of these inputs that takes any others: the guard's work, not the data owner's own check of them. */
function compiled(model: TextModel, options: CompileOptions = {}) {
  const calibration = Array.from({ length: 16 }, () => model.inputs);
  const { plan, weights } = compileText(model, { shared: [...model.inputs.keys()], calibration, ...options });
  return { plan: { ...plan, bindings: plan.bindings.map(({ range: _, ...binding }) => binding) }, weights };
}

/** The largest error of a run, in parts of what is tolerated, or the code of what it says instead. */
async function answer(text: string, plan: Plan, weights: WeightStore, inputs: Values): Promise<number | string> {
  const [expected] = evaluateGraph(parse(text, TENSOR), inputs, weights).values();
  try {
    const { outputs } = await simulate({ plan, digest: planDigest(plan) }, runOwners(plan, inputs, weights), 1);
    const { data } = outputs.get("y")!;
    const largest = Math.max(...Array.from(expected.data, Math.abs));
    return Math.max(...data.map((x, i) => Math.abs(x - expected.data[i]))) / Math.max(0.02, largest * TOLERANCE);
  } catch (error) {
    return (error as PumacError).diagnostics[0].code;
  }
}

/** What is asked of outputs that are larger than any that were planned for. */
const TOLERANCE = 2 ** -7;
const WIDTH = 8;
const W = normal([WIDTH, WIDTH], 0.4, 4);

/** A function of a product of one row: what is guarded is neither an input nor an output. */
function ofProduct(body: string, from: TensorValue = normal([1, WIDTH], 1, 2), weights: TensorValue = W): TextModel {
  const type = `f32[1,${WIDTH}]`;
  const text = `%0 = input {name = "x", dtype = "f32", shape = [1, ${WIDTH}]} : ${type}
%1 = parameter {name = "w", dtype = "f32", shape = [${WIDTH}, ${WIDTH}]} : f32[${WIDTH},${WIDTH}]
%2 = matmul %0, %1 : ${type} @ "first"
${body.replaceAll("TYPE", type)}
output "y" = %9`;
  return { text, weights: new Map([["w", weights]]), inputs: new Map([["x", from]]) };
}

const ONES = floats([1, WIDTH], (i) => i % 2);
const POSITIVE_W = floats([WIDTH, WIDTH], (i) => 0.1 + Math.abs(W.data[i]));

const POSITIVE = `%3 = multiply %2, %2 : TYPE @ "square"
%4 = constant {value = f32[] [0.3]} : f32[]
%5 = add %3, %4 : TYPE @ "above zero"`;

const FORMS: Readonly<Record<string, TextModel>> = {
  "rms norm": ofProduct('%9 = rmsNorm %2 {epsilon = 1e-5} : TYPE @ "norm"'),
  "layer norm": ofProduct('%9 = layerNorm %2 {epsilon = 1e-5} : TYPE @ "norm"'),
  "1/x": ofProduct(`${POSITIVE}\n%9 = reciprocal %5 : TYPE @ "inverse"`),
  "1/x of what was seen positive": ofProduct('%9 = reciprocal %2 : TYPE @ "inverse"', ONES, POSITIVE_W),
  "square root": ofProduct(`${POSITIVE}\n%9 = squareRoot %5 : TYPE @ "root"`),
  logarithm: ofProduct(`${POSITIVE}\n%9 = logarithm %5 : TYPE @ "log"`),
  exponential: ofProduct('%9 = exponential %2 : TYPE @ "exp"'),
  "arc tangent": ofProduct('%9 = arcTangent %2 : TYPE @ "arctan"', normal([1, WIDTH], 0.1, 2)),
  softplus: ofProduct('%9 = softplus %2 : TYPE @ "softplus"'),
  ...Object.fromEntries(
    ["gelu", "silu", "sigmoid", "tangentHyperbolic", "errorFunction"].map((op) => [
      op,
      ofProduct(`%9 = ${op} %2 ${op === "gelu" ? '{approximation = "erf"} ' : ""}: TYPE @ "${op}"`),
    ]),
  ),
  "softmax of numbers": ofProduct('%9 = softmax %2 {axis = 1} : TYPE @ "softmax"'),
  "log softmax": ofProduct('%9 = logSoftmax %2 {axis = 1} : TYPE @ "log softmax"'),
};

const [KEYS, DEPTH] = [6, 4];

/** One query of one head. */
function attention(): TextModel {
  const [query, keys] = [`f32[1,1,1,${DEPTH}]`, `f32[1,1,${KEYS},${DEPTH}]`];
  const text = `%0 = input {name = "q", dtype = "f32", shape = [1, 1, 1, ${DEPTH}]} : ${query}
%1 = input {name = "k", dtype = "f32", shape = [1, 1, ${KEYS}, ${DEPTH}]} : ${keys}
%2 = input {name = "v", dtype = "f32", shape = [1, 1, ${KEYS}, ${DEPTH}]} : ${keys}
%6 = transpose %1 {permutation = [0, 1, 3, 2]} : f32[1,1,${DEPTH},${KEYS}]
%7 = matmul %0, %6 : f32[1,1,1,${KEYS}] @ "scores"
%8 = softmax %7 {axis = 3} : f32[1,1,1,${KEYS}] @ "softmax"
%9 = matmul %8, %2 : ${query} @ "context"
output "y" = %9`;
  const shape = [1, 1, KEYS, DEPTH];
  const inputs = new Map([
    ["q", normal([1, 1, 1, DEPTH], 1, 1)],
    ["k", normal(shape, 1, 2)],
    ["v", normal(shape, 1, 3)],
  ]);
  return { text, weights: new Map(), inputs };
}

const scaled = ({ shape, data }: TensorValue, factor: number) => floats(shape, (i) => data[i] * factor);
const times = (model: TextModel, factor: number, names = [...model.inputs.keys()]): Values =>
  new Map([...model.inputs].map(([name, x]) => [name, names.includes(name) ? scaled(x, factor) : x]));

/** Factors; what is smaller than calibrated counts too. */
const FACTORS = [0.01, 1.2, 2, 3, 5, 8, 13, 20, 30];

describe("whatever is far beyond the calibration is answered rightly or not at all", () => {
  test.each(Object.entries(FORMS))("%s", async (_, model) => {
    const { plan, weights } = compiled(model);
    expect(await answer(model.text, plan, weights, model.inputs)).toBeLessThan(1);
    for (const factor of FACTORS) {
      const found = await answer(model.text, plan, weights, times(model, factor));
      expect([factor, found === "E0503" || Number(found) < 1 ? "right or E0503" : found]).toEqual([
        factor,
        "right or E0503",
      ]);
    }
  });

  test("a softmax without a maximum", async () => {
    const model = attention();
    const { plan, weights } = compiled(model);
    expect(plan.formulas.some(({ form }) => form.includes("no maximum in 1 heads"))).toBe(true);
    expect(await answer(model.text, plan, weights, model.inputs)).toBeLessThan(1);
    const found: (number | string)[] = [];
    for (const factor of FACTORS) {
      found.push(await answer(model.text, plan, weights, times(model, factor, ["q"])));
    }
    expect(found.filter((each) => each !== "E0503" && !(Number(each) < 1))).toEqual([]);
    expect(found.at(-1)).toBe("E0503");
    expect(found[1]).toBeLessThan(1);
  });

  test("and without the guard it is a wrong answer", async () => {
    const model = attention();
    const { plan, weights } = compiled(model, { guard: false });
    expect(await answer(model.text, plan, weights, times(model, 30, ["q"]))).toBeGreaterThan(1);
  });
});
