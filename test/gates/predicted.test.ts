/**
 * Predicted equals measured: what the report says of a plan, before anything runs, is what a session sends, on every
 * link to the byte, in as many rounds. Fixtures in both profiles, and both exports of the trained classifier.
 */
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { runOwners } from "../../cli/owners.js";
import { simulate } from "../../cli/simulation.js";
import { type CompileOptions, compileModel } from "../../compiler/compile.js";
import { costReport } from "../../compiler/report.js";
import { planDigest } from "../../ir/plan/codec.js";
import type { TensorValue } from "../../ir/tensor/value.js";
import { dataSets, modelFolders, OWN_FIXTURES, present, readTensors } from "../onnx/support.js";

type Inputs = ReadonlyMap<string, TensorValue>;

async function expectAsPredicted(path: string, inputs: Inputs, options: CompileOptions): Promise<void> {
  const shapes = Object.fromEntries([...inputs].map(([name, { shape }]) => [name, shape]));
  const { plan, weights } = await compileModel(path, { shapes, ...options });
  const { digest, cost } = await costs(plan);
  const { measured } = await simulate({ plan, digest }, await runOwners(plan, inputs, weights), 1);
  const { links, ...totals } = cost.bytes;
  const { links: sent, ...sums } = measured.bytes;
  expect(sent).toEqual(links);
  expect(sums).toEqual(totals);
  expect(measured.rounds).toBe(cost.rounds);
  expect(links["P0>P1"]).toBe(0);
  expect(Math.min(links["P0>P2"], links["P1>P2"], links["owner>P0"], links["P1>owner"])).toBeGreaterThan(0);
}

async function costs(plan: Awaited<ReturnType<typeof compileModel>>["plan"]) {
  return { digest: planDigest(plan), cost: costReport(plan).cost };
}

const FOLDERS = modelFolders(OWN_FIXTURES);

describe.each([
  ["fourier", {}],
  ["puma", { profile: "puma" }],
  ["fourier for a wide network", { network: { name: "wan", bandwidth: 400e6, roundTrip: 40e-3 } }],
] as const)("fixtures, profile %s", (_, options) => {
  test.each(FOLDERS)("%s", async (name) => {
    const folder = join(OWN_FIXTURES, name);
    const tensors = readTensors(join(folder, dataSets(folder)[0]), "input");
    const inputs = new Map(tensors.map(({ name, value }) => [name, value]));
    await expectAsPredicted(join(folder, "model.onnx"), inputs, options);
  });
});

const TRAINED = join(OWN_FIXTURES, "../bert-sst2");
const TOKENS = 48;
const EXPORTS = ["bert_sst2.legacy.op14.onnx", "bert_sst2.dynamo.op20.static48.onnx"];

describe("the trained classifier", () => {
  test.each(EXPORTS.filter((file) => present(join(TRAINED, file))))("%s", async (file) => {
    const vector = (element: (i: number) => number): TensorValue => ({
      dtype: "i64",
      shape: [1, TOKENS],
      data: Float64Array.from({ length: TOKENS }, (_, i) => element(i)),
    });
    const inputs = new Map([
      ["input_ids", vector((i) => (i === 0 ? 101 : i === 9 ? 102 : i > 9 ? 0 : 2000 + i))],
      ["attention_mask", vector((i) => (i < 10 ? 1 : 0))],
      ["token_type_ids", vector(() => 0)],
    ]);
    await expectAsPredicted(join(TRAINED, file), inputs, {});
  });

  test("is there in both exports", () => {
    expect(EXPORTS.filter((file) => !present(join(TRAINED, file)))).toEqual([]);
  });
});
