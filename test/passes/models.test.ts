/**
 * Real models: the passes keep what they compute, nothing but ops with a secret meaning is left, and exports of one
 * model in different forms end in the same secret program, up to the names of its inputs.
 */
import { existsSync, readdirSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { importCheckpoint } from "../../compiler/checkpoint.js";
import { withConstants } from "../../compiler/constants.js";
import type { ImportedModel } from "../../compiler/imported.js";
import { importJax } from "../../compiler/jax/index.js";
import { importOnnx } from "../../compiler/onnx/index.js";
import { compileTensors } from "../../compiler/pipeline.js";
import { readTensorFile } from "../../formats/onnx/tensor-proto.js";
import { SafetensorsFile } from "../../formats/safetensors.js";
import { type Graph, prune, rewrite } from "../../ir/graph.js";
import { evaluateGraph, TENSOR } from "../../ir/tensor/index.js";
import type { TensorType, TensorValue } from "../../ir/tensor/value.js";
import type { Placed } from "../../passes/place.js";
import { anonymous, evaluatePlaced, expectClose, randomValues, type Values } from "./support.js";

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
const DATA = process.env.PUMAC_DATA ?? resolve(ROOT, "../shared/data");
const FIXTURES = join(DATA, "fixtures-onnx");
/** erf's argument and the like are matched to float32's digits; logits reach ten. */
const TOLERANCE = 1e-6;

/** What a transformer's secret program may consist of. */
const EXPECTED_OPS = [
  ...["input", "constant", "matmul", "add", "multiply", "negate", "layerNorm", "rmsNorm", "softmaxBase2", "gelu"],
  "geluEven",
  ...["silu", "relu", "tangentHyperbolic", "reshape", "transpose", "slice", "concatenate", "broadcast"],
  // A mask that is partly constant: the lowering reads its parts.
  "and",
  // Keys are counted from their mean.
  ...["subtract", "reduceMean", "reduceSum"],
];

function inputsOf(folder: string): Map<string, TensorValue> {
  const files = readdirSync(folder).filter((file) => file.startsWith("input_"));
  return new Map(files.map((file) => readTensorFile(join(folder, file))).map(({ name, value }) => [name, value]));
}

function checked(model: ImportedModel, inputs: Values): Placed {
  const placed = compileTensors(model.graph);
  const expected = evaluateGraph(model.graph, inputs, model.weights);
  const weights = withConstants(model.weights, placed.publication.weights);
  expectClose(evaluatePlaced(placed, inputs, weights), expected, TOLERANCE, model.name);
  const others = placed.secret.nodes.map(({ op }) => op).filter((op) => !EXPECTED_OPS.includes(op));
  expect(others).toEqual([]);
  return placed;
}

/** Forms of a mask differ in rows that see nothing: zeros, equal shares, or a plain softmax. Elsewhere they are one. */
function withoutIdleRows(graph: Graph<TensorType>): Graph<TensorType> {
  const { nodes, outputs } = prune(
    rewrite(graph, TENSOR, (node, args, builder) =>
      node.op === "softmaxBase2" ? builder.emit(node.op, args.slice(0, 2), node.attributes, node.origin) : undefined,
    ),
  );
  const used = new Set(nodes.flatMap(({ args }) => args));
  return { nodes: nodes.filter((node) => node.op !== "input" || used.has(node)), outputs };
}

describe.skipIf(!existsSync(FIXTURES))("exports with random weights", () => {
  const forms = new Map<string, Map<string, string>>();
  const folders = existsSync(FIXTURES)
    ? readdirSync(FIXTURES).filter((name) => existsSync(join(FIXTURES, name, "model.onnx")))
    : [];
  const cases = folders.flatMap((name) =>
    readdirSync(join(FIXTURES, name))
      .filter((set) => set.startsWith("test_data_set_"))
      .map((set) => ({ name, set })),
  );
  it.each(cases)("$name on $set computes the same", ({ name, set }) => {
    const inputs = inputsOf(join(FIXTURES, name, set));
    const shapes = Object.fromEntries([...inputs].map(([input, { shape }]) => [input, shape]));
    const model = importOnnx(join(FIXTURES, name, "model.onnx"), { shapes });
    const key = `${name.startsWith("optimum.bert") ? "bert_cls" : name.split(".")[0]} ${set}`;
    const { secret } = checked(model, inputs);
    forms.set(key, (forms.get(key) ?? new Map()).set(name, anonymous(withoutIdleRows(secret))));
  });

  it("have one secret program for each model, whatever the exporter, opset and attention form", () => {
    const families = [...forms].filter(([key]) => !key.startsWith("optimum"));
    expect(families.length).toBeGreaterThan(0);
    for (const [key, texts] of families) {
      const [first, ...others] = texts;
      for (const [name, text] of others) {
        expect(text, `${key}: ${name} and ${first[0]}`).toBe(first[1]);
      }
    }
  });
});

describe.skipIf(!existsSync(join(DATA, "bert-sst2")))("the trained BERT", () => {
  const folder = join(DATA, "bert-sst2");
  const names = ["input_ids", "attention_mask", "token_type_ids"];
  const shapes = Object.fromEntries(names.map((name) => [name, [1, 48]]));

  it("has one secret program from ONNX opset 14, opset 20, StableHLO and HLO", () => {
    const weights = SafetensorsFile.open(join(folder, "bert_sst2.flax.params.safetensors"));
    const models: ImportedModel[] = [
      importOnnx(join(folder, "bert_sst2.legacy.op14.onnx"), { shapes }),
      importOnnx(join(folder, "bert_sst2.dynamo.op20.static48.onnx")),
    ];
    const jax = ["stablehlo.mlir", "hlo.pb"].map((form) =>
      importJax(join(folder, `bert_sst2.flax.static48.${form}`), { weights }),
    );
    const describeProgram = ({ secret, bindings }: Placed) => {
      const graph = withoutIdleRows(secret);
      const owners = bindings.filter(({ input }) => graph.nodes.some(({ attributes }) => attributes.name === input));
      return `${owners.map(({ owner }) => owner).join(" ")}\n${anonymous(graph)}`;
    };
    const texts = models.map((model) => describeProgram(checked(model, randomValues(model.graph, "input", 1))));
    for (const model of jax) {
      const isPublic = (name: string) => name !== model.inputs[0].name;
      texts.push(describeProgram(compileTensors(model.graph, { isPublic })));
    }
    for (const text of texts.slice(1)) {
      expect(text).toBe(texts[0]);
    }
  });
});

describe.skipIf(!existsSync(join(DATA, "bert-sst2")))("the folders of trained models", () => {
  it.each([
    ["bert-sst2", "bert_sst2.dynamo.op20.static48.onnx", 48],
    ["llama-stories260k", "stories260K.dynamo.op18.static32.onnx", 32],
  ])("%s has the secret program of its export", (name, exported, sequence) => {
    const models = [
      importCheckpoint(join(DATA, name), { dims: { batch: 1, sequence } }),
      importOnnx(join(DATA, name, exported)),
    ];
    const [own, other] = models.map((model) => anonymous(compileTensors(model.graph).secret));
    expect(own).toBe(other);
  });
});

const FLAX = join(DATA, "fixtures-jax");
/** How many arguments are weights: they come first. */
const FLAX_WEIGHTS = {
  flax_bert_cls: 41,
  flax_bert_cls_baked: 0,
  flax_gpt2_lm: 28,
  flax_llama_lm: 21,
  flax_vit_cls: 40,
};

describe.skipIf(!existsSync(FLAX))("Flax models", () => {
  it.each(Object.entries(FLAX_WEIGHTS))("%s is one secret program from text and from HLO", (name, count) => {
    const file = SafetensorsFile.open(join(FLAX, name, "io.safetensors"));
    const options = count === 0 ? {} : { weights: file, weightArguments: [`0-${count - 1}`] };
    const texts = ["stablehlo.mlir", "exported.mlir", "hlo.pb"].map((form) => {
      const model = importJax(join(FLAX, name, `module.${form}`), options);
      const argument = (i: number) => file.read(`arg${String(count + i).padStart(3, "0")}`);
      const inputs = new Map(model.inputs.map((input, i) => [input.name, argument(i)]));
      return anonymous(checked(model, inputs).secret);
    });
    expect(texts[1]).toBe(texts[0]);
    expect(texts[2]).toBe(texts[0]);
  });
});
