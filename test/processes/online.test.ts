/**
 * A party that dies in the online phase: the others end by themselves, soon, with the status of a lost peer, the owners
 * with its name, and leave nothing behind. Three real processes; this process is both owners, and holds the inputs back
 * until the weights are shared, so that the moment is certain: an evaluator has sent its first opening and waits.
 */
import { type ChildProcess, fork, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import type { FromParty, ToParty } from "../../client/local/party-process.js";
import { type OwnerValues, runOwnerClients, runOwners } from "../../client/owners.js";
import { compileModel } from "../../compiler/compile.js";
import { type LoadedPlan, savePlan } from "../../formats/plan-file.js";
import { type Address, dial } from "../../runtime/connect.js";
import { systemRandom } from "../../runtime/keys.js";
import { SocketTransport } from "../../runtime/socket-transport.js";
import { PARTIES, type PartyName, type Transport } from "../../runtime/transport.js";
import { builtFile } from "../built.js";
import { dataSets, OWN_FIXTURES, readTensors } from "../onnx/support.js";
import { rejection } from "../runtime/mesh.js";

const ROOT = join(import.meta.dirname, "..", "..");
const ENTRY = builtFile("client", "local", "party-process.js");
/** So small that a whole phase fits the buffers of a socket. */
const FIXTURE = join(OWN_FIXTURES, "bert_cls.t5.legacy.eager.op11.dyn");
const TIMEOUT = 60_000;

interface Party {
  readonly child: ChildProcess;
  readonly told: FromParty[];
  readonly ended: Promise<{ readonly status: number | null; readonly signal: NodeJS.Signals | null }>;
}

let folder = "";
let children: readonly ChildProcess[] = [];
afterEach(() => {
  for (const child of children) {
    child.kill("SIGKILL");
  }
  rmSync(folder, { recursive: true, force: true });
});

function start(name: PartyName, planPath: string): { party: Party; address: Promise<Address> } {
  const child = fork(ENTRY, [], { stdio: ["ignore", "ignore", "inherit", "ipc"], serialization: "advanced" });
  const told: FromParty[] = [];
  const ended = new Promise<{ status: number | null; signal: NodeJS.Signals | null }>((resolve) =>
    child.once("exit", (status, signal) => resolve({ status, signal })),
  );
  const address = new Promise<Address>((resolve) =>
    child.on("message", (message: FromParty) => {
      told.push(message);
      if (message.kind === "listening") {
        resolve(message.address);
      }
    }),
  );
  const listenAt = { path: join(folder, `${name}.sock`) };
  child.send({ kind: "start", party: name, planPath, listenAt, identity: undefined, timeout: TIMEOUT } as ToParty);
  return { party: { child, told, ended }, address };
}

async function compileFixture(): Promise<{ loaded: LoadedPlan; values: OwnerValues; path: string }> {
  const model = join(FIXTURE, "model.onnx");
  const tensors = readTensors(join(FIXTURE, dataSets(FIXTURE)[0]), "input");
  const inputs = new Map(tensors.map(({ name, value }) => [name, value]));
  const shapes = Object.fromEntries([...inputs].map(([name, { shape }]) => [name, shape]));
  const { plan, weights } = await compileModel(model, { shapes });
  const path = join(folder, "plan.pumac");
  return { loaded: savePlan(path, plan, { model }), values: runOwners(plan, inputs, weights), path };
}

/** A transport that sends its first frame to every peer at once, and the others when the gate opens. */
function gated(inner: Transport, gate: Promise<void>): Transport {
  const offered = new Set<string>();
  return {
    self: inner.self,
    receive: (from) => inner.receive(from),
    send: async (to, frame) => {
      if (offered.has(to)) {
        await gate;
      }
      offered.add(to);
      return inner.send(to, frame);
    },
  };
}

/** The bytes that a process has written in its life. */
function written({ pid }: ChildProcess): number {
  return Number(/^wchar: (\d+)$/m.exec(readFileSync(`/proc/${pid}/io`, "utf8"))![1]);
}

interface Death {
  readonly victim: PartyName;
  /** Who is stopped before the inputs come, so that the online phase begins and nobody, P0 neither, can end it. */
  readonly stopped: readonly PartyName[];
  /** Who is seen to send its first opening. */
  readonly witness: PartyName;
}

const DEATHS: readonly Death[] = [
  { victim: "P0", stopped: ["P0"], witness: "P1" },
  { victim: "P1", stopped: ["P0", "P2"], witness: "P1" },
  { victim: "P2", stopped: ["P0", "P2"], witness: "P1" },
];

describe.skipIf(process.platform !== "linux")("in the online phase", () => {
  it("parties that the program starts may not leave core files, which would hold their shares", async () => {
    folder = mkdtempSync(join(tmpdir(), "pumac-test-"));
    const { path } = await compileFixture();
    const inputs = ["--inputs", join(FIXTURE, dataSets(FIXTURE)[0])];
    const run = spawn(join(ROOT, "pumac"), ["run", path, ...inputs], { stdio: ["ignore", "ignore", "pipe"] });
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

  it.each(DEATHS)("$victim is killed: the others say so and end", async ({ victim, stopped, witness }) => {
    folder = mkdtempSync(join(tmpdir(), "pumac-test-"));
    const { loaded, values, path } = await compileFixture();
    const started = PARTIES.map((name) => start(name, path));
    const parties = Object.fromEntries(PARTIES.map((name, i) => [name, started[i].party])) as Record<PartyName, Party>;
    children = started.map(({ party }) => party.child);
    const [P0, P1, P2] = await Promise.all(started.map(({ address }) => address));
    const addresses = { P0, P1, P2 };
    for (const child of children) {
      child.send({ kind: "peers", addresses } satisfies ToParty);
    }
    const transports = { model: new SocketTransport("model", TIMEOUT), data: new SocketTransport("data", TIMEOUT) };
    const dials = PARTIES.map((name) => [transports.model, transports.data].map((owner) => [name, owner] as const));
    await Promise.all(dials.flat().map(([name, owner]) => dial(owner, name, addresses[name], undefined, TIMEOUT)));

    let openGate = () => {};
    const gate = new Promise<void>((resolve) => {
      openGate = resolve;
    });
    const owners = { model: transports.model, data: gated(transports.data, gate) };
    let weightsShared = () => {};
    const shared = new Promise<void>((resolve) => {
      weightsShared = resolve;
    });
    const onProgress = (done: number, all: number) => (done === all ? weightsShared() : undefined);
    const session = rejection(runOwnerClients(owners, { ...loaded, values, random: systemRandom, onProgress }));
    await shared;
    for (const name of stopped) {
      parties[name].child.kill("SIGSTOP");
    }
    const before = written(parties[witness].child);
    openGate();
    await expect.poll(() => written(parties[witness].child), { timeout: TIMEOUT }).toBeGreaterThan(before + 100);
    parties[victim].child.kill("SIGKILL");
    for (const name of stopped) {
      parties[name].child.kill("SIGCONT");
    }

    expect(await parties[victim].ended).toEqual({ status: null, signal: "SIGKILL" });
    const killed = performance.now();
    for (const name of PARTIES.filter((each) => each !== victim)) {
      expect(await parties[name].ended, name).toEqual({ status: 6, signal: null });
      const last = parties[name].told.at(-1)!;
      expect(last).toMatchObject({ kind: "failed", diagnostics: [{ code: "E0601" }] });
      // The owners end at once too: who was stopped meanwhile may see first that the inputs' owner is gone.
      const blamed = (last as Extract<FromParty, { kind: "failed" }>).diagnostics[0].where;
      expect([victim, "data", "model"]).toContain(blamed);
    }
    expect(await session).toEqual({ code: "E0601", where: victim });
    expect(performance.now() - killed).toBeLessThan(TIMEOUT / 2);
    // What the dead one could not take away is its own socket; `pumac run` removes the folder.
    expect(readdirSync(folder).filter((name) => !name.startsWith("plan."))).toEqual([`${victim}.sock`]);
  });
});
