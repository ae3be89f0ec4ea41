/** Lanes of parties that stay, as their topologies name them, behind a queue of this process or of a server. */
import { randomBytes } from "node:crypto";
import { startTrio, type Trio, type TrioOptions } from "../client/local/trio.js";
import { type OwnerValues, runDataOwner, type SessionResult } from "../client/owners.js";
import { askParties } from "../client/remote/ask.js";
import type { SharedPlan } from "../client/remote/share.js";
import type { LoadedPlan } from "../formats/plan-file.js";
import { laneOf, loadTopology, type Topology } from "../formats/topology.js";
import { fail } from "../ir/diagnostics.js";
import type { TensorValue } from "../ir/tensor/value.js";
import type { Answering } from "./batch.js";
import type { Ask, Parties } from "./gateway.js";
import { Lanes, type LanesOptions } from "./lanes.js";
import { InProcessQueue } from "./queue/in-process.js";
import { openJetStream } from "./queue/jetstream.js";
import type { Queue } from "./queue/queue.js";

/** Where lanes come from: topologies, with so many lanes each, or parties that are started here for the work. */
export interface LanesFrom extends Omit<OpenLanesOptions, "topologies"> {
  readonly lanes: number;
  readonly topologies: readonly string[];
  readonly local?:
    | (Pick<TrioOptions, "signal" | "onProgress"> & { readonly plans: () => Promise<readonly SharedPlan[]> })
    | undefined;
}

/** Gives lanes to the work, of the topologies or of this machine. */
export async function withLanesFrom<T>(from: LanesFrom, work: (lanes: Answering) => Promise<T>): Promise<T> {
  const { local, lanes, timeout, topologies: files } = from;
  if (local === undefined) {
    return withLanes({ ...from, topologies: files.flatMap((file) => lanesOf(file, lanes)) }, work);
  }
  const trios: Trio[] = [];
  try {
    const plans = await local.plans();
    for (let lane = 0; lane < lanes; lane++) {
      const onProgress = (done: number, all: number): void => local.onProgress?.(done + lane * all, lanes * all);
      trios.push(await startTrio({ ...local, timeout, plans, onProgress }));
    }
    return await withLanes({ ...from, topologies: trios.map(({ topology }) => topology) }, work);
  } finally {
    trios.forEach(({ close }) => void close());
  }
}

/** The topology of each lane. */
function lanesOf(file: string, lanes: number): readonly Topology[] {
  const topology = loadTopology(file);
  return Array.from({ length: lanes }, (_, lane) => laneOf(topology, lane));
}

/** Of what lanes are made, whatever they are asked. */
interface LanesOf extends Pick<LanesOptions<unknown, unknown>, "capacity" | "onTrouble" | "isForEver"> {
  /** The data owner's, one for each lane. */
  readonly topologies: readonly Topology[];
  /** How long a silent party is waited for, in milliseconds. */
  readonly timeout: number;
  /**
   * A NATS server with JetStream, `nats://host:4222` or `nats://host:4222/NAME` for a queue that stays; without one the
   * queue is this process's.
   */
  readonly server?: string | undefined;
  readonly credentials?: string | undefined;
}

export interface OpenLanesOptions extends LanesOf {
  readonly loaded: LoadedPlan;
  readonly sharing?: string | undefined;
}

/** How long a claim lasts without a sign of life, in milliseconds. */
const LEASE = 30_000;

interface OpenedLanes<Work, Answer> {
  readonly lanes: Lanes<Work, Answer>;
  readonly close: () => Promise<void>;
}

/** Lanes, and what closes them; `ask` asks one of them, as a new session. */
async function openLanes<Work, Answer>(
  options: LanesOf,
  ask: (work: Work, topology: Topology) => Promise<Answer>,
): Promise<OpenedLanes<Work, Answer>> {
  const { topologies, timeout, capacity, onTrouble, isForEver = false } = options;
  const queue = await openQueue(options);
  const patience = isForEver ? timeout : Math.max(2 * timeout, LEASE);
  const lanes = new Lanes<Work, Answer>({
    ...{ queue, lease: LEASE, capacity, patience, isForEver, ...(onTrouble && { onTrouble }) },
    lanes: topologies.map((topology, i) => ({ name: `lane ${i}`, ask: (work) => ask(work, topology) })),
  });
  const close = async (): Promise<void> => {
    await lanes.close();
    await queue.close();
  };
  return { lanes, close };
}

/** Gives lanes to the work, and closes what was opened for them. */
export async function withLanes<T>(options: OpenLanesOptions, work: (lanes: Answering) => Promise<T>): Promise<T> {
  const { loaded, timeout, sharing } = options;
  const { lanes, close } = await openLanes(options, async (inputs: ReadonlyMap<string, TensorValue>, topology) => {
    const answer: SessionResult = await askParties(loaded, runDataOwner(loaded.plan, inputs, new Map()), {
      ...{ topology, timeout, sharing },
    });
    return answer;
  });
  return await work(lanes).finally(close);
}

/** Lanes of one topology as a gateway asks them; as long as the gateway is there, a lane that failed is tried again. */
export async function askLanes(
  options: Omit<LanesOf, "topologies" | "isForEver"> & { readonly topology: string; readonly lanes: number },
): Promise<Parties> {
  interface Question {
    readonly loaded: LoadedPlan;
    readonly values: OwnerValues;
    readonly asking: Parameters<Ask>[2];
  }
  const { topology: file, lanes: count, timeout } = options;
  const topologies = lanesOf(file, count);
  const { lanes, close } = await openLanes(
    { ...options, topologies, isForEver: true },
    ({ loaded, values, asking }: Question, topology) => askParties(loaded, values, { ...asking, topology, timeout }),
  );
  const ask: Ask = (loaded, values, asking) => lanes.submit({ loaded, values, asking });
  // A lane is a question's for as long as it takes; a conversation would hold it until its reader is done.
  const converse: Parties["converse"] = async ({ plan }) => {
    const fix = "serve it without lanes, or serve a plan of a fixed length";
    throw fail({ code: "E0201", what: "lanes take no plan that keeps a conversation", where: plan.name, fix });
  };
  return { ask, converse, close: () => void close() };
}

async function openQueue({ server, credentials, capacity }: LanesOf): Promise<Queue> {
  if (server === undefined) {
    return new InProcessQueue({ lease: LEASE, capacity });
  }
  // Handles mean something to this process only: so does its queue, which goes with it, unless somebody watches it.
  const [, address, given] = /^(\w+:\/\/[^/]+)\/?(.*)$/.exec(server) ?? [undefined, server, ""];
  const name = given === "" ? `pumac-${randomBytes(6).toString("hex")}` : given;
  return openJetStream({ lease: LEASE, capacity, server: address, credentials, name, isTemporary: given === "" });
}
