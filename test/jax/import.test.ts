/** The importer on small modules: control flow, indices, ownership, functions by their values, and what it refuses. */
import { describe, expect, it } from "vitest";
import { importStableHlo, type SourceOptions } from "../../compiler/jax/index.js";
import { pathSaysWeight, weightKeys } from "../../compiler/jax/weights.js";
import { PumacError } from "../../ir/diagnostics.js";
import { evaluateGraph } from "../../ir/tensor/index.js";
import type { TensorValue } from "../../ir/tensor/value.js";
import { isWaveTable } from "../../passes/architecture.js";

/** A module of one function. */
function moduleOf(signature: string, body: string): string {
  return `module @m {\n  func.func public @main(${signature} {\n${body}\n  }\n}\n`;
}

function tensor(shape: readonly number[], data: readonly number[], dtype: TensorValue["dtype"] = "f32"): TensorValue {
  return { dtype, shape, data: Float64Array.from(data) };
}

function run(
  text: string,
  inputs: Readonly<Record<string, TensorValue>>,
  options: SourceOptions = {},
): readonly number[] {
  const { graph, weights } = importStableHlo(text, options);
  const [value] = evaluateGraph(graph, new Map(Object.entries(inputs)), weights).values();
  return Array.from(value.data);
}

function problemsOf(text: string, options: SourceOptions = {}): string {
  try {
    importStableHlo(text, { file: "m.mlir", ...options });
  } catch (error) {
    if (error instanceof PumacError) {
      return error.message;
    }
    throw error;
  }
  return "";
}

describe("control flow", () => {
  it("unrolls a scan: the loop's counter selects each layer's weight", () => {
    const body = `    %i = stablehlo.constant dense<0> : tensor<i32>
    %r:2 = stablehlo.while(%a = %i, %b = %x) : tensor<i32>, tensor<2xf32>
    cond {
      %n = stablehlo.constant dense<3> : tensor<i32>
      %c = stablehlo.compare LT, %a, %n, SIGNED : (tensor<i32>, tensor<i32>) -> tensor<i1>
      stablehlo.return %c : tensor<i1>
    } do {
      %z = stablehlo.constant dense<0> : tensor<i32>
      %w1 = stablehlo.dynamic_slice %w, %a, %z, sizes = [1, 2]
        : (tensor<3x2xf32>, tensor<i32>, tensor<i32>) -> tensor<1x2xf32>
      %w2 = stablehlo.reshape %w1 : (tensor<1x2xf32>) -> tensor<2xf32>
      %y = stablehlo.multiply %b, %w2 : tensor<2xf32>
      %one = stablehlo.constant dense<1> : tensor<i32>
      %next = stablehlo.add %a, %one : tensor<i32>
      stablehlo.return %next, %y : tensor<i32>, tensor<2xf32>
    }
    return %r#1 : tensor<2xf32>`;
    const text = moduleOf("%w: tensor<3x2xf32>, %x: tensor<2xf32>) -> tensor<2xf32>", body);
    const { graph } = importStableHlo(text);
    expect(graph.nodes.map((node) => node.op)).not.toContain("gather");
    expect(run(text, { arg0: tensor([3, 2], [1, 2, 3, 4, 5, 6]), arg1: tensor([2], [1, 10]) })).toEqual([15, 480]);
  });

  it("computes both branches of an `if` on data", () => {
    const body = `    %r = "stablehlo.if"(%p) ({
      stablehlo.return %x : tensor<2xf32>
    }, {
      %n = stablehlo.negate %x : tensor<2xf32>
      stablehlo.return %n : tensor<2xf32>
    }) : (tensor<i1>) -> tensor<2xf32>
    return %r : tensor<2xf32>`;
    const text = moduleOf("%p: tensor<i1>, %x: tensor<2xf32>) -> tensor<2xf32>", body);
    expect(run(text, { arg0: tensor([], [0], "bool"), arg1: tensor([2], [1, 2]) })).toEqual([-1, -2]);
    expect(run(text, { arg0: tensor([], [1], "bool"), arg1: tensor([2], [1, 2]) })).toEqual([1, 2]);
  });

  it("refuses a loop whose length depends on data", () => {
    const body = `    %r = stablehlo.while(%a = %x) : tensor<i32>
    cond {
      %n = stablehlo.constant dense<3> : tensor<i32>
      %c = stablehlo.compare LT, %a, %n, SIGNED : (tensor<i32>, tensor<i32>) -> tensor<i1>
      stablehlo.return %c : tensor<i1>
    } do {
      stablehlo.return %a : tensor<i32>
    }
    return %r : tensor<i32>`;
    expect(problemsOf(moduleOf("%x: tensor<i32>) -> tensor<i32>", body))).toMatch(/depends on data[\s\S]*m\.mlir:3:5/);
  });
});

