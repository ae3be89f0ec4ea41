/**
 * Protects: material that was made ahead is used once, wherever whoever uses it is killed: before each thing that it
 * does to its files, one after the other. What it does before it opens an entry is on the disk by then.
 */
import { type ExecFileException, execFile } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createCertificate } from "../../client/identities.js";
import { claimEntry, entriesOf, keepEntry, trioOfTopology } from "../../client/prepared.js";
import type { Topology } from "../../formats/topology.js";
import { PreparedStore } from "../../party/prepared.js";
import type { Ahead } from "../../runtime/material.js";
import { PARTIES } from "../../runtime/transport.js";
import { builtFile } from "../built.js";

const ID = "00112233445566778899aabbccddeeff";
const CLAIM = { plan: "plan", asker: "clinic", trio: "three" };
const WEIGHTS = "sharing and where it is";
const EXPIRES = Date.now() + 86_400_000;
const SECRETS = Buffer.alloc(32, 7);
const KEY = Buffer.alloc(32, 9);
const CERTIFICATE = (await createCertificate("P1", 1)).certificate;
/** Three pieces, the last one short. */
const MATERIAL = Buffer.alloc((2 << 20) + 5, 3);
const TOPOLOGY: Topology = {
  ...{ file: "clinic.toml", name: "clinic", key: "", secret: "", state: "", folder: "" },
  peers: Object.fromEntries(
    [...PARTIES, "clinic"].map((name) => [name, { certificates: [CERTIFICATE], address: "127.0.0.1:1" }]),
  ),
};
const ENTRY = {
  ...{ id: ID, plan: "ab".repeat(32), sharing: ID, trio: trioOfTopology(TOPOLOGY), expires: EXPIRES },
  ...{ seeds: { first: ID, second: ID }, keys: { P1: "cd".repeat(32), P2: "cd".repeat(32) } },
};
const folder = mkdtempSync(join(tmpdir(), "pumac-prepared-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/**
 * Counts what is done to files, writes each down in the log, and kills this process before the one that is told; then
 * does one thing with a store of a party, or of a data owner.
 */
const CHILD = `
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
const [place, log, killAt, module, action] = process.argv.slice(1);
const { appendFileSync, writeSync } = fs;
const names = new Map();
let step = 0;
const said = (what) => appendFileSync(log, what + "\\n");
const counted = (name, call) => (...given) => {
  const where = typeof given[0] === "number" ? names.get(given[0]) : String(given[0]);
  if (where === undefined || !where.startsWith(place + "/")) return call(...given);
  if (step++ === Number(killAt)) process.kill(process.pid, "SIGKILL");
  said(name + " " + where.slice(place.length + 1).replace(/\\.\\d+$/, ""));
  const result = call(...given);
  if (name === "openSync") names.set(result, where);
  return result;
};
for (const name of ["openSync", "writeSync", "writeFileSync", "fsyncSync", "renameSync", "rmSync", "mkdirSync"])
  fs[name] = counted(name, fs[name].bind(fs));
fs.promises.open = counted("open", fs.promises.open.bind(fs.promises));
syncBuiltinESMExports();
const use = await import(module);
const done = (text) => { said("DONE"); writeSync(1, text); };
await (ACTIONS)[action](use, place, done);
`;

const ACTIONS = `{
  use: async ({ PreparedStore }, place, done) => {
    const store = new PreparedStore(place, "P2", Date.now());
    const key = Buffer.alloc(32, 9);
    const claim = { plan: "plan", asker: "clinic", trio: "three", weights: ${JSON.stringify(WEIGHTS)} };
    const ahead = await store.use("${ID}", claim, key, Date.now());
    done(Buffer.from(ahead.keys["02"]).toString("hex"));
  },
  make: async ({ PreparedStore }, place, done) => {
    const store = new PreparedStore(place, "P2", Date.now());
    const frames = [Buffer.alloc(${MATERIAL.length}, 3), Buffer.alloc(0)];
    const given = { plan: "plan", asker: "clinic", trio: "three", expires: ${EXPIRES}, foreseen: 0 };
    const part = { key: Buffer.alloc(32, 9), weights: ${JSON.stringify(WEIGHTS)}, secrets: Buffer.alloc(32, 7) };
    (await store.keep("${ID}", given, { ...part, frames: async () => frames.shift() })).confirm();
    done("made");
  },
  spend: async ({ claimEntry }, place, done) => {
    const entry = claimEntry({ ...${JSON.stringify(TOPOLOGY)}, folder: place }, "${ENTRY.plan}", undefined);
    entry.spend();
    done(entry.seeds.first);
  },
}`;

interface Ran {
  readonly output: string;
  readonly log: readonly string[];
}

interface Ended {
  readonly error: ExecFileException | null;
  readonly stdout: string;
  readonly stderr: string;
}

let runs = 0;
/** Runs an action on a copy of a folder, killed before its n-th step. */
async function run(from: string, action: string, module: string, killAt: number): Promise<Ran & { place: string }> {
  const place = join(folder, `${action}-${killAt}-${runs++}`);
  cpSync(from, place, { recursive: true });
  const log = `${place}.log`;
  const script = CHILD.replace("ACTIONS", () => ACTIONS);
  const given = ["--input-type=module", "-e", script, place, log, String(killAt), pathToFileURL(module).href, action];
  const { error, stdout, stderr } = await new Promise<Ended>((resolve) => {
    execFile(process.execPath, given, (error, stdout, stderr) => resolve({ error, stdout, stderr }));
  });
  expect(stderr).toBe("");
  expect(error === null || error.signal === "SIGKILL").toBe(true);
  return { place, output: stdout, log: existsSync(log) ? readFileSync(log, "utf8").trim().split("\n") : [] };
}

/** Runs an action killed before each of its steps, then to its end. */
async function killedEverywhere(from: string, action: string, module: string) {
  const whole = await run(from, action, module, -1);
  const steps = whole.log.length - 1;
  expect(steps).toBeGreaterThan(3);
  const killed = await Promise.all(Array.from({ length: steps }, (_, at) => run(from, action, module, at)));
  killed.forEach(({ log }, at) => void expect(log).toEqual(whole.log.slice(0, at)));
  return { whole, all: [...killed, whole] };
}

const STORE = builtFile("party", "prepared.js");
const OWNED = builtFile("client", "prepared.js");
const opened = (place: string): PreparedStore => new PreparedStore(place, "P2", Date.now());
const useOf = (store: PreparedStore): Promise<Ahead> =>
  store.use(ID, { ...CLAIM, weights: WEIGHTS }, Buffer.from(KEY), Date.now());

/** How often an entry of the store can still be opened: what was opened has its key and all of its material. */
async function usesLeft(place: string): Promise<number> {
  let uses = 0;
  for (let attempt = 0; attempt < 2; attempt++) {
    // A party that is started again each time.
    const ahead = await useOf(opened(place)).catch(() => undefined);
    if (ahead !== undefined) {
      uses++;
      expect(Buffer.concat([ahead.keys["02"]!, ahead.seed])).toEqual(SECRETS);
      const frames: Uint8Array[] = [];
      for (let frame = await ahead.frames!(); frame.length > 0; frame = await ahead.frames!()) {
        frames.push(frame);
      }
      expect(Buffer.concat(frames).equals(MATERIAL)).toBe(true);
      ahead.close();
    }
  }
  return uses;
}

let made: string;
beforeAll(async () => {
  made = join(folder, "made");
  const frames = [MATERIAL, new Uint8Array(0)];
  const part = { key: Buffer.from(KEY), weights: WEIGHTS, secrets: Buffer.from(SECRETS) };
  const given = { ...CLAIM, expires: EXPIRES, foreseen: 0 };
  const kept = await opened(made).keep(ID, given, { ...part, frames: async () => frames.shift()! });
  kept.confirm();
});

describe("an entry of an evaluator that is killed at every step", () => {
  it("while it is used is used once or never, and is marked on the disk before it is opened", async () => {
    const { whole, all } = await killedEverywhere(made, "use", STORE);
    expect(whole.output).toBe(SECRETS.subarray(0, 16).toString("hex"));
    const mark = whole.log.lastIndexOf("writeSync prepared/used");
    expect(whole.log.slice(mark, mark + 2)).toEqual(["writeSync prepared/used", "fsyncSync prepared/used"]);
    for (const { place, output } of all) {
      const left = await usesLeft(place);
      expect((output === "" ? 0 : 1) + left).toBeLessThanOrEqual(1);
      expect(readdirSync(join(place, "prepared"))).toEqual(["used"]);
    }
  });

  it("while it is made is whole or not there", async () => {
    const empty = join(folder, "empty");
    opened(empty);
    const { all } = await killedEverywhere(empty, "make", STORE);
    const uses: number[] = [];
    for (const { place, output } of all) {
      const left = await usesLeft(place);
      uses.push(left);
      expect(left).toBe(output === "made" || left === 1 ? 1 : 0);
      expect(readdirSync(join(place, "prepared"))).toEqual(["used"]);
    }
    expect(new Set(uses)).toEqual(new Set([0, 1]));
  });
});

describe("an entry of a data owner that is killed at every step", () => {
  it("is asked with once or never, and is gone from the disk before its seeds are used", async () => {
    const owned = join(folder, "owned");
    keepEntry({ ...TOPOLOGY, folder: owned }, ENTRY);
    const { whole, all } = await killedEverywhere(owned, "spend", OWNED);
    expect(whole.output).toBe(ID);
    expect(whole.log.slice(-4)).toEqual([
      `rmSync prepared/${ID}.taken`,
      "openSync prepared",
      "fsyncSync prepared",
      "DONE",
    ]);
    for (const { place, output } of all) {
      const topology = { ...TOPOLOGY, folder: place };
      const claimed = claimEntry(topology, ENTRY.plan, undefined);
      claimed?.spend();
      expect((output === "" ? 0 : 1) + (claimed === undefined ? 0 : 1)).toBeLessThanOrEqual(1);
      expect(claimEntry(topology, ENTRY.plan, undefined)).toBeUndefined();
      expect(entriesOf(topology, ENTRY.plan, Date.now())).toEqual([]);
    }
  });
});
