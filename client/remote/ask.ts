/**
 * A data owner asks three parties that stay. All three first say what they have: version, where the plan stands, the
 * sharings of its weights. Only where this fits does it enter their queues, the smaller number first, so that two data
 * owners never wait for each other; and only when all three have room and agree do shares move.
 */
import type { LoadedPlan } from "../../formats/plan-file.js";
import type { Topology } from "../../formats/topology.js";
import { type Diagnostic, fail } from "../../ir/diagnostics.js";
import { type Plan, programsOf } from "../../ir/plan/types.js";
import { packedBytes } from "../../ir/share/rules.js";
import { decodeControl, encodeControl } from "../../runtime/control.js";
import { PROTOCOL_VERSION } from "../../runtime/handshake.js";
import { loadKernels } from "../../runtime/kernels/load.js";
import { systemRandom } from "../../runtime/keys.js";
import { MeteredTransport, type OwnerReport } from "../../runtime/measurement.js";
import { HAVE, type Have, PLACE } from "../../runtime/requests.js";
import type { SocketTransport } from "../../runtime/socket-transport.js";
import { EVALUATORS, PARTIES, type PartyName } from "../../runtime/transport.js";
import { hasState, inputLayouts } from "../../runtime/weight-store.js";
import { maskInputs, type SharedValues, shareInputs } from "../client.js";
import { type OwnerValues, receiveAnswer, revealLayouts, type SessionResult } from "../owners.js";
import { type ClaimedEntry, claimEntry, type Entry, EntryGone } from "../prepared.js";
import { Sharer } from "../sharing.js";
import { type SessionTrace, Tracer } from "../trace.js";
import { askAll, connectParties } from "./connect.js";

export interface AskOptions {
  readonly topology: Topology;
  /** How long a silent party is waited for, in milliseconds. */
  readonly timeout: number;
  /** The sharing of the weights; the newest that all three keep, without. */
  readonly sharing?: string | undefined;
  /** What was sent of the weights, where it counts as part of this question. */
  readonly weights?: OwnerReport;
  /** Hears of a place in a party's queue. */
  readonly onPlace?: (party: PartyName, place: number) => void;
  /** Hears the masked words of an input, as P1 and P2 get them. */
  readonly onShared?: ((words: Uint8Array) => void) | undefined;
  /** Ends the session at all parties: the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Hears what the question's session did when, at all who took part; without, nobody notes that. */
  readonly onTrace?: ((trace: SessionTrace) => void) | undefined;
  /** Whether outputs are given although the overflow guard says that they mean nothing: for measurements. */
  readonly showAlarmed?: boolean;
}

export interface RemoteAnswer extends SessionResult {
  readonly session: string;
  readonly sharing: string;
}

/**
 * Asks once: with material that was made ahead, of P1 and P2 alone, as long as there is some that both keep, and else
 * all three. E06xx to E10xx: no answer, and which party or what difference is the cause.
 */
export async function askParties(loaded: LoadedPlan, values: OwnerValues, options: AskOptions): Promise<RemoteAnswer> {
  refuseConversation(loaded.plan);
  for (;;) {
    const entry = claimEntry(options.topology, loaded.digest, options.sharing);
    try {
      const answer = await askWith(entry, loaded, values, options);
      if (answer !== undefined) {
        return answer;
      }
      // The parties keep no such material any more: it is of no use here either.
      entry?.discard();
    } catch (error) {
      // Nothing was used or shared: another entry will do, or none.
      if (!(error instanceof EntryGone)) {
        entry?.release();
        throw error;
      }
    }
  }
}