describe("updates and lookups", () => {
  const update = `    %r = stablehlo.dynamic_update_slice %x, %u, %i
      : (tensor<5xf32>, tensor<2xf32>, tensor<i32>) -> tensor<5xf32>
    return %r : tensor<5xf32>`;
  const signature = "%x: tensor<5xf32>, %u: tensor<2xf32>, %i: tensor<i32>) -> tensor<5xf32>";

  it.each([-1, 0, 2, 3, 9])("dynamic_update_slice at %i, known or data, clamps", (at) => {
    const start = Math.min(Math.max(at, 0), 3);
    const expected = [1, 2, 3, 4, 5].map((x, i) => (i === start ? 10 : i === start + 1 ? 20 : x));
    const inputs = { arg0: tensor([5], [1, 2, 3, 4, 5]), arg1: tensor([2], [10, 20]), arg2: tensor([], [at], "i32") };
    const text = moduleOf(signature, update);
    expect(run(text, inputs)).toEqual(expected);
    expect(run(text, inputs, { values: { arg2: inputs.arg2 } })).toEqual(expected);
  });

  it.each([
    ["minimum", -5, -5],
    ["minimum", 9, 1],
    ["maximum", 9, 9],
    ["maximum", -5, 4],
  ])("a reduction by %s starts at its initial value %i", (op, init, expected) => {
    const body = `    %i = stablehlo.constant dense<${init}.0> : tensor<f32>
    %r = stablehlo.reduce(%x init: %i) applies stablehlo.${op} across dimensions = [0]
      : (tensor<4xf32>, tensor<f32>) -> tensor<f32>
    return %r : tensor<f32>`;
    const text = moduleOf("%x: tensor<4xf32>) -> tensor<f32>", body);
    expect(run(text, { arg0: tensor([4], [3, 1, 4, 2]) })).toEqual([expected]);
  });

  it.each([4, 5])("adding %i to negative indices of four rows is what it says, not only numpy's wrap", (added) => {
    const body = `    %z = stablehlo.constant dense<0> : tensor<3xi32>
    %k = stablehlo.constant dense<${added}> : tensor<3xi32>
    %n = stablehlo.compare LT, %i, %z, SIGNED : (tensor<3xi32>, tensor<3xi32>) -> tensor<3xi1>
    %a = stablehlo.add %i, %k : tensor<3xi32>
    %s = stablehlo.select %n, %a, %i : tensor<3xi1>, tensor<3xi32>
    %c = stablehlo.reshape %s : (tensor<3xi32>) -> tensor<3x1xi32>
    %r = "stablehlo.gather"(%x, %c) <{dimension_numbers = #stablehlo.gather<
      offset_dims = [1], collapsed_slice_dims = [0], start_index_map = [0], index_vector_dim = 1>,
      indices_are_sorted = false, slice_sizes = array<i64: 1, 2>}>
      : (tensor<4x2xf32>, tensor<3x1xi32>) -> tensor<3x2xf32>
    return %r : tensor<3x2xf32>`;
    const text = moduleOf("%x: tensor<4x2xf32>, %i: tensor<3xi32>) -> tensor<3x2xf32>", body);
    const rows = [-2, 2, -3].map((i) => (i < 0 ? i + added : i));
    const inputs = { arg0: tensor([4, 2], [0, 1, 2, 3, 4, 5, 6, 7]), arg1: tensor([3], [-2, 2, -3], "i32") };
    expect(run(text, inputs)).toEqual(rows.flatMap((row) => [2 * row, 2 * row + 1]));
  });

  it("argmax's two-result reduction is one op", () => {
    const body = `    %i = stablehlo.iota dim = 0 : tensor<4xi32>
    %low = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %z = stablehlo.constant dense<0> : tensor<i32>
    %r:2 = stablehlo.reduce(%x init: %low), (%i init: %z) across dimensions = [0]
      : (tensor<4xf32>, tensor<4xi32>, tensor<f32>, tensor<i32>) -> (tensor<f32>, tensor<i32>)
     reducer(%a: tensor<f32>, %b: tensor<f32>) (%c: tensor<i32>, %d: tensor<i32>) {
      %1 = stablehlo.compare GT, %a, %b, FLOAT : (tensor<f32>, tensor<f32>) -> tensor<i1>
      %2 = stablehlo.compare EQ, %a, %b, FLOAT : (tensor<f32>, tensor<f32>) -> tensor<i1>
      %3 = stablehlo.compare LT, %c, %d, SIGNED : (tensor<i32>, tensor<i32>) -> tensor<i1>
      %4 = stablehlo.and %2, %3 : tensor<i1>
      %5 = stablehlo.or %1, %4 : tensor<i1>
      %6 = stablehlo.select %1, %a, %b : tensor<i1>, tensor<f32>
      %7 = stablehlo.select %5, %c, %d : tensor<i1>, tensor<i32>
      stablehlo.return %6, %7 : tensor<f32>, tensor<i32>
    }
    return %r#1 : tensor<i32>`;
    const text = moduleOf("%x: tensor<4xf32>) -> tensor<i32>", body);
    expect(importStableHlo(text).graph.nodes.map((node) => node.op)).toContain("argmax");
    expect(run(text, { arg0: tensor([4], [1, 7, 7, 2]) })).toEqual([1]);
  });
});

