/**
 * Protects: whatever form an export gives its cache, the programs of its plan choose what onnxruntime chooses of the
 * export itself, over 8 greedy steps, from prompts on either side of a bucket; what cannot be padded is refused.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { describe, expect, it } from "vitest";
import { readText } from "../../compiler/text/compile.js";
import { windowInputs } from "../../formats/text.js";
import { rejection } from "../runtime/mesh.js";
import { type DecoderForm, writeDecoder } from "./decoders.js";
import { runProgram, stateOf, typesOf } from "./whole.js";

const DATA = join(
  process.env.PUMAC_DATA ?? join(import.meta.dirname, "..", "..", "..", "shared", "data"),
  "fixtures-onnx",
);
const STEPS = 8;
const PROMPT = [5, 17, 3];

/** onnxruntime's logits after the last of these tokens: of a past of one length, after so many that are masked. */
async function oracle(path: string): Promise<(ids: readonly number[]) => Promise<Float32Array>> {
  const session = await InferenceSession.create(path, { logSeverityLevel: 4 });
  let past: Record<string, Tensor> | undefined;
  return async (ids) => {
    const dims = new Map(session.inputMetadata.map((each) => [each.name, "shape" in each ? each.shape : []]));
    const fixed = [...dims].find(([name]) => /past|cache/.test(name))?.[1].slice(2, 3)[0];
    const isFixed = typeof fixed === "number";
    const [rows, before] = isFixed ? [1, fixed] : [ids.length, 0];
    const whole = (data: readonly number[]): Tensor =>
      new Tensor("int64", BigInt64Array.from(data.map(BigInt)), [1, data.length]);
    const shown = isFixed ? Math.min(ids.length, fixed + 1) : ids.length;
    const feeds = [...dims].map(([name, shape]): [string, Tensor] => {
      if (/use_cache/.test(name)) {
        return [name, new Tensor("bool", Uint8Array.of(0), [1])];
      }
      if (/past|cache/.test(name)) {
        // Some exporters name a dimension by its number.
        const sizes = shape.map((each, i) => (i === 2 ? before : Number(each) || 1));
        const empty = new Tensor("float32", new Float32Array(sizes.reduce((n, m) => n * m, 1)), sizes);
        return [name, past?.[name] ?? empty];
      }
      if (/mask/.test(name)) {
        return [name, whole(Array.from({ length: before + rows }, (_, i) => (i >= before + rows - shown ? 1 : 0)))];
      }
      const places = Array.from({ length: rows }, (_, i) => ids.length - rows + i);
      return [name, whole(/position/.test(name) ? places : ids.slice(-rows))];
    });
    const answer = await session.run(Object.fromEntries(feeds));
    if (isFixed) {
      past = Object.fromEntries(
        [...dims.keys()]
          .filter((name) => /past/.test(name))
          .map((name) => {
            const present = answer[name.replace("past_key_values", "present")];
            return [name, newest(present, fixed)];
          }),
      );
    }
    const { dims: sizes, data } = answer.logits;
    return (data as Float32Array).slice(-sizes.at(-1)!);
  };
}

/** The last rows of a cache. */
function newest({ dims, data }: Tensor, count: number): Tensor {
  const [batch, heads, length, size] = dims;
  const rows = Array.from({ length: batch * heads }, (_, i) =>
    Array.from((data as Float32Array).subarray((i * length + length - count) * size, (i + 1) * length * size)),
  );
  return new Tensor("float32", Float32Array.from(rows.flat()), [batch, heads, count, size]);
}

function largest(row: ArrayLike<number>): number {
  return Array.from(row).reduce((best, x, i) => (x > row[best] ? i : best), 0);
}

