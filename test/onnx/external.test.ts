/** External data: read by position, checked against the file, and never from outside the model's folder. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { importOnnx } from "../../compiler/onnx/index.js";
import { encodeModel, type ModelSource, writeModel } from "../../formats/onnx/write.js";
import { PumacError } from "../../ir/diagnostics.js";
import type { DType } from "../../ir/tensor/value.js";

const root = mkdtempSync(join(tmpdir(), "pumac-external-"));
afterAll(() => rmSync(root, { recursive: true }));

function matmul(dtype: DType = "f32", size = 64): ModelSource {
  const weight = { name: "w", dtype, shape: [size, 2], data: Float32Array.from({ length: 2 * size }, (_, i) => i / 8) };
  return {
    graph: {
      name: "g",
      inputs: [{ name: "x", dtype, shape: [1, size] }],
      outputs: [{ name: "y", dtype, shape: [1, 2] }],
      nodes: [{ op: "MatMul", inputs: ["x", "w"], outputs: ["y"] }],
      tensors: [weight],
    },
    opsets: { "": 17 },
  };
}

/** A model whose weight claims to lie at `place`. */
function claiming(name: string, place: { location: string; offset: number; length: number }): string {
  const path = join(root, name);
  writeFileSync(path, encodeModel(matmul(), new Map([["w", place]])));
  return path;
}

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    return error instanceof PumacError ? error.diagnostics[0].code : String(error);
  }
  return "no error";
}

describe("external data", () => {
  it.each(["f32", "f16", "bf16", "f64"] as const)("is read back as it was written (%s)", (dtype) => {
    const path = join(root, `${dtype}.onnx`);
    writeModel(path, matmul(dtype), { external: `${dtype}.onnx_data`, threshold: 0 });
    const { weights, warnings } = importOnnx(path);
    expect(Array.from(weights.read("w").data)).toEqual(Array.from({ length: 128 }, (_, i) => i / 8));
    expect(warnings).toEqual([]);
  });

  it("may be missing for a compile, not for a run", () => {
    const path = join(root, "shapes.onnx");
    writeModel(path, matmul(), { external: "shapes.onnx_data", threshold: 0, weights: false });
    const { weights, warnings } = importOnnx(path);
    expect(warnings.map((each) => each.code)).toEqual(["W0303"]);
    expect(codeOf(() => weights.read("w"))).toBe("E0301");
  });

  it("is refused outside the model's folder", () => {
    mkdirSync(join(root, "inner"));
    writeFileSync(join(root, "outside.bin"), new Uint8Array(512));
    symlinkSync(join(root, "outside.bin"), join(root, "inner", "link.bin"));
    symlinkSync(root, join(root, "inner", "up"));
    const refused = [
      "../outside.bin",
      "a/../../outside.bin",
      join(root, "outside.bin"),
      "link.bin",
      "up/outside.bin",
      "..\\x",
      "C:\\x",
      "",
    ];
    for (const location of refused) {
      const path = claiming(join("inner", "bad.onnx"), { location, offset: 0, length: 512 });
      expect(
        codeOf(() => importOnnx(path)),
        location,
      ).toBe("E0304");
    }
  });

  it("is checked against the file's size", () => {
    writeFileSync(join(root, "data.bin"), new Uint8Array(1000));
    expect(codeOf(() => importOnnx(claiming("a.onnx", { location: "data.bin", offset: 488, length: 512 })))).toBe(
      "no error",
    );
    expect(codeOf(() => importOnnx(claiming("b.onnx", { location: "data.bin", offset: 489, length: 512 })))).toBe(
      "E0301",
    );
    expect(codeOf(() => importOnnx(claiming("c.onnx", { location: "data.bin", offset: 0, length: 511 })))).toBe(
      "E0302",
    );
    expect(codeOf(() => importOnnx(claiming("d.onnx", { location: "data.bin", offset: -1, length: 512 })))).toBe(
      "E0302",
    );
  });

  it("that shrinks after the compile is an error of the read", () => {
    const path = join(root, "shrinks.onnx");
    writeModel(path, matmul(), { external: "shrinks.bin", threshold: 0 });
    const { weights } = importOnnx(path);
    truncateSync(join(root, "shrinks.bin"), 10);
    expect(codeOf(() => weights.read("w"))).toBe("E0301");
  });
});
