/**
 * Models written for known architectures are what the exporters write: at a fixture's sizes they import to the same
 * ops. A model of seven billion parameters imports from its shapes alone.
 */
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import type { ImportedModel } from "../../compiler/imported.js";
import { importOnnx } from "../../compiler/onnx/index.js";
import { writeModel } from "../../formats/onnx/write.js";
import {
  ARCHITECTURES,
  type ArchitectureConfig,
  architectureModel,
  configFrom,
} from "../../models/architectures/index.js";
import { DATA, evaluateModel, importAt, present, readTensors } from "./support.js";

const folder = mkdtempSync(join(tmpdir(), "pumac-architectures-"));
afterAll(() => rmSync(folder, { recursive: true }));

function histogram(model: ImportedModel): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { op } of model.graph.nodes) {
    counts[op] = (counts[op] ?? 0) + 1;
  }
  delete counts.constant;
  return counts;
}

const TINY: ArchitectureConfig = {
  ...ARCHITECTURES["bert-base"],
  layers: 2,
  hidden: 32,
  heads: 2,
  kvHeads: 2,
  intermediate: 64,
  vocabulary: 128,
  positions: 64,
};

const FIXTURES: readonly [string, ArchitectureConfig, Record<string, number>][] = [
  ["bert_cls.t5.dynamo.eager.op18.static", TINY, {}],
  ["llama_lm.t5.dynamo.eager.op18.static", { ...TINY, architecture: "llama", heads: 4, kvHeads: 2 }, {}],
  // In a dynamic export the rows of the position table are looked up in the graph.
  ["gpt2_lm.t5.dynamo.eager.op18.dyn", { ...TINY, architecture: "gpt2" }, { gather: -1 }],
  ["roberta_cls.t5.dynamo.eager.op18.dyn", { ...TINY, architecture: "roberta", padding: 1, tokenTypes: 1 }, {}],
];

const EXTERNAL = join(DATA, "fixtures-onnx");

describe.skipIf(!present(EXTERNAL))("written models have the ops of real exports (PUMAC_DATA)", () => {
  it.each(FIXTURES)("%s", (name, config, difference) => {
    const set = join(EXTERNAL, name, "test_data_set_0");
    const inputs = new Map(readTensors(set, "input").map(({ name: key, value }) => [key, value]));
    const expected = histogram(importAt(join(EXTERNAL, name, "model.onnx"), inputs));
    for (const [op, change] of Object.entries(difference)) {
      expected[op] += change;
      if (expected[op] === 0) {
        delete expected[op];
      }
    }
    const path = join(folder, `${name}.onnx`);
    writeModel(path, architectureModel(config, 8));
    const model = importOnnx(path);
    expect(histogram(model)).toEqual(expected);
    const outputs = evaluateModel(model, inputs);
    expect(Array.from(outputs.get("logits")?.data ?? [Number.NaN]).every(Number.isFinite)).toBe(true);
  });
});

describe("architectures", () => {
  it("are written alike for the same seed, and with their weights outside", () => {
    const paths = ["a", "b"].map((name) => join(folder, `${name}.onnx`));
    for (const path of paths) {
      writeModel(path, architectureModel(TINY, 4, 7), { external: "shared.onnx_data" });
    }
    const [first, second] = paths.map((path) => importOnnx(path));
    const name = "bert.encoder.layer.1.output.dense.weight";
    expect(first.weights.read(name)).toEqual(second.weights.read(name));
    expect(statSync(join(folder, "shared.onnx_data")).size).toBeGreaterThan(80_000);
  });

  it("of seven billion parameters need shapes only", () => {
    const path = join(folder, "llama-7b.onnx");
    writeModel(path, architectureModel(ARCHITECTURES["llama-7b"], 128), { external: "none.onnx_data", weights: false });
    const { graph, warnings } = importOnnx(path);
    const parameters = graph.nodes.filter((node) => node.op === "parameter");
    const count = parameters.reduce((sum, node) => sum + node.type.shape.reduce((n, m) => n * m, 1), 0);
    expect(count).toBeGreaterThan(6.7e9);
    expect(warnings.map((each) => each.code)).toEqual(["W0303"]);
    expect(process.memoryUsage().rss).toBeLessThan(2 ** 31);
  });

  it("are read from a config file", () => {
    const json = {
      model_type: "gpt2",
      n_layer: 3,
      n_embd: 48,
      n_head: 3,
      vocab_size: 3,
      n_positions: 11,
      n_inner: null,
    };
    expect(configFrom(json, "config.json")).toMatchObject({ layers: 3, hidden: 48, intermediate: 192, positions: 11 });
    expect(() => configFrom({ model_type: "mamba" }, "config.json")).toThrow(/cannot be written/);
  });
});
