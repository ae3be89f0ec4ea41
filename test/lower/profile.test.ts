/**
 * Profile `puma` from a model file to an answer: the trained classifier, through the pipeline that leaves softmax to
 * base e, and through the roles. The tolerance is what PUMA's own formulas are off in double precision
 * (docs/accuracy.md).
 */
import { join } from "node:path";
import { expect, test } from "vitest";
import { classify, compareLogits, readSst2, TOKENS } from "../../bench/sst2.js";
import { compileModel } from "../../compiler/compile.js";
import { planDigest } from "../../ir/plan/codec.js";

const FOLDER = join(import.meta.dirname, "..", "..", "models", "bert-sst2");
const TOLERANCE = 0.08;

test("profile puma classifies three sentences as onnxruntime does, within what its formulas allow", async () => {
  const texts = new Map<string, string>();
  const dump = (name: string, text: string) => texts.set(name, text);
  const options = { dims: { b: 1, s: TOKENS }, profile: "puma", dump } as const;
  const { plan, weights } = await compileModel(join(FOLDER, "bert_sst2.legacy.op14.onnx"), options);
  expect(plan.profile).toBe("puma");
  const secret = [...texts].find(([name]) => name.includes("place-secret"))![1];
  expect(secret).toMatch(/= softmax /);
  expect(secret).not.toMatch(/softmaxBase2/);
  const sentences = readSst2(FOLDER, "").sentences.slice(0, 3);
  const logits: (readonly number[])[] = [];
  for (const [i, { ids }] of sentences.entries()) {
    logits.push(await classify({ plan, digest: planDigest(plan) }, weights, ids, i + 1));
  }
  const { agreed, largestError } = compareLogits(sentences, logits);
  expect(agreed).toBe(3);
  expect(largestError).toBeLessThan(TOLERANCE);
});
