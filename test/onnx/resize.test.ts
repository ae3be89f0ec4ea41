/**
 * Resize in every mode: ONNX's own node tests (v1.23.2, resize.json), and onnxruntime where they say nothing: other
 * ranks, Upsample, sizes that the graph computes. Weights and sizes are known, what is resized is an input.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, it } from "vitest";
import { type AttributeSource, type NodeSource, writeModel } from "../../formats/onnx/write.js";
import type { DType } from "../../ir/tensor/value.js";
import { compareWithRuntime, type OperatorCase } from "./oracle.js";
import { evaluateModel, expectClose, importAt } from "./support.js";

interface Tensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

interface ResizeCase {
  readonly name: string;
  readonly opset: number;
  readonly inputs: readonly string[];
  readonly given: Readonly<Record<string, Tensor>>;
  readonly attributes: Readonly<Record<string, string | number | readonly number[]>>;
  readonly output: Tensor;
}

const CASES = JSON.parse(readFileSync(join(import.meta.dirname, "resize.json"), "utf8")) as readonly ResizeCase[];
const DTYPES: Readonly<Record<string, DType>> = { float32: "f32", int64: "i64" };
const INTEGERS = new Set(["antialias", "exclude_outside"]);

const folder = mkdtempSync(join(tmpdir(), "pumac-resize-"));
afterAll(() => rmSync(folder, { recursive: true }));

function attributeOf(name: string, value: string | number | readonly number[]): AttributeSource {
  if (typeof value === "string") {
    return { string: value };
  }
  return typeof value === "number"
    ? INTEGERS.has(name)
      ? { integer: value }
      : { number: value }
    : { integers: [...value] };
}

/** Of 4 columns by 0.6 two are left: ONNX's reference divides by 1.4, PyTorch and onnxruntime by 1. */
const FRACTIONS = ["downsample_scales_linear_align_corners", "downsample_scales_cubic_align_corners"];

describe("ONNX's node tests of Resize", () => {
  it.each(CASES.filter(({ name }) => !FRACTIONS.includes(name)).map((each) => [each.name, each] as const))(
    "%s",
    (name, each) => {
      const value = ({ dtype, shape, data }: Tensor) => ({
        dtype: DTYPES[dtype],
        shape,
        data: Float64Array.from(data),
      });
      const { X, ...known } = each.given;
      const attributes = Object.entries(each.attributes).map(([key, given]) => [key, attributeOf(key, given)]);
      const node: NodeSource = {
        op: "Resize",
        inputs: each.inputs,
        outputs: ["Y"],
        attributes: Object.fromEntries(attributes),
      };
      const graph = {
        name: "g",
        inputs: [{ name: "X", dtype: DTYPES[X.dtype], shape: [...X.shape] }],
        outputs: [{ name: "Y", dtype: DTYPES[each.output.dtype], shape: [...each.output.shape] }],
        tensors: Object.entries(known).map(([key, tensor]) => ({ name: key, ...value(tensor) })),
        nodes: [node],
      };
      const path = join(folder, `${name}.onnx`);
      writeModel(path, { opsets: { "": each.opset }, graph });
      const inputs = new Map([["X", value(X)]]);
      const output = evaluateModel(importAt(path, inputs), inputs).get("Y");
      expectClose(output, value(each.output), 1e-5, name);
    },
  );
});

const FIXED = (values: readonly number[], dtype: "f32" | "i64" = "f32") => ({
  ...{ shape: [values.length], values, dtype, fixed: true },
});
const modes = ["nearest", "linear"].flatMap((mode) => {
  const coordinates = ["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"];
  return coordinates.map((coordinate) => [mode, coordinate] as const);
});

describe("what onnxruntime computes", () => {
  it.each(modes)("Resize %s %s of rank 3 and 4, by scales and by sizes", async (mode, coordinate) => {
    const attributes = { mode: { string: mode }, coordinate_transformation_mode: { string: coordinate } };
    const half = { ...attributes, ...(mode === "nearest" && { nearest_mode: { string: "floor" } }) };
    const cases: OperatorCase[] = [
      {
        op: "Resize",
        opset: 13,
        inputs: [{ shape: [2, 3, 5, 7] }, null, FIXED([1, 1, 2, 0.6])],
        outputs: [[2, 3, 10, 4]],
      },
      {
        op: "Resize",
        opset: 13,
        inputs: [{ shape: [1, 2, 3, 4] }, null, null, FIXED([1, 2, 7, 2], "i64")],
        outputs: [[1, 2, 7, 2]],
      },
      { op: "Resize", opset: 18, inputs: [{ shape: [1, 2, 9] }, null, FIXED([1, 1, 1.5])], outputs: [[1, 2, 13]] },
    ];
    for (const each of mode === "linear" ? cases.slice(0, 2) : cases) {
      await compareWithRuntime({ ...each, attributes: half });
    }
  });

  it("Upsample of opsets 7 and 9, Resize of opset 10", async () => {
    for (const mode of ["nearest", "linear"]) {
      const attributes = { mode: { string: mode } };
      const scales = [1, 1, 2, 3];
      const x = { shape: [1, 2, 3, 4] };
      const outputs = [[1, 2, 6, 12]];
      const early = { ...attributes, scales: { numbers: scales } };
      await compareWithRuntime({ op: "Upsample", opset: 7, inputs: [x], outputs, attributes: early });
      await compareWithRuntime({ op: "Upsample", opset: 9, inputs: [x, FIXED(scales)], outputs, attributes });
      await compareWithRuntime({ op: "Resize", opset: 10, inputs: [x, FIXED(scales)], outputs, attributes });
    }
  });
});
