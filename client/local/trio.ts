/**
 * Three parties that stay, on this machine, for as long as some work takes: weights are shared with them once, and each
 * question is a session of its own, over TLS on the loopback interface. It shows how it works, and gives no privacy.
 */
import { type ChildProcess, fork } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import type { LoadedPlan } from "../../formats/plan-file.js";
import type { Topology } from "../../formats/topology.js";
import { CATALOGUE } from "../../ir/catalogue.js";
import { fail, PumacError } from "../../ir/diagnostics.js";
import type { Address } from "../../runtime/connect.js";
import type { Identity } from "../../runtime/identity.js";
import type { OwnerReport } from "../../runtime/measurement.js";
import type { FromStaying, Seen, ToStaying, Usage } from "../../runtime/staying.js";
import { PARTIES, type PartyName } from "../../runtime/transport.js";
import { createIdentities } from "../identities.js";
import type { OwnerValues, SessionResult } from "../owners.js";
import { type AskOptions, askParties } from "../remote/ask.js";
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
  /** Hears when all three know each other. */
  readonly onReady?: () => void;
  /** Hears how many rounds of a session are done, of how many. */
  readonly onRound?: (done: number, all: number) => void;
  /** Whether a party whose process ends is started again at its place, with what it kept. Usual. */
  readonly again?: boolean;
}

/** Three parties that keep a model's shares. */
export interface Trio {
  /** The data owner's. */
  readonly topology: Topology;
  /** What the model's owner sent, and in how many seconds. */
  readonly shared: OwnerReport & { readonly seconds: number };
  /** What the work gives; it ends with a party that is gone for good, for the cause that the parties know. */
  readonly during: <T>(work: Promise<T>) => Promise<T>;
  /** What each party's process has needed since it began. */
  readonly usage: () => Promise<Readonly<Record<PartyName, Usage>>>;
  /** Ends the parties, and leaves nothing behind. */
  readonly close: () => void;
}

/** Starts three parties and shares the model with them. Whatever goes wrong, nothing is left behind. */
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
    options.onReady?.();
    const topology = (name: (typeof OWNERS)[number]): Topology => {
      const state = join(folder, name);
      mkdirSync(state, { recursive: true });
      return topologyHere(name, identities.get(name)!, addresses, state);
    };
    const during: Trio["during"] = (work) =>
      Promise.race([work, ...parties.map(({ gone }) => gone)]).catch(async (error: unknown) => {
        throw await causeOf(error, parties);
      });
    const began = performance.now();
    const sent = { P0: 0, P1: 0, P2: 0 };
    for (const ofOneModel of byWeights(plans)) {
      const progress = onProgress && { onProgress };
      const sharing = shareModel({
        topology: topology("model-owner"),
        timeout,
        plans: ofOneModel,
        signal,
        ...progress,
      });
      const shared = await during(sharing);
      for (const party of PARTIES) {
        sent[party] += shared.sent[party];
      }
    }
    const shared = { sent, seconds: (performance.now() - began) / 1000 };
    const usage: Trio["usage"] = async () => {
      const [P0, P1, P2] = await during(Promise.all(parties.map((party) => party.usage())));
      return { P0, P1, P2 };
    };
    return { topology: topology("data-owner"), shared, during, usage, close: cleanUp };
  } catch (error) {
    cleanUp();
    throw signal?.aborted === true ? signal.reason : error;
  }
}

/** One question to three parties here, and what it cost with the sharing of the weights. */
export async function askTrio(
  loaded: LoadedPlan,
  values: OwnerValues,
  { topology, shared, during }: Pick<Trio, "topology" | "shared" | "during">,
  options: Pick<AskOptions, "timeout" | "showAlarmed" | "onTrace">,
): Promise<SessionResult> {
  const asking = askParties(loaded, values, { ...options, topology, weights: shared });
  const { alarm, outputs, measured } = await during(asking);
  const { seconds } = measured;
  const all = { ...seconds, weights: shared.seconds, total: seconds.total + shared.seconds };
  return { alarm, outputs, measured: { ...measured, seconds: all } };
}

