/**
 * One party's session from the first frame to the last: the owners' offers, the handshake, the shares of weights and
 * inputs, the plan itself, the report. Nothing of it is kept: keys, shares and stream positions end with the session,
 * and a session that fails is never resumed.
 */
import { nullable, number, object, optional, string } from "valibot";
import { fail } from "../ir/diagnostics.js";
import { decodeControl, encodeControl } from "./control.js";
import { PROTOCOL_VERSION, type SessionKeys, shakeHands } from "./handshake.js";
import { ONLY_RUN, type RandomSource, type RunName } from "./keys.js";
import { type Ahead, type AheadSession, hearing, SEED_BYTES, seedBytes, takeAhead } from "./material.js";
import { MeteredTransport, type PartyReport } from "./measurement.js";
import { PIECE_BYTES } from "./requests.js";
import { SecretState } from "./state.js";
import type { Trace } from "./trace.js";
import { EVALUATORS, type PartyName, type PeerName, type Transport } from "./transport.js";
import type { InputLayout, InputShares, Owner, OwnerShares, Source } from "./weight-store.js";

/** What the interpreter gets: peers that agree, fresh keys, and this party's shares. */
export interface EstablishedSession {
  readonly transport: Transport;
  readonly keys: SessionKeys;
  readonly inputs: InputShares;
  /** The packed words of a public input, at P1 and P2. */
  readonly publicInput: (name: string) => Uint8Array;
  /** Which of the session's runs it is, and of which program. */
  readonly run: RunName;
  /** What this party keeps between the runs. */
  readonly state: SecretState;
}

/** What the data owner gives for one run. */
type Given = Readonly<Record<"data" | "public", readonly InputLayout[]>>;

export interface SessionOptions {
  /** Hexadecimal digest of the plan that this party holds. */
  readonly plan: string;
  readonly layouts: Readonly<Record<Source, readonly InputLayout[]>>;
  /** A plan whose programs keep something: the data owner says before each run which one it is, until it ends. */
  readonly programs?: readonly Given[] | undefined;
  readonly random: RandomSource;
  /** Interprets the plan in this party's role; see `interpreter.ts`. */
  readonly interpret: (session: EstablishedSession) => Promise<unknown>;
  /** Processor seconds and peak memory (bytes) of this party alone, where it has a process of its own. */
  readonly usage?: () => { readonly cpu: number; readonly memory: number };
  /** Seconds from a fixed moment; the caller's clock. */
  readonly clock: () => number;
  /** What is noted of the session, for its report. */
  readonly trace?: (() => Trace) | undefined;
  /** Where this party keeps sharings of weights: no model owner takes part then. */
  readonly kept?: KeptSession;
}

/** A session of a party that stays: weights are there, peers come when all know what it is about. */
export interface KeptSession {
  readonly session: string;
  readonly asker: string;
  /** Bytes of the longest frame that the plan foresees. */
  readonly longestFrame: number;
  /** This party's part of a sharing of weights; E0803 where it has none of this id. */
  readonly weights: (id: string) => Promise<KeptWeights>;
  /** Of a question that P0 has no part in any more: the material that was made ahead. */
  readonly ahead?: AheadSession | undefined;
  /** Resolves when the other parties are connected. */
  readonly connect: () => Promise<void>;
  /** Hears that all three agree. */
  readonly onAgreed: () => void;
  /** Hears that the data owner of a conversation has its answer and may ask on, and that it does. */
  readonly onIdle: (isIdle: boolean) => void;
}

/** A sharing of weights as one session finds it. */
export interface KeptWeights {
  /** For each program of the plan. */
  readonly programs: readonly OwnerShares[];
  /** Names the sharing and where it has what the plan takes, alike at all parties. */
  readonly identity: string;
}

const OWNERS = ["model", "data"] as const;

/** Runs the session of the party that `transport.self` names, and sends its report to the data owner. */
export async function runSession(inner: Transport, options: SessionOptions): Promise<PartyReport> {
  const transport = new MeteredTransport(inner);
  const times = [options.clock()];
  const agreed = await agree(transport, options, options.kept?.ahead?.purpose);
  try {
    return await runAgreed(transport, options, { ...agreed, times });
  } finally {
    wipeKeys(agreed.keys);
  }
}

export interface Agreed {
  readonly keys: SessionKeys;
  /** The sharing of the weights, where it was made before the session. */
  readonly shared: KeptWeights | undefined;
}

