/**
 * A sample of the trained classifier's accuracy, by the simulated roles against onnxruntime: the 20 sentences whose ids
 * are bundled; with PUMAC_ALL=1, and the data set at hand, the first 100. `npm run accuracy` takes all 872.
 */
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { classify, compareLogits, readSst2, TOKENS, wilsonInterval } from "../../bench/sst2.js";
import { type Compiled, compileModel } from "../../compiler/compile.js";
import { planDigest } from "../../ir/plan/codec.js";

const ROOT = join(import.meta.dirname, "..", "..");
const FOLDER = join(ROOT, "models", "bert-sst2");
const DATA = process.env.PUMAC_DATA ?? join(ROOT, "..", "shared", "data");
const COUNT = process.env.PUMAC_ALL === "1" ? 100 : 20;

describe("the trained classifier", () => {
  let compiled: Compiled;
  beforeAll(async () => {
    compiled = await compileModel(join(FOLDER, "bert_sst2.legacy.op14.onnx"), { dims: { b: 1, s: TOKENS } });
  });

  it(
    `answers the first ${COUNT} sentences as onnxruntime does`,
    async () => {
      const { plan, weights } = compiled;
      const sentences = readSst2(FOLDER, DATA).sentences.slice(0, COUNT);
      expect(sentences.length).toBeGreaterThanOrEqual(20);
      const logits: (readonly number[])[] = [];
      for (const [i, { ids }] of sentences.entries()) {
        logits.push(await classify({ plan, digest: planDigest(plan) }, weights, ids, i + 1));
      }
      const { count, agreed, largestError } = compareLogits(sentences, logits);
      expect(agreed).toBe(count);
      expect(largestError).toBeLessThanOrEqual(0.02);
    },
    COUNT * 15_000,
  );

  it("is summed up with every error and every label that differs", () => {
    const sentences = [
      { ids: [2, 3], reference: [1, -1], label: 0 },
      { ids: [2, 3], reference: [-0.5, 0.5], label: 0 },
    ];
    const all = { count: 2, agreed: 1, correct: { privately: 2, plainly: 1 }, largestError: 0.75, meanError: 0.4375 };
    const logits = [
      [0.875, -1],
      [0, -0.25],
    ];
    expect(compareLogits(sentences, logits)).toEqual(all);
    const [low, high] = wilsonInterval(8, 10);
    expect([low, high].map((share) => share.toFixed(3))).toEqual(["0.490", "0.943"]);
  });
});
