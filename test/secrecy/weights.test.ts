/**
 * No weight in a plan: models whose every weight carries a canary, in every form in which exporters write weights. The
 * canary is looked for in the plan's bytes and in both public programs; the answer is still the model's.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { simulate } from "../../client/local/simulation.js";
import { runOwners } from "../../client/owners.js";
import { type Compiled, compileImported, compileModel } from "../../compiler/compile.js";
import { importStableHlo } from "../../compiler/jax/index.js";
import { openModel } from "../../compiler/weights.js";
import { type AttributeSource, type NodeSource, type TensorSource, writeModel } from "../../formats/onnx/write.js";
import { encodePlan, planDigest } from "../../ir/plan/codec.js";
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

/** Numbers that ops hold in attributes, or that are made of others while the file is read. */
const OTHERS: readonly Case[] = [
  {
    name: "codes of a book of weights",
    nodes: [
      { op: "Gather", inputs: ["book", "codes"], outputs: ["v"], attributes: { axis: { integer: 0 } } },
      { op: "MatMul", inputs: ["x", "v"], outputs: ["y"] },
    ],
    tensors: [
      tensor("book", "f32", [128], [...FLOATS, ...Array.from({ length: 124 }, (_, i) => (i % 7) / 9)]),
      tensor("codes", "i64", [4, 4], BYTES.map(Math.abs)),
    ],
  },
  {
    name: "a tensor of one number",
    nodes: [
      {
        op: "ConstantOfShape",
        inputs: ["shape"],
        outputs: ["c"],
        attributes: { value: { tensor: value("f32", [1], [0.7391846]) } },
      },
      PROJECT,
      times("c"),
    ],
    tensors: [WEIGHT, tensor("shape", "i64", [2], [2, 4])],
  },
  {
    name: "an expanded number",
    nodes: [{ op: "Expand", inputs: ["s", "shape"], outputs: ["c"] }, PROJECT, times("c")],
    tensors: [WEIGHT, tensor("shape", "i64", [2], [2, 4]), tensor("s", "f32", [], [1.9384756])],
  },
  {
    name: "a range of real numbers",
    nodes: [{ op: "Range", inputs: ["from", "to", "by"], outputs: ["c"] }, PROJECT, times("c")],
    tensors: [
      WEIGHT,
      ...[tensor("from", "f32", [], [0.7391846]), tensor("to", "f32", [], [1.8]), tensor("by", "f32", [], [0.2847361])],
    ],
  },
  {
    name: "the bounds of a clip",
    nodes: [PROJECT, { op: "Clip", inputs: ["xw", "low", "high"], outputs: ["y"] }],
    tensors: [WEIGHT, tensor("low", "f32", [], [-1.3718293]), tensor("high", "f32", [], [0.2847361])],
  },
  {
    name: "what is padded with",
    nodes: [
      { op: "Slice", inputs: ["x", "from", "to", "axes"], outputs: ["part"] },
      { op: "Pad", inputs: ["part", "pads", "with"], outputs: ["whole"] },
      { op: "MatMul", inputs: ["whole", "w"], outputs: ["y"] },
    ],
    tensors: [
      WEIGHT,
      ...[tensor("from", "i64", [1], [0]), tensor("to", "i64", [1], [2]), tensor("axes", "i64", [1], [1])],
      ...[tensor("pads", "i64", [4], [0, 0, 0, 2]), tensor("with", "f32", [], [0.7391846])],
    ],
  },
  {
    name: "an exponent",
    nodes: [
      PROJECT,
      { op: "Abs", inputs: ["xw"], outputs: ["size"] },
      { op: "Add", inputs: ["size", "one"], outputs: ["above"] },
      { op: "Pow", inputs: ["above", "p"], outputs: ["y"] },
    ],
    tensors: [WEIGHT, tensor("one", "f32", [], [1]), tensor("p", "f32", [], [1.9384756])],
  },
  {
    name: "a factor in an attribute",
    nodes: [{ op: "Gemm", inputs: ["x", "w"], outputs: ["y"], attributes: { alpha: { number: 0.2218374 } } }],
    tensors: [WEIGHT],
  },
  {
    name: "a large negative number that no mask holds",
    nodes: [PROJECT, { ...times("s"), op: "Add" }],
    tensors: [WEIGHT, tensor("s", "f32", [], [-17391.85])],
  },
];

const CANARIES: readonly number[] = [...FLOATS, 4.6051702, 0.2218374, Math.exp(0.4837261), 0.3718264, -17391.85];

function programsOf({ plan }: Compiled): string {
  const steps = plan.steps.map(({ attributes }) =>
    JSON.stringify(attributes, (_, x) => (ArrayBuffer.isView(x) ? Array.from(x as Float64Array) : x)),
  );
  return [print(plan.owners.data, TENSOR), print(plan.owners.model, TENSOR), ...steps].join("\n");
}

/** The fractions of fixed-point numbers that tell a canary from chance. */
const FRACTIONS = Array.from({ length: 16 }, (_, i) => 12 + i);

/**
 * The canaries that a plan shows: as text, as the bits of a float32 or a double, as the integers that steps hold, as
 * consecutive bytes or numbers.
 */
function found(compiled: Compiled): readonly string[] {
  const text = programsOf(compiled);
  const file = Buffer.from(encodePlan(compiled.plan));
  const shown = CANARIES.filter((x) => {
    const [single, double] = [Buffer.alloc(4), Buffer.alloc(8)];
    single.writeFloatLE(x);
    double.writeDoubleLE(Math.fround(x));
    const fixed = FRACTIONS.some((bits) => new RegExp(`\\b${Math.round(Math.abs(x) * 2 ** bits)}\\b`).test(text));
    return text.includes(String(x).slice(0, 7)) || fixed || file.includes(single) || file.includes(double);
  });
  const listed = new RegExp(
    BYTES.slice(0, 3)
      .map((n) => `-?${Math.abs(n)}(\\.0)?`)
      .join("\\s*,\\s*"),
  );
  return [
    ...shown.map(String),
    ...(listed.test(text) || file.includes(Buffer.from(Int8Array.from(BYTES).buffer)) ? ["bytes"] : []),
  ];
}

function write({ name, nodes, tensors }: Case): string {
  const path = join(folder, `${name.replace(/\W+/g, "-")}.onnx`);
  const [inputs, outputs] = ["x", "y"].map((each) => [{ name: each, dtype: "f32" as const, shape: [2, 4] }]);
  writeModel(path, { opsets: { "": 17 }, graph: { name: "g", inputs, outputs, nodes, tensors } });
  return path;
}

describe("a plan shows no weight", () => {
  it.each(OTHERS)("written as $name", async (model) => {
    const path = write(model);
    const compiled = await compileModel(path);
    expect(found(compiled)).toEqual([]);
    const { graph, weights } = await openModel({ model: path }, compiled.plan);
    const x = { dtype: "f32" as const, shape: [2, 4], data: Float64Array.of(1, -0.5, 0.25, 2, 0.75, -1, 0.5, 1.5) };
    const plain = evaluateGraph(graph, new Map([["x", x]]), weights).get("y")!;
    const values = runOwners(compiled.plan, new Map([["x", x]]), weights);
    const { outputs } = await simulate({ ...compiled, digest: planDigest(compiled.plan) }, values, 1);
    const largest = Math.max(...plain.data.map(Math.abs));
    outputs.get("y")!.data.forEach((y, i) => void expect(Math.abs(y - plain.data[i])).toBeLessThan(0.01 * largest));
  });

  it.each(CASES)("written as $name", async (written) => {
    const path = write(written);
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
