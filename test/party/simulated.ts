/**
 * Three parties that stay, owners, their disks and the network between them, in one process and on one clock: all that
 * goes wrong, and when, follows from a seed. What is real is the house's own code, from the daemon to the link.
 */
import { appendFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, vi } from "vitest";
import { createIdentities } from "../../client/identities.js";
import { topologyHere } from "../../client/local/trio.js";
import { askParties } from "../../client/remote/ask.js";
import { converse } from "../../client/remote/converse.js";
import { prepareQuestions } from "../../client/remote/prepare.js";
import { deleteSharing, type SharedPlan, shareModel } from "../../client/remote/share.js";
import type { Topology } from "../../formats/topology.js";
import { PumacError } from "../../ir/diagnostics.js";
import { digestIn, encodePlan } from "../../ir/plan/codec.js";
import { seededNumbers } from "../../ir/seeded.js";
import { PartyDaemon } from "../../party/daemon.js";
import { type AuditLine, readAudit } from "../../party/records.js";
import type { Address } from "../../runtime/connect.js";
import { type Identity, isPartyName } from "../../runtime/identity.js";
import type { KernelsFactory } from "../../runtime/kernels/interface.js";
import { loadKernels } from "../../runtime/kernels/load.js";
import { systemRandom } from "../../runtime/keys.js";
import { PARTIES, type PartyName } from "../../runtime/transport.js";
import { planFor } from "../plan/support.js";
import { program, SHAPE } from "./carried.js";
import { disk, keys, noteKey } from "./simulated-disk.js";
import { network } from "./simulated-network.js";

const TIMEOUT = 1000;
const DEADLINE = 8000;
/** Nobody waits for longer, whatever happens: a few sessions, one after the other, each to its deadline. */
const LONGEST = 60_000;
const DAY = 86_400_000;
const NAMES = [...PARTIES, "lab", "clinic", "ward"] as const;
type Name = (typeof NAMES)[number];
const WEIGHT = 3;
const QUOTA = 2;

const tensorOf = (x: number) => ({ dtype: "f32" as const, shape: SHAPE, data: new Float64Array(5).fill(x) });
const given = (x: number) => ({ value: () => tensorOf(x) });

function sharedPlan(plan: SharedPlan["plan"]): SharedPlan {
  const file = encodePlan(plan);
  return { plan, digest: digestIn(file), file, weights: { read: () => tensorOf(WEIGHT) } };
}

const single = sharedPlan(planFor(program("single")));
const talk = sharedPlan({ ...planFor(program("continued")), parts: [planFor(program("anew"))] });
const [CONTINUED, ANEW] = [0, 1];

const real = setImmediate;
/** Lets everything run that does not wait for the clock; files too. */
async function settled(): Promise<void> {
  for (let calm = 0; calm < 2; ) {
    await new Promise((resolve) => real(resolve));
    calm = process.getActiveResourcesInfo().some((name) => /^F(S|ile)/.test(name)) ? 0 : calm + 1;
  }
}

/** Moves the clock from event to event until this holds, or so many milliseconds are over. */
async function until(isOver: () => boolean, milliseconds = LONGEST): Promise<void> {
  for (const end = Date.now() + milliseconds; ; ) {
    await settled();
    if (isOver()) {
      return;
    }
    if (Date.now() > end || vi.getTimerCount() === 0) {
      throw new Error("somebody waits for what never comes");
    }
    vi.advanceTimersToNextTimer();
  }
}

/** What a promise gives, while the clock moves. */
async function awaited<T>(promise: Promise<T>, milliseconds = LONGEST): Promise<T> {
  let isOver = false;
  const end = (): void => {
    isOver = true;
  };
  promise.then(end, end);
  await until(() => isOver, milliseconds);
  return await promise;
}

const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

let identities: ReadonlyMap<string, Identity>;
let template: string;
let processes = 0;

/** One party's machine: its disk, and the process that it has at the moment. */
class Machine {
  daemon!: PartyDaemon;
  crashes = 0;
  /** Of the process that runs. */
  private certificate = "";

  constructor(
    readonly party: PartyName,
    private folder: string,
    private readonly addresses: Readonly<Record<PartyName, Address>>,
    private readonly settings: { readonly sessions: number; readonly quota: number },
  ) {}

  get audit(): readonly AuditLine[] {
    return readAudit(this.folder);
  }

