/**
 * Protects: a conversation with three parties that stay. Runs of one session read what earlier ones kept, each costs
 * what its program says, and however it ends, nothing of it stays at any party and the next one begins with nothing.
 */
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import type { OwnerValues } from "../../client/owners.js";
import { converse } from "../../client/remote/converse.js";
import type { SharedPlan } from "../../client/remote/share.js";
import { digestIn, encodePlan } from "../../ir/plan/codec.js";
import { sizeOf } from "../../ir/tensor/value.js";
import { planFor } from "../plan/support.js";
import { rejection } from "../runtime/mesh.js";
import { program, SHAPE } from "./carried.js";
import { startThree, type Three } from "./three.js";

const CONTINUED = 0;
const ANEW = 1;
const WEIGHT = 3;

const value = (x: number) => ({ dtype: "f32" as const, shape: SHAPE, data: new Float64Array(sizeOf(SHAPE)).fill(x) });
const given = (x: number): OwnerValues => ({ value: () => value(x) });

let shared: SharedPlan;
let three: Three;
beforeAll(() => {
  const plan = { ...planFor(program("continued")), parts: [planFor(program("anew"))] };
  const file = encodePlan(plan);
  shared = { plan, digest: digestIn(file), file, weights: { read: () => value(WEIGHT) } };
});
afterEach(async () => three.stop());

async function begin(): Promise<void> {
  three = await startThree();
  three.approve(shared.digest);
  await three.share(shared);
}

const talk = (signal?: AbortSignal) =>
  converse(shared, { topology: three.topology("clinic"), timeout: 5000, ...(signal && { signal }) });

type Talk = Awaited<ReturnType<typeof talk>>;
const say = async ({ run }: Talk, which: number, x: number) => (await run(which, given(x))).outputs.get("y")!.data[0];
const sessionsEnded = (count: number) => expect.poll(() => three.ends.length, { timeout: 4000 }).toBe(count);

describe("a conversation", () => {
  it("carries what its runs keep, and each run costs what its program says", async () => {
    await begin();
    const conversation = await talk();
    expect(await say(conversation, ANEW, 1)).toBe(WEIGHT);
    expect(await say(conversation, CONTINUED, 2)).toBe(3 * WEIGHT);
    const { outputs, measured } = await conversation.run(CONTINUED, given(3));
    expect(outputs.get("y")!.data[0]).toBe(6 * WEIGHT);
    // 5 words of 40 bits each way, once; their shares of the answer; seeds and words of x.
    expect(measured.rounds).toBe(1);
    expect(measured.bytes).toMatchObject({ online: 50, offline: 25, output: 50, input: 64 + 50 });
    await conversation.close();
    await sessionsEnded(3);
    expect(three.ends.map(({ outcome }) => outcome)).toEqual(["answered", "answered", "answered"]);
  });

  it("begins with nothing, whatever was kept in one before or beside it", async () => {
    await begin();
    const talks = await Promise.all([talk(), talk()]);
    expect(await say(talks[0], CONTINUED, 1)).toBe(WEIGHT);
    expect(await say(talks[1], CONTINUED, 10)).toBe(10 * WEIGHT);
    expect(await say(talks[0], CONTINUED, 1)).toBe(2 * WEIGHT);
    expect(await say(talks[1], CONTINUED, 10)).toBe(20 * WEIGHT);
    await Promise.all(talks.map(({ close }) => close()));
    const later = await talk();
    expect(await say(later, CONTINUED, 1)).toBe(WEIGHT);
    await later.close();
  });

  it("ends at all parties within a second when its owner stops it, in the middle of a run too", async () => {
    await begin();
    const stopping = new AbortController();
    const conversation = await talk(stopping.signal);
    expect(await say(conversation, ANEW, 1)).toBe(WEIGHT);
    const running = conversation.run(CONTINUED, given(1));
    const began = performance.now();
    stopping.abort(new Error("enough"));
    await expect(running).rejects.toThrow("enough");
    await sessionsEnded(3);
    expect(performance.now() - began).toBeLessThan(1000);
    await expect(conversation.run(CONTINUED, given(1))).rejects.toThrow("enough");
  });

  it("ends with a clear error when a party restarts, and another one can begin", async () => {
    await begin();
    const conversation = await talk();
    expect(await say(conversation, ANEW, 1)).toBe(WEIGHT);
    await three.restart("P1");
    await sessionsEnded(3);
    expect(await rejection(conversation.run(CONTINUED, given(1)))).toMatchObject({ code: "E1002", where: "P1" });
    const another = await talk();
    expect(await say(another, CONTINUED, 1)).toBe(WEIGHT);
    await another.close();
  });

  it("refuses a program that the plan has not, at every party", async () => {
    await begin();
    const lying = { ...shared, plan: { ...shared.plan, parts: [...shared.plan.parts, ...shared.plan.parts] } };
    const conversation = await converse(lying, { topology: three.topology("clinic"), timeout: 5000 });
    expect(await rejection(conversation.run(2, given(1)))).toMatchObject({ code: "E0901" });
    await sessionsEnded(3);
    expect(new Set(three.ends.map(({ outcome }) => outcome))).toEqual(new Set(["E0901"]));
  });
});
