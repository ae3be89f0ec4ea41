/**
 * Protects: a language model's program for the next token gives the logits that the whole model gives, token after
 * token, whatever form its cache has; so does the program of a prompt, whose beginning is empty. In real numbers.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readText } from "../../compiler/text/compile.js";
import { windowInputs } from "../../formats/text.js";
import { logitsAfter, runProgram, stateOf, typesOf } from "./whole.js";

const DATA = join(
  process.env.PUMAC_DATA ?? join(import.meta.dirname, "..", "..", "..", "shared", "data"),
  "fixtures-onnx",
);
const CONTEXT = 5;
const TOKENS = [5, 17, 3, 9];

const MODELS: readonly string[] = [
  "gpt2_lm.t5.dynamo.eager.op18.dyn",
  "gpt2_lm.t5.legacy.eager.op14.dyn",
  "llama_lm.t4.dynamo.sdpa.op18.dyn",
  "llama_lm.t5.dynamo.eager.op18.dyn",
  "llama_lm.t5.dynamo.sdpa.op20.dyn",
  "llama_lm.t5.legacy.eager.op14.dyn",
  "llama_lm.t5.legacy.eager.op14.dyn.ortall",
  "llama_lm.t5.legacy.sdpa.op17.dyn",
  "gpt2_kv.t5.legacy.eager.op14.dyn",
  "gpt2_kv.t5.legacy.eager.op14.dyn.ortall",
  "gpt2_kv.t5.legacy.eager.op14.dyn.ortpy",
  "gpt2_kv.t5.legacy.sdpa.op17.dyn",
  "llama_kv.t5.legacy.eager.op14.dyn",
  "optimum.llama.model",
];

function expectClose(found: Float64Array, wanted: Float64Array): void {
  expect(found.length).toBe(wanted.length);
  expect(Math.max(...found.map((x, i) => Math.abs(x - wanted[i])))).toBeLessThan(1e-4);
}

describe.skipIf(!existsSync(DATA))("a language model with a cache", () => {
  it.each(MODELS)("%s", async (name) => {
    const path = join(DATA, name, "model.onnx");
    const { model, graphs } = await readText(path, { context: CONTEXT });
    const [window, next] = graphs;
    const wanted = await logitsAfter(path, TOKENS);
    // The prompt at once, with nothing before it; then token after token.
    const prompt = TOKENS.slice(0, 2);
    const first = runProgram(window, model.weights, windowInputs(0, prompt, typesOf(window)));
    expectClose(first.logits, wanted[1]);
    let state = first.outputs;
    for (let length = prompt.length + 1; length <= TOKENS.length; length++) {
      const inputs = new Map([...windowInputs(0, TOKENS.slice(0, length), typesOf(next)), ...stateOf(next, state)]);
      const step = runProgram(next, model.weights, inputs);
      expectClose(step.logits, wanted[length - 1]);
      state = step.outputs;
    }
    // From the first token on, without a prompt's program.
    const inputs = new Map([...windowInputs(0, TOKENS.slice(0, 1), typesOf(next)), ...stateOf(next, new Map())]);
    expectClose(runProgram(next, model.weights, inputs).logits, wanted[0]);
  });
});
