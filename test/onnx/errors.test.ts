/** What a user is told when a model cannot be imported as it is: everything at once, with names and a way out. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { importOnnx } from "../../compiler/onnx/index.js";
import { type ModelSource, type NodeSource, writeModel } from "../../formats/onnx/write.js";
import { type Diagnostic, PumacError } from "../../ir/diagnostics.js";

const folder = mkdtempSync(join(tmpdir(), "pumac-onnx-"));
afterAll(() => rmSync(folder, { recursive: true }));

let count = 0;
function write(model: ModelSource): string {
  const path = join(folder, `model${count++}.onnx`);
  writeModel(path, model);
  return path;
}

function diagnosticsOf(action: () => unknown): readonly Diagnostic[] {
  try {
    action();
  } catch (error) {
    if (error instanceof PumacError) {
      return error.diagnostics;
    }
    throw error;
  }
  return [];
}

function model(nodes: readonly NodeSource[], change: Partial<ModelSource["graph"]> = {}): ModelSource {
  const graph = {
    name: "g",
    inputs: [{ name: "x", dtype: "f32" as const, shape: ["batch", "sequence", 4] }],
    outputs: [{ name: "y", dtype: "f32" as const, shape: ["batch", "sequence", 4] }],
    nodes,
    ...change,
  };
  return { graph, opsets: { "": 17, "com.microsoft": 1 } };
}

const RELU: NodeSource = { op: "Relu", inputs: ["x"], outputs: ["y"], name: "act" };

describe("definitions", () => {
  const again: NodeSource = { op: "Identity", inputs: ["x"], outputs: ["y"] };
  it.each([
    ["by two nodes", model([RELU, again])],
    ["by an input and a node", model([{ ...again, inputs: ["x"], outputs: ["x"] }, RELU])],
  ])("of one name %s are refused", (_, twice) => {
    const found = diagnosticsOf(() => importOnnx(write(twice), { dims: { batch: 1, sequence: 2 } }));
    expect(found.map(({ code }) => code)).toEqual(["E0302"]);
    expect(found[0].what).toMatch(/is defined twice/);
  });
});

describe("dimensions", () => {
  it("lists every dimension that is not bound", () => {
    const found = diagnosticsOf(() => importOnnx(write(model([RELU]))));
    expect(found.map((each) => each.code)).toEqual(["E0203", "E0203"]);
    expect(found[0].what).toContain("'batch'");
    expect(found[1].fix).toContain("--dim sequence=N");
  });

  it("binds by name, by input, and by expression", () => {
    const inputs = [
      { name: "x", dtype: "f32" as const, shape: ["batch", "past"] },
      { name: "m", dtype: "f32" as const, shape: ["batch", "past + 2*batch"] },
    ];
    const path = write(
      model([{ op: "Concat", inputs: ["x", "m"], outputs: ["y"], attributes: { axis: { integer: 1 } } }], { inputs }),
    );
    const shapes = { x: [2, 5] };
    expect(importOnnx(path, { shapes }).inputs.map((input) => input.shape)).toEqual([
      [2, 5],
      [2, 9],
    ]);
    expect(importOnnx(path, { dims: { batch: 1, past: 3 } }).graph.outputs[0].node.type.shape).toEqual([1, 8]);
  });

  it("refuses a shape that contradicts the model", () => {
    const found = diagnosticsOf(() => importOnnx(write(model([RELU])), { shapes: { x: [1, 2, 5] } }));
    expect(found[0].code).toBe("E0202");
    expect(diagnosticsOf(() => importOnnx(write(model([RELU])), { shapes: { z: [1] } }))[0].what).toContain("'z'");
  });
});

describe("operators", () => {
  it("lists all unsupported operators at once, with their nodes", () => {
    const nodes: NodeSource[] = [
      { op: "LSTM", inputs: ["x"], outputs: ["a"], name: "first" },
      { op: "QAttention", domain: "com.microsoft", inputs: ["a"], outputs: ["b"], name: "second" },
      { op: "LSTM", inputs: ["b"], outputs: ["y"], name: "third" },
    ];
    const found = diagnosticsOf(() => importOnnx(write(model(nodes)), { dims: { batch: 1, sequence: 2 } }));
    expect(found.map((each) => each.code)).toEqual(["E0401", "E0401"]);
    expect(found[0].where).toBe("first, third");
    expect(found[0].what).toContain("opset 17");
    expect(found[1].what).toContain("com.microsoft::QAttention");
    expect(found[1].fix).toContain("export in floats");
  });

  it("collects what fails in single nodes, and passes over what depends on it", () => {
    const nodes: NodeSource[] = [
      { op: "Reshape", inputs: ["x", "x"], outputs: ["a"], name: "shape-from-data" },
      { op: "Relu", inputs: ["a"], outputs: ["b"] },
      { op: "Softmax", inputs: ["x"], outputs: ["c"], attributes: { axis: { integer: 7 } }, name: "bad-axis" },
      { op: "Add", inputs: ["b", "c"], outputs: ["y"] },
    ];
    const found = diagnosticsOf(() => importOnnx(write(model(nodes)), { dims: { batch: 1, sequence: 2 } }));
    expect(found.map((each) => each.where)).toEqual(["shape-from-data", "bad-axis"]);
  });

  it("refuses types by name", () => {
    const nodes: NodeSource[] = [{ op: "Cast", inputs: ["x"], outputs: ["y"], attributes: { to: { integer: 17 } } }];
    const found = diagnosticsOf(() => importOnnx(write(model(nodes)), { dims: { batch: 1, sequence: 2 } }));
    expect(found[0]).toMatchObject({ code: "E0402", what: expect.stringContaining("FLOAT8E4M3FN") });
  });

  it("names a function that calls itself", () => {
    const source = model([{ op: "F", domain: "own", inputs: ["x"], outputs: ["y"] }]);
    const body = { name: "F", domain: "own", inputs: ["p"], outputs: ["q"] };
    const functions = [{ ...body, nodes: [{ op: "F", domain: "own", inputs: ["p"], outputs: ["q"] }] }];
    const found = diagnosticsOf(() => importOnnx(write({ ...source, functions }), { dims: { batch: 1, sequence: 2 } }));
    expect(found[0].code).toBe("E0302");
  });
});

describe("warnings", () => {
  it("tells of an unused input and of a wrong annotation", () => {
    const inputs = [
      { name: "x", dtype: "f32" as const, shape: [2, 4] },
      { name: "mask", dtype: "i64" as const, shape: [2, 4] },
    ];
    const outputs = [{ name: "y", dtype: "f32" as const, shape: [2, 5] }];
    const { warnings } = importOnnx(write(model([RELU], { inputs, outputs })));
    expect(warnings.map((each) => each.code)).toEqual(["W0301", "W0302"]);
    expect(warnings[0].what).toContain("'mask'");
  });
});

describe("structure", () => {
  it("inlines functions, with attributes of the call, and takes a known branch", () => {
    const source = model(
      [
        { op: "Scale", domain: "own", inputs: ["x"], outputs: ["s"], attributes: { slope: { number: 0.5 } } },
        { op: "Shape", inputs: ["s"], outputs: ["n"], attributes: { start: { integer: 0 }, end: { integer: 1 } } },
        { op: "Equal", inputs: ["n", "one"], outputs: ["c"] },
        {
          op: "If",
          inputs: ["c"],
          outputs: ["y"],
          attributes: { then_branch: { graph: branch("Relu") }, else_branch: { graph: branch("LSTM") } },
        },
      ],
      { tensors: [{ name: "one", dtype: "i64", shape: [1], data: Float64Array.of(1) }] },
    );
    const leaky: NodeSource = {
      op: "LeakyRelu",
      inputs: ["p"],
      outputs: ["q"],
      attributes: { alpha: { reference: "slope" } },
    };
    const functions = [
      { name: "Scale", domain: "own", inputs: ["p"], outputs: ["q"], attributes: ["slope"], nodes: [leaky] },
    ];
    const { graph } = importOnnx(write({ ...source, functions }), { dims: { batch: 1, sequence: 2 } });
    expect(graph.nodes.map((node) => node.op)).toContain("relu");
    const constants = graph.nodes.filter((node) => node.op === "constant").map((node) => node.attributes.value);
    expect(JSON.stringify(constants)).toContain("0.5");
  });

  it("names the input that a branch depends on, takes its value, and never looks at the other branch", () => {
    const branches = { then_branch: { graph: branch("Relu") }, else_branch: { graph: branch("LSTM") } };
    const nodes: NodeSource[] = [
      { op: "Relu", inputs: ["x"], outputs: ["s"] },
      { op: "If", inputs: ["use_cache"], outputs: ["y"], attributes: branches },
    ];
    const inputs = [
      { name: "x", dtype: "f32" as const, shape: [2, 4] },
      { name: "use_cache", dtype: "bool" as const, shape: [1] },
    ];
    const path = write(model(nodes, { inputs }));
    const [problem] = diagnosticsOf(() => importOnnx(path));
    expect(problem).toMatchObject({ code: "E0402", where: "y", fix: expect.stringContaining("--value use_cache=…") });
    expect(problem.what).toContain("'use_cache'");
    const { graph, inputs: left } = importOnnx(path, { values: { use_cache: { data: [1] } } });
    expect(graph.nodes.map(({ op }) => op)).toContain("relu");
    expect(left.map(({ name }) => name)).toEqual(["x"]);
    expect(diagnosticsOf(() => importOnnx(path, { values: { use_cache: { data: [0] } } }))[0].what).toMatch(/LSTM/);
    expect(diagnosticsOf(() => importOnnx(path, { values: { use_cache: { data: [1, 1] } } }))[0].code).toBe("E0202");
  });

  it("keeps weights as parameters and masks, scalars and frequencies as constants", () => {
    const f32 = (name: string, shape: number[], data: number[]) => ({
      name,
      dtype: "f32" as const,
      shape,
      data: Float32Array.from(data),
    });
    const nodes: NodeSource[] = [
      { op: "Add", inputs: ["x", "mask"], outputs: ["a"] },
      { op: "Mul", inputs: ["a", "weight"], outputs: ["b"] },
      { op: "Mul", inputs: ["position", "frequency"], outputs: ["angle"] },
      { op: "Cos", inputs: ["angle"], outputs: ["c"] },
      { op: "Add", inputs: ["b", "c"], outputs: ["d"] },
      { op: "Mul", inputs: ["d", "factor"], outputs: ["y"] },
    ];
    const tensors = [
      f32("mask", [4], [0, 0, -3.4028235e38, -1e9]),
      f32("weight", [4], [0, 0, -3, 1]),
      f32("frequency", [4], [1, 0.1, 0.01, 0.001]),
      f32("position", [1], [3]),
      f32("factor", [], [0.125]),
    ];
    const { graph, weights } = importOnnx(write(model(nodes, { tensors })), { dims: { batch: 1, sequence: 2 } });
    const parameters = graph.nodes.filter((node) => node.op === "parameter").map((node) => node.attributes.name);
    expect(parameters).toEqual(["weight"]);
    expect(Array.from(weights.read("weight").data)).toEqual([0, 0, -3, 1]);
  });
});

function branch(op: string): ModelSource["graph"] {
  return {
    name: op,
    inputs: [],
    outputs: [{ name: `${op}_out`, dtype: "f32", shape: [] }],
    nodes: [{ op, inputs: ["s"], outputs: [`${op}_out`] }],
  };
}
