/**
 * Protects: when a party dies in the middle of the online phase, the others end the session within a moment, with its
 * name, and live to serve the next one; the program that started them leaves no process and no folder behind.
 */
import { type ChildProcess, fork, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { totalmem } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { createIdentities } from "../../client/identities.js";
import { inputValues } from "../../client/inputs.js";
import { topologyHere } from "../../client/local/trio.js";
import { dataInputs, type OwnerValues, runDataOwner } from "../../client/owners.js";
import { askParties } from "../../client/remote/ask.js";
import { type SharedPlan, shareModel } from "../../client/remote/share.js";
import { compile, openForSharing } from "../../index.js";
import { readAudit } from "../../party/records.js";
import type { Address } from "../../runtime/connect.js";
import type { FromStaying, ToStaying } from "../../runtime/staying.js";
import { PARTIES, type PartyName } from "../../runtime/transport.js";
import { builtFile } from "../built.js";
import { rejection } from "../runtime/mesh.js";
import { isAlive, MODEL, TOKENIZER, temporaryFolder } from "./command.js";

const ROOT = join(import.meta.dirname, "..", "..");
const ENTRY = builtFile("party", "process.js");
const TIMEOUT = 60_000;
/** Enough of them that no session is over before somebody can be killed. */
const TEXTS = new Array<string>(6).fill("A fine film.");

const folder = temporaryFolder();
const path = join(folder, "plan.pumac");
let plan: SharedPlan;
let values: OwnerValues;
let children: readonly ChildProcess[] = [];

beforeAll(async () => {
  const compiled = await compile(MODEL, { dims: { b: TEXTS.length, s: 48 } });
  compiled.save(path);
  [plan] = await openForSharing([compiled], []);
  const inputs = await inputValues({ texts: TEXTS, tokenizer: TOKENIZER }, dataInputs(plan.plan));
  values = runDataOwner(plan.plan, inputs, new Map());
});
afterEach(() => {
  for (const child of children) {
    child.kill("SIGKILL");
  }
});

interface Party {
  readonly child: ChildProcess;
  readonly told: FromStaying[];
  readonly address: Promise<Address>;
}

function start(party: PartyName, given: Omit<Extract<ToStaying, { kind: "start" }>, "kind" | "party">): Party {
  const child = fork(ENTRY, [], { stdio: ["ignore", "ignore", "inherit", "ipc"], serialization: "advanced" });
  const told: FromStaying[] = [];
  const address = new Promise<Address>((resolve) =>
    child.on("message", (message: FromStaying) => {
      told.push(message);
      if (message.kind === "listening") {
        resolve(message.address);
      }
    }),
  );
  child.send({ kind: "start", party, ...given } satisfies ToStaying);
  return { child, told, address };
}

describe("in the online phase", () => {
  it.skipIf(process.platform !== "linux")("parties that the program starts may not leave core files", async () => {
    const words = ["run", path, ...TEXTS.flatMap((text) => ["--input", `text:${text}`]), "--tokenizer", TOKENIZER];
    const run = spawn(join(ROOT, "pumac"), words, { stdio: ["ignore", "ignore", "pipe"] });
    children = [run];
    const ids = await new Promise<readonly string[]>((resolve, reject) => {
      let said = "";
      run.stderr.on("data", (text) => {
        said += text;
        const match = /P0 is process (\d+), P1 is process (\d+), P2 is process (\d+)/.exec(said);
        if (match !== null) {
          resolve(match.slice(1));
        }
      });
      run.once("exit", () => reject(new Error(said)));
    });
    for (const id of ids) {
      expect(readFileSync(`/proc/${id}/limits`, "utf8")).toMatch(/^Max core file size +0 +0 /m);
    }
    expect(await new Promise((resolve) => run.once("exit", resolve))).toBe(0);
  });

  it.each(PARTIES)("%s is killed: the others say so, and live", async (victim) => {
    const state = mkdtempSync(join(folder, "state-"));
    const stateOf = (name: string): string => {
      mkdirSync(join(state, name));
      return join(state, name);
    };
    const identities = await createIdentities([...PARTIES, "lab", "clinic"], 1);
    const given = {
      port: 0,
      sessions: 1,
      watched: false,
      timeout: TIMEOUT,
      memory: totalmem(),
      approved: [plan.digest],
    };
    const started = PARTIES.map((name) =>
      start(name, { ...given, identity: identities.get(name)!, state: stateOf(name) }),
    );
    children = started.map(({ child }) => child);
    const [P0, P1, P2] = await Promise.all(started.map(({ address }) => address));
    const addresses = { P0, P1, P2 };
    started.forEach(({ child }) => void child.send({ kind: "peers", addresses } satisfies ToStaying));
    const topology = (name: "lab" | "clinic") => topologyHere(name, identities.get(name)!, addresses, stateOf(name));
    await shareModel({ topology: topology("lab"), timeout: TIMEOUT, plans: [plan] });

    let killed = 0;
    const dying = started[PARTIES.indexOf(victim)].child;
    started[1].child.on("message", ({ kind }: FromStaying) => {
      // The first round of many: P1 says how far it is.
      if (kind === "round" && killed === 0) {
        dying.kill("SIGKILL");
        killed = performance.now();
      }
    });
    const session = askParties(plan, values, { topology: topology("clinic"), timeout: TIMEOUT });
    // P0, who deals ahead, may have sent its last word before: the others then need it no more, and answer.
    const answered = victim === "P0" && (await session.then(Boolean, () => false));
    expect(answered || (await rejection(session))).toBeOneOf([true, { code: "E0601", where: victim }]);
    expect(killed).toBeGreaterThan(0);
    expect(performance.now() - killed).toBeLessThan(TIMEOUT / 2);
    for (const [i, { child, told }] of started.entries()) {
      if (child !== dying) {
        const blamed = () => told.flatMap((each) => (each.kind === "failed" ? each.diagnostics : []))[0];
        // P0, who deals ahead, may have done its part before.
        const isDone = () => (i === 0 || answered) && readAudit(join(state, PARTIES[i])).at(-1)?.outcome === "answered";
        await expect.poll(() => isDone() || blamed()?.code, { timeout: 10_000 }).toBeOneOf([true, "E0601"]);
        // The owner ends at once too: a party may see that first.
        expect([victim, "data"], PARTIES[i]).toContain(blamed()?.where ?? (isDone() ? victim : undefined));
        expect(isAlive(child.pid!)).toBe(true);
      }
    }
    rmSync(state, { recursive: true });
  });
});
