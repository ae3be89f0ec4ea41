/**
 * ONNX's own backend tests of single operators (v1.22.0): every case whose tensors are of types that the tensor level
 * has is imported, verified, printed and parsed, evaluated, and compared at ONNX's tolerance. Failures are listed
 * with their reasons in `node-tests-exceptions.json`; a listed case that passes fails here, so that the list is exact.
 *
 * A plan has fixed shapes, so inputs that say shapes, axes or counts are given as known values where the import asks
 * for them: first all inputs are free, then whole numbers and booleans are known, then everything is.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import type { ImportedModel } from "../../compiler/onnx/index.js";
import { PumacError } from "../../ir/diagnostics.js";
import { TENSOR } from "../../ir/tensor/index.js";
import { isFloat, type TensorValue } from "../../ir/tensor/value.js";
import { parse, print } from "../../ir/text.js";
import { verify } from "../../ir/verify.js";
import { DATA, evaluateModel, importAt, present, readTensors } from "./support.js";

const ARCHIVE = join(DATA, "onnx-node-tests.tar.gz");
const EXCEPTIONS = JSON.parse(readFileSync(new URL("node-tests-exceptions.json", import.meta.url), "utf8")) as Readonly<
  Record<string, string>
>;
/** The tolerance of ONNX's test runner. */
const RELATIVE = 1e-3;
const ABSOLUTE = 1e-7;

type Tensors = readonly { readonly name: string; readonly value: TensorValue }[];
interface Case {
  readonly name: string;
  readonly model: string;
  readonly inputs: Tensors;
  readonly outputs: Tensors;
}

const folder = mkdtempSync(join(tmpdir(), "pumac-node-tests-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** Cases whose data files hold sequences, not tensors. */
const SEQUENCES = ["test_loop13_seq", "test_loop16_seq_none"];

/** All cases but those with tensors of types that the tensor level lacks (8-bit floats, sub-byte integers, strings). */
function readCases(): readonly Case[] {
  if (!present(ARCHIVE)) {
    return [];
  }
  execFileSync("tar", ["-xzf", ARCHIVE, "-C", folder]);
  const names = readdirSync(folder).filter((name) => !SEQUENCES.includes(name));
  return names.flatMap((name) => {
    const data = join(folder, name, "test_data_set_0");
    try {
      const [inputs, outputs] = [readTensors(data, "input"), readTensors(data, "output")];
      return [{ name, model: join(folder, name, "model.onnx"), inputs, outputs }];
    } catch (error) {
      if (error instanceof PumacError && error.diagnostics[0].code === "E0402") {
        return [];
      }
      throw error;
    }
  });
}

/** Imports with as many free inputs as the model allows. */
function importCase({ model, inputs }: Case): ImportedModel {
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

function isClose(x: number, y: number): boolean {
  return x === y || (Number.isNaN(x) && Number.isNaN(y)) || Math.abs(x - y) <= ABSOLUTE + RELATIVE * Math.abs(y);
}

/** Throws where the model's outputs are not the recorded ones. */
function runCase(each: Case): void {
  const model = importCase(each);
  expect(verify(model.graph, TENSOR).map(String)).toEqual([]);
  const text = print(model.graph, TENSOR);
  expect(print(parse(text, TENSOR), TENSOR)).toBe(text);
  const actual = [...evaluateModel(model, new Map(each.inputs.map(({ name, value }) => [name, value]))).values()];
  each.outputs.forEach(({ name, value }, i) => {
    expect({ dtype: actual[i]?.dtype, shape: actual[i]?.shape }, name).toEqual({
      dtype: value.dtype,
      shape: value.shape,
    });
    const bad = value.data.findIndex((wanted, k) => !isClose(actual[i].data[k], wanted));
    expect(bad, `${name}[${bad}] is ${actual[i].data[bad]}, not ${value.data[bad]}`).toBe(-1);
  });
}

const CASES = readCases();

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
