/**
 * Damaged modules: whatever is done to the text or the proto, the answer is a graph or a PumacError with a place, never
 * another exception, a hang or an allocation that the module only claims to need.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { importHlo, importStableHlo } from "../../compiler/jax/index.js";
import { PumacError } from "../../ir/diagnostics.js";
import { dataFolder } from "./data.js";

/** A generator of numbers in [0, 1) that gives the same ones in every run. */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

const SMALL = `module @m attributes {mhlo.num_partitions = 1 : i32} {
  func.func public @main(%arg0: tensor<4x3xf32> loc("p['w']"), %arg1: tensor<2x4xf32>, %arg2: tensor<2xi32>) -> (tensor<2x3xf32> {jax.result_info = ""}) {
    %0 = stablehlo.dot_general %arg1, %arg0, contracting_dims = [1] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x4xf32>, tensor<4x3xf32>) -> tensor<2x3xf32>
    %cst = stablehlo.constant dense<"0x0000803F00000040000040400000A0400000C0400000E040"> : tensor<2x3xf32>
    %1 = stablehlo.add %0, %cst : tensor<2x3xf32>
    %cst_0 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %2 = stablehlo.reduce(%1 init: %cst_0) applies stablehlo.maximum across dimensions = [1] : (tensor<2x3xf32>, tensor<f32>) -> tensor<2xf32>
    %3 = stablehlo.broadcast_in_dim %2, dims = [0] : (tensor<2xf32>) -> tensor<2x3xf32>
    %4 = stablehlo.subtract %1, %3 : tensor<2x3xf32>
    %5 = stablehlo.slice %4 [0:2, 0:2:1] : (tensor<2x3xf32>) -> tensor<2x2xf32>
    %6 = stablehlo.pad %5, %cst_0, low = [0, 0], high = [0, 1], interior = [0, 0] : (tensor<2x2xf32>, tensor<f32>) -> tensor<2x3xf32>
    %7 = "stablehlo.gather"(%6, %arg2) <{dimension_numbers = #stablehlo.gather<offset_dims = [1], collapsed_slice_dims = [0], start_index_map = [0], index_vector_dim = 1>, slice_sizes = array<i64: 1, 3>}> : (tensor<2x3xf32>, tensor<2xi32>) -> tensor<2x3xf32>
    %c = stablehlo.constant dense<0> : tensor<i32>
    %8:2 = stablehlo.while(%i = %c, %x = %7) : tensor<i32>, tensor<2x3xf32>
    cond {
      %n = stablehlo.constant dense<2> : tensor<i32>
      %go = stablehlo.compare LT, %i, %n, SIGNED : (tensor<i32>, tensor<i32>) -> tensor<i1>
      stablehlo.return %go : tensor<i1>
    } do {
      %one = stablehlo.constant dense<1> : tensor<i32>
      %j = stablehlo.add %i, %one : tensor<i32>
      %y = func.call @f(%x) : (tensor<2x3xf32>) -> tensor<2x3xf32>
      stablehlo.return %j, %y : tensor<i32>, tensor<2x3xf32>
    }
    return %8#1 : tensor<2x3xf32>
  }
  func.func private @f(%arg0: tensor<2x3xf32>) -> tensor<2x3xf32> {
    %0 = stablehlo.transpose %arg0, dims = [1, 0] : (tensor<2x3xf32>) -> tensor<3x2xf32>
    %1 = stablehlo.iota dim = 0 : tensor<3x2xf32>
    %2 = chlo.erf %0 : tensor<3x2xf32> -> tensor<3x2xf32>
    %3 = stablehlo.concatenate %2, %1, dim = 1 : (tensor<3x2xf32>, tensor<3x2xf32>) -> tensor<3x4xf32>
    %4 = stablehlo.reshape %3 : (tensor<3x4xf32>) -> tensor<2x6xf32>
    %5 = stablehlo.slice %4 [0:2, 0:3] : (tensor<2x6xf32>) -> tensor<2x3xf32>
    return %5 : tensor<2x3xf32>
  }
}
`;

const FRAGMENTS = ["%", "%0", "tensor<", ">", "<", "{", "}", "(", "[", "]", '"', "x", "99999999999", "-1", "0x", "loc(", "#loc", ":", "?", "\n", "dense<"]; // biome-ignore format: one line

/** One to three random edits. */
function damage(text: string, random: () => number): string {
  let result = text;
  const edits = 1 + Math.floor(random() * 3);
  for (let i = 0; i < edits; i++) {
    const at = Math.floor(random() * result.length);
    const length = Math.floor(random() * 12);
    const fragment = FRAGMENTS[Math.floor(random() * FRAGMENTS.length)];
    const other = Math.floor(random() * result.length);
    const kind = Math.floor(random() * 4);
    const insert = [fragment, "", result.slice(other, other + length * 4), String(Math.floor(random() * 12))][kind];
    result = result.slice(0, at) + insert + result.slice(at + (kind === 0 ? 0 : length % 4));
  }
  return result;
}

/** Imports; any error must be a diagnostic with a place. Returns whether the module was accepted. */
function survives(run: () => unknown, place: RegExp): boolean {
  try {
    run();
    return true;
  } catch (error) {
    if (!(error instanceof PumacError)) {
      throw error;
    }
    for (const { where } of error.diagnostics) {
      expect(where).toMatch(place);
    }
    return false;
  }
}

describe("damaged text", () => {
  it("is accepted or told where it is wrong", () => {
    const random = generator(7);
    expect(survives(() => importStableHlo(SMALL), /./)).toBe(true);
    let accepted = 0;
    for (let i = 0; i < 1500; i++) {
      const text = damage(SMALL, random);
      accepted += Number(survives(() => importStableHlo(text, { file: "f.mlir" }), /^f\.mlir(:\d+:\d+|$)/));
    }
    expect(accepted).toBeGreaterThan(0);
    expect(accepted).toBeLessThan(1500);
  });
});

const fixtures = dataFolder("fixtures-jax");

describe.skipIf(fixtures === undefined)("damaged protos", () => {
  it("are accepted or told where they are wrong", () => {
    const random = generator(11);
    const original = readFileSync(join(fixtures!, "flax_llama_lm", "module.hlo.pb"));
    let refused = 0;
    for (let i = 0; i < 120; i++) {
      const bytes = Buffer.from(original);
      const edits = 1 + Math.floor(random() * 4);
      for (let k = 0; k < edits; k++) {
        bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
      }
      const cut = i % 10 === 0 ? bytes.subarray(0, Math.floor(random() * bytes.length)) : bytes;
      refused += Number(!survives(() => importHlo(cut, { file: "f.pb" }), /^f\.pb/));
    }
    expect(refused).toBeGreaterThan(0);
  });
});
