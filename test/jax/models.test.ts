/**
 * Real JAX models: every form of the five fixtures evaluates to the outputs that JAX computed, and the trained BERT to
 * its reference logits.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type ImportedModel, importJax, type JaxOptions } from "../../compiler/jax/index.js";
import { SafetensorsFile } from "../../compiler/safetensors.js";
import { evaluateGraph } from "../../ir/tensor/index.js";
import type { TensorValue } from "../../ir/tensor/value.js";
import { dataFolder } from "./data.js";

const FIXTURES = dataFolder("fixtures-jax");
const FORMS = ["stablehlo.mlir", "debuginfo.mlir", "exported.mlir", "hlo.pb"];
const TOLERANCE = 1e-4;

interface Fixture {
  readonly name: string;
  /** How many arguments are weights: they come first. */
  readonly weights: number;
}

const MODELS: readonly Fixture[] = [
  { name: "flax_bert_cls", weights: 41 },
  { name: "flax_bert_cls_baked", weights: 0 },
  { name: "flax_gpt2_lm", weights: 28 },
  { name: "flax_llama_lm", weights: 21 },
  { name: "flax_vit_cls", weights: 40 },
];

function largestDifference(a: TensorValue, b: TensorValue): number {
  expect(a.shape).toEqual(b.shape);
  return a.data.reduce((most: number, x, i) => Math.max(most, Math.abs(x - b.data[i])), 0);
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
