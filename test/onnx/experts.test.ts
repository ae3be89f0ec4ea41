/**
 * Mixtures of experts in the form of transformers' own exporter: pairs of token and expert sorted by expert, one
 * product for each run of rows, and back. The runs' lengths are secrets; the plan has every expert on every token, and
 * the answer is onnxruntime's.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { afterAll, describe, expect, it } from "vitest";
import { simulate } from "../../client/local/simulation.js";
import { runOwners } from "../../client/owners.js";
import { compileModel } from "../../compiler/compile.js";
import { importOnnx } from "../../compiler/onnx/index.js";
import { type NodeSource, writeModel } from "../../formats/onnx/write.js";
import { PumacError } from "../../ir/diagnostics.js";
import { planDigest } from "../../ir/plan/codec.js";
import type { TensorValue } from "../../ir/tensor/value.js";
import { expectWithin } from "../fixtures/support.js";
import { normal } from "../lower/support.js";
import { evaluateModel, expectClose } from "./support.js";

const folder = mkdtempSync(join(tmpdir(), "pumac-experts-"));
afterAll(() => rmSync(folder, { recursive: true }));

const [TOKENS, WIDTH, INNER, EXPERTS] = [5, 4, 6, 3];

interface Form {
  readonly choices: number;
  /** Biases of the experts: gathered by the sorted ids, or one added to each product. */
  readonly bias?: "gathered" | "apart";
  /** How rows come back: by the inverse of the sort, or added to zeros at their tokens. */
  readonly back?: "inverse" | "scatter";
  /** Lengths computed from shapes. */
  readonly dynamic?: boolean;
  /** What is exported besides. */
  readonly also?: string;
}

const integers = (...data: number[]): TensorValue => ({
  dtype: "i64",
  shape: [data.length],
  data: Float64Array.from(data),
});
const scalar = (value: number): TensorValue => ({ dtype: "i64", shape: [], data: Float64Array.of(value) });
const counted = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

/** Nodes, and the constants that they name, as they are made. */
class Sheet {
  readonly nodes: NodeSource[] = [];
  readonly tensors = new Map<string, TensorValue>();

  put(
    op: string,
    inputs: readonly (string | TensorValue)[],
    attributes: NodeSource["attributes"] = {},
    count = 1,
  ): string[] {
    const names = inputs.map((each) => (typeof each === "string" ? each : this.constant(each)));
    const outputs = counted(count).map((i) => `${op}_${this.nodes.length}_${i}`);
    this.nodes.push({ op, inputs: names, outputs, attributes });
    return outputs;
  }

  constant(value: TensorValue, name = `c${this.tensors.size}`): string {
    this.tensors.set(name, value);
    return name;
  }
}

const axis = (value: number) => ({ axis: { integer: value } });

/** One product for every expert's run of rows, below each other. */
function grouped(sheet: Sheet, rows: string, weights: string, ends: readonly string[], bias?: string): string {
  const parts = sheet.put("Split", [weights], { ...axis(0), num_outputs: { integer: EXPERTS } }, EXPERTS);
  const biases = bias && sheet.put("Split", [bias], { ...axis(0), num_outputs: { integer: EXPERTS } }, EXPERTS);
  const products = parts.map((part, e) => {
    const start = e === 0 ? scalar(0) : ends[e - 1];
    const [places] = sheet.put("Range", [start, ends[e], scalar(1)]);
    const [own] = sheet.put("Gather", [rows, places], axis(0));
    const [product] = sheet.put("MatMul", [own, sheet.put("Squeeze", [part, integers(0)])[0]]);
    return biases ? sheet.put("Add", [product, sheet.put("Squeeze", [biases[e], integers(0)])[0]])[0] : product;
  });
  return sheet.put("Concat", products, axis(0))[0];
}