  async start(): Promise<void> {
    const { party } = this;
    const identity = identities.get(party)!;
    // Who calls is one process, and this text, which nobody reads, names it.
    const certificate = `${identity.certificate}\n${processes++}\n`;
    this.certificate = certificate;
    const create: KernelsFactory = (bytes) => {
      const kernels = loadKernels("portable").create(bytes);
      const key: typeof kernels.key = (each) => {
        // What a process computes that is gone, nobody sees.
        if (this.certificate === certificate) {
          noteKey(party, each);
        }
        return kernels.key(each);
      };
      return { ...kernels, key };
    };
    this.daemon = new PartyDaemon({
      ...{ party, listenAt: this.addresses[party], addresses: this.addresses, state: this.folder, memory: 4e9 },
      identity: { ...identity, certificate },
      ...{ timeout: TIMEOUT, deadline: DEADLINE, prepared: 1e9, random: systemRandom, kernels: create, queue: 8 },
      ...this.settings,
      log: { info: () => undefined, warn: (fields: object) => void ("bug" in fields && bugs.push(String(fields.bug))) },
      usage: () => ({ cpu: 0, memory: 0 }),
    });
    await this.daemon.start();
  }

  /** Its system starts the process again, and again where it cannot start: no room on the disk. */
  async startAgain(): Promise<void> {
    for (;;) {
      try {
        await this.start();
        return;
      } catch (error) {
        expect([disk.isFull, String(error)]).toEqual([true, expect.stringContaining("E1001")]);
        await pause(300);
      }
    }
  }

  /** Its process ends between two steps, with a line of each record half written. */
  crash(pick: (count: number) => number): void {
    this.crashes++;
    network.stop(this.certificate, pick(2) === 0);
    this.certificate = "";
    const folder = `${this.folder}'`;
    cpSync(this.folder, folder, { recursive: true });
    this.folder = folder;
    for (const name of ["audit.jsonl", "session-ids"]) {
      const file = join(folder, name);
      const last = existsSync(file) ? (readFileSync(file, "utf8").split("\n").at(-2) ?? "") : "";
      if (last !== "") {
        appendFileSync(file, last.slice(0, pick(last.length + 1)));
      }
    }
  }
}

/** Errors that are nobody's but the house's. */
const bugs: string[] = [];

/** Everything before the first seed: who there is, and what a party keeps to which a model was shared in peace. */
export async function prepareSimulation(): Promise<void> {
  identities = await createIdentities(NAMES, 1);
  vi.useFakeTimers({
    now: Date.now(),
    toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date", "performance"],
  });
  template = mkdtempSync(join(tmpdir(), "pumac-test-"));
  const world = new World(template, 0);
  await world.open(false);
  await awaited(world.share());
  await awaited(world.prepare(2));
  await world.close();
}

export function endSimulation(): void {
  vi.useRealTimers();
  rmSync(template, { recursive: true, force: true });
}

/** All of one seed. */
class World {
  readonly machines: Readonly<Record<PartyName, Machine>>;
  /** Sessions that were answered, by id. */
  readonly answered: string[] = [];
  readonly hasQuota: boolean;
  /** Nothing goes wrong: bytes are late, and rooms few. */
  readonly isCalm: boolean;
  /** Whether the model is shared while all the rest happens. */
  readonly isSharing: boolean;
  wasFull = false;
  readonly seeds = new Set<string>();
  private readonly random: () => number;
  private readonly addresses: Readonly<Record<PartyName, Address>>;

  constructor(
    private readonly folder: string,
    seed: number,
  ) {
    this.random = seededNumbers(seed);
    this.pick(2);
    this.isCalm = this.pick(6) === 0;
    this.isSharing = this.pick(5) === 0;
    this.hasQuota = seed > 0 && this.pick(6) === 0;
    const settings = {
      sessions: this.isCalm ? 1 : 1 + this.pick(3),
      quota: this.hasQuota ? QUOTA : Number.POSITIVE_INFINITY,
    };
    const at = (i: number): Address => ({ host: "127.0.0.1", port: 10 + i });
    this.addresses = { P0: at(0), P1: at(1), P2: at(2) };
    const machine = (party: PartyName) => new Machine(party, join(folder, party), this.addresses, settings);
    this.machines = { P0: machine("P0"), P1: machine("P1"), P2: machine("P2") };
  }

  readonly pick = (count: number): number => Math.floor(this.random() * count);

  topology(name: Name): Topology {
    return topologyHere(name, identities.get(name)!, this.addresses, join(this.folder, name));
  }

  /** Starts all parties. */
  async open(isShared: boolean): Promise<void> {
    keys.clear();
    if (isShared) {
      cpSync(template, this.folder, { recursive: true });
      if (this.pick(2) === 0) {
        rmSync(join(this.folder, "clinic", "prepared"), { recursive: true });
      }
    }
    for (const name of NAMES) {
      mkdirSync(join(this.folder, name, "sharings"), { recursive: true });
    }
    for (const party of PARTIES) {
      await this.machines[party].start();
      [single, talk].forEach(({ digest }) => void this.machines[party].daemon.plans.approve(digest));
    }
  }