/** Asks with an entry, or without; undefined where P1 or P2 does not keep the entry. */
async function askWith(
  entry: ClaimedEntry | undefined,
  { plan, digest }: LoadedPlan,
  values: OwnerValues,
  options: AskOptions,
): Promise<RemoteAnswer | undefined> {
  const { signal, onShared, onTrace } = options;
  const started = performance.now();
  const session = Buffer.from(systemRandom(16)).toString("hex");
  const among = entry === undefined ? PARTIES : EVALUATORS;
  const sharer = new Sharer(loadKernels().create);
  const given = givenBy(plan, values, sharer, onShared);
  // Masking takes about as long as finding and asking the parties: both at a time.
  const masked = entry === undefined ? maskInputs(given) : undefined;
  const isMasked = masked?.catch(() => undefined);
  let transport: SocketTransport | undefined;
  const leave = (): void => transport?.abort(signal?.reason);
  signal?.addEventListener("abort", leave);
  try {
    transport = await connectParties("data", options.topology, session, options.timeout, signal, among);
    const tracer = onTrace && new Tracer(transport);
    signal?.throwIfAborted();
    const sharing = await enterParties(transport, { plan, digest }, { ...options, entry, tracer });
    if (sharing === undefined) {
      await transport.close();
      return undefined;
    }
    const data = new MeteredTransport(tracer?.transport ?? transport);
    tracer?.transport.part("sharing");
    const sent = await shareInputs(data, { ...given, plan: digest, weights: sharing, entry }, masked);
    tracer?.transport.part("receiving");
    const result = await receiveAnswer(data, sharer, {
      ...{ plan, started, owners: options.weights === undefined ? [sent] : [options.weights, sent] },
      ...{ showAlarmed: options.showAlarmed, parties: among },
      onTraces: (traces) => tracer !== undefined && onTrace?.(tracer.whole(traces)),
    });
    await transport.close();
    return { ...result, session, sharing };
  } catch (error) {
    transport?.abort(error);
    throw signal?.aborted === true ? signal.reason : error;
  } finally {
    signal?.removeEventListener("abort", leave);
    await isMasked;
    sharer.close();
  }
}

/** E0201 for a plan of many runs, where one is asked for. */
export function refuseConversation(plan: Plan): void {
  if (hasState(plan)) {
    const what = "the plan writes a text token by token, and one question is not its use";
    throw fail({ code: "E0201", what, where: plan.name, fix: "pumac generate PLAN --tokenizer FILE" });
  }
}

/** What a data owner gives to a run of a program. */
export function givenBy(
  { steps }: Plan,
  values: OwnerValues,
  sharer: Sharer,
  onShared: AskOptions["onShared"],
): SharedValues {
  return {
    owner: "data",
    layouts: inputLayouts(steps, "data"),
    publicLayouts: inputLayouts(steps, "public"),
    values: (name, source) => values.value(source, name),
    ...{ sharer, onShared, random: systemRandom },
  };
}

/** What is asked of the parties beside an answer at once: an entry that they keep, or that they make one. */
type Beside = {
  readonly entry?: Entry | undefined;
  readonly until?: number;
  readonly tracer?: Tracer | undefined;
};

/** Agrees with the parties on a sharing of the plan's weights, which it gives, and waits in their queues. */
export async function enterParties(
  transport: SocketTransport,
  loaded: LoadedPlan,
  options: AskOptions & { readonly until?: number },
): Promise<string>;
/** The same; undefined where P1 or P2 does not keep the entry, or keeps a newer sharing. */
export async function enterParties(
  transport: SocketTransport,
  loaded: LoadedPlan,
  options: AskOptions & Beside,
): Promise<string | undefined>;
export async function enterParties(
  transport: SocketTransport,
  { plan, digest }: LoadedPlan,
  { sharing: wanted, onPlace, entry, until, tracer }: AskOptions & Beside,
): Promise<string | undefined> {
  const beside = { ...(entry && { prepared: entry.id }), ...(until !== undefined && { until }) };
  const { sharing, isKept } = await agree(transport, { plan: digest, ...beside }, wanted, tracer);
  if (entry !== undefined && (!isKept || sharing !== entry.sharing)) {
    return undefined;
  }
  tracer?.transport.part("waiting");
  await enter(transport, onPlace ?? (() => undefined));
  const reveals = programsOf(plan).flatMap(revealLayouts);
  transport.allowFrames(Math.max(...reveals.map(({ elements, ring }) => packedBytes(elements, ring))));
  return sharing;
}