/** The owners' offers, the peers, the handshake; then the owners hear that all agree. */
export async function agree(
  transport: Transport,
  { plan, random, kept }: Pick<SessionOptions, "plan" | "random" | "kept">,
  purpose: string | undefined,
): Promise<Agreed> {
  const owners = kept === undefined ? OWNERS : (["data"] as const);
  const sharings = await receiveOffers(transport, plan, owners);
  const shared = await kept?.weights(sharings.model);
  await kept?.connect();
  const agreement = {
    ...{ version: PROTOCOL_VERSION, plan, inputs: sharings.data, weights: shared?.identity ?? sharings.model },
    ...(kept && { session: kept.session, asker: kept.asker, longestFrame: kept.longestFrame, purpose }),
  };
  const keys = await shakeHands(transport, agreement, random, kept?.ahead && EVALUATORS);
  kept?.onAgreed();
  await Promise.all(owners.map((owner) => transport.send(owner, encodeControl({ accepted: true }))));
  return { keys, shared };
}

export function wipeKeys(keys: SessionKeys): void {
  Object.values(keys).forEach((key) => void key.fill(0));
}

interface Running extends Agreed {
  /** When the session began. */
  readonly times: number[];
}

/** What the data owner of a conversation says before each run, or that it was the last. */
const NEXT = object({ program: nullable(number()) });

/** The frame that asks for a run of a program, by its place; null: there is none any more. */
export function nextRun(program: number | null): Uint8Array {
  return encodeControl({ program });
}

/** The session from the moment in which all agree; its last report. */
async function runAgreed(
  transport: MeteredTransport,
  options: SessionOptions,
  { keys, shared, times }: Running,
): Promise<PartyReport> {
  times.push(options.clock());
  const models = shared?.programs ?? [await receiveShares(transport, "model", options.layouts.model)];
  times.push(options.clock());
  const state = new SecretState();
  try {
    const { programs } = options;
    if (programs === undefined) {
      const ahead = await takeAhead(transport, shared?.identity ?? "", options.kept?.ahead);
      const one = { keys: { ...keys, ...ahead?.keys }, model: models[0], state, times, given: options.layouts };
      try {
        return await runOnce(transport, options, { ...one, run: ONLY_RUN, ahead });
      } finally {
        ahead?.close();
      }
    }
    let report: PartyReport | undefined;
    for (let number = 0; ; number++) {
      options.kept?.onIdle(number > 0);
      const { program } = decodeControl(await transport.receive("data"), "data", NEXT, "no run and no end");
      options.kept?.onIdle(false);
      const given = program === null ? undefined : programs[program];
      if (program === null && report !== undefined) {
        return report;
      }
      if (program === null || given === undefined) {
        throw fail({ code: "E0901", what: `the data owner asks for program ${program}`, where: "data" });
      }
      const began = number === 0 ? times : times.map(options.clock);
      const model = models[program];
      report = await runOnce(transport, options, { keys, model, state, times: began, given, run: { number, program } });
    }
  } finally {
    state.wipe();
  }
}

interface OneRun {
  readonly keys: SessionKeys;
  readonly model: OwnerShares;
  readonly state: SecretState;
  /** When the session began, when all agreed, and when the weights were there. */
  readonly times: readonly number[];
  readonly given: Given;
  readonly run: RunName;
  readonly ahead?: Ahead | undefined;
}

/** One run: the data owner's shares, the program, the report. */
async function runOnce(transport: MeteredTransport, options: SessionOptions, one: OneRun): Promise<PartyReport> {
  const self = transport.self as PartyName;
  const { keys, model, state, given, run } = one;
  const receivers = ["P0", "P1", "P2", "data"] as const;
  const peer = self === "P1" ? "P2" : "P1";
  const before = new Map(receivers.map((name) => [name, transport.bytes("run", name)] as const));
  const framesBefore = transport.frames("run", peer);
  const data = await receiveShares(transport, "data", given.data, one.ahead?.seed);
  const open = await receiveWords(transport, "data", given.public);
  const arrived = options.clock();

  transport.phase = "run";
  const publicInput = (name: string): Uint8Array => known(open.get(name), name);
  const cpuBefore = options.usage?.().cpu;
  try {
    const heard = one.ahead === undefined ? transport : hearing(transport, one.ahead);
    await options.interpret({ transport: heard, keys, inputs: { model, data }, publicInput, run, state });
  } finally {
    data.first?.fill(0);
    data.second?.fill(0);
  }
  transport.phase = "control";

  const moments = [...one.times, arrived, options.clock()];
  const [setup, weights, input, seconds] = moments.slice(1).map((time, i) => time - moments[i]);
  const usage = options.usage?.();
  const report: PartyReport = {
    party: self,
    sent: Object.fromEntries(receivers.map((name) => [name, transport.bytes("run", name) - before.get(name)!])),
    rounds: self === "P0" ? 0 : transport.frames("run", peer) - framesBefore,
    seconds: { setup, weights, input, run: seconds },
    cpu: usage?.cpu ?? null,
    cpuOfRun: usage === undefined || cpuBefore === undefined ? null : usage.cpu - cpuBefore,
    memory: usage?.memory ?? null,
    trace: options.trace?.(),
  };
  await transport.send("data", encodeControl(report));
  return report;
}