  async close(): Promise<void> {
    await awaited(Promise.all(PARTIES.map((party) => this.machines[party].daemon.drain())));
    await until(() => network.open === 0);
  }

  share() {
    return shareModel({ topology: this.topology("lab"), timeout: TIMEOUT, plans: [single, talk] });
  }

  /** Asks about x. */
  async ask(x: number, signal?: AbortSignal, who: Name = "clinic"): Promise<void> {
    const options = { topology: this.topology(who), timeout: TIMEOUT, ...(signal && { signal }) };
    const { outputs, session } = await askParties(single, given(x), options);
    this.answered.push(session);
    expectRight(outputs.get("y")!.data, x);
  }

  private async talk(x: number, signal?: AbortSignal): Promise<void> {
    const options = { topology: this.topology("clinic"), timeout: TIMEOUT, ...(signal && { signal }) };
    const { run, close } = await converse(talk, options);
    expectRight((await run(ANEW, given(x))).outputs.get("y")!.data, x);
    await pause(this.pick(2000));
    expectRight((await run(CONTINUED, given(1))).outputs.get("y")!.data, x + 1);
    await close();
  }

  async prepare(count: number, signal?: AbortSignal): Promise<void> {
    const options = { topology: this.topology("clinic"), timeout: TIMEOUT, ...(signal && { signal }) };
    await prepareQuestions(single, { ...options, keep: DAY, count });
  }

  private async delete(): Promise<void> {
    this.noteSeeds();
    for (const id of readdirSync(join(this.folder, "lab", "sharings"))) {
      await deleteSharing(id.replace(".json", ""), this.topology("lab"), TIMEOUT);
    }
  }

  /** The seeds of the weights are read in every session, at the same places, of the same values. */
  noteSeeds(): void {
    const sharings = join(this.folder, "lab", "sharings");
    for (const name of readdirSync(sharings)) {
      const { first, second } = JSON.parse(readFileSync(join(sharings, name), "utf8")) as Record<string, string>;
      this.seeds.add(first).add(second);
    }
  }

  /** One thing that a data owner does. */
  anything(i: number, signal?: AbortSignal): Promise<void> {
    const x = 10 * i + 1 + this.pick(9);
    const which = this.pick(8);
    return which < 2 ? this.talk(x, signal) : which < 4 ? this.prepare(1 + this.pick(3), signal) : this.ask(x, signal);
  }

  /** One thing that somebody does, once the time has come; ends well, or for a stated cause. */
  async deed(i: number): Promise<void> {
    const leaving = this.pick(6) === 0 ? new AbortController() : undefined;
    const leave = this.pick(3000);
    await pause(this.pick(i === 0 ? 10 : 3000));
    const timer = leaving && setTimeout(() => leaving.abort(new Error("enough")), leave);
    const began = Date.now();
    try {
      if (this.isSharing && i < 2) {
        await (i === 1 && this.pick(2) === 0 ? this.delete() : this.share());
      } else {
        await this.anything(i, leaving?.signal);
      }
    } catch (error) {
      if (!(error instanceof PumacError) && error !== leaving?.signal.reason) {
        throw error;
      }
      this.expectCause(error);
    } finally {
      clearTimeout(timer);
    }
    expect(Date.now() - began).toBeLessThan(LONGEST);
  }

  private expectCause(error: unknown): void {
    const code = error instanceof PumacError ? error.diagnostics[0].code : "left";
    // Two who change a sharing, and who asks with one that is deleted in that moment.
    const unshared = ["E0601", "E0801", "E0802", "E0803", "E1002"];
    const codes = [
      "left",
      ...(this.isCalm ? [] : ["E0601", "E0602", "E0701", "E1002"]),
      ...(this.hasQuota ? ["E1003"] : []),
      ...(this.wasFull ? ["E1001"] : []),
      ...unshared.filter(() => this.isSharing),
    ];
    expect(codes, String(error)).toContain(code);
  }

  /** What the data owner keeps of prepared questions comes back from a copy of its disk, used ones too. */
  private async comeBack(): Promise<void> {
    const [kept, copy] = ["prepared", "copy"].map((name) => join(this.folder, "clinic", name));
    mkdirSync(kept, { recursive: true });
    cpSync(kept, copy, { recursive: true });
    await pause(this.pick(3000));
    cpSync(copy, kept, { recursive: true });
  }

