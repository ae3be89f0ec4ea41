/**
 * Three party processes on this machine, started and watched by the process that owns the inputs. Their sockets lie in
 * a folder that only this user can open; with TLS they listen on the loopback interface, each with a fresh certificate.
 * Whatever happens, no process and no folder is left behind.
 */
import { type ChildProcess, fork } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CATALOGUE } from "../../ir/catalogue.js";
import { fail, PumacError } from "../../ir/diagnostics.js";
import { type Address, dial } from "../../runtime/connect.js";
import type { Identity } from "../../runtime/identity.js";
import { SocketTransport } from "../../runtime/socket-transport.js";
import { PARTIES, type PartyName, type PeerName } from "../../runtime/transport.js";
import { createIdentities } from "../identities.js";
import type { FromParty, ToParty } from "./party-process.js";

export interface LocalPartiesOptions {
  readonly planPath: string;
  readonly tls: boolean;
  /** How long any side waits for another, in milliseconds. */
  readonly timeout: number;
  /** Ends everything at once, in the moment in which it is aborted. */
  readonly signal?: AbortSignal;
  /** Hears the process ids, for those who watch. */
  readonly onStarted?: (processes: Readonly<Record<PartyName, number>>) => void;
  /** Hears how many rounds are done, of how many. */
  readonly onRound?: (done: number, all: number) => void;
}

export interface OwnerTransports {
  readonly model: SocketTransport;
  readonly data: SocketTransport;
}

/** How long party processes may take to end by themselves, in milliseconds. */
const GRACE = 3000;

/** A Unix socket's path has at most this many bytes. */
const LONGEST_FOLDER = 80;

const ENTRY = join(import.meta.dirname, "party-process.js");

/** Starts three parties, hands over the owners' transports, and ends everything when `work` is done or fails. */
export async function withLocalParties<T>(
  options: LocalPartiesOptions,
  work: (transports: OwnerTransports) => Promise<T>,
): Promise<T> {
  const base = tmpdir().length > LONGEST_FOLDER ? "/tmp" : tmpdir();
  const folder = mkdtempSync(join(base, "pumac-"));
  const children: ChildProcess[] = [];
  const told: Told[] = [];
  const transports: OwnerTransports = {
    model: new SocketTransport("model", options.timeout),
    data: new SocketTransport("data", options.timeout),
  };
  const cleanUp = (): void => {
    for (const child of children) {
      child.kill("SIGKILL");
    }
    rmSync(folder, { recursive: true, force: true });
  };
  options.signal?.addEventListener("abort", cleanUp);
  try {
    await connectAll(options, folder, children, told, transports);
    const result = await work(transports);
    await Promise.all([transports.model.close(), transports.data.close()]);
    return result;
  } catch (error) {
    transports.model.abort(error);
    transports.data.abort(error);
    throw await causeOf(error, children, told);
  } finally {
    await Promise.all(children.map(ended));
    cleanUp();
    options.signal?.removeEventListener("abort", cleanUp);
  }
}

async function connectAll(
  { planPath, tls, timeout, onStarted, onRound }: LocalPartiesOptions,
  folder: string,
  children: ChildProcess[],
  told: Told[],
  transports: OwnerTransports,
): Promise<void> {
  const peers: readonly PeerName[] = [...PARTIES, "model", "data"];
  const identities = tls ? await createIdentities(peers, 1) : new Map<PeerName, Identity>();
  const addresses = await Promise.all(
    PARTIES.map((party) => {
      const child = fork(ENTRY, [], { stdio: ["ignore", "ignore", "inherit", "ipc"], serialization: "advanced" });
      children.push(child);
      const listenAt: Address = tls ? { host: "127.0.0.1", port: 0 } : { path: join(folder, `${party}.sock`) };
      const start: ToParty = { kind: "start", party, planPath, listenAt, identity: identities.get(party), timeout };
      child.on("message", (message: FromParty) => {
        if (message.kind === "failed") {
          told.push(message);
        } else if (message.kind === "round") {
          onRound?.(message.done, message.all);
        }
      });
      return listening(party, child, start);
    }),
  );
  onStarted?.({ P0: children[0].pid!, P1: children[1].pid!, P2: children[2].pid! });
  const known = { P0: addresses[0], P1: addresses[1], P2: addresses[2] };
  for (const child of children) {
    child.send({ kind: "peers", addresses: known } satisfies ToParty, () => undefined);
  }
  const dials = (["model", "data"] as const).flatMap((owner) =>
    PARTIES.map((party) => dial(transports[owner], party, known[party], identities.get(owner), timeout)),
  );
  await Promise.race([Promise.all(dials), ...PARTIES.map((party, i) => gone(party, children[i]))]);
}

