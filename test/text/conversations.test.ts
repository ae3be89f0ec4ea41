/**
 * Protects: twenty conversations over one sharing of the weights, all begun before any ends, write what each would
 * alone; one whose party restarts ends with that party's name, and goes on from its text so far as if nothing had been.
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { generate, type Written } from "../../client/generate.js";
import { converse } from "../../client/remote/converse.js";
import type { SharedPlan } from "../../client/remote/share.js";
import { startThree, type Three } from "../party/three.js";
import { rejection } from "../runtime/mesh.js";
import { writeDecoder } from "./decoders.js";
import { encoder, planOf } from "./writing.js";

const COUNT = 20;
const TOKENS = 4;

let shared: SharedPlan;
let three: Three;
beforeAll(async () => {
  shared = await planOf(writeDecoder({ mask: true, positions: "input" }), { context: 8, buckets: [6] });
  three = await startThree({ sessions: COUNT });
  three.approve(shared.digest);
  await three.share(shared);
});
afterAll(() => three.stop());

function writing(prompt: string, mostTokens: number): AsyncGenerator<Written> {
  const begin = () => converse(shared, { topology: three.topology("clinic"), timeout: 20_000 });
  const ask = () => Promise.reject(new Error("a single question"));
  return generate({ plan: shared.plan, encoder, ask, converse: begin, prompt, mostTokens, stops: [] });
}

async function rest(text: AsyncGenerator<Written>): Promise<number[]> {
  const ids: number[] = [];
  for await (const { id } of text) {
    ids.push(id);
  }
  return ids;
}

it("twenty at once write what each writes alone, and leave nothing open", async () => {
  const prompts = Array.from({ length: COUNT }, (_, i) => `${i} ${(7 * i + 3) % 24} ${(5 * i + 1) % 24}`);
  const texts = prompts.map((prompt) => writing(prompt, TOKENS));
  const firsts = await Promise.all(texts.map(async (text) => (await text.next()).value as Written));
  expect(three.ends).toEqual([]);
  const others = await Promise.all(texts.map(rest));
  await expect.poll(() => three.ends.length).toBe(3 * COUNT);
  const written = firsts.map(({ id }, i) => [id, ...others[i]]);
  for (const i of [0, 7, 19]) {
    expect(await rest(writing(prompts[i], TOKENS))).toEqual(written[i]);
  }
  expect(new Set(written.map((ids) => ids.join(" "))).size).toBeGreaterThan(1);
});

it("one whose party restarts says which, and goes on from its text", async () => {
  const whole = await rest(writing("3 14 5", TOKENS));
  const text = writing("3 14 5", TOKENS);
  const ids = [await text.next(), await text.next()].map(({ value }) => value.id);
  await three.restart("P1");
  expect(await rejection(text.next())).toMatchObject({ code: "E1002", where: "P1" });
  expect(ids).toEqual(whole.slice(0, 2));
  expect(await rest(writing(["3 14 5", ...ids].join(" "), TOKENS - 2))).toEqual(whole.slice(2));
});