/** Where each expert's pairs end: a histogram of what is sorted, added up. */
function endsOf(sheet: Sheet, sorted: string, pairs: number, dynamic: boolean): readonly string[] {
  const [real] = sheet.put("Cast", [sorted], { to: { integer: 1 } });
  const width = { dtype: "f32" as const, shape: [], data: Float64Array.of((EXPERTS - 1) / EXPERTS) };
  const [bins] = sheet.put("Cast", sheet.put("Div", [real, width]), { to: { integer: 7 } });
  const [clipped] = sheet.put("Clip", [bins, scalar(0), scalar(EXPERTS - 1)]);
  const zeros = { dtype: "f32" as const, shape: [EXPERTS], data: new Float64Array(EXPERTS) };
  const one = { dtype: "f32" as const, shape: [], data: Float64Array.of(1) };
  const ones = dynamic
    ? sheet.put("Expand", [one, sheet.put("Shape", [clipped])[0]])[0]
    : { ...one, shape: [pairs], data: new Float64Array(pairs).fill(1) };
  const counts = sheet.put("ScatterElements", [zeros, clipped, ones], { ...axis(0), reduction: { string: "add" } });
  const [sums] = sheet.put("CumSum", [...counts, scalar(0)]);
  const [whole] = sheet.put("Cast", [sums], { to: { integer: 7 } });
  return sheet
    .put("Split", [whole], { ...axis(0), num_outputs: { integer: EXPERTS } }, EXPERTS)
    .map((end) => sheet.put("Squeeze", [end, integers(0)])[0]);
}

interface Sorted {
  readonly weighted: string;
  readonly tokensColumn: string;
  readonly orderColumn: string;
  readonly length: string | TensorValue;
}

/** What each token's experts gave, added up. */
function backAgain(
  sheet: Sheet,
  { weighted, tokensColumn, orderColumn, length }: Sorted,
  { choices, back, dynamic }: Form,
) {
  const pairs = TOKENS * choices;
  if (back === "scatter") {
    const none = { dtype: "f32" as const, shape: [TOKENS, WIDTH], data: new Float64Array(TOKENS * WIDTH) };
    const [sum] = sheet.put("ScatterND", [none, tokensColumn, weighted], { reduction: { string: "add" } });
    sheet.nodes.push({ op: "Identity", inputs: [sum], outputs: ["y"] });
  } else {
    const up =
      dynamic === true
        ? sheet.put("Range", [scalar(0), sheet.put("Squeeze", [length])[0], scalar(1)])[0]
        : integers(...counted(pairs));
    const [inverse] = sheet.put("ScatterND", [integers(...new Array(pairs).fill(0)), orderColumn, up]);
    const [rows] = sheet.put("GatherND", [weighted, sheet.put("Unsqueeze", [inverse, integers(-1)])[0]]);
    const [byToken] = sheet.put("Reshape", [rows, integers(dynamic === true ? -1 : TOKENS, choices, WIDTH)]);
    sheet.nodes.push({
      op: "ReduceSum",
      inputs: [byToken, sheet.constant(integers(1))],
      outputs: ["y"],
      attributes: { keepdims: { integer: 0 } },
    });
  }
}

