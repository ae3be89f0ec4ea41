/**
 * Protects: what a party receives of whole models looks the same whatever weights and inputs are, and so it does for a
 * party that cheats, op by op.
 */
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { compileModel } from "../../compiler/compile.js";
import { seededNumbers } from "../../ir/seeded.js";
import { SHARE_OPS, type ShareOpName } from "../../ir/share/index.js";
import { loadKernels } from "../../runtime/kernels/load.js";
import { dataSets, OWN_FIXTURES, readTensors } from "../onnx/support.js";
import { planOf } from "../share/harness.js";
import { programOf } from "../share/programs.js";
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
  const { found, looked } = await unevenIn(plan, loadKernels().create, { reusesPlaces: true });
  expect(found).toEqual([]);
  expect(looked).toBeGreaterThan(1000);
});

const NAMES = Object.keys(SHARE_OPS) as ShareOpName[];

describe.each(["P1", "P2"] as const)("all that %s receives while it cheats is even", (cheater) => {
  it.each(NAMES)("of %s", async (op) => {
    const plan = planOf(programOf(op, seededNumbers(3)));
    expect((await unevenIn(plan, loadKernels().create, { cheater })).found).toEqual([]);
  });
});
