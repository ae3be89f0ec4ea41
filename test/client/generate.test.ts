/** The loop of tokens, with answers from a list: what is asked, what is shown, and when it ends. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type GenerateOptions, generate } from "../../client/generate.js";
import { loadPieces } from "../../formats/llama2-tokenizer.js";
import type { Encoder } from "../../formats/text.js";
import type { TensorValue } from "../../ir/tensor/value.js";
import { dataFolder } from "../jax/data.js";
import { compileText, type TextModel } from "../lower/support.js";

const WORDS = ["<pad>", "</s>", "a", " b", " c", " d", " \u{1f600}", ""];
/** A word a token; the face is two, of which the first alone is no character. */
const encoder: Encoder = {
  encode: (texts) =>
    Promise.resolve(texts.map((text) => ({ ids: [...text].map((c) => "?!abcd".indexOf(c)), closing: 0 }))),
  decode: (ids) => Promise.resolve(ids.map((id, i) => (id === 6 && ids[i + 1] !== 7 ? " \uFFFD" : WORDS[id])).join("")),
  paddingId: 0,
  endIds: [1],
};

const model: TextModel = {
  text: `%0 = input {name = "ids", dtype = "f32", shape = [1, 5]} : f32[1,5]
%1 = reduceSum %0 {axes = [1], keep = false} : f32[1]
output "token" = %1`,
  inputs: new Map([["ids", { dtype: "f32", shape: [1, 5], data: Float64Array.from([2, 3, 4, 5, 6]) }]]),
};
// Shared as they are given, to see what is asked.
const { plan } = compileText(model, { shared: ["ids"] });

/** What is written when the parties answer with these tokens; what they were asked, too. */
async function written(answers: readonly number[], options: Partial<GenerateOptions> = {}) {
  const asked: number[][] = [];
  const left = [...answers];
  const writing = generate({
    plan,
    encoder,
    prompt: "a",
    mostTokens: 10,
    stops: [],
    ask(values) {
      asked.push([...(values.value("data", plan.bindings[0].input) as TensorValue).data]);
      const token = { dtype: "f32", shape: [1], data: Float64Array.of(left.shift()!) } as const;
      return Promise.resolve({ outputs: new Map([["token", token]]), measured: {} } as never);
    },
    ...options,
  });
  const texts: string[] = [];
  let step = await writing.next();
  for (; step.done !== true; step = await writing.next()) {
    texts.push(step.value.text);
  }
  return { texts, asked, ended: step.value };
}

describe("text that is generated", () => {
  it("asks with what was written so far, and ends where the plan does", async () => {
    const { texts, asked, ended } = await written([3, 4, 5, 3, 4, 5]);
    expect(texts).toEqual([" b", " c", " d", " b", " c"]);
    expect(asked.slice(0, 3)).toEqual([
      [2, 0, 0, 0, 0],
      [2, 3, 0, 0, 0],
      [2, 3, 4, 0, 0],
    ]);
    expect(asked).toHaveLength(5);
    expect(ended).toBe("context");
  });

  it("ends after the most tokens, and with the model's own end, which is not shown", async () => {
    expect(await written([3, 4, 5], { mostTokens: 2 })).toMatchObject({ texts: [" b", " c"], ended: "length" });
    expect(await written([3, 1, 5])).toMatchObject({ texts: [" b"], ended: "end of text" });
  });

  it("ends before a stop, also one of several tokens", async () => {
    expect(await written([3, 4, 5], { stops: [" d"] })).toMatchObject({ texts: [" b", " c", ""], ended: "stop" });
    const both = await written([3, 4, 5], { stops: ["b c"] });
    expect(both.ended).toBe("stop");
    expect(both.asked).toHaveLength(2);
  });

  it("shows a character when all its tokens are there", async () => {
    expect((await written([6, 7, 3], { mostTokens: 3 })).texts).toEqual([" ", "\u{1f600}", " b"]);
  });

  it("refuses a prompt of no token, and one that is longer than the plan", async () => {
    await expect(written([], { prompt: "" })).rejects.toThrow(/E0202.*0 tokens, the plan takes 1 to 5/s);
    await expect(written([], { prompt: "abcdab" })).rejects.toThrow(/E0202.*6 tokens/s);
    await expect(written([3], { prompt: "abcda", mostTokens: 1 })).resolves.toMatchObject({ ended: "length" });
  });
});

const STORIES = dataFolder("llama-stories260k");

describe.skipIf(STORIES === undefined)("llama2.c's tokenizer", () => {
  const file = () => join(STORIES!, "tok512.bin");

  it("gives the ids that its model was trained on, and the text again", () => {
    expect(existsSync(file())).toBe(true);
    const { encode, decode } = loadPieces(file());
    const ids = [1, 403, 407, 261, 378, 432, 383, 286, 261, 376, 298, 315, 421, 395, 317, 426];
    expect(encode(decode(ids))).toEqual(ids);
    expect(encode("")).toEqual([1]);
    expect(decode(encode("Zoë, ½ 你好\n"))).toBe("Zoë, ½ 你好\n");
  });

  it("refuses other files", () => {
    expect(() => loadPieces(join(STORIES!, "config.json"))).toThrow(/E0301/);
  });
});