function mixture(path: string, form: Form): void {
  const { choices, bias, dynamic = false, also } = form;
  const sheet = new Sheet();
  const pairs = TOKENS * choices;
  const floats = (shape: readonly number[], seed: number) => ({ ...normal(shape, 0.6, seed), dtype: "f32" as const });
  const up = sheet.constant(floats([EXPERTS, WIDTH, 2 * INNER], 2), "up");
  const down = sheet.constant(floats([EXPERTS, INNER, WIDTH], 3), "down");
  const upBias = sheet.constant(floats([EXPERTS, 2 * INNER], 4), "upBias");
  const downBias = sheet.constant(floats([EXPERTS, WIDTH], 5), "downBias");
  const scores = sheet.put("Softmax", sheet.put("MatMul", ["x", floats([WIDTH, EXPERTS], 1)]), axis(-1));
  const [best, chosen] = sheet.put("TopK", [...scores, integers(choices)], axis(-1), 2);
  const [ids] = sheet.put("Reshape", [chosen, integers(-1)]);
  const length = dynamic ? sheet.put("Shape", [ids])[0] : integers(pairs);
  const [sorted, order] = sheet.put("TopK", [ids, length], { ...axis(-1), largest: { integer: 0 } }, 2);
  const [tokens] = sheet.put("Div", [order, scalar(choices)]);
  const [tokensColumn] = sheet.put("Unsqueeze", [tokens, integers(-1)]);
  const [orderColumn] = sheet.put("Unsqueeze", [order, integers(-1)]);
  const [hidden] = sheet.put("GatherND", ["x", tokensColumn]);
  const [weights] = sheet.put("GatherND", [sheet.put("Reshape", [best, integers(-1)])[0], orderColumn]);
  const ends = endsOf(sheet, sorted, pairs, dynamic);
  const [keyColumn] = sheet.put("Unsqueeze", [sorted, integers(-1)]);
  const shifted = (rows: string, table: string) =>
    bias === "gathered" ? sheet.put("Add", [rows, sheet.put("GatherND", [table, keyColumn])[0]])[0] : rows;
  const apart = bias === "apart";
  const wide = shifted(grouped(sheet, hidden, up, ends, apart ? upBias : undefined), upBias);
  const [gate, value] = sheet.put("Split", [wide], { ...axis(1), num_outputs: { integer: 2 } }, 2);
  const [silu] = sheet.put("Mul", [gate, sheet.put("Sigmoid", [gate])[0]]);
  const [inner] = sheet.put("Mul", [silu, value]);
  const narrow = shifted(grouped(sheet, inner, down, ends, apart ? downBias : undefined), downBias);
  const [weighted] = sheet.put("Mul", [narrow, sheet.put("Unsqueeze", [weights, integers(-1)])[0]]);
  backAgain(sheet, { weighted, tokensColumn, orderColumn, length }, form);
  const others = also === undefined ? [] : [{ name: sorted, dtype: "i64" as const, shape: [pairs] }];
  const floatsOf = (name: string) => ({ name, dtype: "f32" as const, shape: [TOKENS, WIDTH] });
  writeModel(path, {
    graph: {
      name: "g",
      inputs: [floatsOf("x")],
      outputs: [floatsOf("y"), ...others],
      nodes: sheet.nodes,
      tensors: [...sheet.tensors].map(([name, value]) => ({ name, ...value })),
    },
    opsets: { "": 18 },
  });
}

const FORMS: readonly (readonly [string, Form])[] = [
  ["two choices", { choices: 2 }],
  ["lengths that are computed", { choices: 2, dynamic: true }],
  ["one choice", { choices: 1 }],
  ["three choices, biases gathered", { choices: 3, bias: "gathered" }],
  ["biases added to each product", { choices: 2, bias: "apart" }],
  ["rows added to their tokens", { choices: 2, back: "scatter" }],
];

describe("a mixture of experts, sorted", () => {
  it.each(FORMS)("%s", async (name, form) => {
    const path = join(folder, `${name}.onnx`);
    mixture(path, form);
    const session = await InferenceSession.create(path, { logSeverityLevel: 4 });
    for (const seed of [1, 2, 3]) {
      const x = normal([TOKENS, WIDTH], 1, seed);
      const { y } = await session.run({ x: new Tensor("float32", Float32Array.from(x.data), [TOKENS, WIDTH]) });
      const wanted = { dtype: "f32" as const, shape: [TOKENS, WIDTH], data: Float64Array.from(y.data as Float32Array) };
      const found = evaluateModel(importOnnx(path), new Map([["x", x]])).get("y");
      expectClose(found, wanted, 1e-5, name);
    }
  });

  it("is right through the three roles", async () => {
    const path = join(folder, "roles.onnx");
    mixture(path, { choices: 2, bias: "gathered" });
    const x = normal([TOKENS, WIDTH], 1, 1);
    const { plan, weights } = await compileModel(path);
    const owners = runOwners(plan, new Map([["x", x]]), weights);
    const { outputs } = await simulate({ plan, digest: planDigest(plan) }, owners, 1);
    const wanted = evaluateModel(importOnnx(path), new Map([["x", x]])).get("y")!;
    expectWithin(outputs.get("y")!, wanted, "y");
  });

  it("stays as it is where the order is used besides, and is refused", () => {
    const path = join(folder, "also.onnx");
    mixture(path, { choices: 2, also: "sorted" });
    const refused = () => importOnnx(path);
    expect(refused).toThrow(PumacError);
    expect(refused).toThrow(/must be known at compile time/);
  });
});
