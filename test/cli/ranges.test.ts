/**
 * Protects: ranges are measured, or nothing runs. With weights at hand a plan says on how many inputs; without them it
 * is for questions of cost, unless whoever compiles wants it otherwise.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { costReport } from "../../analysis/cost.js";
import { describePlan } from "../../analysis/describe.js";
import { compileModel } from "../../compiler/compile.js";
import { openModel } from "../../compiler/weights.js";
import { writeModel } from "../../formats/onnx/write.js";
import { decodePlan, encodePlan } from "../../ir/plan/codec.js";

const folder = mkdtempSync(join(tmpdir(), "pumac-ranges-"));
afterAll(() => rmSync(folder, { recursive: true }));

const model = join(folder, "model.onnx");
writeModel(model, {
  opsets: { "": 17 },
  graph: {
    name: "g",
    inputs: [{ name: "x", dtype: "f32", shape: [2, 2] }],
    outputs: [{ name: "y", dtype: "f32", shape: [2, 2] }],
    nodes: [{ op: "MatMul", inputs: ["x", "w"], outputs: ["y"] }],
    tensors: [{ name: "w", dtype: "f32", shape: [2, 2], data: Float64Array.of(1.5, 2.5, 3.5, 4.5) }],
  },
});

it("are measured where weights are at hand, and the plan says how", async () => {
  const { plan } = await compileModel(model);
  expect(plan.ranges).toEqual({ method: "synthetic inputs", inputs: 4, margin: 4 });
  expect(decodePlan(encodePlan(plan)).ranges).toEqual(plan.ranges);
  expect(describePlan(plan, costReport(plan))).toMatch(/ranges +of secret values measured on 4 inputs/);
  await expect(openModel({ model }, plan)).resolves.toBeDefined();
});

it("are assumed without weights, for cost only", async () => {
  const { plan } = await compileModel(model, { weights: false });
  expect(plan.ranges.method).toBe("structure");
  expect(describePlan(plan, costReport(plan))).toMatch(/ranges +.*for cost only/);
  await expect(openModel({ model }, plan)).rejects.toThrow(/E0405/);
});

it("may be assumed by choice, with a warning, and such a plan runs", async () => {
  const { plan, warnings } = await compileModel(model, { assumeRanges: true });
  expect(plan.ranges.method).toBe("structure by choice");
  expect(warnings.map(({ code }) => code)).toContain("W0403");
  await expect(openModel({ model }, plan)).resolves.toBeDefined();
});
