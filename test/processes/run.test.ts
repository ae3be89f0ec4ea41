/**
 * The trained BERT through three real processes: the answers of onnxruntime, the costs that `inspect` says, over Unix
 * sockets and over TLS.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { MODEL, MODEL_FOLDER, pumac, TOKENIZER, temporaryFolder } from "./command.js";

interface Sentence {
  readonly text: string;
  readonly logits: readonly number[];
}

interface Cost {
  readonly rounds: number;
  readonly bytes: { readonly [what: string]: number } & { readonly links: Readonly<Record<string, number>> };
}

interface Predicted extends Cost {
  readonly memory: Readonly<Record<string, number>>;
}

interface RunDocument {
  readonly schema: string;
  readonly plan: { readonly digest: string };
  readonly outputs: { readonly logits: { readonly shape: readonly number[]; readonly data: readonly number[] } };
  readonly measured: Cost & {
    readonly seconds: Readonly<Record<string, number>>;
    readonly cpu: Readonly<Record<string, number | null>>;
    readonly memory: Readonly<Record<string, number | null>>;
  };
}

const sentences = JSON.parse(readFileSync(join(MODEL_FOLDER, "sentences.json"), "utf8")) as readonly Sentence[];
const folder = temporaryFolder();
const plan = join(folder, "bert.pumac");
let predicted: Predicted;

beforeAll(async () => {
  const compiled = await pumac("compile", MODEL, "--dim", "b=1,s=48", "-o", plan);
  expect(compiled.stderr).toContain("rounds");
  expect(compiled.status).toBe(0);
  predicted = (JSON.parse((await pumac("inspect", plan, "--json")).stdout) as { cost: Predicted }).cost;
});

/** Checks a document of `run` or `simulate` against onnxruntime's logits and the predicted cost. */
function check(stdout: string, { logits }: Sentence): RunDocument {
  const document = JSON.parse(stdout) as RunDocument;
  expect(document.schema).toBe("pumac.run/1");
  const { shape, data } = document.outputs.logits;
  expect(shape).toEqual([1, 2]);
  data.forEach((logit, i) => {
    expect(Math.abs(logit - logits[i])).toBeLessThan(0.02);
  });
  expect(document.measured.rounds).toBe(predicted.rounds);
  expect(document.measured.bytes).toEqual(predicted.bytes);
  return document;
}

describe("run", () => {
  it.each(sentences.slice(0, 3).map((sentence, i) => ({ sentence, tls: i === 2 })))(
    "answers '$sentence.text' as onnxruntime does, at the predicted cost (TLS: $tls)",
    async ({ sentence, tls }) => {
      const args = ["run", plan, "--input", `text:${sentence.text}`, "--tokenizer", TOKENIZER, "--json"];
      const { status, stdout, stderr } = await pumac(...args, ...(tls ? ["--tls"] : []));
      expect(stderr).toContain("no privacy");
      expect(status).toBe(0);
      const { measured } = check(stdout, sentence);
      for (const party of ["P0", "P1", "P2"]) {
        expect(measured.cpu[party]).toBeGreaterThan(0);
        // An estimate within 10 %; other programs' load moves what garbage collection leaves.
        expect(measured.memory[party]! / predicted.memory[party]).toBeGreaterThan(0.8);
        expect(measured.memory[party]! / predicted.memory[party]).toBeLessThan(1.2);
      }
      expect(Object.keys(measured.seconds)).toEqual(["setup", "weights", "input", "offline", "online", "total"]);
    },
  );

  it("writes outputs and compares them", async () => {
    const [{ text, logits }] = sentences;
    const args = ["simulate", plan, "--input", `text:${text}`, "--tokenizer", TOKENIZER, "--seed", "1", "--json"];
    const expected = join(folder, "expected.json");
    const written = join(folder, "logits.npy");
    writeFileSync(expected, JSON.stringify([logits]));
    const good = await pumac(...args, "--output", `logits=@${written}`, "--expect", `logits=@${expected}`);
    expect(good.status).toBe(0);
    check(good.stdout, sentences[0]);
    const again = await pumac(...args, "--expect", `logits=@${written}`, "--tolerance", "1e-6");
    expect(again.stderr).toMatch(/^logits is as expected: the largest difference is \S+\n$/m);
    expect(again.status).toBe(0);
    writeFileSync(expected, JSON.stringify([[logits[0] + 1, logits[1]]]));
    const bad = await pumac(...args, "--expect", `logits=@${expected}`);
    expect(bad.status).toBe(5);
    expect(bad.stderr).toContain("E0502");
    expect(bad.stderr).toContain("logits[0, 0]");
  });
});
