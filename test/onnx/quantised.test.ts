/**
 * Weights that are stored in few bits: from the file to the answer by the three roles, against onnxruntime. What the
 * table varies is what an exporter may choose: the type, per tensor, per axis or in blocks, the zero points, who reads
 * the weight, and whether it is small enough to be looked at while the graph is read.
 *
 * onnxruntime runs without its graph optimisations: with them it may round the activations of such products to eight
 * bits of its own accord (MatMulNBits at accuracy level 4), and is then further from the model than a plan is.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { afterAll, describe, it } from "vitest";
import { simulate } from "../../client/local/simulation.js";
import { runOwners } from "../../client/owners.js";
import { compileModel } from "../../compiler/compile.js";
import { decodeMessage, encodeMessage } from "../../formats/onnx/schema.js";
import { type AttributeSource, encodeModel, type NodeSource } from "../../formats/onnx/write.js";
import { planDigest } from "../../ir/plan/codec.js";
import { sizeOf, type TensorValue } from "../../ir/tensor/value.js";
import { expectWithin } from "../fixtures/support.js";

const folder = mkdtempSync(join(tmpdir(), "pumac-quantised-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** ONNX's number, bits, the least and the largest value. */
const TYPES = {
  float: [1, 32, 0, 0],
  uint8: [2, 8, 0, 255],
  int8: [3, 8, -128, 127],
  uint4: [21, 4, 0, 15],
  int4: [22, 4, -8, 7],
} as const;
type Type = keyof typeof TYPES;
type Whole = Exclude<Type, "float">;

