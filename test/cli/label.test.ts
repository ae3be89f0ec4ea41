/** A classifier's plan that reveals a label: the plain model's class, by its name, and no score to anybody. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { labelsBeside } from "../../client/answers.js";
import { inputValues } from "../../client/inputs.js";
import { dataInputs } from "../../client/owners.js";
import { describeOutputs, documentOf, readOutputs } from "../../client/read.js";
import { compileModel } from "../../compiler/compile.js";
import { PumacError } from "../../ir/diagnostics.js";
import { simulateCompiled } from "../fixtures/support.js";

const FOLDER = join(import.meta.dirname, "../../models/bert-sst2");
const MODEL = join(FOLDER, "bert_sst2.legacy.op14.onnx");
const LLAMA = join(import.meta.dirname, "../../models/fixtures/llama_lm.t5.legacy.eager.op14.dyn.ortall/model.onnx");
const known: readonly { text: string; logits: readonly number[] }[] = JSON.parse(
  readFileSync(join(FOLDER, "sentences.json"), "utf8"),
);

describe("the label that a plan reveals", () => {
  it("is the class with the largest score, and all that is revealed", async () => {
    const compiled = await compileModel(MODEL, { dims: { b: 2, s: 24 }, reveal: ["label"] });
    expect(compiled.plan.reveals.map(({ name, shape }) => [name, shape])).toEqual([["label", [2]]]);
    const short = known.filter(({ text }) => text.length < 80);
    const two = [0, 1].map((best) => short.find(({ logits }) => logits.indexOf(Math.max(...logits)) === best)!);
    const texts = two.map(({ text }) => text);
    const given = { texts, tokenizer: join(FOLDER, "tokenizer.json") };
    const outputs = await simulateCompiled(compiled, await inputValues(given, dataInputs(compiled.plan)));
    expect([...outputs.get("label")!.data]).toEqual([0, 1]);
    const read = await readOutputs(outputs, new Map(), { labels: labelsBeside(MODEL) });
    const names = labelsBeside(MODEL)!.names;
    expect(describeOutputs(read).slice(0, 2)).toEqual(names);
    expect(documentOf(read)).toMatchObject({ answers: names.map((name) => ({ kind: "label", name })) });
    expect(describeOutputs(await readOutputs(outputs, new Map(), {}))[1]).toBe("class 1");
  });

  it("is refused where the model scores no classes of a row", async () => {
    const shapes = { input_ids: [1, 8], attention_mask: [1, 8] };
    const error = await compileModel(LLAMA, { shapes, reveal: ["label"] }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(PumacError);
    expect((error as PumacError).diagnostics[0]).toMatchObject({ code: "E0201", where: "logits" });
  });
});
