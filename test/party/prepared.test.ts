/**
 * Protects: a question whose material was made ahead is answered by P1 and P2 alone, with the online bytes only; and an
 * entry is used once, whatever fails: by nobody else, for nothing else, and never after what it belongs to has changed.
 */
import { cpSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { costOf } from "../../analysis/cost.js";
import { entriesOf } from "../../client/prepared.js";
import { type PrepareOptions, prepareQuestions } from "../../client/remote/prepare.js";
import { deleteSharing } from "../../client/remote/share.js";
import { readAudit } from "../../party/records.js";
import type { KernelsFactory } from "../../runtime/kernels/interface.js";
import { loadKernels } from "../../runtime/kernels/load.js";
import { sealedBytes } from "../../runtime/material.js";
import { dealtBytes } from "../../runtime/party.js";
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
    expect(audit).toEqual([
      "answered null",
      "prepared made",
      "prepared made",
      "answered used",
      "answered used",
      "answered null",
    ]);
  });
});

describe("an entry", () => {
  it("is of no use a second time, from whatever copy it comes back", async () => {
    await sharedThree();
    await prepare();
    const copy = join(three.state("stranger"), "copy");
    for (const name of ["clinic", "P2"] as const) {
      cpSync(join(three.state(name), "prepared"), join(copy, name), { recursive: true });
    }
    expect((await three.ask(plan)).measured.bytes.offline).toBe(0);
    // The data owner and P2 have their folders from a copy of before; P1 has not.
    await three.of.P2.drain();
    for (const name of ["clinic", "P2"] as const) {
      cpSync(join(copy, name), join(three.state(name), "prepared"), { recursive: true, force: true });
    }
    await three.restart("P2");
    expect([ready(), kept("P2").length]).toEqual([1, 1]);
    const { measured, sharing } = await three.ask(plan);
    expect([measured.bytes.offline > 0, ready()]).toEqual([true, 0]);
    // Nor does P1 open it for who brings its key a second time.
    const [id] = kept("P2");
    const claim = { plan: plan.digest, asker: "clinic", trio: "", weights: sharing };
    const again = rejection(three.of.P1.prepared!.use(id, claim, new Uint8Array(32), Date.now()));
    expect((await again).code).toBe("E0803");
  });

  it("belongs to one data owner and one sharing, and goes with it", async () => {
    const sharing = await sharedThree();
    await prepare();
    const [id] = kept("P1");
    const { trio, weights } = JSON.parse(readFileSync(join(three.state("P1"), "prepared", id, "head"), "utf8"));
    const store = three.of.P1.prepared!;
    const own = { plan: plan.digest, asker: "clinic", trio };
    expect(store.has(id, own, Date.now())).toBe(true);
    for (const other of [{ asker: "lab" }, { plan: "another" }, { trio: "others" }]) {
      expect(store.has(id, { ...own, ...other }, Date.now())).toBe(false);
    }
    const moved = store.use(id, { ...own, weights: `${weights}0` }, new Uint8Array(32), Date.now());
    expect((await rejection(moved)).code).toBe("E0803");
    const deleted = await deleteSharing(sharing, three.topology("lab"), 5000);
    expect(deleted.every(({ bytes }) => bytes > 0)).toBe(true);
    expect([kept("P1"), kept("P2"), ready()]).toEqual([[], [], 1]);
    await three.share(plan);
    await prepare();
    expect((await three.ask(plan)).measured.bytes.offline).toBe(0);
    expect(ready()).toBe(0);
  });

  it("is given up when its owner says so, everywhere, and nobody else's with it", async () => {
    await sharedThree();
    await prepare(2);
    const freed = ["P1", "P2"].map((party) => three.of[party as "P1" | "P2"].prepared!.held.bytes);
    // Another organisation that knows the plan says the same of its own, and has none.
    const others = await prepare(0, { topology: three.topology("lab"), drop: true });
    expect([others.dropped, kept("P1").length, kept("P2").length]).toEqual([{ entries: 0, bytes: 0 }, 2, 2]);
    const another = await prepare(0, { drop: true, sharing: "0".repeat(32) });
    expect([another.dropped, another.ready]).toEqual([{ entries: 0, bytes: 0 }, 2]);
    const { dropped, made, ready: left } = await prepare(0, { drop: true });
    expect(dropped).toEqual({ entries: 2, bytes: freed[0] + freed[1] });
    expect([made, left, ready(), kept("P1"), kept("P2")]).toEqual([0, 0, 0, [], []]);
    expect((await three.ask(plan)).measured.bytes.offline).toBeGreaterThan(0);
  });

  it("is of no use once it was given up, though a party could not be told, which frees it later", async () => {
    await sharedThree();
    await prepare();
    await three.of.P2.drain();
    expect((await rejection(prepare(0, { drop: true }))).where).toBe("P2");
    expect([ready(), kept("P1").length, kept("P2").length]).toEqual([0, 0, 1]);
    await three.restart("P2");
    expect((await prepare(0, { drop: true })).dropped?.bytes).toBeGreaterThan(0);
    expect([kept("P1"), kept("P2")]).toEqual([[], []]);
  });

  it("expires, takes no more room than it may, and is refused by name", async () => {
    await sharedThree((party) => (party === "P2" ? { prepared: 1.5 * sealedBytes(dealtBytes(plan.plan)) } : {}));
    await prepare(1, { keep: 2000 });
    expect(await rejection(prepare())).toEqual({ code: "E1001", where: "P2" });
    await expect.poll(() => ready(), { timeout: 10_000 }).toBe(0);
    await prepare();
    await three.restart("P1", { quota: 1 });
    expect(await rejection(prepare())).toEqual({ code: "E1003", where: "P1" });
    expect([ready(), kept("P1").length, kept("P2").length]).toEqual([1, 1, 1]);
  });

  it("that is damaged ends its question, and the next one is answered", async () => {
    await sharedThree();
    await prepare(2);
    for (const id of kept("P2")) {
      const file = join(three.state("P2"), "prepared", id, "material");
      const bytes = readFileSync(file);
      bytes[bytes.length >> 1] ^= 1;
      writeFileSync(file, bytes);
    }
    // What is wrong with P2's disk is P2's to know.
    expect(await rejection(three.ask(plan))).toEqual({ code: "E0601", where: "P2" });
    expect(await rejection(three.ask(plan))).toEqual({ code: "E0601", where: "P2" });
    await expect.poll(() => three.ends.filter(({ outcome }) => outcome === "E0306").length).toBe(2);
    expect((await three.ask(plan)).measured.bytes.offline).toBeGreaterThan(0);
  });

  it("is made whole or by nobody, and no key makes two streams, wherever a party stops", async () => {
    const keys = new Map<string, number>();
    let [calls, stopAt] = [0, -1];
    // Every stream that P2 reads: after so many an end, as if the process were gone.
    const kernels: KernelsFactory = (bytes) => {
      const inner = loadKernels().create(bytes);
      const key: typeof inner.key = (given) => {
        const text = Buffer.from(given).toString("hex");
        keys.set(text, (keys.get(text) ?? 0) + 1);
        if (calls++ === stopAt) {
          throw new Error("stopped");
        }
        return inner.key(given);
      };
      return { ...inner, key };
    };
    await sharedThree((party) => (party === "P2" ? { kernels } : {}));
    await prepare(6);
    for (let at = 0; at < 5; at++) {
      [calls, stopAt] = [0, at];
      const before = ready();
      await three.ask(plan).catch(() => undefined);
      expect(ready()).toBe(before - 1);
      [calls, stopAt] = [0, -1];
    }
    expect((await three.ask(plan)).measured.bytes.offline).toBe(0);
    // The seed of the weights is read in every session, at the same places, of the same values; nothing else is.
    expect([...keys.values()].filter((count) => count > 1).length).toBe(1);
    expect([kept("P1"), kept("P2")]).toEqual([[], []]);
  });
});