/** An offer says its version first: what else another version says is another matter. */
const VERSIONED = object({ version: number() });
const OFFER = object({ plan: string(), sharing: string(), weights: optional(string(), "") });

/**
 * The owners' offers; E0801 where one offers another plan or speaks another version. Without the model's owner the
 * data's owner says which sharing of the weights it means.
 */
async function receiveOffers(
  transport: Transport,
  plan: string,
  owners: readonly Owner[],
): Promise<Readonly<Record<Owner, string>>> {
  const sharings: Record<Owner, string> = { model: "", data: "" };
  for (const owner of owners) {
    const frame = await transport.receive(owner);
    const { version } = decodeControl(frame, owner, VERSIONED);
    if (version !== PROTOCOL_VERSION) {
      const why = `it speaks version ${version}, this party ${PROTOCOL_VERSION}`;
      throw fail({ code: "E0801", what: `the owner of the ${nounOf(owner)} has another version`, where: owner, why });
    }
    const offer = decodeControl(frame, owner, OFFER, "an offer without a plan or a sharing");
    if (offer.plan !== plan) {
      const what = `the owner of the ${nounOf(owner)} holds another plan`;
      throw fail({ code: "E0801", what, where: owner, fix: "give all parties and clients the same plan file" });
    }
    sharings[owner] = offer.sharing;
    sharings.model ||= offer.weights;
  }
  return sharings;
}

function nounOf(owner: Owner): string {
  return owner === "model" ? "weights" : "inputs";
}

/**
 * This party's part of an owner's sharing; E0901 where a frame's length is not the plan's. The seeds come first, where
 * this party has them not yet.
 */
async function receiveShares(
  transport: Transport,
  owner: Owner,
  layouts: readonly InputLayout[],
  given?: Uint8Array,
): Promise<OwnerShares> {
  let seeds = given ?? new Uint8Array(0);
  if (layouts.length > 0 && given === undefined) {
    seeds = await receiveExactly(transport, owner, seedBytes(transport.self), "seeds");
  }
  return sharesOf(transport.self, seeds, layouts, await receiveWords(transport, owner, layouts));
}

/** Seeds and masked words as the interpreter takes them. */
export function sharesOf(
  self: PeerName,
  seeds: Uint8Array,
  layouts: readonly InputLayout[],
  masked: ReadonlyMap<string, Uint8Array>,
): OwnerShares {
  const blocks = new Map(layouts.map(({ name, block }) => [name, block]));
  return {
    first: self === "P2" || seeds.length === 0 ? undefined : seeds.subarray(0, SEED_BYTES),
    second: self === "P1" || seeds.length === 0 ? undefined : seeds.subarray(seeds.length - SEED_BYTES),
    block: (name) => known(blocks.get(name), name),
    masked: (name) => known(masked.get(name), name),
  };
}

/** The packed words of inputs, which only P1 and P2 get: pieces of one memory. */
async function receiveWords(
  transport: Transport,
  from: Owner,
  layouts: readonly InputLayout[],
): Promise<ReadonlyMap<string, Uint8Array>> {
  const words = new Map<string, Uint8Array>();
  if (transport.self === "P0") {
    return words;
  }
  const room = new Uint8Array(layouts.reduce((sum, { packedBytes }) => sum + packedBytes, 0));
  let at = 0;
  for (const { name, packedBytes } of layouts) {
    words.set(name, room.subarray(at, at + packedBytes));
    for (const end = at + packedBytes; at < end; ) {
      const frame = await receiveExactly(transport, from, Math.min(PIECE_BYTES, end - at), name);
      room.set(frame, at);
      at += frame.length;
      transport.release?.(from, frame);
    }
  }
  return words;
}

export async function receiveExactly(
  transport: Transport,
  from: Owner,
  length: number,
  what: string,
): Promise<Uint8Array> {
  const frame = await transport.receive(from);
  if (frame.length !== length) {
    throw fail({ code: "E0901", what: `'${what}' came in ${frame.length} bytes instead of ${length}`, where: from });
  }
  return frame;
}

function known<T>(value: T | undefined, name: string): T {
  if (value === undefined) {
    throw new Error(`this party holds no share of '${name}'`);
  }
  return value;
}
