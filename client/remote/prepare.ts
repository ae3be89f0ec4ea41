/**
 * A data owner has P0's material for questions made ahead: `pumac prepare`. Each entry is a session of its own of all
 * three parties, under the entry's id; the data owner gives the seeds that its inputs will be masked with, and to P1
 * and P2 a key each under which they keep their part.
 */
import type { LoadedPlan } from "../../formats/plan-file.js";
import { laneOf } from "../../formats/topology.js";
import { decodeControl, encodeControl } from "../../runtime/control.js";
import { PROTOCOL_VERSION } from "../../runtime/handshake.js";
import { systemRandom } from "../../runtime/keys.js";
import { ENTRY_KEY_BYTES, sealedBytes } from "../../runtime/material.js";
import { dealtBytes } from "../../runtime/party.js";
import { itStays, MADE } from "../../runtime/prepare.js";
import { DROPPED } from "../../runtime/requests.js";
import { PARTIES, type PartyName } from "../../runtime/transport.js";
import { offerPlan } from "../client.js";
import { claimEntry, dropEntry, entriesOf, keepEntry, trioOfTopology } from "../prepared.js";
import { drawSeeds } from "../sharing.js";
import { type AskOptions, enterParties, refuseConversation } from "./ask.js";
import { askAll, connectParties } from "./connect.js";

export interface PrepareOptions extends Pick<AskOptions, "topology" | "timeout" | "sharing" | "onPlace" | "signal"> {
  readonly count: number;
  /** For how long the questions may be asked, in milliseconds. */
  readonly keep: number;
  /** First gives up the entries that there are, for this sharing where it is said. */
  readonly drop?: boolean;
  /** Hears how many entries are made. */
  readonly onProgress?: (done: number, all: number) => void;
}

/** What was made, and what there is. */
export interface Prepared {
  readonly sharing: string | null;
  /** Entries that were made now, and those that can be asked with at these parties, with these. */
  readonly made: number;
  readonly ready: number;
  /** Bytes that P2 keeps of each. */
  readonly bytes: number;
  /** Until when the first of them can be used, ISO 8601. */
  readonly expires: string;
  /** Where entries were given up: how many the data owner had, and the bytes that P1 and P2 have free again. */
  readonly dropped?: Dropped;
}

export interface Dropped {
  readonly entries: number;
  readonly bytes: number;
}

/** The same for so many lanes of the topology, one after the other. */
export async function prepareLanes(
  loaded: LoadedPlan,
  { lanes, onProgress, ...options }: PrepareOptions & { readonly lanes: number },
): Promise<Prepared> {
  const of = (lane: number): Promise<Prepared> =>
    prepareQuestions(loaded, {
      ...{ ...options, topology: laneOf(options.topology, lane) },
      onProgress: (done, all) => onProgress?.(done + lane * all, lanes * all),
    });
  let prepared = await of(0);
  for (let lane = 1; lane < lanes; lane++) {
    const { made, ready, dropped, ...rest } = await of(lane);
    const both = dropped && {
      entries: dropped.entries + (prepared.dropped?.entries ?? 0),
      bytes: dropped.bytes + (prepared.dropped?.bytes ?? 0),
    };
    prepared = { ...rest, made: prepared.made + made, ready: prepared.ready + ready, ...(both && { dropped: both }) };
  }
  return prepared;
}

/** Has so many entries made, one after the other: those that are made stay, whatever becomes of the rest. */
export async function prepareQuestions(loaded: LoadedPlan, options: PrepareOptions): Promise<Prepared> {
  refuseConversation(loaded.plan);
  const { count, keep, topology, onProgress } = options;
  const until = Date.now() + keep;
  const dropped = options.drop === true ? await dropQuestions(loaded.digest, options) : undefined;
  let sharing: string | null = null;
  for (let done = 0; done < count; done++) {
    onProgress?.(done, count);
    sharing = await prepareOne(loaded, options, until);
  }
  onProgress?.(count, count);
  const ready = entriesOf(topology, loaded.digest, Date.now());
  const expires = new Date(ready[0]?.expires ?? until).toISOString();
  const bytes = sealedBytes(dealtBytes(loaded.plan));
  return { sharing, made: count, ready: ready.length, bytes, expires, ...(dropped && { dropped }) };
}

/**
 * Gives up the entries of a plan. What the data owner keeps goes first: without its keys nobody can open what P1 and P2
 * still have if they cannot be reached now, and to drop again frees it there too. Each is told by itself.
 */
async function dropQuestions(plan: string, options: PrepareOptions): Promise<Dropped> {
  const { topology, sharing } = options;
  let entries = 0;
  for (let entry = claimEntry(topology, plan, sharing); entry !== undefined; entries++) {
    entry.discard();
    entry = claimEntry(topology, plan, sharing);
  }
  const told = await Promise.allSettled((["P1", "P2"] as const).map((party) => dropAt(party, plan, options)));
  const bytes = told.map((each) => {
    if (each.status === "rejected") {
      throw each.reason;
    }
    return each.value;
  });
  return { entries, bytes: bytes.reduce((sum, each) => sum + each, 0) };
}

/** Has a party remove what it keeps for a plan; the bytes that are free again. */
async function dropAt(party: PartyName, plan: string, options: PrepareOptions): Promise<number> {
  const { topology, sharing, timeout, signal } = options;
  const id = Buffer.from(systemRandom(16)).toString("hex");
  const transport = await connectParties("model", topology, id, timeout, signal, [party]);
  try {
    const said = { do: "drop", version: PROTOCOL_VERSION, plan, ...(sharing !== undefined && { sharing }) };
    const answers = await askAll(transport, encodeControl(said));
    const { bytes } = decodeControl(answers.get(party)!, party, DROPPED);
    await transport.close();
    return bytes;
  } catch (error) {
    transport.abort(error);
    throw signal?.aborted === true ? signal.reason : error;
  }
}

/** One entry; the sharing of the weights that it is for. */
async function prepareOne(loaded: LoadedPlan, options: PrepareOptions, until: number): Promise<string> {
  const { topology, timeout, signal } = options;
  const { digest: plan } = loaded;
  const id = Buffer.from(systemRandom(16)).toString("hex");
  const transport = await connectParties("data", topology, id, timeout, signal);
  const leave = (): void => transport.abort(signal?.reason);
  signal?.addEventListener("abort", leave);
  try {
    signal?.throwIfAborted();
    const sharing = await enterParties(transport, loaded, { ...options, until });
    await offerPlan(transport, { plan, weights: sharing, random: systemRandom });
    const { first, second } = drawSeeds(systemRandom);
    const [forP1, forP2] = [systemRandom(ENTRY_KEY_BYTES), systemRandom(ENTRY_KEY_BYTES)];
    await transport.send("P0", Buffer.concat([first, second]));
    for (const [party, seed, key] of [["P1", first, forP1] as const, ["P2", second, forP2] as const]) {
      await transport.send(party, seed);
      await transport.send(party, key);
    }
    for (const party of PARTIES) {
      decodeControl(await transport.receive(party), party, MADE, "no word of what was made");
    }
    const seeds = { first: hex(first), second: hex(second) };
    const keys = { P1: hex(forP1), P2: hex(forP2) };
    keepEntry(topology, { id, plan, sharing, trio: trioOfTopology(topology), expires: until, seeds, keys });
    await Promise.all(PARTIES.map((party) => transport.send(party, itStays())));
    await transport.close();
    return sharing;
  } catch (error) {
    transport.abort(error);
    dropEntry(topology, id);
    throw signal?.aborted === true ? signal.reason : error;
  } finally {
    signal?.removeEventListener("abort", leave);
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
