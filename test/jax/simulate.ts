/**
 * JAX models as secure sessions, in `npm test` a part of them: the fixtures give JAX's outputs through the three
 * simulated roles, from StableHLO text and from HLO, and the trained BERT costs the same and answers the same whichever
 * exporter wrote it.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { costReport } from "../../analysis/cost.js";
import { simulate } from "../../client/local/simulation.js";
import { runOwners } from "../../client/owners.js";
import { type Compiled, type CompileOptions, compileModel } from "../../compiler/compile.js";
import { importModel } from "../../compiler/import.js";
import { openWeights } from "../../compiler/weights.js";
import { findModel, loadPlan, savePlan } from "../../formats/plan-file.js";
import { SafetensorsFile } from "../../formats/safetensors.js";
import { evaluateGraph } from "../../ir/tensor/index.js";
import type { TensorValue } from "../../ir/tensor/value.js";
import { expectAsPredicted, simulateCompiled, usual } from "../fixtures/support.js";
import { dataFolder, type Fixture, FORMS, MODELS } from "./data.js";

const FIXTURES = dataFolder("fixtures-jax");

type Values = ReadonlyMap<string, TensorValue>;

async function revealed(compiled: Compiled, inputs: Values): Promise<TensorValue> {
  const [output] = (await simulateCompiled(compiled, inputs)).values();
  return output;
}

function argumentKey(index: number): string {
  return `arg${String(index).padStart(3, "0")}`;
}

function largestDifference(a: TensorValue, b: TensorValue): number {
  expect(a.shape).toEqual(b.shape);
  return Math.max(0, ...Array.from(a.data, (x, i) => Math.abs(x - b.data[i])));
}

async function runFlax({ name, weights }: Fixture, form: string, profile: "fourier" | "puma") {
  const file = join(FIXTURES!, name, "io.safetensors");
  const io = SafetensorsFile.open(file);
  const module = join(FIXTURES!, name, `module.${form}`);
  const owned = weights === 0 ? {} : { weightsFile: file, weightArguments: [`0-${weights - 1}`] };
  const { inputs: declared } = await importModel(module, { dims: {}, shapes: {}, ...owned });
  const inputs = new Map(declared.map((input, i) => [input.name, io.read(argumentKey(weights + i))]));
  // Without names, nothing says that the inputs after the ids and the mask are token types and positions.
  const open = declared.slice(2).map((input) => input.name);
  const options = { ...owned, public: open, calibration: [inputs], profile };
  const output = await revealed(await compileModel(module, options), inputs);
  return { output, wanted: io.read("out000") };
}

/** Every form of every model, in both profiles; else the text of all and HLO of one, profile `puma` of one. */
function simulateFlax(isWhole: boolean): void {
  const cases = MODELS.flatMap((fixture) => FORMS.map((form) => ({ ...fixture, form }))).filter(
    ({ name, form }) => isWhole || form === FORMS[0] || (form === "hlo.pb" && name === "flax_llama_lm"),
  );
  const coarse = MODELS.filter(({ name }) => isWhole || name === "flax_vit_cls");
  it.each(cases)("$name from $form gives JAX's outputs", async ({ form, ...fixture }) => {
    const { output, wanted } = await runFlax(fixture, form, "fourier");
    expect(largestDifference(output, wanted)).toBeLessThan(usual(wanted));
  });

  // PUMA's approximations are coarser than the tolerance: what is held here is the cost (`simulateCompiled`).
  it.each(coarse)("$name costs in profile puma what was predicted", async (fixture) => {
    const { output, wanted } = await runFlax(fixture, FORMS[0], "puma");
    expect(output.shape).toEqual(wanted.shape);
  });
}

/** Exported by models/export_flax.py from the model.py beside them. */
const OWN = join(import.meta.dirname, "fixtures");

