/** Protects: what a party receives of whole models looks the same whatever weights and inputs are. */
import { join } from "node:path";
import { expect, it } from "vitest";
import { compileModel } from "../../compiler/compile.js";
import { loadKernels } from "../../runtime/kernels/load.js";
import { dataSets, OWN_FIXTURES, readTensors } from "../onnx/support.js";
import { unevenIn } from "./views.js";

it.each([
  "bert_cls.t5.legacy.eager.op11.dyn",
  "vit_cls.t5.legacy.eager.op14.dyn",
  "llama_lm.t5.legacy.eager.op14.dyn.ortall",
])("all that a party receives of %s is even", async (name) => {
  const folder = join(OWN_FIXTURES, name);
  const given = readTensors(join(folder, dataSets(folder)[0]), "input");
  const shapes = Object.fromEntries(given.map(({ name, value }) => [name, value.shape]));
  const { plan } = await compileModel(join(folder, "model.onnx"), { shapes });
  const { found, looked } = await unevenIn(plan, loadKernels().create, true);
  expect(found).toEqual([]);
  expect(looked).toBeGreaterThan(1000);
});
