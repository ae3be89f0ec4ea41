/**
 * Three parties that stay, on this machine, for as long as some work takes: weights are shared with them once, and each
 * question is a session of its own, over TLS on the loopback interface. It shows how it works, and gives no privacy.
 */
import { type ChildProcess, fork } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import type { Topology } from "../../formats/topology.js";
import { fail } from "../../ir/diagnostics.js";
import type { Address } from "../../runtime/connect.js";
import type { Identity } from "../../runtime/identity.js";
import type { FromStaying, Seen, ToStaying } from "../../runtime/staying.js";
import { PARTIES, type PartyName } from "../../runtime/transport.js";
import { createIdentities } from "../identities.js";
import { type SharedPlan, shareModel } from "../remote/share.js";
import { weightsDigest } from "../verified.js";

const ENTRY = join(import.meta.dirname, "..", "..", "party", "process.js");
const OWNERS = ["model-owner", "data-owner"] as const;

export interface TrioOptions {
  /** Plans of one model or several, which are shared before the work begins. */
  readonly plans: readonly SharedPlan[];
  /** How long any side waits for another, in milliseconds. */
  readonly timeout: number;
  /** Ends everything at once, in the moment in which it is aborted. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, all: number) => void;
  /** How many sessions may run at a time; one without. */
  readonly sessions?: number;
  /** Hears what the parties receive: it is on one machine, where nothing is hidden from whoever started them. */
  readonly onSeen?: (seen: Seen) => void;
  /** Hears of each party's process, for those who watch. */
  readonly onStarted?: (party: PartyName, process: number) => void;
}

/** Three parties that keep a model's shares. */
export interface Trio {
  /** The data owner's. */
  readonly topology: Topology;
  /** Ends the parties, and leaves nothing behind. */
  readonly close: () => void;
}

/**
 * Starts three parties and shares the model with them. A party whose process ends is started again at its place, with
 * what it kept. Whatever goes wrong, nothing is left behind.
 */
export async function startTrio(options: TrioOptions): Promise<Trio> {
  const { plans, timeout, signal, onProgress, sessions = 1 } = options;
  const folder = mkdtempSync(join(tmpdir(), "pumac-"));
  const parties: StartedParty[] = [];
  const cleanUp = (): void => {
    parties.forEach(({ stop }) => void stop());
    rmSync(folder, { recursive: true, force: true });
    signal?.removeEventListener("abort", cleanUp);
  };
  signal?.addEventListener("abort", cleanUp);
  try {
    signal?.throwIfAborted();
    const identities = await createIdentities([...PARTIES, ...OWNERS], 1);
    for (const party of PARTIES) {
      const state = join(folder, party);
      mkdirSync(state);
      const approved = plans.map(({ digest }) => digest);
      const limits = { timeout, memory: totalmem(), sessions };
      const given = { party, identity: identities.get(party)!, state, approved, ...limits };
      parties.push(startParty({ ...given, watched: options.onSeen !== undefined }, options));
    }
    const [P0, P1, P2] = await Promise.all(parties.map(({ address }) => address));
    const addresses = { P0, P1, P2 };
    parties.forEach(({ meet }) => void meet(addresses));
    const topology = (name: (typeof OWNERS)[number]): Topology => {
      const state = join(folder, name);
      mkdirSync(state, { recursive: true });
      return topologyHere(name, identities.get(name)!, addresses, state);
    };
    for (const ofOneModel of byWeights(plans)) {
      const progress = onProgress && { onProgress };
      await shareModel({ topology: topology("model-owner"), timeout, plans: ofOneModel, ...progress });
    }
    return { topology: topology("data-owner"), close: cleanUp };
  } catch (error) {
    cleanUp();
    throw signal?.aborted === true ? signal.reason : error;
  }
}

interface StartedParty {
  /** Where it listens; rejects where it cannot. */
  readonly address: Promise<Address>;
  /** Tells it where its peers are, now and whenever it starts again. */
  readonly meet: (addresses: Readonly<Record<PartyName, Address>>) => void;
  readonly stop: () => void;
}

type Given = Omit<Extract<ToStaying, { kind: "start" }>, "kind" | "port">;

/** A party that ends within this time after its start is not started again, in milliseconds. */
const LEAST_LIFE = 1000;

/** A party's process, and the next one where it ends. */
function startParty(given: Given, { onSeen, onStarted }: TrioOptions): StartedParty {
  let isStopped = false;
  let peers: Readonly<Record<PartyName, Address>> | undefined;
  let child: ChildProcess;
  const meet = (): void => {
    if (peers !== undefined) {
      child.send({ kind: "peers", addresses: peers } satisfies ToStaying, () => undefined);
    }
  };
  const start = async (port: number): Promise<Address> => {
    child = fork(ENTRY, [], { stdio: ["ignore", "ignore", "inherit", "ipc"], serialization: "advanced" });
    onStarted?.(given.party, child.pid!);
    const address = await listening(given.party, child, { kind: "start", ...given, port }, onSeen);
    const began = performance.now();
    child.once("exit", () => {
      if (!isStopped && performance.now() - began > LEAST_LIFE) {
        // Where it cannot start again, whoever asks it hears that it is gone.
        start((address as { readonly port: number }).port).catch(() => undefined);
      }
    });
    meet();
    return address;
  };
  return {
    address: start(0),
    meet: (addresses) => {
      peers = addresses;
      meet();
    },
    stop: () => {
      isStopped = true;
      child.kill("SIGKILL");
    },
  };
}

/** Plans of the same weights together: they take one sharing. */
function byWeights(plans: readonly SharedPlan[]): readonly (readonly SharedPlan[])[] {
  const groups = new Map<string, SharedPlan[]>();
  for (const each of plans) {
    const weights = weightsDigest(each.plan, each.weights);
    groups.set(weights, [...(groups.get(weights) ?? []), each]);
  }
  return [...groups.values()];
}

/** A topology that stands in no file, of parties on the loopback interface; `state`: what `name` keeps is there. */
export function topologyHere(
  name: string,
  { key, pinned }: Identity,
  addresses: Readonly<Record<PartyName, Address>>,
  state: string,
): Topology {
  const peers = Object.entries(pinned).map(([peer, certificates]): [string, Topology["peers"][string]] => {
    const at = addresses[peer as PartyName] as { port: number } | undefined;
    return [peer, { certificates: [...certificates], ...(at && { address: `127.0.0.1:${at.port}` }) }];
  });
  return { name, file: name, key: "", secret: key, state, folder: state, peers: Object.fromEntries(peers) };
}

/** Starts a party; resolves with its address when it listens. */
function listening(
  party: PartyName,
  child: ChildProcess,
  start: ToStaying,
  onSeen: TrioOptions["onSeen"],
): Promise<Address> {
  return new Promise((resolve, reject) => {
    child.on("message", (message: FromStaying) => {
      switch (message.kind) {
        case "listening":
          resolve(message.address);
          break;
        case "seen":
          onSeen?.(message.seen);
          break;
        case "failed":
          reject(fail({ code: "E1001", what: `${party} cannot start`, where: party, why: message.reason }));
      }
    });
    child.once("error", reject);
    child.once("exit", () => reject(fail({ code: "E0601", what: `${party} is gone`, where: party })));
    child.send(start, () => undefined);
  });
}
