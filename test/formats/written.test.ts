/**
 * What we write as ONNX is ONNX: protobufjs by a schema of its own reads every field back and would write the same
 * bytes, and onnxruntime runs it, weights in the file or beside it.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InferenceSession, Tensor } from "onnxruntime-node";
import protobuf, { type ReflectionObject } from "protobufjs";
import { afterAll, describe, expect, it } from "vitest";
import { ONNX_SCHEMA } from "../../formats/onnx/schema.js";
import { encodeModel, type ModelSource, writeModel } from "../../formats/onnx/write.js";
import { DTYPES } from "../../ir/tensor/value.js";
import { architectureModel, configFrom } from "../../models/architectures/index.js";

const folder = mkdtempSync(join(tmpdir(), "pumac-written-"));
afterAll(() => rmSync(folder, { recursive: true }));

const { root } = protobuf.parse(readFileSync(join(import.meta.dirname, "onnx_subset.proto"), "utf8"));
const MODEL = root.lookupType("onnx.ModelProto");

function read(bytes: Uint8Array) {
  const decoded = MODEL.decode(bytes);
  expect(Buffer.from(MODEL.encode(decoded).finish()).equals(Buffer.from(bytes))).toBe(true);
  return MODEL.toObject(decoded, { longs: Number, enums: Number, bytes: Buffer });
}

const value = (name: string, shape: readonly (number | string)[]) => ({ name, dtype: "f32" as const, shape });

/** Everything that the writer knows, in one model: every kind of attribute, a subgraph, a function, every type. */
const EVERYTHING: ModelSource = {
  graph: {
    name: "g",
    inputs: [value("x", ["rows", 2])],
    outputs: [value("y", ["rows", 2])],
    values: [value("h", ["rows", 2])],
    nodes: [
      {
        op: "Known",
        domain: "test",
        name: "first",
        inputs: ["x", ""],
        outputs: ["h"],
        attributes: {
          integer: { integer: -3 },
          number: { number: 0.5 },
          string: { string: "é" },
          tensor: { tensor: { dtype: "i64", shape: [2], data: Float64Array.of(-1, 7) } },
          graph: { graph: { name: "inner", inputs: [], outputs: [value("i", [])], nodes: [] } },
          integers: { integers: [1, -2, 2 ** 40] },
          numbers: { numbers: [0.25, -1] },
        },
      },
      { op: "Double", domain: "test", inputs: ["h"], outputs: ["y"] },
    ],
    tensors: DTYPES.map((dtype) => ({ name: dtype, dtype, shape: [2], data: Float64Array.of(0, 1) })),
  },
  opsets: { "": 17, test: 1 },
  functions: [
    {
      name: "Double",
      domain: "test",
      inputs: ["a"],
      outputs: ["b"],
      attributes: ["axis"],
      nodes: [{ op: "Add", inputs: ["a", "a"], outputs: ["b"], attributes: { axis: { reference: "axis" } } }],
    },
  ],
};

/** y = x w with w = [[1, 2], [3, 4]]. */
function product(shape: readonly number[]): ModelSource {
  return {
    graph: {
      name: "g",
      inputs: [value("x", ["rows", 2])],
      outputs: [value("y", ["rows", 2])],
      nodes: [{ op: "MatMul", inputs: ["x", "w"], outputs: ["y"] }],
      tensors: [{ name: "w", dtype: "f32", shape, data: Float32Array.of(1, 2, 3, 4) }],
    },
    opsets: { "": 17 },
  };
}