/** Writes greedily with the programs of a plan, and holds each step to onnxruntime. */
async function expectSame(
  path: string,
  options: { context: number; buckets?: number[] },
  start: number,
): Promise<void> {
  const { model, graphs } = await readText(path, options);
  const isStepwise = graphs.length === 1;
  const [next, bucket] = isStepwise ? [graphs[0], undefined] : [graphs[1], graphs[2]];
  const reference = await oracle(path);
  const ids = PROMPT.slice(0, start);
  let state = new Map();
  const steps = isStepwise ? options.context - start : STEPS;
  for (let step = 0; step < steps; step++) {
    const begins = step === 0 && start > 1;
    const parts = begins && isStepwise ? ids.map((_, i) => ids.slice(0, i + 1)) : [ids];
    let found: ArrayLike<number> = [];
    let wanted: ArrayLike<number> = [];
    for (const part of parts) {
      const program = begins && !isStepwise ? bucket! : next;
      const inputs = new Map([
        ...windowInputs(0, part, typesOf(program)),
        ...(program === next ? stateOf(next, state) : []),
      ]);
      const run = runProgram(program, model.weights, inputs);
      state = new Map(run.outputs);
      found = run.logits;
      wanted = await reference(part);
    }
    expect(Math.max(...Array.from(found, (x, i) => Math.abs(x - wanted[i])))).toBeLessThan(1e-4);
    ids.push(largest(wanted));
    expect(largest(found)).toBe(ids.at(-1));
  }
}

const FORMS: Readonly<Record<string, DecoderForm>> = {
  "mask and positions": { mask: true, positions: "input" },
  "a mask, and positions of the past's length": { mask: true, positions: "past" },
  "a mask, and positions counted from it": { mask: true, positions: "mask" },
  "positions without a mask": { mask: false, positions: "input" },
  "neither mask nor positions": { mask: false, positions: "past" },
  "GroupQueryAttention, whose mask counts": { mask: true, positions: "past", grouped: true },
  "biases by distance": { mask: false, positions: "past", bias: "distance" },
  "two branches": { mask: true, positions: "input", merged: true },
  "two branches, without positions": { mask: true, positions: "past", merged: true },
};

describe("a decoder with a cache, exported with", () => {
  it.each(Object.entries(FORMS))("%s", async (_, form) => {
    const path = writeDecoder(form);
    for (const start of [1, 2, 3]) {
      await expectSame(path, { context: 12, buckets: [3] }, start);
    }
  });

  it("a past of one length, which a shorter text may stand in", async () => {
    await expectSame(writeDecoder({ mask: true, positions: "input", fixed: 9 }), { context: 10 }, 2);
  });

  it.each([
    ["positions of its length", { mask: true, positions: "past" }],
    ["no mask", { mask: false, positions: "input" }],
    ["a mask that counts", { mask: true, positions: "input", grouped: true }],
  ] as const)("a past of one length and %s is refused", async (_, form) => {
    const path = writeDecoder({ ...form, fixed: 9 });
    expect(await rejection(readText(path, { context: 10 }))).toMatchObject({ code: "E0402" });
  });

  it("biases by places, not by their distance, is refused", async () => {
    const path = writeDecoder({ mask: false, positions: "past", bias: "product" });
    expect(await rejection(readText(path, { context: 12 }))).toMatchObject({ code: "E0402" });
  });

  it("a past of one length takes no other context, and no prompts at once", async () => {
    const path = writeDecoder({ mask: true, positions: "input", fixed: 9 });
    expect(await rejection(readText(path, { context: 11 }))).toMatchObject({ code: "E0402" });
    expect(await rejection(readText(path, { context: 10, buckets: [4] }))).toMatchObject({ code: "E0402" });
  });
});

describe("transformers' parts for generation", () => {
  it("give the decode part of several tokens as a decoder of any length", async () => {
    for (const start of [1, 2, 3]) {
      await expectSame(join(import.meta.dirname, "exports", "many.onnx"), { context: 12, buckets: [3] }, start);
    }
  });
});

const EXPORTS: readonly (readonly [string, number])[] = [
  ["gpt2_kv.t5.dynamo.eager.op18.static", 6],
  ["gpt2_kv.t5.dynamo.sdpa.op23.static", 6],
  ["gpt2_kv.t5.legacy.eager.op14.dyn", 12],
  ["gpt2_kv.t5.legacy.eager.op14.dyn.ortall", 12],
  ["gpt2_kv.t5.legacy.eager.op14.dyn.ortpy", 12],
  ["gpt2_kv.t5.legacy.sdpa.op17.dyn", 12],
  ["llama_kv.t5.legacy.eager.op14.dyn", 12],
  ["optimum.llama.model", 12],
];

describe.skipIf(!existsSync(DATA))("a real export with a cache", () => {
  it.each(EXPORTS)("%s", async (name, context) => {
    const options = context === 6 ? { context } : { context, buckets: [3] };
    await expectSame(join(DATA, name, "model.onnx"), options, 2);
  });
});
