/**
 * Protects: a question whose material was made ahead is answered by P1 and P2 alone, with the online bytes only; and an
 * entry is used once, whatever fails: by nobody else, for nothing else, and never after what it belongs to has changed.
 */
import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { entriesOf } from "../../client/prepared.js";
import { type PrepareOptions, prepareQuestions } from "../../client/remote/prepare.js";
import { deleteSharing } from "../../client/remote/share.js";
import { costOf } from "../../analysis/cost.js";
import { readAudit } from "../../party/records.js";
import { sealedBytes } from "../../runtime/material.js";
import { rejection } from "../runtime/mesh.js";
import { smallPlan, startThree, type Three } from "./three.js";

const DAY = 86_400_000;

type SmallPlan = Awaited<ReturnType<typeof smallPlan>>;
let plan: SmallPlan;
let three: Three;
beforeAll(async () => {
  plan = await smallPlan();
});
afterEach(async () => {
  await three.stop();
});

async function sharedThree(settings: Parameters<typeof startThree>[0] = {}): Promise<string> {
  three = await startThree(settings);
  three.approve(plan.digest);
  return (await three.share(plan)).sharing;
}

function prepare(count = 1, options: Partial<PrepareOptions> = {}): ReturnType<typeof prepareQuestions> {
  return prepareQuestions(plan, { topology: three.topology("clinic"), timeout: 5000, keep: DAY, count, ...options });
}

const ready = (): number => entriesOf(three.topology("clinic"), plan.digest, Date.now()).length;
const kept = (party: "P1" | "P2"): readonly string[] =>
  readdirSync(join(three.state(party), "prepared")).filter((name) => name !== "used");

async function logits(answer: ReturnType<Three["ask"]>): Promise<readonly number[]> {
  return [...[...(await answer).outputs.values()][0].data];
}

function expectClose(found: readonly number[], close: readonly number[]): void {
  close.forEach((x, i) => void expect(Math.abs(found[i] - x)).toBeLessThan(0.02));
}

describe("a prepared question", () => {
  it("is answered without P0, with the predicted online bytes, and the next one by all three again", async () => {
    await sharedThree();
    const expected = await logits(three.ask(plan));
    const { made, bytes, ready: all } = await prepare(2);
    const cost = costOf(plan.plan);
    expect([made, all, bytes]).toEqual([2, 2, sealedBytes(cost.bytes.offline)]);
    const before = three.of.P0;
    await before.drain();
    const first = await three.ask(plan);
    expectClose([...[...first.outputs.values()][0].data], expected);
    expect(first.measured.bytes).toMatchObject({ online: cost.bytes.online, offline: 0, total: cost.bytes.online });
    expectClose(await logits(three.ask(plan)), expected);
    expect([ready(), kept("P1"), kept("P2")]).toEqual([0, [], []]);
    await three.restart("P0");
    expect((await three.ask(plan)).measured.bytes.offline).toBe(cost.bytes.offline);
    await expect.poll(() => readAudit(three.state("P2")).length).toBe(6);
    const audit = readAudit(three.state("P2")).map(({ outcome, prepared }) => `${outcome} ${prepared}`);
    expect(audit).toEqual(["answered null", "prepared made", "prepared made", "answered used", "answered used", "answered null"]);
  });
});
