/**
 * One party's session from the first frame to the last: the owners' offers, the handshake, the shares of weights and
 * inputs, the plan itself, the report. Nothing of it is kept: keys, shares and stream positions end with the session,
 * and a session that fails is never resumed.
 */
import { number, object, optional, string } from "valibot";
import { fail } from "../ir/diagnostics.js";
import { decodeControl, encodeControl } from "./control.js";
import { PROTOCOL_VERSION, type SessionKeys, shakeHands } from "./handshake.js";
import type { RandomSource } from "./keys.js";
import { MeteredTransport, type PartyReport } from "./measurement.js";
import type { PartyName, Transport } from "./transport.js";
import type { InputLayout, InputShares, Owner, OwnerShares, Source } from "./weight-store.js";

/** What the interpreter gets: peers that agree, fresh keys, and this party's shares. */
export interface EstablishedSession {
  readonly transport: Transport;
  readonly keys: SessionKeys;
  readonly inputs: InputShares;
  /** The packed words of a public input, at P1 and P2. */
  readonly publicInput: (name: string) => Uint8Array;
}

export interface SessionOptions {
  /** Hexadecimal digest of the plan that this party holds. */
  readonly plan: string;
  readonly layouts: Readonly<Record<Source, readonly InputLayout[]>>;
  readonly random: RandomSource;
  /** Interprets the plan in this party's role; see `interpreter.ts`. */
  readonly interpret: (session: EstablishedSession) => Promise<unknown>;
  /** Processor seconds and peak memory (bytes) of this party alone, where it has a process of its own. */
  readonly usage?: () => { readonly cpu: number; readonly memory: number };
  /** Seconds from a fixed moment; the caller's clock. */
  readonly clock: () => number;
  /** Where this party keeps sharings of weights: no model owner takes part then. */
  readonly kept?: KeptSession;
}

/** A session of a party that stays: weights are there, peers come when all know what it is about. */
export interface KeptSession {
  readonly session: string;
  readonly asker: string;
  /** This party's part of a sharing of weights that serves the plan; E0801 where it has none of this id. */
  readonly weights: (id: string) => Promise<OwnerShares>;
  /** Resolves when the other parties are connected. */
  readonly connect: () => Promise<void>;
  /** Hears that all three agree. */
  readonly onAgreed: () => void;
}

const OWNERS = ["model", "data"] as const;

/** Runs the session of the party that `transport.self` names, and sends its report to the data owner. */
export async function runSession(inner: Transport, options: SessionOptions): Promise<PartyReport> {
  const transport = new MeteredTransport(inner);
  const times = [options.clock()];
  const { kept } = options;
  const owners = kept === undefined ? OWNERS : (["data"] as const);
  const sharings = await receiveOffers(transport, options.plan, owners);
  const shared = await kept?.weights(sharings.model);
  await kept?.connect();
  const agreement = {
    version: PROTOCOL_VERSION,
    plan: options.plan,
    weights: sharings.model,
    inputs: sharings.data,
    ...(kept && { session: kept.session, asker: kept.asker }),
  };
  const keys = await shakeHands(transport, agreement, options.random);
  kept?.onAgreed();
  try {
    return await runAgreed(transport, options, { keys, owners, shared, times });
  } finally {
    Object.values(keys).forEach((key) => void key.fill(0));
  }
}

interface Agreed {
  readonly keys: SessionKeys;
  readonly owners: readonly Owner[];
  /** The weights, where they were shared before the session. */
  readonly shared: OwnerShares | undefined;
  /** When the session began. */
  readonly times: number[];
}

/** The session from the moment in which all agree. */
async function runAgreed(
  transport: MeteredTransport,
  options: SessionOptions,
  { keys, owners, shared, times }: Agreed,
): Promise<PartyReport> {
  const self = transport.self as PartyName;
  await Promise.all(owners.map((owner) => transport.send(owner, encodeControl({ accepted: true }))));
  times.push(options.clock());
  const model = shared ?? (await receiveShares(transport, "model", options.layouts.model));
  times.push(options.clock());
  const data = await receiveShares(transport, "data", options.layouts.data);
  const open = await receiveWords(transport, "data", options.layouts.public);
  times.push(options.clock());

  transport.phase = "run";
  const publicInput = (name: string): Uint8Array => known(open.get(name), name);
  try {
    await options.interpret({ transport, keys, inputs: { model, data }, publicInput });
  } finally {
    data.first?.fill(0);
    data.second?.fill(0);
  }
  transport.phase = "control";
  times.push(options.clock());

  const [setup, weights, input, run] = times.slice(1).map((time, i) => time - times[i]);
  const receivers = ["P0", "P1", "P2", "data"] as const;
  const usage = options.usage?.();
  const report: PartyReport = {
    party: self,
    sent: Object.fromEntries(receivers.map((peer) => [peer, transport.bytes("run", peer)])),
    rounds: self === "P0" ? 0 : transport.frames("run", self === "P1" ? "P2" : "P1"),
    seconds: { setup, weights, input, run },
    cpu: usage?.cpu ?? null,
    memory: usage?.memory ?? null,
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

const SEED_BYTES = 16;

/** This party's part of an owner's sharing; E0901 where a frame's length is not the plan's. */
async function receiveShares(
  transport: Transport,
  owner: Owner,
  layouts: readonly InputLayout[],
): Promise<OwnerShares> {
  const self = transport.self;
  const blocks = new Map(layouts.map(({ name, block }) => [name, block]));
  let seeds: Uint8Array = new Uint8Array(0);
  if (layouts.length > 0) {
    seeds = await receiveExactly(transport, owner, self === "P0" ? 2 * SEED_BYTES : SEED_BYTES, "seeds");
  }
  const masked = await receiveWords(transport, owner, layouts);
  return {
    first: self === "P2" || seeds.length === 0 ? undefined : seeds.subarray(0, SEED_BYTES),
    second: self === "P1" || seeds.length === 0 ? undefined : seeds.subarray(seeds.length - SEED_BYTES),
    block: (name) => known(blocks.get(name), name),
    masked: (name) => known(masked.get(name), name),
  };
}

/** The packed words of inputs, which only P1 and P2 get. */
async function receiveWords(
  transport: Transport,
  from: Owner,
  layouts: readonly InputLayout[],
): Promise<ReadonlyMap<string, Uint8Array>> {
  const words = new Map<string, Uint8Array>();
  for (const { name, packedBytes } of transport.self === "P0" ? [] : layouts) {
    words.set(name, await receiveExactly(transport, from, packedBytes, name));
  }
  return words;
}

async function receiveExactly(transport: Transport, from: Owner, length: number, what: string): Promise<Uint8Array> {
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
