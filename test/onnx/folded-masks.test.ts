/**
 * Masks that an exporter folded into a bias of scores (T5's, where positions are constants): the bias stays its
 * owner's, the mask is structure, and the answer is onnxruntime's.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { afterAll, expect, it } from "vitest";
import { simulate } from "../../client/local/simulation.js";
import { runOwners } from "../../client/owners.js";
import { compileModel } from "../../compiler/compile.js";
import { writeModel } from "../../formats/onnx/write.js";
import { planDigest } from "../../ir/plan/codec.js";
import { expectWithin } from "../fixtures/support.js";
import { normal } from "../lower/support.js";

const folder = mkdtempSync(join(tmpdir(), "pumac-folded-"));
afterAll(() => rmSync(folder, { recursive: true }));

const SHAPE = [1, 2, 4, 4];
const LAST = -3.4028234663852886e38;

it.each([
  ["a causal mask", LAST, (row: number, column: number) => column > row],
  ["minus infinity", Number.NEGATIVE_INFINITY, (row: number, column: number) => column > row],
  ["a window", LAST, (row: number, column: number) => Math.abs(column - row) > 1],
] as const)("%s in a bias", async (name, low, drops) => {
  const bias = normal(SHAPE, 1, 5);
  const data = bias.data.map((x, i) => (drops(Math.floor(i / 4) % 4, i % 4) ? low : x));
  const path = join(folder, `${name}.onnx`);
  writeModel(path, {
    graph: {
      name: "g",
      inputs: [{ name: "x", dtype: "f32", shape: SHAPE }],
      outputs: [{ name: "y", dtype: "f32", shape: SHAPE }],
      nodes: [
        { op: "MatMul", inputs: ["x", "w"], outputs: ["scores"] },
        { op: "Add", inputs: ["scores", "bias"], outputs: ["masked"] },
        { op: "Softmax", inputs: ["masked"], outputs: ["y"], attributes: { axis: { integer: -1 } } },
      ],
      tensors: [
        { name: "w", ...normal([4, 4], 1, 2) },
        { name: "bias", ...bias, data },
      ],
    },
    opsets: { "": 17 },
  });
  const x = normal(SHAPE, 1, 1);
  const { plan, weights } = await compileModel(path);
  const owners = runOwners(plan, new Map([["x", x]]), weights);
  const { outputs } = await simulate({ plan, digest: planDigest(plan) }, owners, 1);
  const session = await InferenceSession.create(path, { logSeverityLevel: 4 });
  const { y } = await session.run({ x: new Tensor("float32", Float32Array.from(x.data), SHAPE) });
  expectWithin(outputs.get("y")!, { dtype: "f32", shape: SHAPE, data: Float64Array.from(y.data as Float32Array) }, "y");
  expect(JSON.stringify(plan.owners)).not.toContain(String(data[0]));
});
