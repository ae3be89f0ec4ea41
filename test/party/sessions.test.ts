/**
 * Protects: parties that stay answer session after session from one sharing; nothing secret moves before all agree; and
 * whatever goes wrong ends that session alone, for a stated cause.
 */
import { mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { Socket } from "node:net";
import { join } from "node:path";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { offerPlan } from "../../client/client.js";
import { createCertificate } from "../../client/identities.js";
import { simulate } from "../../client/local/simulation.js";
import { runModelOwner } from "../../client/owners.js";
import { enterParties } from "../../client/remote/ask.js";
import { connectParties } from "../../client/remote/connect.js";
import { deleteSharing } from "../../client/remote/share.js";
import type { PumacError } from "../../ir/diagnostics.js";
import { readAudit } from "../../party/records.js";
import { Rendezvous } from "../../party/rendezvous.js";
import type { Identity } from "../../runtime/identity.js";
import { systemRandom } from "../../runtime/keys.js";
import { PARTIES, type PartyName } from "../../runtime/transport.js";
import { rejection } from "../runtime/mesh.js";
import { smallPlan, startThree, type Three } from "./three.js";

type SmallPlan = Awaited<ReturnType<typeof smallPlan>>;
let plan: SmallPlan;
let longer: SmallPlan;
let expected: readonly number[];
let three: Three | undefined;
beforeAll(async () => {
  plan = await smallPlan();
  longer = await smallPlan(12);
  const values = { ...plan.values, value: bothValues(plan) };
  const { outputs } = await simulate(plan, values, 1);
  expected = [...[...outputs.values()][0].data];
});
afterEach(async () => {
  await three?.stop();
  three = undefined;
});

/** Three parties that have approved the plan and keep its weights. */
async function sharedThree(settings: Parameters<typeof startThree>[0] = {}): Promise<Three> {
  three = await startThree(settings);
  three.approve(plan.digest);
  await three.share(plan);
  return three;
}

/** The values of both owners. */
function bothValues({ plan, weights, values }: SmallPlan): SmallPlan["values"]["value"] {
  const model = runModelOwner(plan, weights);
  return (source, name) =>
    source === "model"
      ? model.get(plan.bindings.find(({ input, owner }) => input === name && owner === "model")!.output)!
      : values.value(source, name);
}

async function logits(answer: ReturnType<Three["ask"]>): Promise<readonly number[]> {
  return [...[...(await answer).outputs.values()][0].data];
}

function expectClose(found: readonly number[], close: readonly number[]): void {
  close.forEach((x, i) => void expect(Math.abs(found[i] - x)).toBeLessThan(0.02));
}

describe("a model's owner", () => {
  it("shares nothing before every party has approved the plan", async () => {
    three = await startThree();
    three.of.P0.plans.approve(plan.digest);
    three.of.P2.plans.approve(plan.digest);
    expect(await rejection(three.share(plan))).toEqual({ code: "E0802", where: "P1" });
    expect(three.of.P1.plans.standing(plan.digest)).toBe("unapproved");
    PARTIES.forEach((party) => void expect(readdirSync(join(three!.state(party), "sharings"))).toEqual([]));
    three.of.P1.plans.approve(plan.digest);
    const { sent } = await three.share(plan);
    expect(sent.P0).toBe(32);
    expect(sent.P1).toBe(sent.P2);
  });

  it("shares nothing where any weight is out of its range, whichever it is", async () => {
    three = await startThree();
    three.approve(plan.digest);
    const names: string[] = [];
    const read = (name: string) => plan.weights.read(name);
    const noted = (name: string) => {
      names.push(name);
      return read(name);
    };
    await three.share({ ...plan, weights: { read: noted } });
    const { state } = three;
    for (const broken of [names[0], names[names.length - 1]]) {
      const before = PARTIES.map((party) => readdirSync(join(state(party), "sharings")).length);
      const scaled = (name: string, by: number) => ({ ...read(name), data: read(name).data.map((x) => x * by) });
      const weights = { read: (name: string) => scaled(name, name === broken ? 1e9 : 1.0001) };
      expect((await rejection(three.share({ ...plan, weights }))).code).toBe("E0202");
      expect(PARTIES.map((party) => readdirSync(join(state(party), "sharings")).length)).toEqual(before);
    }
  });

  it("shares although its disk has no room for words that wait", async () => {
    three = await startThree();
    three.approve(plan.digest);
    const folder = join(three.state("lab"), "sharings");
    mkdirSync(folder, { recursive: true });
    symlinkSync("/dev/full", join(folder, `.aside-${process.pid}`));
    const { sent } = await three.share(plan);
    expect(sent.P1).toBe(three.of.P1.sharings.serving(plan.digest)[0].bytes + 16);
    expect(readdirSync(folder)).toHaveLength(1);
  });

  it("sends each weight once, whatever is shared later, and its files are its party's own", async () => {
    const { sharing } = await (await sharedThree()).share(plan);
    const again = await three!.share(plan);
    expect(again).toMatchObject({ sharing, sent: { P0: 32, P1: 16, P2: 16 } });
    const folder = join(three!.state("P1"), "sharings", sharing);
    for (const file of readdirSync(folder)) {
      expect(statSync(join(folder, file)).mode & 0o777).toBe(0o600);
    }
    expect(statSync(folder).mode & 0o777).toBe(0o700);
  });

  it("shares for a plan of another length only what is new or needs a wider ring", async () => {
    await sharedThree();
    three!.approve(longer.digest);
    const { sent } = await three!.share(longer);
    expect(sent.P1).toBeLessThan(0.8 * three!.of.P1.sharings.serving(plan.digest)[0].bytes);
    expectClose(await logits(three!.ask(longer)), await logits(three!.ask(longer)));
    expectClose(await logits(three!.ask(plan)), expected);
  });

  it("who shares wide shares once and for all: later plans bring what no plan had", async () => {
    three = await startThree();
    [plan, longer].forEach(({ digest }) => void three!.approve(digest));
    await three.share(longer, { wide: true });
    const { sent } = await three.share(plan);
    const positions = 8 * 32 * 8;
    // What the embedding's norm divides by, for every token, place and type, in words of up to 48 bits.
    const scales = 64 * 8 * 2 * 6;
    expect(sent.P1).toBeLessThanOrEqual(16 + positions + scales);
    expectClose(await logits(three.ask(plan)), expected);
  });

  it("goes on where a party lost its power, and sends nothing twice", async () => {
    three = await startThree();
    three.approve(plan.digest);
    const { sharings } = three.of.P1;
    const create = sharings.create.bind(sharings);
    sharings.create = (...args) => {
      const sharing = create(...args);
      const keep = sharing.keep.bind(sharing);
      sharing.keep = (...kept) => (sharing.held.size < 5 ? keep(...kept) : Promise.reject(new Error("no power")));
      return sharing;
    };
    expect((await rejection(three.share(plan))).code).toBe("E0601");
    await three.restart("P1");
    await three.restart("P2");
    const [id] = readdirSync(join(three.state("P1"), "sharings"));
    expect(three.of.P1.sharings.get(id)?.held.size).toBe(5);
    const arrived = three.of.P1.sharings.get(id)!.bytes;
    const { sent, sharing } = await three.share(plan);
    expect(sharing).toBe(id);
    expect(sent.P1 - 16 + arrived).toBe(three.of.P1.sharings.get(id)!.bytes);
    expectClose(await logits(three.ask(plan)), expected);
  });

  it("deletes a sharing everywhere, and nobody else's", async () => {
    const { sharing } = await (await sharedThree()).share(plan);
    const others = rejection(deleteSharing(sharing, three!.topology("clinic"), 5000));
    expect(["E0701", "E0901"]).toContain((await others).code);
    const deleted = await deleteSharing(sharing, three!.topology("lab"), 5000);
    expect(deleted.map(({ party, found }) => [party, found])).toEqual(PARTIES.map((party) => [party, true]));
    expect((await rejection(three!.ask(plan))).code).toBe("E0803");
    PARTIES.forEach((party) => void expect(readdirSync(join(three!.state(party), "sharings"))).toEqual([]));
  });
});

describe("a data owner", () => {
  it("is answered again and again, also after a party came back, and the weights do not move", async () => {
    await sharedThree();
    const first = await three!.ask(plan);
    await three!.restart("P1");
    const second = await three!.ask(plan);
    expect(second.measured.bytes).toEqual(first.measured.bytes);
    const weights = three!.of.P1.sharings.serving(plan.digest)[0].bytes;
    expect(second.measured.bytes.input).toBeLessThan(weights);
    expectClose([...[...second.outputs.values()][0].data], [...[...first.outputs.values()][0].data]);
    await expect.poll(() => readAudit(three!.state("P2")).length).toBe(2);
    const audit = readAudit(three!.state("P2"));
    expect(audit.map(({ outcome, asker }) => [outcome, asker])).toEqual([
      ["answered", "clinic"],
      ["answered", "clinic"],
    ]);
    expect(audit[0]).toMatchObject({ plan: plan.digest, session: first.session, sharing: first.sharing });
  });

  it("hears which party lacks what", async () => {
    three = await startThree();
    expect((await rejection(three.ask(plan))).code).toBe("E0802");
    three.approve(plan.digest);
    await three.share(plan);
    three.of.P2.plans.revoke(plan.digest);
    expect(await rejection(three.ask(plan))).toEqual({ code: "E0802", where: "P2" });
    three.of.P2.plans.approve(plan.digest);
    three.of.P1.sharings.remove(three.of.P1.sharings.serving(plan.digest)[0].id);
    expect((await rejection(three.ask(plan))).code).toBe("E0803");
  });

  it("whom nobody has pinned is refused", async () => {
    await sharedThree();
    const asked = rejection(three!.ask(plan, { topology: three!.topology("stranger") }));
    expect((await asked).code).toBe("E0701");
    expectClose(await logits(three!.ask(plan)), expected);
  });

  it("hears which party has not the memory for its session", async () => {
    await sharedThree((party) => (party === "P1" ? { memory: 1e6 } : {}));
    expect(await rejection(three!.ask(plan))).toEqual({ code: "E1001", where: "P1" });
    await three!.restart("P1", { memory: 1e9 });
    expectClose(await logits(three!.ask(plan)), expected);
  });

  it("has a quota, however many it asks at once", async () => {
    await sharedThree((party) => (party === "P1" ? { quota: 2 } : {}));
    const asked = await Promise.allSettled([1, 2, 3, 4].map(() => three!.ask(plan)));
    expect(asked.filter(({ status }) => status === "fulfilled").length).toBe(2);
    expect(await rejection(three!.ask(plan))).toEqual({ code: "E1003", where: "P1" });
    await three!.restart("P1", { quota: 2 });
    expect(await rejection(three!.ask(plan))).toEqual({ code: "E1003", where: "P1" });
  });
});

describe("a data owner", () => {
  it("leaves in the middle when it is told to, and the parties are free again", async () => {
    await sharedThree();
    const ending = new AbortController();
    const words: Uint8Array[] = [];
    const onShared = (masked: Uint8Array) => {
      words.push(masked);
      ending.abort(new Error("enough"));
    };
    await expect(three!.ask(plan, { signal: ending.signal, onShared })).rejects.toThrow("enough");
    expect(words.length).toBeGreaterThan(0);
    await expect.poll(() => PARTIES.map((party) => three!.of[party].admission.running)).toEqual([0, 0, 0]);
    await expect(three!.ask(plan, { signal: AbortSignal.abort("before") })).rejects.toBe("before");
    expectClose(await logits(three!.ask(plan)), expected);
  });

  it("does not wait for a party that does not listen once it is told to leave", async () => {
    await sharedThree();
    const topology = three!.topology("clinic");
    const nobody = { ...topology, peers: { ...topology.peers, P2: { ...topology.peers.P2, address: "127.0.0.1:1" } } };
    const asked = three!.ask(plan, { topology: nobody, signal: AbortSignal.timeout(100) });
    await expect(asked).rejects.toThrow(/timeout/);
  });
});

describe("a certificate", () => {
  it("is replaced while the others go on: two stand under one name, and what runs is not disturbed", async () => {
    await sharedThree();
    const fresh = await createCertificate("P1", 1);
    const now = (name: PartyName) => three!.of[name].settings;
    const both = { ...now("P1").identity!.pinned, P1: [fresh.certificate, ...now("P1").identity!.pinned.P1] };
    const renew = (party: PartyName, own: Omit<Identity, "pinned">): void =>
      three!.of[party].renew({ ...own, pinned: both }, now(party).addresses);
    // The others first, as the operators agree on: who dials in that moment knows both.
    renew("P0", now("P0").identity!);
    renew("P2", now("P2").identity!);
    const running = three!.ask(plan);
    await expect.poll(() => three!.of.P2.admission.running, { interval: 2 }).toBe(1);
    renew("P1", fresh);
    expectClose(await logits(running), expected);
    // Who has not heard of the new one refuses it; who has, asks.
    expect((await rejection(three!.ask(plan))).code).toBe("E0701");
    const topology = three!.topology("clinic");
    topology.peers.P1.certificates.unshift(fresh.certificate);
    expectClose(await logits(three!.ask(plan, { topology })), expected);
  });
});

describe("many at once", () => {
  it("wait in order, are all answered, and leave nothing behind", async () => {
    await sharedThree({ sessions: 2 });
    const places: number[] = [];
    const asked = Array.from({ length: 8 }, () => three!.ask(plan, { onPlace: (_, place) => places.push(place) }));
    for (const answer of asked) {
      expectClose(await logits(answer), expected);
    }
    expect(Math.max(...places)).toBeGreaterThan(2);
    const { admission } = three!.of.P0;
    await expect.poll(() => [admission.running, admission.waiting]).toEqual([0, 0]);
    expect(three!.ends.filter(({ outcome }) => outcome !== "answered")).toEqual([]);
  });

  it("wait in one party's queue for longer than another one waits for who is silent", async () => {
    await sharedThree((party) => (party === "P0" ? { sessions: 1 } : { timeout: 700 }));
    const places: number[] = [];
    const gone = new AbortController();
    const leave = await three!.of.P0.admission.enter(1, () => undefined, gone.signal);
    const asked = logits(three!.ask(plan, { onPlace: (_, place) => places.push(place) }));
    await new Promise((resolve) => setTimeout(resolve, 1500));
    leave();
    expectClose(await asked, expected);
    expect(places).toEqual([1]);
  });

  it("are refused with a time where the queue is full", async () => {
    await sharedThree({ sessions: 1, queue: 1 });
    const asked = await Promise.allSettled(Array.from({ length: 6 }, () => three!.ask(plan)));
    const refused = asked.filter(({ status }) => status === "rejected");
    expect(refused.length).toBeGreaterThan(0);
    expect(asked.length - refused.length).toBeGreaterThan(0);
    for (const each of refused) {
      expect(String((each as PromiseRejectedResult).reason)).toMatch(/E1002.*busy/);
    }
    expectClose(await logits(three!.ask(plan)), expected);
  });
});

describe("a party", () => {
  it("whose kept shares were changed says so, and the others go on", async () => {
    const { sharing } = await (await sharedThree()).share(plan);
    const words = join(three!.state("P1"), "sharings", sharing, "words");
    const bytes = readFileSync(words);
    bytes[100] ^= 1;
    writeFileSync(words, bytes);
    expect((await rejection(three!.ask(plan))).code).toBe("E0601");
    expect(readAudit(three!.state("P1")).at(-1)?.outcome).toBe("E0306");
    truncateSync(words, 10);
    expect((await rejection(three!.ask(plan))).code).toBe("E0601");
    await deleteSharing(sharing, three!.topology("lab"), 5000);
    await three!.share(plan);
    expectClose(await logits(three!.ask(plan)), expected);
  });

  it("that is being stopped finishes what runs and refuses what comes", async () => {
    await sharedThree();
    const running = three!.ask(plan);
    await expect.poll(() => three!.of.P2.admission.running).toBe(1);
    const drained = three!.of.P0.drain();
    const late = rejection(three!.ask(plan));
    expectClose(await logits(running), expected);
    await drained;
    expect(["E1002", "E0601"]).toContain((await late).code);
  });

  it.each(PARTIES)(
    "%s that is missing is named, though the others wait for less long than its caller",
    async (party) => {
      three = await startThree({ timeout: 300 });
      const topology = three.topology("clinic");
      topology.peers[party].address = "127.0.0.1:1";
      expect(await rejection(three.ask(plan, { topology, timeout: 3000 }))).toEqual({ code: "E0601", where: party });
    },
  );

  it("names who has not called about a session, not who has", async () => {
    const rendezvous = new Rendezvous(100);
    const met = rendezvous.meet("session", ["P1", "P2"], () => undefined);
    rendezvous.arrive({ role: "P1", name: "P1", id: "session", socket: new Socket() });
    expect(await rejection(met)).toEqual({ code: "E0602", where: "P2" });
  });

  it("whose session lasts too long ends it, and names who is waited for", async () => {
    await sharedThree({ deadline: 700 });
    const topology = three!.topology("clinic");
    const transport = await connectParties("data", topology, "ab".repeat(16), 5000);
    const weights = await enterParties(transport, plan, { topology, timeout: 5000 });
    await offerPlan(transport, { plan: plan.digest, weights, random: systemRandom });
    // It lives, and gives nothing.
    expect(await rejection(transport.receive("P0"))).toEqual({ code: "E0602", where: "data" });
    await expect.poll(() => three!.ends.map(({ outcome }) => outcome)).toEqual(["E0602", "E0602", "E0602"]);
    for (const { error } of three!.ends) {
      expect((error as PumacError).diagnostics[0]).toMatchObject({
        where: "clinic",
        why: expect.stringContaining("while input"),
      });
    }
  });

  it("that is gone is named, and the session's room is free again", async () => {
    await sharedThree();
    await three!.of.P2.drain();
    expect(await rejection(three!.ask(plan, { timeout: 300 }))).toEqual({ code: "E0601", where: "P2" });
    await three!.restart("P2");
    expectClose(await logits(three!.ask(plan)), expected);
    await expect.poll(() => three!.of.P0.admission.running).toBe(0);
  });
});