/** Asks where the plan stands; gives the sharing that all keep, and whether all keep the entry. */
async function agree(
  transport: SocketTransport,
  { plan, ...beside }: { readonly plan: string },
  wanted: string | undefined,
  tracer: Tracer | undefined,
): Promise<{ readonly sharing: string; readonly isKept: boolean }> {
  const traced = tracer && { trace: true };
  const ask = encodeControl({ version: PROTOCOL_VERSION, plan, at: Date.now(), ...beside, ...traced });
  const answers = new Map<PartyName, Have>();
  tracer?.asks();
  for (const [party, answer] of await askAll(transport, ask, (party) => tracer?.hears(party))) {
    answers.set(party, decodeControl(answer, party, HAVE, "an answer to no question"));
  }
  const problems = [...answers].flatMap(([party, have]) => problemsOf(party, have, plan));
  if (problems.length > 0) {
    throw fail(...problems);
  }
  const kept = (id: string): boolean => [...answers.values()].every(({ sharings }) => sharings.includes(id));
  const sharing = wanted === undefined ? answers.get("P1")!.sharings.find(kept) : [wanted].find(kept);
  if (sharing === undefined) {
    const shown = (ids: readonly string[]): string => ids.map((id) => id.slice(0, 8)).join(", ") || "none";
    const why = `they keep: ${[...answers].map(([party, { sharings }]) => `${party} ${shown(sharings)}`).join("; ")}`;
    const what = `the parties keep no common sharing of this plan's weights${wanted === undefined ? "" : ` ${wanted}`}`;
    throw fail({ code: "E0803", what, why, fix: "its owner runs pumac share MODEL --plan PLAN --topology FILE" });
  }
  return { sharing, isKept: [...answers.values()].every(({ prepared }) => prepared) };
}

/** What stands against a session at one party. */
function problemsOf(where: PartyName, { version, plan, refused }: Have, digest: string): readonly Diagnostic[] {
  if (version !== PROTOCOL_VERSION) {
    const why = `it speaks version ${version}, this side ${PROTOCOL_VERSION}`;
    return [{ code: "E0801", what: `${where} has another version of the protocol`, where, why }];
  }
  if (plan !== "approved") {
    const what = plan === "unknown" ? `${where} does not know the plan` : `${where} has not approved the plan`;
    const fix = `at ${where}: pumac trust approve ${digest}`;
    return [{ code: "E0802", what, where, fix: plan === "unknown" ? "share the model with this plan first" : fix }];
  }
  switch (refused) {
    case null:
      return [];
    case "E0902":
      return [
        { code: refused, what: `${where} refuses the session's id`, where, fix: "compare the clocks: pumac doctor" },
      ];
    case "E1001": {
      const fix = "use the prepared questions that there are, or raise --prepared there";
      return [{ code: refused, what: `${where} has no room for more prepared material`, where, fix }];
    }
    case "E1002":
      return [busy(where, undefined)];
    case "E1003":
      return [usedUp(where)];
  }
}

function tooLarge(where: PartyName): Diagnostic {
  const what = `${where} has less memory for sessions than this plan takes`;
  return { code: "E1001", what, where, fix: "ask with a plan of shorter inputs, or raise --memory there" };
}

function usedUp(where: PartyName): Diagnostic {
  return { code: "E1003", what: `${where}: this data owner's quota is used up`, where, fix: "ask again tomorrow" };
}

function busy(where: PartyName, seconds: number | undefined): Diagnostic {
  const fix = seconds === undefined ? "ask again later" : `ask again in ${seconds} s`;
  return { code: "E1002", what: `${where} is busy, and its queue is full or closed`, where, fix };
}

/** Waits in each party's queue, one after the other. */
async function enter(transport: SocketTransport, onPlace: (party: PartyName, place: number) => void): Promise<void> {
  for (const party of PARTIES.filter((each) => transport.peers.has(each))) {
    await transport.send(party, encodeControl({ enter: true }));
    for (;;) {
      const { place, refused, seconds } = decodeControl(await transport.receive(party), party, PLACE);
      if (refused !== null) {
        throw fail(refused === "E1003" ? usedUp(party) : refused === "E1001" ? tooLarge(party) : busy(party, seconds));
      }
      if (place === 0) {
        break;
      }
      onPlace(party, place);
    }
  }
}

/** Payload bytes that a data owner sends to the three parties: seeds, masked words, public inputs. */
export function sharedByDataOwner({ steps }: Plan): number {
  const layouts = [...inputLayouts(steps, "data"), ...inputLayouts(steps, "public")];
  const seeds = layouts.some(({ owner }) => owner === "data") ? SEEDS_BYTES : 0;
  return layouts.reduce((sum, { packedBytes }) => sum + 2 * packedBytes, seeds);
}

/** Both to P0, one each to P1 and P2. */
const SEEDS_BYTES = 4 * 16;
