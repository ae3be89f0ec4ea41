/**
 * Protects: whatever the network does, a question ends in the right answer or in an error that names a cause, at every
 * party and in time; and the parties answer the next one. A seed that fails is in the test's name and plays again;
 * PUMAC_FAULTS=10000 tries so many (npm run fuzz).
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PumacError } from "../../ir/diagnostics.js";
import type { PartySettings } from "../../party/context.js";
import { systemRandom } from "../../runtime/keys.js";
import { PARTIES } from "../../runtime/transport.js";
import { FaultyNetwork } from "./faulty.js";
import { smallPlan, startThree, type Three } from "./three.js";

const SEEDS = Array.from({ length: Number(process.env.PUMAC_FAULTS ?? 12) }, (_, i) => i + 1);
const QUESTIONS = 3;
const TIMEOUT = 1000;
/** A few timeouts one after the other: connecting, agreeing, running. */
const LONGEST = 12 * TIMEOUT;

const network = new FaultyNetwork();
/** All that any party or owner ever drew at random, as text: nothing is drawn twice. */
const drawn = new Set<string>();
let plan: Awaited<ReturnType<typeof smallPlan>>;
let three: Three;
let expected: number;
let settings: Partial<PartySettings>;

async function answer(): Promise<number> {
  const { outputs } = await three.ask(plan, { timeout: TIMEOUT });
  return [...outputs.values()][0].data[0];
}

beforeAll(async () => {
  plan = await smallPlan();
  const random = (length: number): Uint8Array => {
    const bytes = systemRandom(length);
    const text = Buffer.from(bytes).toString("hex");
    expect(drawn.has(text)).toBe(false);
    drawn.add(text);
    return bytes;
  };
  settings = { timeout: TIMEOUT, random, sessions: 8 };
  three = await startThree(settings, (at) => network.through(at));
  three.approve(plan.digest);
  await three.share(plan);
  expected = await answer();
});
afterAll(async () => {
  await three.stop();
  network.close();
});

describe("whatever the network does", () => {
  it.each(SEEDS)("with seed %i, an answer is right or is none", async (seed) => {
    network.plan(seed);
    const began = performance.now();
    const questions = Array.from({ length: QUESTIONS }, answer);
    // Every third time a party is started again in the middle of it, with what it kept.
    const restarted = seed % 3 === 0 ? three.restart(PARTIES[(seed / 3) % 3], settings) : undefined;
    const asked = await Promise.allSettled(questions);
    await restarted;
    expect(performance.now() - began).toBeLessThan(LONGEST);
    for (const each of asked) {
      if (each.status === "fulfilled") {
        expect(Math.abs(each.value - expected)).toBeLessThan(0.02);
      } else {
        expect(each.reason).toBeInstanceOf(PumacError);
        expect((each.reason as PumacError).exitCode).toBeGreaterThanOrEqual(6);
      }
    }
    network.plan(undefined);
    expect(Math.abs((await answer()) - expected)).toBeLessThan(0.02);
    await expect
      .poll(() => PARTIES.map((party) => three.of[party].admission.running), { timeout: LONGEST })
      .toEqual([0, 0, 0]);
  });
});