describe("another schema", () => {
  it("gives every field of ours the same number and wire form", () => {
    const messages = (schema: string | ReflectionObject): Map<string, Record<string, string>> => {
      const onnx = typeof schema === "string" ? protobuf.parse(schema).root.lookup("onnx")! : schema;
      const found = new Map<string, Record<string, string>>();
      const visit = (each: ReflectionObject): void => {
        if (each instanceof protobuf.Type) {
          const form = (type: string) => (/^(u?int(32|64)|float|double|bool)$/.test(type) ? type : "delimited");
          found.set(
            each.name,
            Object.fromEntries(
              each.fieldsArray.map(({ name, id, type, repeated }) => [name, `${id} ${form(type)} ${repeated}`]),
            ),
          );
        }
        if (each instanceof protobuf.Namespace) {
          each.nestedArray.forEach(visit);
        }
      };
      visit(onnx);
      return found;
    };
    const theirs = messages(root.lookup("onnx")!);
    // Kinds of values and tensors that are read only to be refused are not in the subset.
    const refused = [
      "sequenceType",
      "mapType",
      "sparseTensorType",
      "optionalType",
      "sparseInitializer",
      "attributeProto",
    ];
    for (const [name, fields] of messages(ONNX_SCHEMA)) {
      const known = Object.entries(fields).filter(([field]) => !refused.includes(field));
      const expected = theirs.get(name === "TensorHeader" ? "TensorProto" : name)!;
      expect(Object.fromEntries(known), name).toEqual(
        Object.fromEntries(known.map(([field]) => [field, expected[field]])),
      );
    }
  });

  it("reads back all that is written, and nothing is lost", () => {
    const model = read(encodeModel(EVERYTHING));
    expect(model).toMatchObject({ irVersion: 10, producerName: "pumac" });
    expect(model.opsetImport).toMatchObject([{ version: 17 }, { domain: "test", version: 1 }]);
    const { graph, functions } = model;
    expect(graph.input[0].type.tensorType.shape.dim).toEqual([{ dimParam: "rows" }, { dimValue: 2 }]);
    expect(graph.valueInfo[0].name).toBe("h");
    expect(graph.initializer.map(({ name, dims }: { name: string; dims: number[] }) => [name, dims])).toEqual(
      DTYPES.map((dtype) => [dtype, [2]]),
    );
    const [known] = graph.node;
    expect(known).toMatchObject({ opType: "Known", domain: "test", name: "first", input: ["x", ""], output: ["h"] });
    const attributes = Object.fromEntries(known.attribute.map((each: { name: string }) => [each.name, each]));
    expect(attributes.integer.i).toBe(-3);
    expect(attributes.number.f).toBe(0.5);
    expect(attributes.string.s.toString()).toBe("é");
    expect(attributes.tensor.t.rawData.readBigInt64LE(0)).toBe(-1n);
    expect(attributes.graph.g.output[0].name).toBe("i");
    expect(attributes.integers.ints).toEqual([1, -2, 2 ** 40]);
    expect(attributes.numbers.floats).toEqual([0.25, -1]);
    expect(functions[0]).toMatchObject({ name: "Double", domain: "test", attribute: ["axis"] });
    expect(functions[0].node[0].attribute[0].refAttrName).toBe("axis");
  });

  it("reads the models of every architecture", () => {
    for (const model_type of ["bert", "roberta", "gpt2", "llama"]) {
      const sizes = { hidden_size: 32, num_attention_heads: 2, num_hidden_layers: 1, vocab_size: 50 };
      const { graph } = read(encodeModel(architectureModel(configFrom({ model_type, ...sizes }, "config.json"), 4)));
      expect(graph.node.length).toBeGreaterThan(10);
    }
  });
});

describe("onnxruntime", () => {
  async function run(model: Uint8Array | string) {
    const session = await (typeof model === "string" ? InferenceSession.create(model) : InferenceSession.create(model));
    const { y } = await session.run({ x: new Tensor("float32", Float32Array.of(1, 0, 1, 1), [2, 2]) });
    return [...(y.data as Float32Array)];
  }

  it("runs a model with its weights inside", async () => {
    expect(await run(encodeModel(product([2, 2])))).toEqual([1, 2, 4, 6]);
  });

  it("runs a model with its weights beside it", async () => {
    const path = join(folder, "model.onnx");
    writeModel(path, product([2, 2]), { external: "model.data", threshold: 1 });
    expect(readFileSync(join(folder, "model.data"))).toHaveLength(16);
    expect(await run(path)).toEqual([1, 2, 4, 6]);
  });
});
