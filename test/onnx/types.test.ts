/**
 * Element types: half precision works end to end, weights and inputs alike; what a plan has no values for (sequences,
 * optionals, maps, strings, quantised numbers) is refused by name, with its place and a way out.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { importOnnx } from "../../compiler/onnx/index.js";
import {
  decodeMessage,
  encodeMessage,
  type GraphProto,
  type NodeProto,
  type ValueInfo,
} from "../../formats/onnx/schema.js";
import { dataTypeOf, readTensorFile } from "../../formats/onnx/tensor-proto.js";
import { encodeTensor, type NodeSource, writeModel } from "../../formats/onnx/write.js";
import { type Diagnostic, PumacError } from "../../ir/diagnostics.js";
import type { TensorValue } from "../../ir/tensor/value.js";
import { expectWithin, simulateModel } from "../fixtures/support.js";
import { evaluateModel, importAt, OWN_FIXTURES, readTensors } from "./support.js";

const folder = mkdtempSync(join(tmpdir(), "pumac-types-"));
afterAll(() => rmSync(folder, { recursive: true }));

function diagnosticsOf(path: string): readonly Diagnostic[] {
  try {
    importOnnx(path);
  } catch (error) {
    expect(error).toBeInstanceOf(PumacError);
    return (error as PumacError).diagnostics;
  }
  return [];
}

function expectRefused(path: string, code: string, where: string, what: RegExp): void {
  const [found] = diagnosticsOf(path);
  expect(found).toMatchObject({ code, where, what: expect.stringMatching(what) });
  expect(found.why?.length).toBeGreaterThan(20);
  expect(found.fix?.length).toBeGreaterThan(20);
}

/** A model of one Identity whose input has the given type. */
function modelWithInput(type: object): string {
  const value = { name: "x", type };
  const node = { input: ["x"], output: ["y"], name: "copy", opType: "Identity", domain: "", attribute: [] };
  const graph = encodeMessage("GraphProto", { name: "g", input: [value], output: [value], node: [node] });
  const path = join(folder, "input.onnx");
  writeFileSync(
    path,
    encodeMessage("ModelProto", { irVersion: 10, opsetImport: [{ domain: "", version: 17 }], graph }),
  );
  return path;
}

describe("types of inputs that are refused", () => {
  it.each([
    ["sequence", "sequenceType"],
    ["map", "mapType"],
    ["optional", "optionalType"],
    ["sparse tensor", "sparseTensorType"],
  ])("%s", (name, kind) => {
    const path = modelWithInput({ [kind]: Uint8Array.of() });
    expectRefused(path, "E0402", "input 'x'", new RegExp(`of type ${name}, which is not supported`));
  });

  it.each([
    ["STRING", 8],
    ["COMPLEX64", 14],
    ["FLOAT8E4M3FN", 17],
    ["UINT4", 21],
    ["INT4", 22],
    ["FLOAT4E2M1", 23],
  ])("%s", (name, elemType) => {
    const path = modelWithInput({ tensorType: { elemType, shape: { dim: [{ dimValue: 2 }] } } });
    expectRefused(path, "E0402", "input 'x'", new RegExp(`element type ${name} is not supported`));
  });
});

