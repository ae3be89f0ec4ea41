/**
 * Predicted equals measured, on every link to the byte and in as many rounds, wherever it is not held already: every
 * session of test/fixtures, test/jax and test/processes is held to its report, in profile `fourier` for the default
 * network. Here: every fixture in profile `puma`, plans for a wide network, and both exports of the trained classifier;
 * in `npm test` some of the fixtures, and one export.
 */
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { CompileOptions } from "../../compiler/compile.js";
import { parseNetwork } from "../../compiler/network.js";
import type { TensorValue } from "../../ir/tensor/value.js";
import { simulateModel } from "../fixtures/support.js";
import { DATA, dataSets, modelFolders, OWN_FIXTURES, present, readTensors } from "../onnx/support.js";

const OWN = modelFolders(OWN_FIXTURES).map((name) => ({ name, folder: join(OWN_FIXTURES, name) }));
const EXTERNAL = join(DATA, "fixtures-onnx");
const OTHERS = modelFolders(EXTERNAL).map((name) => ({ name, folder: join(EXTERNAL, name) }));
const FIXTURES = [...OWN, ...OTHERS.filter(({ name }) => OWN.every((own) => own.name !== name))];

/** `simulateModel` fails where a session's bytes or rounds are not those of the report. */
async function runFirstSet(folder: string, options: CompileOptions): Promise<void> {
  const tensors = readTensors(join(folder, dataSets(folder)[0]), "input");
  const inputs = new Map(tensors.map(({ name, value }) => [name, value]));
  const outputs = await simulateModel(join(folder, "model.onnx"), inputs, options);
  expect(outputs.size).toBeGreaterThan(0);
}

const TRAINED = join(OWN_FIXTURES, "../bert-sst2");
const TOKENS = 48;
const EXPORTS = ["bert_sst2.legacy.op14.onnx", "bert_sst2.dynamo.op20.static48.onnx"];

/** Holds reports to sessions: all of them, or every sixth fixture, and one export. */
export function holdPredicted(isWhole: boolean): void {
  const every = isWhole ? 1 : 6;
  describe("every fixture in profile puma", () => {
    const some = FIXTURES.filter((_, i) => i % every === 0);
    test.each(some)("$name", ({ folder }) => runFirstSet(folder, { profile: "puma" }));
  });

  describe("the project's own fixtures, for a wide network", () => {
    test.each(OWN)("$name", ({ folder }) => runFirstSet(folder, { network: parseNetwork("wan") }));
  });

  describe("the trained classifier", () => runTrained(isWhole));
}

function runTrained(isWhole: boolean): void {
  const exports = EXPORTS.slice(0, isWhole ? EXPORTS.length : 1);
  const cases = exports
    .filter((file) => present(join(TRAINED, file)))
    .flatMap((file) =>
      (isWhole ? (["fourier", "puma"] as const) : (["puma"] as const)).map((profile) => ({ file, profile })),
    );
  test.each(cases)("$file, $profile", async ({ file, profile }) => {
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
    const outputs = await simulateModel(join(TRAINED, file), inputs, { profile });
    expect([...outputs.keys()]).toEqual(["logits"]);
  });

  test("is there in both exports", () => {
    expect(EXPORTS.filter((file) => !present(join(TRAINED, file)))).toEqual([]);
  });
}
