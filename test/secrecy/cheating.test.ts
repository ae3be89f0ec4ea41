/**
 * Protects: docs/security.md's conditions against one party that cheats. Whatever it sends in frames of the right
 * lengths, the others neither stop nor send anything else than they would, in number, order and length; and what it
 * receives says as little as when it follows the protocol.
 */
import { describe, expect, it } from "vitest";
import { seededNumbers } from "../../ir/seeded.js";
import { loadKernels } from "../../runtime/kernels/load.js";
import { PARTIES, type PartyName } from "../../runtime/transport.js";
import { planOf, recorder, runPlan } from "../share/harness.js";
import { programOfAll } from "../share/programs.js";
import { unevenIn } from "./views.js";

const { create } = loadKernels();
const planWith = (seed: number) => planOf(programOfAll(seededNumbers(seed)));
const zeros = (_: string, count: number) => new BigUint64Array(count);

/** What a party puts into its frames instead of what the protocol says. */
const CHEATS: Readonly<Record<string, (frame: Uint8Array, random: () => number) => void>> = {
  zeros: (frame) => void frame.fill(0),
  ones: (frame) => void frame.fill(0xff),
  noise: (frame, random) => frame.forEach((_, i) => void frame.fill(256 * random(), i, i + 1)),
  "a bit more": (frame) => frame.forEach((byte, i) => void frame.fill(byte ^ 1, i, i + 1)),
};

/** Lengths of all frames, by link, in order; every party ends well. */
async function framesOf(seed: number, cheater?: PartyName, cheat?: (frame: Uint8Array) => void) {
  const { tap, frames } = recorder();
  const outcome = await runPlan(planWith(seed), zeros, {
    seed,
    kernels: () => create,
    tap: (from, to, frame) => {
      tap(from, to, frame);
      if (from === cheater) {
        cheat?.(frame);
      }
    },
  });
  outcome.close();
  return [...frames].map(([link, all]) => [link, all.map(({ length }) => length)]).sort();
}

describe.each(PARTIES)("%s that cheats", (cheater) => {
  it.each(Object.entries(CHEATS))("with %s stops nobody, and changes no length", async (_, cheat) => {
    for (const seed of [1, 2, 3]) {
      const random = seededNumbers(seed);
      expect(await framesOf(seed, cheater, (frame) => cheat(frame, random))).toEqual(await framesOf(seed));
    }
  });
});

it.each(["P1", "P2"] as const)("%s that cheats sees as little as if it did not", async (cheater) => {
  const { found, looked } = await unevenIn(planWith(3), create, { cheater });
  expect(found).toEqual([]);
  expect(looked).toBeGreaterThan(1000);
});
