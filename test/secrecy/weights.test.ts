/**
 * No weight in a plan: models whose every weight carries a canary, in every form in which exporters write weights. The
 * canary is looked for in the plan's bytes and in both public programs; the answer is still the model's.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { type Compiled, compileImported, compileModel } from "../../compiler/compile.js";
import { importStableHlo } from "../../compiler/jax/index.js";
import { openModel } from "../../compiler/weights.js";
import { type AttributeSource, type NodeSource, type TensorSource, writeModel } from "../../formats/onnx/write.js";
import { encodePlan } from "../../ir/plan/codec.js";
import { evaluateGraph, TENSOR } from "../../ir/tensor/index.js";
import type { DType, TensorValue } from "../../ir/tensor/value.js";
import { print } from "../../ir/text.js";

const folder = mkdtempSync(join(tmpdir(), "pumac-canary-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** Numbers that occur nowhere by themselves; as int8 they are a sequence. */
const FLOATS = [0.7391846, -1.3718293, 0.2847361, 1.9384756];
const BYTES = [113, -97, 89, 71, -101, 67, 103, -79, 83, 61, -109, 73, 59, 107, -53, 47];

function tensor(name: string, dtype: DType, shape: readonly number[], data: readonly number[]): TensorSource {
  return { name, dtype, shape, data: Float64Array.from(data) };
}

function constant(name: string, value: AttributeSource, kind = "value"): NodeSource {
  return { op: "Constant", inputs: [], outputs: [name], attributes: { [kind]: value } };
}

const value = (dtype: DType, shape: readonly number[], data: readonly number[]): TensorValue => ({
  ...{ dtype, shape, data: Float64Array.from(data) },
});

const WEIGHT = tensor(
  "w",
  "f32",
  [4, 4],
  BYTES.map((n) => n / 173),
);
const PROJECT: NodeSource = { op: "MatMul", inputs: ["x", "w"], outputs: ["xw"] };
const times = (factor: string): NodeSource => ({ op: "Mul", inputs: ["xw", factor], outputs: ["y"] });

interface Case {
  readonly name: string;
  readonly nodes: readonly NodeSource[];
  readonly tensors: readonly TensorSource[];
}

const CASES: readonly Case[] = [
  {
    name: "an int8 matrix, cast and scaled",
    nodes: [
      { op: "Cast", inputs: ["q"], outputs: ["qf"], attributes: { to: { integer: 1 } } },
      { op: "Mul", inputs: ["qf", "s"], outputs: ["w"] },
      { op: "MatMul", inputs: ["x", "w"], outputs: ["y"] },
    ],
    tensors: [tensor("q", "i8", [4, 4], BYTES), tensor("s", "f32", [4], FLOATS)],
  },
  {
    name: "an int64 matrix, cast",
    nodes: [
      { op: "Cast", inputs: ["q"], outputs: ["w"], attributes: { to: { integer: 1 } } },
      { op: "MatMul", inputs: ["x", "w"], outputs: ["y"] },
    ],
    tensors: [tensor("q", "i64", [4, 4], BYTES)],
  },
  {
    name: "a small Constant node",
    nodes: [constant("b", { tensor: value("f32", [4], FLOATS) }), PROJECT, { ...times("b"), op: "Add" }],
    tensors: [WEIGHT],
  },
  {
    name: "a list of floats in a Constant node",
    nodes: [constant("b", { numbers: FLOATS }, "value_floats"), PROJECT, times("b")],
    tensors: [WEIGHT],
  },
  {
    name: "a scalar initialiser: a logit scale",
    nodes: [PROJECT, times("s")],
    tensors: [WEIGHT, tensor("s", "f32", [], [4.6051702])],
  },
  {
    name: "a scalar of one element: a layer scale",
    nodes: [constant("s", { tensor: value("f32", [1], [0.2218374]) }), PROJECT, times("s")],
    tensors: [WEIGHT],
  },
  {
    name: "the exponential of a scalar",
    nodes: [{ op: "Exp", inputs: ["t"], outputs: ["s"] }, PROJECT, times("s")],
    tensors: [WEIGHT, tensor("t", "f32", [], [0.4837261])],
  },
  {
    name: "a scalar in an attribute of a Constant node",
    nodes: [constant("s", { number: 0.3718264 }, "value_float"), PROJECT, times("s")],
    tensors: [WEIGHT],
  },
];

const CANARIES: readonly number[] = [...FLOATS, 4.6051702, 0.2218374, Math.exp(0.4837261), 0.3718264, 0.01739184];

function programsOf({ plan }: Compiled): string {
  const steps = plan.steps.map(({ attributes }) =>
    JSON.stringify(attributes, (_, x) => (ArrayBuffer.isView(x) ? Array.from(x as Float64Array) : x)),
  );
  return [print(plan.owners.data, TENSOR), print(plan.owners.model, TENSOR), ...steps].join("\n");
}

