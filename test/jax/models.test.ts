/**
 * Real JAX models: every form of the five fixtures evaluates to the outputs that JAX computed, and the trained BERT to
 * its reference logits.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { ImportedModel } from "../../compiler/imported.js";
import { importJax, type JaxOptions } from "../../compiler/jax/index.js";
import { SafetensorsFile } from "../../formats/safetensors.js";
import { evaluateGraph } from "../../ir/tensor/index.js";
import type { TensorValue } from "../../ir/tensor/value.js";
import { dataFolder, FORMS, MODELS } from "./data.js";

const FIXTURES = dataFolder("fixtures-jax");
const TOLERANCE = 1e-4;

function largestDifference(a: TensorValue, b: TensorValue): number {
  expect(a.shape).toEqual(b.shape);
  return Math.max(0, ...Array.from(a.data, (x, i) => Math.abs(x - b.data[i])));
}

/** Runs the model on the fixture's arguments: inputs are given in the module's order. */
function run(model: ImportedModel, file: SafetensorsFile, firstInput: number): TensorValue {
  const inputs = new Map<string, TensorValue>();
  model.inputs.forEach(({ name }, i) => {
    inputs.set(name, file.read(`arg${String(firstInput + i).padStart(3, "0")}`));
  });
  const outputs = evaluateGraph(model.graph, inputs, model.weights);
  return [...outputs.values()][0];
}

describe.skipIf(FIXTURES === undefined)("the Flax fixtures", () => {
  const cases = MODELS.flatMap((fixture) => FORMS.map((form) => ({ ...fixture, form })));
  it.each(cases)("$name from $form gives JAX's outputs", ({ name, weights, form }) => {
    const folder = join(FIXTURES!, name);
    const file = SafetensorsFile.open(join(folder, "io.safetensors"));
    const options: JaxOptions = weights === 0 ? {} : { weights: file, weightArguments: [`0-${weights - 1}`] };
    const model = importJax(join(folder, `module.${form}`), options);
    expect(model.inputs.length).toBe(file.names.filter((key) => key.startsWith("arg")).length - weights);
    expect(largestDifference(run(model, file, weights), file.read("out000"))).toBeLessThan(TOLERANCE);
  });
});

/** Exported by models/export_flax.py from the model.py beside them: see docs/exporting.md. */
const OWN = join(import.meta.dirname, "fixtures");
const OWN_MODELS = ["scan", "cache", "nnx", "t5"];

describe("models in other styles of JAX", () => {
  const cases = OWN_MODELS.flatMap((name) => ["model.mlir", "model.hlo.pb"].map((form) => ({ name, form })));
  it.each(cases)("$name from $form gives JAX's outputs, with its weights from a file", ({ name, form }) => {
    const folder = join(OWN, name);
    const model = importJax(join(folder, form), { weights: SafetensorsFile.open(join(folder, "weights.safetensors")) });
    expect(model.warnings).toEqual([]);
    const file = SafetensorsFile.open(join(folder, "inputs.safetensors"));
    const inputs = new Map(model.inputs.map((input) => [input.name, file.read(input.name)]));
    const outputs = [...evaluateGraph(model.graph, inputs, model.weights).values()];
    expect(outputs.length).toBe(file.names.filter((key) => key.startsWith("output")).length);
    outputs.forEach((output, i) => {
      const expected = file.read(outputs.length === 1 ? "output" : `output[${i}]`);
      const size = Math.max(1, ...expected.data.map(Math.abs));
      expect(largestDifference(output, expected)).toBeLessThan(TOLERANCE * size);
    });
  });
});

const TRAINED = dataFolder("bert-sst2");
const TOKENS = 48;

interface Reference {
  readonly first_ids: readonly (readonly number[])[];
  readonly logits: readonly (readonly number[])[];
}

function row(values: readonly number[], length: number): TensorValue {
  const data = Float64Array.from({ length }, (_, i) => values[i] ?? 0);
  return { dtype: "i32", shape: [1, length], data };
}

describe.skipIf(TRAINED === undefined)("the trained BERT", () => {
  it.each(["stablehlo.mlir", "hlo.pb"])("gives the reference logits from %s", (form) => {
    const weights = SafetensorsFile.open(join(TRAINED!, "bert_sst2.flax.params.safetensors"));
    const model = importJax(join(TRAINED!, `bert_sst2.flax.static48.${form}`), { weights });
    expect(model.inputs.map(({ name }) => name)).toEqual(["i", "a", "t"]);
    expect(model.warnings).toEqual([]);
    const reference: Reference = JSON.parse(readFileSync(join(TRAINED!, "reference.json"), "utf8"));
    for (const sentence of [0, 1, 2, 7]) {
      const ids = reference.first_ids[sentence];
      const inputs = new Map([
        ["i", row(ids, TOKENS)],
        [
          "a",
          row(
            ids.map(() => 1),
            TOKENS,
          ),
        ],
        ["t", row([], TOKENS)],
      ]);
      const [logits] = evaluateGraph(model.graph, inputs, model.weights).values();
      const expected = Float64Array.from(reference.logits[sentence]);
      expect(largestDifference(logits, { dtype: "f32", shape: [1, 2], data: expected })).toBeLessThan(1e-3);
    }
  });

  it("takes argument names as weights without a file, and says when one is read", () => {
    const model = importJax(join(TRAINED!, "bert_sst2.flax.static48.stablehlo.mlir"));
    expect(model.graph.nodes.filter((node) => node.op === "parameter").length).toBe(41);
    expect(() => model.weights.read("p['classifier']['bias']")).toThrow(/no value for the weight/);
  });
});

describe.skipIf(FIXTURES === undefined)("what JAX writes besides", () => {
  it.each([
    ["vhlo.mlirbc", /MLIR bytecode/],
    ["jaxexport.bin", /jax.export blob/],
    ["hlo.txt", /HLO text/],
  ])("module.%s is recognised and answered with a command", (form, what) => {
    const path = join(FIXTURES!, "flax_vit_cls", `module.${form}`);
    expect(() => importJax(path)).toThrow(what);
    expect(() => importJax(path)).toThrow(
      /fix: .*(mlir_module|as_text|as_serialized_hlo_module_proto|deserialize_portable_artifact)/,
    );
  });

  it("finds the weights baked into a module, and nothing else", () => {
    const model = importJax(join(FIXTURES!, "flax_bert_cls_baked", "module.stablehlo.mlir"));
    expect(model.graph.nodes.filter((node) => node.op === "parameter").length).toBe(41);
    expect(model.inputs.length).toBe(3);
  });

  it("leaves the rotary tables of LLaMA public", () => {
    const model = importJax(join(FIXTURES!, "flax_llama_lm", "module.debuginfo.mlir"));
    const baked = model.graph.nodes.filter((node) => node.op === "parameter" && node.origin.startsWith("constant@"));
    expect(baked).toEqual([]);
  });

  it("makes of the expanded erfc the same graph as of chlo.erfc", () => {
    const ops = (form: string): readonly string[] =>
      importJax(join(FIXTURES!, "flax_bert_cls", `module.${form}`))
        .graph.nodes.map((node) => node.op)
        .filter((op) => op !== "constant")
        .sort();
    expect(ops("debuginfo.mlir").filter((op) => op === "gelu")).toHaveLength(2);
    expect(ops("exported.mlir")).toEqual(ops("debuginfo.mlir"));
    expect(ops("hlo.pb")).toContain("gelu");
  });
});
