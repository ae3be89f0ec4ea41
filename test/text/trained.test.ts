/**
 * Protects: trained models write token by token what they write in the clear: the character model of ours through three
 * parties, from the compiler's own cache and with a draft, and the sorter by its programs.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { costOf } from "../../analysis/cost.js";
import type { Draft } from "../../client/guesses.js";
import type { SharedPlan } from "../../client/remote/share.js";
import { readText } from "../../compiler/text/compile.js";
import { openDraft } from "../../compiler/text/draft.js";
import { windowInputs } from "../../formats/text.js";
import { compile, simulate } from "../../index.js";
import type { Three } from "../party/three.js";
import { CHARACTERS, DRAFT, encoder, greedy, idsOf, type Oracle, oracleOf, paddedInputs } from "./characters.js";
import { OPTIONS, SORTER, sortedOf } from "./sorting.js";
import { runProgram, stateOf, typesOf } from "./whole.js";
import { planOf, startWith, writeWith } from "./writing.js";

const GUESSES = 4;

describe("the character model", () => {
  let oracle: Oracle;
  let shared: SharedPlan;
  let three: Three;
  beforeAll(async () => {
    oracle = await oracleOf(CHARACTERS);
    shared = await planOf(CHARACTERS, { context: 48, buckets: [16], guesses: GUESSES });
    three = await startWith(shared);
  }, 300_000);
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

  it("writes the same with a smaller draft, in fewer passes", async () => {
    const prompt = "The river said t";
    const draft = await openDraft(DRAFT, 48);
    const { written } = await writeWith(three, shared, prompt, 24, { encoder, draft });
    expect(written.map(({ id }) => id)).toEqual(await greedy(oracle, await idsOf(prompt), 24));
    const passes = written.filter(({ measured }) => measured.rounds > 0);
    expect(passes.length).toBeLessThan(10);
    const { rounds, bytes } = costOf(shared.plan.parts[1]);
    for (const { measured } of passes.slice(1, -1)) {
      expect([measured.rounds, measured.bytes.total]).toEqual([rounds, bytes.total]);
    }
  });

  it("writes the same to the end of its context after guesses that are wrong at any place", async () => {
    const ids = await idsOf("The bird said: I");
    const right = await greedy(oracle, ids, 33);
    let turn = 0;
    // The first is wrong, then the second, and so on, and in the end none.
    const draft: Draft = (read, count) => {
      const wrong = turn++ % (GUESSES + 1);
      const from = read.length - ids.length;
      return Array.from({ length: count }, (_, i) => ((right[from + i] ?? 0) + (i === wrong ? 1 : 0)) % 38);
    };
    const { written, ended } = await writeWith(three, shared, "The bird said: I", 40, { encoder, draft });
    expect([ended, written.map(({ id }) => id)]).toEqual(["context", right]);
    expect(turn).toBeGreaterThan(GUESSES);
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
