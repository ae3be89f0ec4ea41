/**
 * Trained models through three parties, token by token: the sorter on all of its inputs, the character model after
 * prompts of every length that its program takes.
 */
import { describe, expect, it } from "vitest";
import { CHARACTERS, encoder, greedy, idsOf, oracleOf } from "./characters.js";
import { INPUTS, OPTIONS, SORTER, sortedOf } from "./sorting.js";
import { planOf, startWith, writeWith } from "./writing.js";

/** Conversations at once. */
const LANES = 4;

/** Has every number from 0 up to a count taken, some at once. */
async function all(count: number, take: (number: number) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) {
      await take(next++);
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
}

describe.skipIf(SORTER === undefined)("the sorter", () => {
  it("sorts all 729 inputs", async () => {
    const plan = await planOf(SORTER!, OPTIONS);
    const three = await startWith(plan);
    const wrong: string[] = [];
    await all(INPUTS, async (input) => {
      const { letters, right } = sortedOf(input);
      const { written } = await writeWith(three, plan, letters.join(" "), right.length);
      const found = written.map(({ id }) => id).join(" ");
      wrong.push(...(found === right.join(" ") ? [] : [`${letters.join(" ")}: ${found}`]));
    }).finally(() => three.stop());
    expect(wrong).toEqual([]);
  });
});

describe("the character model", () => {
  it("writes onnxruntime's tokens after prompts of every length", async () => {
    const oracle = await oracleOf(CHARACTERS);
    const text = "The second keeper";
    const plan = await planOf(CHARACTERS, { context: 32, buckets: [8, 16] });
    const three = await startWith(plan);
    await all(16, async (i) => {
      const prompt = text.slice(0, i + 1);
      const { written } = await writeWith(three, plan, prompt, 16, { encoder });
      expect(written.map(({ id }) => id)).toEqual(await greedy(oracle, await idsOf(prompt), 16));
    }).finally(() => three.stop());
  });
});