function simulateStyles(): void {
  const cases = ["scan", "nnx"].map((name) => ({ name }));
  it.each(cases)(
    "$name gives JAX's outputs, compiled, saved and opened again with its weights file",
    async ({ name }) => {
      const folder = join(OWN, name);
      const files = { model: join(folder, "model.mlir"), weights: join(folder, "weights.safetensors") };
      const io = SafetensorsFile.open(join(folder, "inputs.safetensors"));
      const inputs = new Map(["ids", "mask"].map((input) => [input, io.read(input)]));
      const { plan } = await compileModel(files.model, { weightsFile: files.weights, calibration: [inputs] });
      const temporary = mkdtempSync(join(tmpdir(), "pumac-jax-"));
      try {
        const saved = join(temporary, "model.pumac");
        savePlan(saved, plan, files);
        const loaded = loadPlan(saved);
        const found = findModel(saved, loaded.digest, []);
        expect({ model: resolve(found.model), weights: resolve(found.weights ?? "") }).toEqual(files);
        const owners = runOwners(loaded.plan, inputs, await openWeights(found, loaded.plan));
        const { outputs, measured } = await simulate(loaded, owners, 1);
        expectAsPredicted(loaded.plan, measured);
        expect(outputs.size).toBeGreaterThan(0);
        for (const [output, value] of outputs) {
          const wanted = io.read(output.replace(/\.(\d+)$/, "[$1]"));
          expect(largestDifference(value, wanted)).toBeLessThan(usual(wanted));
        }
      } finally {
        rmSync(temporary, { recursive: true });
      }
    },
  );
}

const TRAINED = dataFolder("bert-sst2");
const TOKENS = 48;
const FLAX_WEIGHTS = "bert_sst2.flax.params.safetensors";

interface Twin {
  readonly file: string;
  /** JAX: where its weights are, and what its inputs' names do not say. */
  readonly options: CompileOptions;
}

const flax = (form: string): Twin => ({
  file: `bert_sst2.flax.static48.${form}`,
  options: { weightsFile: join(TRAINED ?? "", FLAX_WEIGHTS), public: ["t"] },
});

const TWINS: readonly Twin[] = [
  { file: "bert_sst2.legacy.op14.onnx", options: { dims: { b: 1, s: TOKENS } } },
  { file: "bert_sst2.dynamo.op20.static48.onnx", options: {} },
  flax("stablehlo.mlir"),
  flax("hlo.pb"),
];

interface Reference {
  readonly first_ids: readonly (readonly number[])[];
  readonly logits: readonly (readonly number[])[];
}

function row(value: (i: number) => number): TensorValue {
  return { dtype: "i64", shape: [1, TOKENS], data: Float64Array.from({ length: TOKENS }, (_, i) => value(i)) };
}

function simulateTwins(isWhole: boolean): void {
  const costs: unknown[] = [];
  it.each(TWINS.filter(({ file }) => isWhole || /legacy|hlo/.test(file)))(
    "$file gives the reference logits at the same cost",
    async ({ file, options }) => {
      const { first_ids, logits }: Reference = JSON.parse(readFileSync(join(TRAINED!, "reference.json"), "utf8"));
      const ids = first_ids[0];
      const wanted: TensorValue = { dtype: "f32", shape: [1, 2], data: Float64Array.from(logits[0]) };
      const path = join(TRAINED!, file);
      const model = await importModel(path, { dims: {}, shapes: {}, ...options });
      const values = [row((i) => ids[i] ?? 0), row((i) => (i < ids.length ? 1 : 0)), row(() => 0)];
      const inputs = new Map(model.inputs.map(({ name }, i) => [name, values[i]]));
      const [exact] = evaluateGraph(model.graph, inputs, model.weights).values();
      expect(largestDifference(exact, wanted)).toBeLessThan(5e-4);

      const compiled = await compileModel(path, options);
      const { rounds, bytes, macs } = costReport(compiled.plan).cost;
      costs.push({ rounds, bytes, macs });
      expect(costs.at(-1)).toEqual(costs[0]);
      expect(largestDifference(await revealed(compiled, inputs), wanted)).toBeLessThan(usual(wanted));
    },
  );
}

/** The sessions: all of them, or those of `npm test`. */
export function simulateJax(isWhole: boolean): void {
  describe.skipIf(FIXTURES === undefined)("the Flax fixtures, simulated (PUMAC_DATA)", () => simulateFlax(isWhole));
  describe("models in other styles of JAX, simulated", simulateStyles);
  describe.skipIf(TRAINED === undefined)("the trained BERT from four exports (PUMAC_DATA)", () =>
    simulateTwins(isWhole),
  );
}