describe("operators on such types that are refused", () => {
  const node = (op: string, domain = ""): NodeSource => ({
    op,
    domain,
    inputs: ["x"],
    outputs: ["y"],
    name: `my ${op}`,
  });
  it.each([
    ["SequenceConstruct", "", /sequence/],
    ["SplitToSequence", "", /sequence/],
    ["ConcatFromSequence", "", /sequence/],
    ["Optional", "", /optional/],
    ["OptionalGetElement", "", /optional/],
    ["StringConcat", "", /string/],
    ["StringNormalizer", "", /string/],
    ["ZipMap", "ai.onnx.ml", /map/],
    ["DictVectorizer", "ai.onnx.ml", /map/],
    ["QuantizeLinear", "", /few bits/],
    ["QLinearMatMul", "", /few bits/],
    ["ConvInteger", "", /few bits/],
  ])("%s %s", (op, domain, why) => {
    const path = join(folder, "operator.onnx");
    const value = { dtype: "f32" as const, shape: [2] };
    writeModel(path, {
      graph: {
        name: "g",
        inputs: [{ name: "x", ...value }],
        outputs: [{ name: "y", ...value }],
        nodes: [node(op, domain)],
      },
      opsets: { "": 21, "ai.onnx.ml": 3, "com.microsoft": 1 },
    });
    expectRefused(path, "E0401", `my ${op}`, new RegExp(`unsupported operator .*${op}`));
    expect(diagnosticsOf(path)[0].why).toMatch(why);
  });
});

type Half = "f16" | "bf16";
const FLOAT = dataTypeOf("f32");

/** A tensor of a file in half precision, if it is a float one. */
function halved(bytes: Uint8Array, dtype: Half): Uint8Array {
  const path = join(folder, "tensor.pb");
  writeFileSync(path, bytes);
  const { name, value } = readTensorFile(path);
  return value.dtype === "f32" ? encodeTensor(name, { ...value, dtype }) : bytes;
}

/** The model with every float32 (weights, constants, casts, inputs and outputs) in half precision. */
function inHalf(file: string, dtype: Half): string {
  const model = decodeMessage("ModelProto", readFileSync(file), file) as unknown as { readonly graph: Uint8Array };
  const graph = decodeMessage("GraphProto", model.graph, file);
  const value = (info: ValueInfo): object =>
    info.type?.tensorType?.elemType === FLOAT
      ? { name: info.name, type: { tensorType: { ...info.type.tensorType, elemType: dataTypeOf(dtype) } } }
      : info;
  const node = (each: NodeProto): object => ({
    ...each,
    attribute: each.attribute.map((attribute) => {
      const target = attribute.name === "to" && attribute.i === FLOAT ? { i: dataTypeOf(dtype) } : {};
      return { ...attribute, ...target, ...(attribute.type === 4 ? { t: halved(attribute.t, dtype) } : {}) };
    }),
  });
  const changed = {
    ...graph,
    node: graph.node.map(node),
    initializer: graph.initializer.map((bytes) => halved(bytes, dtype)),
    input: graph.input.map(value),
    output: graph.output.map(value),
    valueInfo: [],
  } satisfies Record<keyof GraphProto, unknown>;
  const path = join(folder, `${dtype}.onnx`);
  writeFileSync(path, encodeMessage("ModelProto", { ...model, graph: encodeMessage("GraphProto", changed) }));
  return path;
}

describe("half precision", () => {
  const fixture = join(OWN_FIXTURES, "vit_cls.t5.legacy.eager.op14.dyn");
  const inputs = readTensors(join(fixture, "test_data_set_0"), "input");
  const wanted = readTensors(join(fixture, "test_data_set_0"), "output");

  it.each(["f16", "bf16"] as const)("%s weights and inputs, simulated", async (dtype) => {
    const path = inHalf(join(fixture, "model.onnx"), dtype);
    const given = new Map(inputs.map(({ name, value }): [string, TensorValue] => [name, { ...value, dtype }]));
    const model = importAt(path, given);
    expect(model.inputs.map((input) => input.dtype)).toEqual([dtype]);
    const clear = [...evaluateModel(model, given).values()];
    const outputs = [...(await simulateModel(path, given)).values()];
    // The type's own rounding: what differs from the float32 model by more would be an error of ours.
    const rounding = dtype === "f16" ? 1e-2 : 6e-2;
    wanted.forEach(({ name, value }, i) => {
      expectWithin(outputs[i], clear[i], `${name}, against the same model in the clear`);
      expectWithin(clear[i], value, `${name}, against float32`, rounding);
    });
  });
});
