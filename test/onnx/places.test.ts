/**
 * Places that a model finds in its inputs, `hidden[ids == eos]`: a one-hot row of the data owner, the same answer as
 * onnxruntime gives, and an error to that owner alone where a text has other places than the plan takes.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { afterAll, describe, expect, it } from "vitest";
import { simulate } from "../../client/local/simulation.js";
import { runOwners } from "../../client/owners.js";
import { compileModel } from "../../compiler/compile.js";
import { hasPublicValues } from "../../compiler/onnx/structure.js";
import { type NodeSource, writeModel } from "../../formats/onnx/write.js";
import { planDigest } from "../../ir/plan/codec.js";
import type { TensorValue } from "../../ir/tensor/value.js";
import { expectWithin } from "../fixtures/support.js";
import { floats, normal } from "../lower/support.js";

const folder = mkdtempSync(join(tmpdir(), "pumac-places-"));
afterAll(() => rmSync(folder, { recursive: true }));

const [ROWS, LENGTH, WIDTH, EOS] = [2, 6, 4, 2];
const node = (op: string, inputs: string[], output: string, attributes: NodeSource["attributes"] = {}): NodeSource => ({
  op,
  inputs,
  outputs: [output],
  attributes,
});
const i64 = (name: string, shape: number[], values: number[]) => ({
  name,
  dtype: "i64" as const,
  shape,
  data: Float64Array.from(values),
});

/** Hidden values at the places of EOS, as exporters write x[ids == eos], and x[ids == eos].view(b, -1, d)[:, -1]. */
function written(isLast: boolean, isCast: boolean): string {
  const found: NodeSource[] = [
    node("Gather", ["table", "ids"], "embedded"),
    node("Tanh", ["embedded"], "hidden"),
    node("Equal", ["ids", "eos"], "is"),
    ...(isCast ? [node("Cast", ["is"], "bool", { to: { integer: 9 } })] : []),
    node("NonZero", [isCast ? "bool" : "is"], "places"),
    node("Transpose", ["places"], "rows", { perm: { integers: [1, 0] } }),
    node("GatherND", ["hidden", "rows"], isLast ? "taken" : "pooled"),
  ];
  // Shapes and indices stand in the file, or are made behind the places.
  const made = [
    node("Concat", ["rows of it", "shape of it", "width"], "shape", { axis: { integer: 0 } }),
    node("Constant", [], "end", { value: { tensor: { dtype: "i64", shape: [], data: Float64Array.of(-1) } } }),
  ];
  const stored = [i64("shape", [3], [ROWS, -1, WIDTH]), i64("end", [], [-1])];
  const last = [
    ...(isCast ? [] : made),
    node("Reshape", ["taken", "shape"], "split"),
    node("Gather", ["split", "end"], "pooled", { axis: { integer: 1 } }),
  ];
  const path = join(folder, `${isLast}${isCast}.onnx`);
  writeModel(path, {
    graph: {
      name: "g",
      inputs: [{ name: "ids", dtype: "i64", shape: [ROWS, LENGTH] }],
      outputs: [{ name: "y", dtype: "f32", shape: [ROWS, 3] }],
      nodes: [...found, ...(isLast ? last : []), node("MatMul", ["pooled", "head"], "y")],
      tensors: [
        { name: "table", ...normal([20, WIDTH], 1, 3) },
        { name: "head", ...normal([WIDTH, 3], 1, 4) },
        i64("eos", [], [EOS]),
        ...(isCast
          ? stored
          : [i64("rows of it", [1], [ROWS]), i64("shape of it", [1], [-1]), i64("width", [1], [WIDTH])]),
      ],
    },
    opsets: { "": 17 },
  });
  return path;
}

const ids = (...values: number[]): TensorValue => ({
  dtype: "i64",
  shape: [ROWS, LENGTH],
  data: Float64Array.from(values),
});
const ONE = ids(5, 6, 7, 8, 9, 2, 3, 2, 4, 1, 1, 1);
const TWO = ids(2, 6, 2, 8, 9, 4, 3, 2, 4, 1, 2, 1);
const NONE = ids(5, 6, 7, 8, 9, 2, 3, 5, 4, 1, 1, 1);
const UNEQUAL = ids(5, 6, 2, 8, 9, 2, 3, 2, 4, 1, 1, 1);

async function answered(path: string, input: TensorValue): Promise<TensorValue> {
  const { plan, weights, warnings } = await compileModel(path);
  expect(warnings.map(({ code }) => code)).toContain("W0309");
  expect(plan.bindings.map(({ owner }) => owner)).not.toContain("public");
  const owners = runOwners(plan, new Map([["ids", input]]), weights);
  return (await simulate({ plan, digest: planDigest(plan) }, owners, 1)).outputs.get("y")!;
}

async function wanted(path: string, { data, shape }: TensorValue): Promise<TensorValue> {
  const session = await InferenceSession.create(path, { logSeverityLevel: 4 });
  const { y } = await session.run({ ids: new Tensor("int64", BigInt64Array.from([...data].map(BigInt)), [...shape]) });
  return { dtype: "f32", shape: [...y.dims], data: Float64Array.from(y.data as Float32Array) };
}

describe("hidden[ids == eos]", () => {
  it.each([
    [false, false, ONE],
    [false, true, ONE],
    [true, true, ONE],
    [true, false, TWO],
  ])("the last of several: %s, cast: %s", async (isLast, isCast, input) => {
    const path = written(isLast, isCast);
    expectWithin(await answered(path, input), await wanted(path, input), "y");
  });

  it.each([
    [false, TWO],
    [false, NONE],
    [true, NONE],
    [true, UNEQUAL],
  ])("the last of several: %s; other places are E0202", async (isLast, input) => {
    await expect(answered(written(isLast, true), input)).rejects.toMatchObject({
      diagnostics: [{ code: "E0202", what: expect.stringContaining("no place that the model looks for") }],
    });
  });
});

describe("triangles of ones", () => {
  const stored = (rows: number, columns: number, at: (distance: number) => number) => {
    const value = floats([rows, columns], (i) => at((i % columns) - Math.floor(i / columns)));
    return {
      ...value,
      name: "t",
      absent: false,
      read: (first = 0, count = rows * columns) => value.data.subarray(first, first + count),
    };
  };
  it.each([
    ["strictly upper", 5, 5, (d: number) => (d > 0 ? 1 : 0), true],
    ["strictly lower", 5, 5, (d: number) => (d < 0 ? 1 : 0), true],
    ["lower behind a cache", 3, 7, (d: number) => (d <= 4 ? 1 : 0), true],
    ["an identity", 5, 5, (d: number) => (d === 0 ? 1 : 0), false],
    ["a triangle of halves", 5, 5, (d: number) => (d <= 0 ? 0.5 : 0), false],
  ] as const)("%s", (_, rows, columns, at, isPublic) => {
    expect(hasPublicValues(stored(rows, columns, at))).toBe(isPublic);
  });
});
