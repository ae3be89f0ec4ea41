/**
 * Protects: trained models write token by token what they write in the clear: the character model of ours through three
 * parties, from the compiler's own cache, and the sorter by its programs.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { SharedPlan } from "../../client/remote/share.js";
import { readText } from "../../compiler/text/compile.js";
import { windowInputs } from "../../formats/text.js";
import { compile, simulate } from "../../index.js";
import type { Three } from "../party/three.js";
import { CHARACTERS, encoder, greedy, idsOf, type Oracle, oracleOf, paddedInputs } from "./characters.js";
import { OPTIONS, SORTER, sortedOf } from "./sorting.js";
import { runProgram, stateOf, typesOf } from "./whole.js";
import { planOf, startWith, writeWith } from "./writing.js";

describe("the character model", () => {
  let oracle: Oracle;
  let shared: SharedPlan;
  let three: Three;
  beforeAll(async () => {
    oracle = await oracleOf(CHARACTERS);
    shared = await planOf(CHARACTERS, { context: 48, buckets: [16] });
    three = await startWith(shared);
  });
  afterAll(() => three.stop());

  // As long as the bucket, shorter, and one token, for which no program of prompts is run.
  it.each([
    ["A fox asked the ", 32],
    ["The r", 4],
    ["T", 4],
  ])("writes onnxruntime's tokens after '%s'", async (prompt, count) => {
    const { written } = await writeWith(three, shared, prompt, count, { encoder });
    expect(written.map(({ id }) => id)).toEqual(await greedy(oracle, await idsOf(prompt), count));
  });
});

describe("a question of one length to the character model", () => {
  it("is answered as by onnxruntime, with padding on either side", async () => {
    const oracle = await oracleOf(CHARACTERS);
    const length = 16;
    const plan = await compile(CHARACTERS, { dims: { batch: 1, tokens: length }, reveal: ["token"] });
    const ids = await idsOf("The bridge");
    for (const offset of [0, 3, length - ids.length]) {
      const inputs = Object.entries(paddedInputs(ids, length, offset));
      const tensors = Object.fromEntries(inputs.map(([name, data]) => [name, { shape: [1, length], data }]));
      const { outputs } = await simulate(plan, { tensors });
      expect(outputs.get("token")!.data[0]).toBe(await oracle(ids, length, offset));
    }
  });
});

describe.skipIf(SORTER === undefined)("the sorter's programs", () => {
  it("sort six letters token by token", async () => {
    const { model, graphs } = await readText(SORTER!, OPTIONS);
    const [, next, prompt] = graphs;
    for (const input of [77, 410, 688]) {
      const { letters, right } = sortedOf(input);
      const ids = [...letters];
      let run = runProgram(prompt, model.weights, windowInputs(0, ids, typesOf(prompt)));
      for (const wanted of right) {
        const found = Number(run.outputs.get("token")!.data[0]);
        expect(found).toBe(wanted);
        ids.push(found);
        if (ids.length <= OPTIONS.context) {
          const inputs = new Map([...windowInputs(0, ids, typesOf(next)), ...stateOf(next, run.outputs)]);
          run = runProgram(next, model.weights, inputs);
        }
      }
    }
  });
});