interface Stored {
  readonly name: string;
  readonly type: Type;
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

function encoded({ name, type, shape, data }: Stored): Uint8Array {
  const [dataType, bits] = TYPES[type];
  const nibble = (i: number) => (data[i] ?? 0) & 15;
  const halves = () =>
    Uint8Array.from({ length: Math.ceil(data.length / 2) }, (_, i) => nibble(2 * i) | (nibble(2 * i + 1) << 4));
  const bytes = () => Uint8Array.from(data, (x) => x & 255);
  const rawData = bits === 32 ? new Uint8Array(Float32Array.from(data).buffer) : bits === 8 ? bytes() : halves();
  return encodeMessage("TensorProto", { name, dims: shape, dataType, rawData });
}

interface Case {
  readonly nodes: readonly NodeSource[];
  readonly tensors: readonly Stored[];
  readonly x?: TensorValue;
  readonly shape: readonly number[];
  readonly opset?: number;
}

/** Fixed numbers in [0, 1). */
function noise(i: number, seed: number): number {
  const x = Math.sin(i * 12.9898 + seed * 78.233) * 43758.5453;
  return x - Math.floor(x);
}

const [ROWS, K, BLOCK] = [3, 24, 4];
const X: TensorValue = {
  dtype: "f32",
  shape: [ROWS, K],
  data: Float64Array.from({ length: ROWS * K }, (_, i) => Math.fround(4 * noise(i, 9) - 2)),
};
const IDS: TensorValue = { dtype: "i64", shape: [ROWS], data: Float64Array.of(3, 0, 17) };

let files = 0;
function written({ nodes, tensors, x = X, shape, opset = 21 }: Case): string {
  const inputs = [{ name: "x", dtype: x.dtype, shape: x.shape }];
  const outputs = [{ name: "y", dtype: "f32" as const, shape }];
  const source = encodeModel({
    graph: { name: "g", inputs, outputs, nodes },
    opsets: { "": opset, "com.microsoft": 1 },
  });
  const model = decodeMessage("ModelProto", source, "") as unknown as { readonly graph: Uint8Array };
  const graph = { ...decodeMessage("GraphProto", model.graph, ""), initializer: tensors.map(encoded) };
  const path = join(folder, `${files++}.onnx`);
  writeFileSync(path, encodeMessage("ModelProto", { ...model, graph: encodeMessage("GraphProto", graph) }));
  return path;
}

async function byRuntime(path: string, x: TensorValue): Promise<TensorValue> {
  const session = await InferenceSession.create(path, { logSeverityLevel: 4, graphOptimizationLevel: "disabled" });
  const fed =
    x.dtype === "i64"
      ? new Tensor("int64", BigInt64Array.from(Array.from(x.data, BigInt)), [...x.shape])
      : new Tensor("float32", Float32Array.from(x.data), [...x.shape]);
  const { y } = await session.run({ x: fed });
  return { dtype: "f32", shape: [...y.dims], data: Float64Array.from(y.data as Float32Array) };
}

async function compare(test: Case, wanted?: TensorValue): Promise<void> {
  const path = written(test);
  const { x = X } = test;
  const { plan, weights } = await compileModel(path);
  const owners = runOwners(plan, new Map([["x", x]]), weights);
  const { outputs } = await simulate({ plan, digest: planDigest(plan) }, owners, 1);
  expectWithin(outputs.get("y")!, wanted ?? (await byRuntime(path, x)), "y");
}

interface Weight {
  readonly type: Whole;
  readonly form: string;
  readonly zeros: "none" | "middle" | "each";
  readonly shape: readonly number[];
  /** Where the values lie; the middle of the type by default. */
  readonly near?: number;
}

/** A weight with its scale and zero points, and the node that makes real numbers of it: d. */
function stored({ type, form, zeros, shape, near }: Weight) {
  const [, , least, most] = TYPES[type];
  const [how, given = "1"] = form.split(" ");
  const axis = Number(given) < 0 ? Number(given) + shape.length : Number(given);
  const own = { tensor: [], axis: [shape[axis]], block: shape.map((n, i) => (i === axis ? n / BLOCK : n)) }[how]!;
  const middle = near ?? Math.ceil((least + most) / 2);
  const spread = near === undefined ? most - least : 20;
  const around = (part: number, seed: number) => (_: unknown, i: number) =>
    Math.min(most, Math.max(least, Math.round(middle + (noise(i, seed) - 0.5) * part)));
  const filled = (of: readonly number[], at: (_: unknown, i: number) => number) =>
    Array.from({ length: sizeOf(of) }, at);
  const tensors: Stored[] = [
    { name: "w", type, shape, data: filled(shape, around(spread, 1)) },
    { name: "scale", type: "float", shape: own, data: filled(own, (_, i) => (0.2 + noise(i, 2)) / spread) },
    { name: "zero", type, shape: own, data: filled(own, around(zeros === "each" ? spread / 4 : 0, 3)) },
  ];
  const attributes: Record<string, AttributeSource> = how === "tensor" ? {} : { axis: { integer: Number(given) } };
  const blocks: Record<string, AttributeSource> = how === "block" ? { block_size: { integer: BLOCK } } : {};
  const names = zeros === "none" ? ["w", "scale"] : ["w", "scale", "zero"];
  return {
    tensors: tensors.filter(({ name }) => names.includes(name)),
    node: { op: "DequantizeLinear", inputs: names, outputs: ["d"], attributes: { ...attributes, ...blocks } },
  };
}

function product(weight: Weight): Case {
  const { tensors, node } = stored(weight);
  const nodes = [node, { op: "MatMul", inputs: ["x", "d"], outputs: ["y"] }];
  return { nodes, tensors, shape: [ROWS, weight.shape[1]] };
}

const FORMS = ["tensor", "axis 0", "axis 1", "axis -1", "block 0", "block 1"];
/** The second is so large that the weight stays on disk. */
const SHAPES = [
  [K, 12],
  [K, 200],
];

describe("DequantizeLinear before a product", () => {
  for (const type of ["uint8", "int8", "uint4", "int4"] as const) {
    for (const form of FORMS) {
      it(`${type}, ${form}`, async () => {
        await compare(product({ type, form, zeros: "each", shape: SHAPES[0] }));
        await compare(product({ type, form, zeros: "none", shape: SHAPES[1] }));
      });
    }
  }

  it.each(FORMS)("uint8 near 180, %s", async (form) => {
    await compare(product({ type: "uint8", form, zeros: "none", shape: SHAPES[0], near: 180 }));
    await compare(product({ type: "uint8", form, zeros: "each", shape: SHAPES[1], near: 180 }));
  });
});

describe("who reads the weight", () => {
  const weight: Weight = { type: "uint8", form: "axis 0", zeros: "each", shape: [12, K], near: 180 };

  it("Gemm with the transposed weight", async () => {
    const { tensors, node } = stored(weight);
    const gemm = { op: "Gemm", inputs: ["x", "d"], outputs: ["y"], attributes: { transB: { integer: 1 } } };
    await compare({ nodes: [node, gemm], tensors, shape: [ROWS, 12] });
  });

  it("Transpose, then a product", async () => {
    const { tensors, node } = stored({ ...weight, form: "block 1" });
    const turn = { op: "Transpose", inputs: ["d"], outputs: ["t"], attributes: { perm: { integers: [1, 0] } } };
    await compare({
      nodes: [node, turn, { op: "MatMul", inputs: ["x", "t"], outputs: ["y"] }],
      tensors,
      shape: [ROWS, 12],
    });
  });

  it.each(["tensor", "axis 0", "axis 1"])("an embedding, %s", async (form) => {
    const { tensors, node } = stored({ ...weight, form, shape: [20, K] });
    const gather = { op: "Gather", inputs: ["d", "x"], outputs: ["y"] };
    await compare({ nodes: [node, gather], tensors, x: IDS, shape: [ROWS, K] });
  });

  it.each([20, 200])("a table of %i rows, of which those that are chosen become real numbers", async (rows) => {
    const { tensors, node } = stored({ ...weight, form: "tensor", shape: [rows, K] });
    const gather = { op: "Gather", inputs: ["w", "x"], outputs: ["g"] };
    const numbers = { ...node, inputs: ["g", ...node.inputs.slice(1)], outputs: ["y"] };
    await compare({ nodes: [gather, numbers], tensors, x: IDS, shape: [ROWS, K] });
  });

  it("a convolution", async () => {
    const { tensors, node } = stored({ ...weight, shape: [5, 1, 3] });
    const shaped = { op: "Reshape", inputs: ["x", "shape"], outputs: ["r"] };
    const shape = {
      op: "Constant",
      inputs: [],
      outputs: ["shape"],
      attributes: { value_ints: { integers: [ROWS, 1, K] } },
    };
    const conv = { op: "Conv", inputs: ["r", "d"], outputs: ["y"], attributes: { pads: { integers: [1, 1] } } };
    await compare({ nodes: [shape, shaped, node, conv], tensors, shape: [ROWS, 5, K] });
  });
});

describe("activations that the model rounds to eight bits stay what they stand for", () => {
  const forms = ["tensor", "axis 1"].flatMap((form) => (["none", "each"] as const).map((zeros) => ({ form, zeros })));
  const quantised: NodeSource = { op: "DynamicQuantizeLinear", inputs: ["x"], outputs: ["q", "s", "z"] };

  describe.each(forms)("uint8 near 180, $form, zero points: $zeros", ({ form, zeros }) => {
    const weight: Weight = { type: "uint8", form, zeros, shape: SHAPES[0], near: 180 };
    const { tensors } = stored(weight);
    const zero = zeros === "none" ? "" : "zero";
    const check = async (nodes: readonly NodeSource[]) =>
      compare({ nodes, tensors, shape: [ROWS, 12] }, await byRuntime(written(product(weight)), X));

    it("MatMulInteger", () =>
      check([
        quantised,
        { op: "MatMulInteger", inputs: ["q", "w", "z", zero], outputs: ["i"] },
        { op: "Cast", inputs: ["i"], outputs: ["c"], attributes: { to: { integer: 1 } } },
        { op: "Mul", inputs: ["s", "scale"], outputs: ["both"] },
        { op: "Mul", inputs: ["c", "both"], outputs: ["y"] },
      ]));

    const domain = "com.microsoft";
    it("DynamicQuantizeMatMul", () =>
      check([{ op: "DynamicQuantizeMatMul", domain, inputs: ["x", "w", "scale", zero], outputs: ["y"] }]));

    it("MatMulIntegerToFloat", () =>
      check([
        quantised,
        { op: "MatMulIntegerToFloat", domain, inputs: ["q", "w", "s", "scale", "z", zero], outputs: ["y"] },
      ]));
  });
});
