/** onnxruntime as the oracle for single operators: the same random inputs through it and through our import. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { importOnnx } from "../../compiler/onnx/index.js";
import { type AttributeSource, type ModelSource, writeModel } from "../../formats/onnx/write.js";
import type { TensorValue } from "../../ir/tensor/value.js";
import { evaluateModel, expectClose } from "./support.js";

/** An input: random floats of a shape, or given integers; `fixed` ones are initialisers, so that they are known. */
export type CaseInput =
  | { readonly shape: readonly number[] }
  | {
      readonly shape: readonly number[];
      readonly values: readonly number[];
      readonly dtype: "i32" | "i64" | "f32" | "bool";
      readonly fixed?: boolean;
    };

export interface OperatorCase {
  readonly op: string;
  readonly domain?: string;
  readonly opset?: number;
  readonly attributes?: Readonly<Record<string, AttributeSource>>;
  /** `null` is an optional input left out. */
  readonly inputs: readonly (CaseInput | null)[];
  /** Shapes of the outputs; `null` is an output that is not asked for. */
  readonly outputs: readonly (readonly number[] | null)[];
  readonly dtypes?: readonly ("f32" | "i64" | "i32" | "bool")[];
}

/** Deterministic values in about [-1.5, 1.5]. */
function randomValues(count: number, seed: number): Float64Array {
  return Float64Array.from({ length: count }, (_, i) =>
    Math.fround(1.5 * Math.sin(1.7 * i * i + 13.1 * seed + 0.3 * i)),
  );
}

function tensorOf(input: CaseInput, index: number): TensorValue {
  const count = input.shape.reduce((n, m) => n * m, 1);
  return "values" in input
    ? { dtype: input.dtype, shape: input.shape, data: Float64Array.from(input.values) }
    : { dtype: "f32", shape: input.shape, data: randomValues(count, index) };
}

function modelOf(test: OperatorCase): { readonly model: ModelSource; readonly feeds: Map<string, TensorValue> } {
  const present = test.inputs.flatMap((input, i) =>
    input === null ? [] : [{ name: `in${i}`, input, value: tensorOf(input, i) }],
  );
  const fixed = present.filter(({ input }) => "fixed" in input && input.fixed);
  const fed = present.filter((each) => !fixed.includes(each));
  const model: ModelSource = {
    graph: {
      name: "g",
      inputs: fed.map(({ name, value }) => ({ name, dtype: value.dtype, shape: value.shape })),
      outputs: test.outputs.flatMap((shape, i) =>
        shape === null ? [] : [{ name: `out${i}`, dtype: test.dtypes?.[i] ?? ("f32" as const), shape }],
      ),
      nodes: [
        {
          op: test.op,
          domain: test.domain ?? "",
          inputs: test.inputs.map((input, i) => (input === null ? "" : `in${i}`)),
          outputs: test.outputs.map((shape, i) => (shape === null ? "" : `out${i}`)),
          attributes: test.attributes ?? {},
        },
      ],
      tensors: fixed.map(({ name, value }) => ({ name, ...value })),
    },
    opsets: { "": test.opset ?? 17, "com.microsoft": 1 },
  };
  return { model, feeds: new Map(fed.map(({ name, value }) => [name, value])) };
}

function runtimeTensor(value: TensorValue): Tensor {
  const shape = [...value.shape];
  switch (value.dtype) {
    case "i64":
      return new Tensor("int64", BigInt64Array.from(Array.from(value.data, BigInt)), shape);
    case "i32":
      return new Tensor("int32", Int32Array.from(value.data), shape);
    case "bool":
      return new Tensor("bool", Uint8Array.from(value.data), shape);
    default:
      return new Tensor("float32", Float32Array.from(value.data), shape);
  }
}

/** Runs one operator through onnxruntime and through us, and compares every output within 1e-4. */
export async function compareWithRuntime(test: OperatorCase): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "pumac-oracle-"));
  try {
    const path = join(folder, "model.onnx");
    const { model, feeds } = modelOf(test);
    writeModel(path, model);
    const session = await InferenceSession.create(path, { logSeverityLevel: 4 });
    const wanted = await session.run(
      Object.fromEntries([...feeds].map(([name, value]) => [name, runtimeTensor(value)])),
    );
    const outputs = evaluateModel(importOnnx(path), feeds);
    for (const { name, dtype } of model.graph.outputs) {
      const data = Float64Array.from(wanted[name].data as ArrayLike<number | bigint>, Number);
      expectClose(outputs.get(name), { dtype, shape: [...wanted[name].dims], data }, 1e-4, `${test.op} ${name}`);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}