/** Rejects when a party's process has ended: nobody need go on dialling it. */
function gone(party: PartyName, child: ChildProcess): Promise<never> {
  const ending = new Promise<never>((_, reject) => {
    const refuse = (): void => {
      const why = `its process ended with ${child.signalCode ?? `status ${child.exitCode}`}`;
      reject(fail({ code: "E0601", what: `${party} is gone`, where: party, why, fix: "start a new session" }));
    };
    if (child.exitCode !== null || child.signalCode !== null) {
      refuse();
    } else {
      child.once("exit", refuse);
    }
  });
  ending.catch(() => undefined);
  return ending;
}

/** What a party said before it gave up. */
type Told = Extract<FromParty, { kind: "failed" }>;

/** How long to wait for what the parties have to say about a lost connection, in milliseconds. */
const HEARING = 400;

/**
 * Why a session really ended. A lost connection has a cause that some party knows better than we: a process that was
 * ended by a signal, a reason that a party stated, a party that another found silent.
 */
async function causeOf(error: unknown, children: readonly ChildProcess[], told: readonly Told[]): Promise<unknown> {
  if (!(error instanceof PumacError) || error.exitCode !== CATALOGUE.E0601.exit) {
    return error;
  }
  await new Promise((resolve) => setTimeout(resolve, HEARING));
  const ended = PARTIES.find((_, i) => children[i] !== undefined && children[i].signalCode !== null);
  if (ended !== undefined) {
    const why = `its process was ended by ${children[PARTIES.indexOf(ended)].signalCode}`;
    return fail({ code: "E0601", what: `${ended} is gone`, where: ended, why, fix: "start a new session" });
  }
  const bug = told.find((each) => each.bug !== undefined)?.bug;
  const stated = told.flatMap(({ diagnostics }) => diagnostics);
  const cause =
    stated.find(({ code }) => CATALOGUE[code].exit !== CATALOGUE.E0601.exit) ??
    stated.find(({ code }) => code === "E0602");
  return bug !== undefined ? new Error(`in a party: ${bug}`) : cause !== undefined ? fail(cause) : error;
}

/** Starts a party; resolves with its address when it listens, rejects with its reason when it gives up before. */
function listening(party: PartyName, child: ChildProcess, start: ToParty): Promise<Address> {
  return new Promise((resolve, reject) => {
    child.on("message", (message: FromParty) => {
      if (message.kind === "listening") {
        resolve(message.address);
      } else if (message.kind === "failed") {
        reject(message.diagnostics.length > 0 ? fail(...message.diagnostics) : new Error(`${party}: ${message.bug}`));
      }
    });
    child.once("error", reject);
    gone(party, child).catch(reject);
    child.send(start, () => undefined);
  });
}

/** Waits until a process has ended, for a while; then ends it. */
function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) {
    return Promise.resolve();
  }
  return new Promise((resolve) => {
    const timer = setTimeout(() => child.kill("SIGKILL"), GRACE);
    child.once("exit", () => {
      clearTimeout(timer);
      resolve();
    });
    if (child.connected) {
      child.disconnect();
    }
  });
}
