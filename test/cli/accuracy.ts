/**
 * The trained BERT on sentences of SST-2, simulated: the labels of onnxruntime, every logit within 2e-2, and the costs
 * that the report predicts, in every run. The sentences may not be copied: without PUMAC_DATA ours stand in. In `npm
 * test` a part of them.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import { costReport } from "../../analysis/cost.js";
import { inputValues } from "../../client/inputs.js";
import { simulate } from "../../client/local/simulation.js";
import { dataInputs, runDataOwner, runModelOwner } from "../../client/owners.js";
import { type Compiled, compileModel } from "../../compiler/compile.js";
import { planDigest } from "../../ir/plan/codec.js";
import type { TensorValue } from "../../ir/tensor/value.js";

const FOLDER = join(import.meta.dirname, "..", "..", "models", "bert-sst2");
const TOKENIZER = join(FOLDER, "tokenizer.json");
const DATA = process.env.PUMAC_DATA ?? join(import.meta.dirname, "..", "..", "..", "shared", "data");
const SENTENCES = join(DATA, "sst2", "dev.tsv");
const EXPORTS = ["bert_sst2.legacy.op14.onnx", "bert_sst2.dynamo.op20.static48.onnx"];
const TOLERANCE = 0.02;

interface Sentence {
  readonly text: string;
  readonly logits: readonly number[];
}

const ours = JSON.parse(readFileSync(join(FOLDER, "sentences.json"), "utf8")) as readonly Sentence[];
let compiled: readonly (Compiled & { readonly model: ReadonlyMap<string, TensorValue> })[];

beforeAll(async () => {
  compiled = await Promise.all(
    EXPORTS.map(async (name) => {
      const dims = name.includes("static") ? {} : { b: 1, s: 48 };
      const result = await compileModel(join(FOLDER, name), { dims });
      return { ...result, model: runModelOwner(result.plan, result.weights) };
    }),
  );
});

/** The largest difference of a logit, whether the label agrees, and whether the costs are the predicted ones. */
async function classify({ plan, model }: (typeof compiled)[number], { text, logits }: Sentence, seed: number) {
  const inputs = await inputValues({ texts: [text], tokenizer: TOKENIZER, onCut: () => undefined }, dataInputs(plan));
  const values = runDataOwner(plan, inputs, model);
  const { outputs, measured } = await simulate({ plan, digest: planDigest(plan) }, values, seed);
  const data = [...outputs.get("logits")!.data];
  const { cost } = costReport(plan);
  expect(measured.rounds).toBe(cost.rounds);
  expect(measured.bytes).toEqual(cost.bytes);
  return {
    difference: Math.max(...data.map((logit, i) => Math.abs(logit - logits[i]))),
    sameLabel: data[1] > data[0] === logits[1] > logits[0],
  };
}

/** The first sentences of SST-2's development set with onnxruntime's logits. */
function sentencesOfSst2(count: number): readonly Sentence[] {
  const { logits } = JSON.parse(readFileSync(join(FOLDER, "reference.json"), "utf8")) as { logits: number[][] };
  const lines = readFileSync(SENTENCES, "utf8")
    .split("\n")
    .slice(1, 1 + count);
  return lines.map((line, i) => ({ text: line.split("\t")[1], logits: logits[i] }));
}

/** Runs every sentence, or every fifth of ours by the second export and every tenth of SST-2's. */
export function answerSentences(isWhole: boolean): void {
  it.each(EXPORTS.map((name, i) => ({ name, i })))("answers our sentences from the export $name", async ({ i }) => {
    for (const [seed, sentence] of [...ours.entries()].filter(([seed]) => isWhole || i === 0 || seed % 5 === 0)) {
      const { difference, sameLabel } = await classify(compiled[i], sentence, seed);
      expect(difference, sentence.text).toBeLessThan(TOLERANCE);
      expect(sameLabel, sentence.text).toBe(true);
    }
  });

  it("is one program, whichever way it was exported", () => {
    const [legacy, dynamo] = compiled.map(({ plan }) => plan.steps.map(({ op, type }) => ({ op, type })));
    expect(dynamo).toEqual(legacy);
  });

  it("costs at most 84 rounds and 13 MB at 48 tokens", () => {
    const { cost } = costReport(compiled[0].plan);
    expect(cost.rounds).toBeLessThanOrEqual(84);
    expect(cost.bytes.total).toBeLessThanOrEqual(13e6);
  });

  it.skipIf(!existsSync(SENTENCES))(
    `answers ${isWhole ? 100 : 10} sentences of SST-2 as onnxruntime does`,
    { timeout: 900_000 },
    async () => {
      const worst = { difference: 0, text: "" };
      for (const [seed, sentence] of [...sentencesOfSst2(100).entries()].filter(
        ([seed]) => isWhole || seed % 10 === 0,
      )) {
        const { difference, sameLabel } = await classify(compiled[0], sentence, seed);
        expect(sameLabel, sentence.text).toBe(true);
        if (difference > worst.difference) {
          Object.assign(worst, { difference, text: sentence.text });
        }
      }
      expect(worst.difference, worst.text).toBeLessThan(TOLERANCE);
    },
  );
}
