/**
 * Real exports give what their exporter's runtime gave: every fixture, at the shapes of each of its data sets, imported
 * and evaluated in the clear, within 1e-4.
 */
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  DATA,
  dataSets,
  evaluateModel,
  expectClose,
  importAt,
  modelFolders,
  OWN_FIXTURES,
  readTensors,
} from "./support.js";

function checkFolder(folder: string): void {
  for (const set of dataSets(folder)) {
    const inputs = new Map(readTensors(join(folder, set), "input").map(({ name, value }) => [name, value]));
    const model = importAt(join(folder, "model.onnx"), inputs);
    const outputs = evaluateModel(model, inputs);
    const wanted = readTensors(join(folder, set), "output");
    wanted.forEach(({ name, value }, i) => {
      const key = outputs.has(name) ? name : (model.graph.outputs[i]?.name ?? "");
      expectClose(outputs.get(key), value, 1e-4, `${set} ${name}`);
    });
    expect(wanted.length).toBeGreaterThan(0);
  }
}

describe("the project's own fixtures", () => {
  it.each(modelFolders(OWN_FIXTURES))("%s", (name) => checkFolder(join(OWN_FIXTURES, name)));
});

const EXTERNAL = join(DATA, "fixtures-onnx");

describe.skipIf(modelFolders(EXTERNAL).length === 0)("all fixtures (PUMAC_DATA)", () => {
  it.each(modelFolders(EXTERNAL))("%s", (name) => checkFolder(join(EXTERNAL, name)));
});
