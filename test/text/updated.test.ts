/**
 * Protects: a decoder that writes into its cache at a position (JAX, Flax, transformers' static cache) becomes a plan
 * of one token, which gives the logits that its own runtime gives for a text, and whose position all parties know:
 * writing costs no product of secrets.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { describe, expect, it } from "vitest";
import { costOf, costReport } from "../../analysis/cost.js";
import { describePlan } from "../../analysis/describe.js";
import type { CompileOptions } from "../../compiler/compile.js";
import { readText } from "../../compiler/text/compile.js";
import { verifyPlan } from "../../compiler/verify.js";
import { windowInputs } from "../../formats/text.js";
import type { WeightStore } from "../../ir/tensor/index.js";
import type { TensorGraph } from "../../passes/rewriter.js";
import { rejection } from "../runtime/mesh.js";
import { runProgram, stateOf, typesOf } from "./whole.js";
import { planOf, startWith, writeWith } from "./writing.js";

const FIXTURES = join(import.meta.dirname, "..", "jax", "fixtures");

function decoder(name: string): { folder: string; path: string; options: CompileOptions } {
  const folder = join(FIXTURES, name);
  return {
    folder,
    path: join(folder, "model.mlir"),
    options: { context: 12, weightsFile: join(folder, "weights.safetensors") },
  };
}

/** The logits after each token, by the program in the clear. */
async function logitsOf(name: string, ids: readonly number[]): Promise<readonly Float64Array[]> {
  const { path, options } = decoder(name);
  const { model, graphs } = await readText(path, options);
  expect(graphs).toHaveLength(1);
  return stepsOf(graphs[0], model.weights, ids);
}

function stepsOf(next: TensorGraph, weights: WeightStore, ids: readonly number[]): readonly Float64Array[] {
  let state = new Map();
  return ids.map((_, i) => {
    const inputs = new Map([...windowInputs(0, ids.slice(0, i + 1), typesOf(next)), ...stateOf(next, state)]);
    const run = runProgram(next, weights, inputs);
    state = new Map(run.outputs);
    return run.logits;
  });
}

describe("a decoder that writes into its cache", () => {
  it.each(["decode", "decode-nnx"])("gives JAX's logits, token after token: %s", async (name) => {
    const { ids, logits } = JSON.parse(readFileSync(join(FIXTURES, name, "steps.json"), "utf8")) as {
      ids: number[];
      logits: number[][];
    };
    for (const [i, found] of (await logitsOf(name, ids)).entries()) {
      expect(Math.max(...logits[i].map((x, k) => Math.abs(x - found[k])))).toBeLessThan(1e-4);
    }
  });

  it("writes through three parties, who count its tokens, and compiles again to the same plan", async () => {
    const { path, options } = decoder("decode-nnx");
    const shared = await planOf(path, options);
    await expect(verifyPlan(shared.plan, { model: path, weights: options.weightsFile! })).resolves.toBeDefined();
    expect(shared.plan.disclosed.map(({ name }) => name)).toEqual(["attention_mask"]);
    expect(describePlan(shared.plan, costReport(shared.plan))).toMatch(
      /^P1, P2 +learns in the clear attention_mask .*how many tokens are written and when/m,
    );
    const three = await startWith(shared);
    try {
      const prompt = [5, 17];
      const { written, ended } = await writeWith(three, shared, prompt.join(" "), 4);
      expect([written.length, ended]).toEqual([4, "length"]);
      const logits = await logitsOf("decode-nnx", [...prompt, ...written.map(({ id }) => id)]);
      written.forEach(({ id }, i) => void expect(Math.max(...logits[i + 1]) - logits[i + 1][id]).toBeLessThan(0.02));
      const { rounds, bytes } = costOf(shared.plan);
      expect(written.slice(1).map(({ measured }) => [measured.rounds, measured.bytes.total])).toEqual(
        written.slice(1).map(() => [rounds, bytes.total]),
      );
    } finally {
      await three.stop();
    }
  });

  it("gives onnxruntime's logits of a static cache of transformers, token after token", async () => {
    const path = join(import.meta.dirname, "exports", "static.onnx");
    const ids = [5, 17, 3, 9, 11, 2, 20, 8];
    const [heads, places, size] = [2, 10, 4];
    const session = await InferenceSession.create(path);
    let caches: ArrayLike<number>[] = ["keys", "values"].map(() =>
      Float32Array.from({ length: heads * places * size }, () => 0),
    );
    const { model, graphs } = await readText(path, { context: places });
    const found = stepsOf(graphs[0], model.weights, ids);
    for (const [place, id] of ids.entries()) {
      const whole = (value: number, dims: readonly number[]) =>
        new Tensor("int64", BigInt64Array.of(BigInt(value)), [...dims]);
      const kept = (i: number) => new Tensor("float32", Float32Array.from(caches[i]), [1, heads, places, size]);
      const seen = Uint8Array.from({ length: places }, (_, i) => (i <= place ? 1 : 0));
      const answer = await session.run({
        input_ids: whole(id, [1, 1]),
        attention_mask: new Tensor("bool", seen, [1, 1, 1, places]),
        position_ids: whole(place, [1, 1]),
        "input.cache.layers.0.keys": kept(0),
        "input.cache.layers.0.values": kept(1),
        "input.cache.layers.0.cumulative_length": whole(place, []),
      });
      caches = ["keys", "values"].map((each) => answer[`output.cache.layers.0.${each}`].data as Float32Array);
      const wanted = Array.from(answer.logits.data as Float32Array);
      expect(Math.max(...wanted)).toBeGreaterThan(0.5);
      expect(Math.max(...wanted.map((x, k) => Math.abs(x - found[place][k])))).toBeLessThan(1e-4);
    }
  });

  it("is of its own length, and reads a prompt token by token", async () => {
    const { path, options } = decoder("decode");
    expect(await rejection(readText(path, { ...options, context: 13 }))).toMatchObject({ code: "E0402" });
    expect(await rejection(readText(path, { ...options, buckets: [4] }))).toMatchObject({ code: "E0402" });
    expect(await rejection(readText(path, { ...options, reveal: ["text"] }))).toMatchObject({ code: "E0402" });
  });
});