describe("functions by their values", () => {
  it("finds silu in its expansion, and leaves alone what only looks like it", () => {
    const silu = (slope: string) => `    %k = stablehlo.constant dense<${slope}> : tensor<f32>
    %ks = stablehlo.broadcast_in_dim %k, dims = [] : (tensor<f32>) -> tensor<2xf32>
    %y = stablehlo.multiply %x, %ks : tensor<2xf32>
    %n = stablehlo.negate %y : tensor<2xf32>
    %e = stablehlo.exponential %n : tensor<2xf32>
    %o = stablehlo.constant dense<1.0> : tensor<2xf32>
    %d = stablehlo.add %e, %o : tensor<2xf32>
    %s = stablehlo.divide %o, %d : tensor<2xf32>
    %r = stablehlo.multiply %x, %s : tensor<2xf32>
    return %r : tensor<2xf32>`;
    const ops = (slope: string): readonly string[] =>
      importStableHlo(moduleOf("%x: tensor<2xf32>) -> tensor<2xf32>", silu(slope))).graph.nodes.map((node) => node.op);
    expect(ops("1.0")).toEqual(["input", "silu"]);
    expect(ops("1.001")).not.toContain("silu");
    expect(ops("1.001")).toContain("sigmoid");
  });
});

describe("ownership", () => {
  it("reads tree paths", () => {
    const weights = [
      "p['bert']['kernel']",
      "params['params']['Dense_0']['bias']",
      "[0].params['w']",
      "state.params['w']",
    ];
    expect(weights.map(pathSaysWeight)).toEqual(weights.map(() => true));
    const data = ["x", "a[0]", "batch['input_ids']", "inputs", "arg12", "pixel_values", "input_weights"];
    expect(data.map(pathSaysWeight)).toEqual(data.map(() => false));
    expect(weightKeys("params['params']['dense']['kernel']")).toContain(
      "dense.kernel".replace("dense", "params.dense"),
    );
  });

  it("takes rotary tables for structure and weights for weights", () => {
    const wave = (noise: number): TensorValue => {
      const data = Array.from({ length: 40 * 8 }, (_, i) => {
        const [p, j] = [Math.floor(i / 8), i % 8];
        const angle = p * 10000 ** (-(j % 4) / 4);
        return Math.fround((j < 4 ? Math.sin(angle) : Math.cos(angle)) + (p > 30 ? noise : 0));
      });
      return tensor([40, 8], data);
    };
    expect(isWaveTable(wave(0))).toBe(true);
    expect(isWaveTable(wave(0.01))).toBe(false);
  });
});

describe("what is refused", () => {
  it("lists every unknown operation with its place", () => {
    const body = `    %0 = stablehlo.fft %x, type = FFT, length = [2] : (tensor<2xf32>) -> tensor<2xf32>
    %1 = "stablehlo.rng"(%0) : (tensor<2xf32>) -> tensor<2xf32>
    %2 = "stablehlo.cholesky"(%x) : (tensor<2xf32>) -> tensor<2xf32>
    return %1 : tensor<2xf32>`;
    const problems = problemsOf(moduleOf("%x: tensor<2xf32>) -> tensor<2xf32>", body));
    expect(problems).toMatch(/E0401[\s\S]*stablehlo\.fft[\s\S]*m\.mlir:3:5/);
    expect(problems).toMatch(/stablehlo\.cholesky[\s\S]*m\.mlir:5:5/);
    // Its operand is what failed: no second complaint.
    expect(problems).not.toMatch(/stablehlo\.rng/);
  });

  it("answers a shape-polymorphic module with how to fix the shapes", () => {
    const text = moduleOf("%x: tensor<?x4xf32>) -> tensor<?x4xf32>", "    return %x : tensor<?x4xf32>");
    expect(problemsOf(text)).toMatch(/E0402[\s\S]*dynamic dimension[\s\S]*fix: .*ShapeDtypeStruct/);
  });

  it.each([
    ["    %0 = stablehlo.add %x, %y : tensor<2xf32>\n    return %0 : tensor<2xf32>", /%y is not defined/],
    ["    %0 = stablehlo.tanh %x : tensor<3xf32>\n    return %x : tensor<2xf32>", /f32\[2\] and is declared f32\[3\]/],
    ["    %0 = stablehlo.tanh %x : tensor<2xf32>", /without a return/],
    ["    %0 = call @f(%x) : (tensor<2xf32>) -> tensor<2xf32>\n    return %0 : tensor<2xf32>", /no function 'f'/],
    ["    %0 = call @main(%x) : (tensor<2xf32>) -> tensor<2xf32>\n    return %0 : tensor<2xf32>", /recursion/],
    [
      "    %0 = stablehlo.transpose %x, dims = [1] : (tensor<2xf32>) -> tensor<2xf32>\n    return %0 : tensor<2xf32>",
      /different axes/,
    ],
    [
      "    %0 = stablehlo.constant dense<1.0> : tensor<99999999999xf32>\n    return %0 : tensor<99999999999xf32>",
      /too large/,
    ],
  ])("case %#", (body, what) => {
    const problems = problemsOf(moduleOf("%x: tensor<2xf32>) -> tensor<2xf32>", body));
    expect(problems).toMatch(what);
    expect(problems).toMatch(/m\.mlir:\d+:\d+/);
  });
});
