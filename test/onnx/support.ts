/** What the ONNX tests share: where the data lies, and running a model against its recorded inputs and outputs. */
import { existsSync, readdirSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import type { ImportedModel } from "../../compiler/imported.js";
import { type ImportOptions, importOnnx } from "../../compiler/onnx/index.js";
import { readTensorFile } from "../../formats/onnx/tensor-proto.js";
import { evaluateGraph } from "../../ir/tensor/index.js";
import type { TensorValue } from "../../ir/tensor/value.js";

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), "../..");

/** Data that may not be copied into the project (`PUMAC_DATA`). */
export const DATA = process.env.PUMAC_DATA ?? resolve(ROOT, "../shared/data");
/** Small fixtures that are part of the project. */
export const OWN_FIXTURES = join(ROOT, "models/fixtures");

export function present(path: string): boolean {
  return existsSync(path);
}

/** The folders of `root` that hold a model. */
export function modelFolders(root: string): readonly string[] {
  return existsSync(root) ? readdirSync(root).filter((name) => existsSync(join(root, name, "model.onnx"))) : [];
}

export function dataSets(folder: string): readonly string[] {
  return readdirSync(folder).filter((name) => name.startsWith("test_data_set_"));
}

/** The tensors `input_0.pb`, `input_1.pb` … of a data set. */
export function readTensors(folder: string, kind: "input" | "output"): readonly { name: string; value: TensorValue }[] {
  const pattern = new RegExp(`^${kind}_(\\d+)\\.pb$`);
  return readdirSync(folder)
    .flatMap((file) => (pattern.test(file) ? [Number(pattern.exec(file)?.[1])] : []))
    .sort((x, y) => x - y)
    .map((i) => readTensorFile(join(folder, `${kind}_${i}.pb`)));
}

/** Imports a model at the shapes of recorded inputs. */
export function importAt(
  path: string,
  inputs: ReadonlyMap<string, TensorValue>,
  options: ImportOptions = {},
): ImportedModel {
  const shapes = Object.fromEntries([...inputs].map(([name, value]) => [name, value.shape]));
  return importOnnx(path, { shapes, ...options });
}

export function evaluateModel(
  model: ImportedModel,
  inputs: ReadonlyMap<string, TensorValue>,
): Map<string, TensorValue> {
  return new Map(evaluateGraph(model.graph, inputs, model.weights));
}

/** Fails at the first element that is further off than the tolerance, relative above 1; NaN equals NaN. */
export function expectClose(
  actual: TensorValue | undefined,
  wanted: TensorValue,
  tolerance: number,
  what: string,
): void {
  expect(actual?.shape, `${what}: shape`).toEqual(wanted.shape);
  const data = actual?.data ?? [];
  const bad = wanted.data.findIndex((value, i) => !isClose(data[i], value, tolerance));
  expect(bad, `${what}: element ${bad} is ${data[bad]}, not ${wanted.data[bad]}`).toBe(-1);
}

function isClose(x: number, y: number, tolerance: number): boolean {
  return Object.is(x, y) || x === y || Math.abs(x - y) <= tolerance * Math.max(1, Math.abs(y));
}