  /** What befalls the machines. */
  async trouble(): Promise<void> {
    await pause(this.pick(4000));
    const machine = this.machines[PARTIES[this.pick(3)]];
    switch (this.pick(5)) {
      case 4:
        await this.comeBack();
        return;
      case 0:
        await machine.daemon.drain();
        await pause(this.pick(2000));
        await machine.startAgain();
        return;
      case 1:
        this.wasFull = true;
        disk.isFull = true;
        await pause(this.pick(1500));
        disk.isFull = false;
        return;
      default:
        machine.crash(this.pick);
        await pause(this.pick(3000));
        await machine.startAgain();
    }
  }
}

function expectRight(found: ArrayLike<number>, x: number): void {
  expect(Array.from(found)).toEqual(Array(5).fill(WEIGHT * x));
}

/** Plays a seed: deeds and trouble at once, then peace. */
export async function play(seed: number): Promise<void> {
  await inWorld(seed, async (world) => {
    network.plan(seededNumbers(~seed), world.isCalm);
    const deeds = Array.from({ length: 2 + world.pick(5) }, (_, i) => world.deed(i));
    const troubles = Array.from({ length: world.isCalm ? 0 : world.pick(3) }, () => world.trouble());
    await awaited(Promise.all([...deeds, ...troubles]), 3 * LONGEST);
  });
}

/** Opens a world for what happens in it; then all is well: everything is free again, and a question is answered. */
async function inWorld(seed: number, happens: (world: World) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "pumac-test-"));
  const world = new World(folder, seed);
  bugs.length = 0;
  try {
    await world.open(!world.isSharing);
    await happens(world);
    network.plan(undefined);
    await until(() => network.open === 0 && vi.getTimerCount() === 0, 2 * LONGEST);
    for (const party of PARTIES) {
      const { admission } = world.machines[party].daemon;
      expect([party, admission.running, admission.waiting]).toEqual([party, 0, 0]);
    }
    if (world.isSharing) {
      await awaited(world.share());
    }
    const last = world.ask(7).catch((error: unknown) => {
      expect([world.hasQuota, String(error)]).toEqual([true, expect.stringContaining("E1003")]);
    });
    await awaited(last);
    await world.close();
    checkRecords(world);
    expect(bugs).toEqual([]);
  } finally {
    network.plan(undefined);
    disk.isFull = false;
    network.forgetAll();
    await until(() => vi.getTimerCount() === 0, 2 * LONGEST);
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Plays a seed in which somebody who is known keeps to no protocol: bytes of what it sends are others. Whoever asks
 * beside it is answered, unless it is a party that lies; the parties refuse, and live.
 */
export async function playLies(seed: number): Promise<void> {
  await inWorld(~seed, async (world) => {
    const liar = (["clinic", "clinic", "clinic", "lab", "P1", "P2"] as const)[world.pick(6)];
    network.plan(seededNumbers(seed), true, identities.get(liar)!.certificate);
    const lies = liar === "lab" ? world.share() : world.anything(50);
    const honest = world.ask(5, undefined, "ward").catch((error: unknown) => {
      const isUnshared = world.isSharing && /E080[23]/.test(String(error));
      expect((isUnshared || isPartyName(liar)) && error instanceof PumacError, String(error)).toBe(true);
    });
    await awaited(Promise.all([lies.catch(expectStated), honest]));
  });
}

function expectStated(error: unknown): void {
  // What a liar hears of its own lies is its own affair, as long as it hears something.
  expect(error).toBeInstanceOf(Error);
}

/** What the parties have written down fits what happened, and no key made two streams. */
function checkRecords(world: World): void {
  const { machines, answered, hasQuota, wasFull } = world;
  for (const { party, audit, crashes } of PARTIES.map((party) => machines[party])) {
    const ids = audit.map(({ session }) => session);
    expect(new Set(ids).size, `${party} writes of a session twice`).toBe(ids.length);
    if (crashes > 0 || wasFull) {
      continue;
    }
    const isAnswered = (id: string): boolean =>
      audit.some(({ session, outcome }) => session === id && outcome === "answered");
    // P0 has no part in a question that was prepared.
    const missing = answered.filter((id) => !isAnswered(id) && (party !== "P0" || ids.includes(id)));
    expect(missing, `${party} lacks answers`).toEqual([]);
    if (hasQuota) {
      expect(audit.filter(({ outcome }) => outcome === "answered").length).toBeLessThanOrEqual(QUOTA);
    }
  }
  world.noteSeeds();
  const twice = [...keys].filter(([name, count]) => count > 1 && !world.seeds.has(name.split(" ")[1]));
  expect(twice).toEqual([]);
}
