/**
 * ONNX's own backend tests of single operators (v1.22.0): every case whose tensors are of types that the tensor level
 * has is imported, verified, printed and parsed, evaluated, and compared at ONNX's tolerance; then every pass runs over
 * it and must change neither shapes nor values. Failures are listed with their reasons in
 * `node-tests-exceptions.json`; a listed case that passes fails here, so that the list is exact.
 *
 * A plan has fixed shapes, so inputs that say shapes, axes or counts are given as known values where the import asks
 * for them: first all inputs are free, then whole numbers and booleans are known, then everything is.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { withConstants } from "../../compiler/constants.js";
import type { ImportedModel } from "../../compiler/imported.js";
import { evaluateGraph, TENSOR } from "../../ir/tensor/index.js";
import { isFloat, type TensorValue } from "../../ir/tensor/value.js";
import { parse, print } from "../../ir/text.js";
import { verify } from "../../ir/verify.js";
import { TENSOR_PASSES } from "../../passes/index.js";
import { type NodeCase, readNodeCases, type Tensors } from "./node-cases.js";
import { evaluateModel, importAt } from "./support.js";

const EXCEPTIONS = JSON.parse(readFileSync(new URL("node-tests-exceptions.json", import.meta.url), "utf8")) as Readonly<
  Record<string, string>
>;
/** The tolerance of ONNX's test runner. */
const RELATIVE = 1e-3;
const ABSOLUTE = 1e-7;

const folder = mkdtempSync(join(tmpdir(), "pumac-node-tests-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** Imports with as many free inputs as the model allows. */
function importCase({ model, inputs }: NodeCase): ImportedModel {
  const shapes = new Map(inputs.map(({ name, value }) => [name, value]));
  const attempts: Tensors[] = [[], inputs.filter(({ value }) => !isFloat(value.dtype)), inputs];
  for (const [i, known] of attempts.entries()) {
    try {
      return importAt(model, shapes, { values: Object.fromEntries(known.map(({ name, value }) => [name, value])) });
    } catch (error) {
      if (i === attempts.length - 1 || !String(error).includes("known at compile time")) {
        throw error;
      }
    }
  }
  throw new Error("no attempt");
}

function isClose(x: number, y: number, relative: number): boolean {
  return x === y || (Number.isNaN(x) && Number.isNaN(y)) || Math.abs(x - y) <= ABSOLUTE + relative * Math.abs(y);
}

function expectSame(name: string, actual: TensorValue | undefined, wanted: TensorValue, relative: number): void {
  expect(actual?.shape, name).toEqual(wanted.shape);
  const data = actual?.data ?? [];
  const bad = wanted.data.findIndex((value, i) => !isClose(data[i], value, relative));
  expect(bad, `${name}[${bad}] is ${data[bad]}, not ${wanted.data[bad]}`).toBe(-1);
}

/** Passes compute with real numbers and forget casts to short floats: half a unit in the last place of those. */
function toleranceOf(model: ImportedModel): number {
  const dtypes = new Set(model.graph.nodes.map((node) => node.type.dtype));
  return dtypes.has("bf16") ? 2 ** -8 : dtypes.has("f16") ? 2 ** -9 : 1e-6;
}

/** Throws where a pass breaks a rule of graphs or changes what the model computes. */
function runPasses(model: ImportedModel, inputs: ReadonlyMap<string, TensorValue>): void {
  const before = evaluateModel(model, inputs);
  let { graph, weights } = model;
  for (const pass of TENSOR_PASSES) {
    graph = pass.run(graph, {
      onPublication: (made) => {
        weights = withConstants(weights, made.weights);
      },
    });
    expect(verify(graph, TENSOR).map(String), pass.name).toEqual([]);
    const after = evaluateGraph(graph, inputs, weights);
    for (const [name, wanted] of before) {
      expectSame(`${pass.name}: ${name}`, after.get(name), wanted, toleranceOf(model));
    }
  }
}

/** Throws where the model's outputs are not the recorded ones. */
function runCase(each: NodeCase): void {
  const model = importCase(each);
  expect(verify(model.graph, TENSOR).map(String)).toEqual([]);
  const text = print(model.graph, TENSOR);
  expect(print(parse(text, TENSOR), TENSOR)).toBe(text);
  const inputs = new Map(each.inputs.map(({ name, value }) => [name, value]));
  const actual = [...evaluateModel(model, inputs).values()];
  each.outputs.forEach(({ name, value }, i) => {
    expect(actual[i]?.dtype, name).toEqual(value.dtype);
    expectSame(name, actual[i], value, RELATIVE);
  });
  runPasses(model, inputs);
}

const CASES = readNodeCases(folder);

describe.skipIf(CASES.length === 0)("ONNX backend node tests (PUMAC_DATA)", () => {
  it.each(CASES.map((each) => [each.name, each] as const))("%s", (name, each) => {
    if (Object.hasOwn(EXCEPTIONS, name)) {
      expect(() => runCase(each), `passes, but is listed as an exception: ${EXCEPTIONS[name]}`).toThrow();
    } else {
      runCase(each);
    }
  });

  it("lists no exception that is not a case, and few", () => {
    const names = new Set(CASES.map((each) => each.name));
    expect(Object.keys(EXCEPTIONS).filter((name) => !names.has(name))).toEqual([]);
    expect(Object.keys(EXCEPTIONS).length).toBeLessThanOrEqual(0.05 * names.size);
  });
});