/** How long to wait for what the parties have to say about a lost connection, in milliseconds. */
const HEARING = 400;
const GONE: number = CATALOGUE.E0601.exit;
const UNKNOWN: number = CATALOGUE.E0701.exit;

/**
 * Why a session really ended. What an owner sees of it, a lost connection, has a cause that some party knows better: a
 * process that was ended by a signal, a reason that a party stated, a party that another found silent.
 */
async function causeOf(error: unknown, parties: readonly StartedParty[]): Promise<unknown> {
  if (!(error instanceof PumacError) || ![GONE, UNKNOWN].includes(error.exitCode)) {
    return error;
  }
  const dead = parties.map(({ gone }) => gone.then(() => undefined).catch((cause: unknown) => cause));
  const late = new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), HEARING));
  const cause = await Promise.race([...dead, late]);
  if (cause !== undefined) {
    return cause;
  }
  const told = parties.flatMap((party) => party.told);
  const bug = told.find((each) => each.bug !== undefined)?.bug;
  const stated = told.flatMap(({ diagnostics }) => diagnostics);
  const known = stated.find(({ code }) => CATALOGUE[code].exit !== GONE) ?? stated.find(({ code }) => code === "E0602");
  return bug !== undefined ? new Error(`in a party: ${bug}`) : known !== undefined ? fail(known) : error;
}

interface StartedParty {
  /** Where it listens; rejects where it cannot. */
  readonly address: Promise<Address>;
  /** Tells it where its peers are, now and whenever it starts again. */
  readonly meet: (addresses: Readonly<Record<PartyName, Address>>) => void;
  readonly usage: () => Promise<Usage>;
  readonly stop: () => void;
  /** Rejects when its process has ended for good, unless it was stopped. */
  readonly gone: Promise<never>;
  /** What it said of errors. */
  readonly told: readonly Told[];
}

type Told = Extract<FromStaying, { kind: "failed" }>;

type Given = Omit<Extract<ToStaying, { kind: "start" }>, "kind" | "port">;

/** A party that ends within this time after its start is not started again, in milliseconds. */
const LEAST_LIFE = 1000;

/** A party's process, and the next one where it ends. */
function startParty(given: Given, options: TrioOptions): StartedParty {
  const { onStarted, again = true } = options;
  let isStopped = false;
  const told: Told[] = [];
  let lose: (error: unknown) => void = () => undefined;
  const gone = new Promise<never>((_, reject) => {
    lose = reject;
  });
  gone.catch(() => undefined);
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
    const address = await listening(given.party, child, { kind: "start", ...given, port }, options, told);
    const began = performance.now();
    child.once("exit", (status, signal) => {
      const isFit = again && performance.now() - began > LEAST_LIFE;
      if (!isStopped && isFit) {
        start((address as { readonly port: number }).port).catch(lose);
      } else if (!isStopped) {
        const why = `its process ended with ${signal ?? `status ${status}`}`;
        lose(
          fail({ code: "E0601", what: `${given.party} is gone`, where: given.party, why, fix: "start a new session" }),
        );
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
    usage: () =>
      new Promise((resolve) => {
        const hear = (message: FromStaying): void => {
          if (message.kind === "usage") {
            child.off("message", hear);
            resolve(message.usage);
          }
        };
        child.on("message", hear);
        child.send({ kind: "usage" } satisfies ToStaying, () => undefined);
      }),
    stop: () => {
      isStopped = true;
      child.kill("SIGKILL");
    },
    ...{ gone, told },
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
  { onSeen, onRound }: TrioOptions,
  told: Told[],
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
        case "round":
          onRound?.(message.done, message.all);
          break;
        case "failed": {
          told.push(message);
          const why = message.bug ?? message.diagnostics[0].what;
          reject(fail({ code: "E1001", what: `${party} cannot start`, where: party, why }));
        }
      }
    });
    child.once("error", reject);
    child.once("exit", () => reject(fail({ code: "E0601", what: `${party} is gone`, where: party })));
    child.send(start, () => undefined);
  });
}