/** The canaries that a plan shows: as text, as the bits of a float32 or a double, as consecutive bytes or numbers. */
function found(compiled: Compiled): readonly string[] {
  const text = programsOf(compiled);
  const file = Buffer.from(encodePlan(compiled.plan));
  const shown = CANARIES.filter((x) => {
    const [single, double] = [Buffer.alloc(4), Buffer.alloc(8)];
    single.writeFloatLE(x);
    double.writeDoubleLE(Math.fround(x));
    return text.includes(String(x).slice(0, 7)) || file.includes(single) || file.includes(double);
  });
  const listed = new RegExp(
    BYTES.slice(0, 3)
      .map((n) => `${n}(\\.0)?`)
      .join("\\s*,\\s*"),
  );
  return [
    ...shown.map(String),
    ...(listed.test(text) || file.includes(Buffer.from(Int8Array.from(BYTES).buffer)) ? ["bytes"] : []),
  ];
}

describe("a plan shows no weight", () => {
  it.each(CASES)("written as $name", async ({ name, nodes, tensors }) => {
    const path = join(folder, `${name.replace(/\W+/g, "-")}.onnx`);
    writeModel(path, {
      opsets: { "": 17 },
      graph: {
        name: "g",
        inputs: [{ name: "x", dtype: "f32", shape: [2, 4] }],
        outputs: [{ name: "y", dtype: "f32", shape: [2, 4] }],
        nodes,
        tensors,
      },
    });
    const compiled = await compileModel(path);
    expect(found(compiled)).toEqual([]);
    // The owner finds every value again, and the programs mean what the model means.
    const model = await openModel({ model: path }, compiled.plan);
    const x = { dtype: "f32" as const, shape: [2, 4], data: Float64Array.of(1, -0.5, 0.25, 2, 0.75, -1, 0.5, 1.5) };
    const plain = evaluateGraph(model.graph, new Map([["x", x]]), model.weights).get("y")!;
    const shared = evaluateGraph(compiled.plan.owners.model, new Map(), model.weights);
    expect([...shared.values()].every(({ data }) => data.every(Number.isFinite))).toBe(true);
    expect(plain.data.every(Number.isFinite)).toBe(true);
    // One product at most: every factor is folded at its owner.
    expect(compiled.plan.steps.filter(({ op }) => ["multiply", "matmul", "dot"].includes(op)).length).toBe(1);
  });

  it("baked into a JAX program as integers", () => {
    const rows = [0, 4, 8, 12].map((i) => `[${BYTES.slice(i, i + 4).join(", ")}]`).join(", ");
    const text = `module @m {
  func.func public @main(%arg0: tensor<2x4xf32>) -> tensor<2x4xf32> {
    %q = stablehlo.constant dense<[${rows}]> : tensor<4x4xi8>
    %w = stablehlo.convert %q : (tensor<4x4xi8>) -> tensor<4x4xf32>
    %s = stablehlo.constant dense<3.718264e-01> : tensor<f32>
    %b = stablehlo.broadcast_in_dim %s, dims = [] : (tensor<f32>) -> tensor<4x4xf32>
    %v = stablehlo.multiply %w, %b : tensor<4x4xf32>
    %y = stablehlo.dot %arg0, %v : (tensor<2x4xf32>, tensor<4x4xf32>) -> tensor<2x4xf32>
    return %y : tensor<2x4xf32>
  }
}`;
    expect(found(compileImported(importStableHlo(text)))).toEqual([]);
  });

  it("lists what stays public, with the reason", async () => {
    const path = join(folder, "listed.onnx");
    writeModel(path, {
      opsets: { "": 17 },
      graph: {
        name: "g",
        inputs: [{ name: "x", dtype: "f32", shape: [2, 4] }],
        outputs: [{ name: "y", dtype: "f32", shape: [2, 4] }],
        nodes: [
          PROJECT,
          { op: "Mul", inputs: ["xw", "half"], outputs: ["m"] },
          { op: "Add", inputs: ["m", "mask"], outputs: ["masked"] },
          { op: "Softmax", inputs: ["masked"], outputs: ["y"], attributes: { axis: { integer: -1 } } },
        ],
        tensors: [
          WEIGHT,
          tensor("half", "f32", [], [0.5]),
          tensor("mask", "f32", [2, 4], [0, 0, -10000, 0, 0, -10000, 0, 0]),
        ],
      },
    });
    const { plan } = await compileModel(path);
    expect(plan.published.map(({ shape, why }) => `${shape} ${why}`).sort()).toEqual([
      " a small whole number, or its reciprocal",
      "2,4 a mask",
    ]);
  });
});
