/**
 * Protects: one topology names every lane; a party's processes of different lanes share plans and approvals and nothing
 * else; a model is shared with all lanes, and a batch asks all of them.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { freePort } from "../../bench/free-port.js";
import { createIdentities } from "../../client/identities.js";
import { dataInputs } from "../../client/owners.js";
import { shareWithLanes } from "../../client/remote/share.js";
import { addressOf, laneOf, loadTopology, saveKey, saveTopology, type Topology } from "../../formats/topology.js";
import { Batch } from "../../gateway/batch.js";
import { askLanes, withLanesFrom } from "../../gateway/open-lanes.js";
import { PlanShelf } from "../../party/plans.js";
import { type StartedParty, startParty } from "../../party/start.js";
import { PARTIES } from "../../runtime/transport.js";
import { smallPlan } from "../party/three.js";

const LANES = 2;
const ROWS = 4;
const folder = mkdtempSync(join(tmpdir(), "pumac-lanes-"));
const started: StartedParty[] = [];
afterAll(async () => {
  await Promise.all(started.map((party) => party.stop()));
  rmSync(folder, { recursive: true });
});

const fileOf = (name: string): string => join(folder, name, "topology.toml");

/** Topologies of three parties and both owners; a port and the next one are free for each party, as far as is known. */
async function writeTopologies(): Promise<void> {
  const names = [...PARTIES, "lab", "clinic"];
  const identities = await createIdentities(names, 1);
  const peers: Topology["peers"] = {};
  for (const name of names) {
    const address = (PARTIES as readonly string[]).includes(name) ? { address: `127.0.0.1:${await freePort()}` } : {};
    const lanes = name === "P0" ? { lanes: 1 } : {};
    peers[name] = { certificates: [...identities.get("P0")!.pinned[name]], ...address, ...lanes };
  }
  for (const name of names) {
    mkdirSync(join(folder, name));
    saveKey(join(folder, name, "key"), identities.get(name)!.key);
    saveTopology({ file: fileOf(name), name, key: "key", state: "state", peers });
  }
}

it("lanes of one topology are asked as one batch", async () => {
  await writeTopologies();
  const plan = await smallPlan();
  const log = { info: () => undefined, warn: () => undefined };
  const limits = { sessions: 1, memory: 4e9, queue: 4, timeout: 20, deadline: 60, quota: 100, prepared: 1e9, log };
  for (const party of PARTIES) {
    new PlanShelf(loadTopology(fileOf(party)).folder).approve(plan.digest);
    // One process of P0 deals for both lanes.
    for (let lane = 0; lane < (party === "P0" ? 1 : LANES); lane++) {
      started.push(await startParty(fileOf(party), { ...limits, lane, sessions: party === "P0" ? LANES : 1 }));
    }
  }
  const shared = await shareWithLanes(LANES, { topology: loadTopology(fileOf("lab")), timeout: 20_000, plans: [plan] });
  for (const party of PARTIES) {
    for (const state of ["state", join("state", "lane-1")]) {
      const isThere = party !== "P0" || state === "state";
      expect(existsSync(join(folder, party, state, "sharings", shared.sharing))).toBe(isThere);
    }
  }

  const row = JSON.stringify(
    Object.fromEntries([...dataInputs(plan.plan).keys()].map((name) => [name, new Array(8).fill(1)])),
  );
  const [data, output] = [join(folder, "rows.jsonl"), join(folder, "answers.jsonl")];
  writeFileSync(data, `${row}\n`.repeat(ROWS));
  const given = { data, output, plan: plan.digest, expected: dataInputs(plan.plan), encoder: undefined };
  const batch = await Batch.open({ ...given, truncate: false, reading: {} });
  const lanes = { loaded: plan, lanes: LANES, topologies: [fileOf("clinic")], timeout: 20_000, capacity: 8 };
  await withLanesFrom(lanes, (opened) => batch.answer(opened, 2 * LANES, () => undefined));
  batch.close();
  expect(batch.result).toMatchObject({ rows: ROWS, done: ROWS, failed: 0 });
  const lines = readFileSync(output, "utf8").trimEnd().split("\n");
  expect(new Set(lines.map((line) => JSON.parse(line).best[0].name)).size).toBe(1);
  // A gateway asks the same lanes.
  const gateway = await askLanes({ topology: fileOf("clinic"), lanes: LANES, timeout: 20_000, capacity: 8 });
  const asking = { signal: new AbortController().signal, onShared: () => undefined };
  const both = await Promise.all([1, 2].map(() => gateway.ask(plan, plan.values, asking)));
  expect(both.map(({ outputs }) => outputs.size)).toEqual([1, 1]);
  gateway.close();
  // Each lane has its own record of its sessions; a party writes it when its last frame is sent.
  const recorded = () =>
    ["state", join("state", "lane-1")].map((state) => {
      const text = readFileSync(join(folder, "P1", state, "audit.jsonl"), "utf8");
      return text.trimEnd().split("\n").length;
    });
  await expect.poll(() => recorded()[0] + recorded()[1], { timeout: 5000 }).toBe(ROWS + 2);
  expect(Math.min(...recorded())).toBeGreaterThan(0);
});

it("a lane's address is so many ports higher, or has its number where the topology says so", () => {
  const address = (of: string, lane: number, lanes?: number) => {
    const peers = { P1: { address: of, certificates: ["-"], lanes } };
    return addressOf(laneOf({ peers, file: "" } as unknown as Topology, lane), "P1");
  };
  expect(address("p1.example.org:7100", 0)).toEqual({ host: "p1.example.org", port: 7100 });
  expect(address("p1.example.org:7100", 3)).toEqual({ host: "p1.example.org", port: 7103 });
  expect(address("p1-{lane}.p1:7100", 3)).toEqual({ host: "p1-3.p1", port: 7100 });
  // One process, or two, for all lanes.
  expect(address("p1.example.org:7100", 3, 1)).toEqual({ host: "p1.example.org", port: 7100 });
  expect(address("p1-{lane}.p1:7100", 3, 2)).toEqual({ host: "p1-1.p1", port: 7100 });
});
