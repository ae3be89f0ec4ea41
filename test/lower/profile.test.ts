/**
 * Profile `puma` from a model file to an answer: the trained classifier, through the pipeline that leaves softmax to
 * base e, and through the roles. The tolerance is what PUMA's own formulas are off in double precision
 * (docs/accuracy.md).
 */
import { join } from "node:path";
import { expect, test } from "vitest";
import { sst2Task } from "../../bench/accuracy/sst2.js";
import { compileModel } from "../../compiler/compile.js";

const FOLDER = join(import.meta.dirname, "..", "..", "models", "bert-sst2");
const TOLERANCE = 0.08;

test("profile puma classifies three sentences as onnxruntime does, within what its formulas allow", async () => {
  const texts = new Map<string, string>();
  const dump = (name: string, text: string) => texts.set(name, text);
  const options = { dims: { b: 1, s: 48 }, profile: "puma", dump } as const;
  const { plan } = await compileModel(join(FOLDER, "bert_sst2.legacy.op14.onnx"), options);
  expect(plan.profile).toBe("puma");
  const secret = [...texts].find(([name]) => name.includes("place-secret"))![1];
  expect(secret).toMatch(/= softmax /);
  expect(secret).not.toMatch(/softmaxBase2/);
  const task = await sst2Task("puma", FOLDER, "");
  for (const place of [0, 1, 2]) {
    const [{ agreed, error, formulas }] = await task.run(place);
    expect(agreed).toBe(true);
    expect(error).toBeLessThan(TOLERANCE);
    // What the protocol adds to the formulas is what it adds to any.
    expect(error).toBeLessThan(formulas!.error + 0.02);
  }
});
