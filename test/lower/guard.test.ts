/**
 * The overflow guard from end to end: inputs like those of the calibration are answered, inputs whose values leave the
 * planned ranges give E0503 and no number; without a guard the same run gives noise and says nothing.
 */
import { describe, expect, test } from "vitest";
import { costReport } from "../../analysis/cost.js";
import { simulate } from "../../client/local/simulation.js";
import { runOwners } from "../../client/owners.js";
import type { CompileOptions } from "../../compiler/compile.js";
import type { PumacError } from "../../ir/diagnostics.js";
import { planDigest } from "../../ir/plan/codec.js";
import { evaluateGraph, TENSOR } from "../../ir/tensor/index.js";
import type { TensorValue } from "../../ir/tensor/value.js";
import { parse } from "../../ir/text.js";
import { compileText, floats, normal, type TextModel } from "./support.js";

const SHAPE = [6, 16];
const WEIGHTS = { ...normal([16, 16], 0.3), data: normal([16, 16], 0.3).data.map(Math.abs) };
const LARGEST = 12;

/** One large number a row, whose products stay small. */
const CALM = floats(SHAPE, (i) => (i % 16 === Math.floor(i / 16) ? LARGEST : 0));
/** Numbers no larger, all of them large: products become much larger. */
const WILD = floats(SHAPE, () => LARGEST);

/** A norm of a product; a chain of products, which needs wide rings; a GELU of a product. */
const MODELS: Readonly<Record<string, TextModel>> = {
  norm: modelOf('%3 = rmsNorm %2 {epsilon = 1e-5} : f32[6,16] @ "norm"', "%3"),
  products: modelOf(
    `%3 = matmul %2, %1 : f32[6,16] @ "second"
%4 = matmul %3, %1 : f32[6,16] @ "third"
%5 = matmul %4, %1 : f32[6,16] @ "fourth"`,
    "%5",
  ),
  gelu: modelOf('%3 = gelu %2 {approximation = "erf"} : f32[6,16] @ "gelu"', "%3"),
};

function modelOf(body: string, output: string): TextModel {
  const text = `%0 = input {name = "x", dtype = "f32", shape = [6, 16]} : f32[6,16]
%1 = parameter {name = "w", dtype = "f32", shape = [16, 16]} : f32[16,16]
%2 = matmul %0, %1 : f32[6,16] @ "first"
${body}
output "y" = ${output}`;
  return { text, weights: new Map([["w", WEIGHTS]]), inputs: new Map([["x", CALM]]) };
}

/** The error of a run on an input, or the code of what it says instead. */
async function answer(model: TextModel, x: TensorValue, options: CompileOptions = {}): Promise<number | string> {
  // Many samples that agree: margins are then small.
  const calibration = Array.from({ length: 16 }, () => model.inputs);
  const { plan, weights } = compileText(model, { shared: ["x"], calibration, ...options });
  const inputs = new Map([["x", x]]);
  const owners = runOwners(plan, inputs, weights);
  try {
    const { outputs } = await simulate({ plan, digest: planDigest(plan) }, owners, 1);
    const [expected] = evaluateGraph(parse(model.text, TENSOR), inputs, weights).values();
    return Math.max(...outputs.get("y")!.data.map((value, i) => Math.abs(value - expected.data[i])));
  } catch (error) {
    return (error as PumacError).diagnostics[0].code;
  }
}

describe.each(Object.entries(MODELS))("%s", (name, model) => {
  test("answers inputs like those of the calibration", async () => {
    expect(await answer(model, CALM)).toBeLessThan(0.02);
  });

  test("withholds the answer where values leave their ranges, E0503, unless it is right", async () => {
    const unguarded = await answer(model, WILD, { guard: false });
    expect(unguarded).toBeTypeOf("number");
    if (name !== "gelu") {
      expect(unguarded).toBeGreaterThan(0.02);
    }
    // GELU by pieces is right wherever its argument does not wrap.
    const guarded = await answer(model, WILD);
    expect(guarded === "E0503" || (Number(unguarded) < 0.02 && Number(guarded) < 0.02)).toBe(true);
  });

  test("says in its report what the guard costs and misses; none without", () => {
    const { plan } = compileText(model, { shared: ["x"] });
    const bare = compileText(model, { shared: ["x"], guard: false }).plan;
    const { guard } = costReport(plan).plan;
    expect(guard).toMatchObject({ missLog2: -40 });
    expect(guard!.values).toBeGreaterThan(0);
    expect(guard!.bytes).toBeGreaterThan(0);
    expect(costReport(bare).plan.guard).toBeNull();
    // Off the critical path: only where nothing follows does the guard's own opening end the run.
    const [rounds, fewest] = [plan, bare].map((each) => costReport(each).cost.rounds);
    expect(rounds - fewest).toBeLessThanOrEqual(fewest <= 1 ? 1 : 0);
  });
});
