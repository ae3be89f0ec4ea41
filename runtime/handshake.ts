/**
 * How three parties find out, before any secret moves, that they are about to run the same thing. Each sends both peers
 * the same hello: version, plan digest, the sharings of weights and inputs that it was offered, a fresh nonce and an
 * ephemeral key. Whoever sees two different hellos about the same session stops with E0801, and since all three see
 * all three hellos, all stop with the same code. The hash of the hellos, in the order of the parties, is the
 * transcript: it salts every key of the session, and a confirmation under each pair's key proves that both saw it.
 *
 * Assumes links that already say truly who is at the other end (the process that made the sockets, or TLS).
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import { type GenericSchema, number, object, optional, picklist, pipe, regex, string } from "valibot";
import { type Diagnostic, fail } from "../ir/diagnostics.js";
import type { Pair } from "../ir/share/types.js";
import { decodeControl, encodeControl } from "./control.js";
import { derivePairKeys, ephemeralKey, pairOf, type RandomSource, sha256 } from "./keys.js";
import { PARTIES, type PartyName, type Transport } from "./transport.js";

/** The wire's version: parties of different versions do not talk. */
export const PROTOCOL_VERSION = 5;

const NONCE_BYTES = 32;

/** What must be equal at all parties before they start. */
export interface Agreement {
  readonly version: number;
  /** Hexadecimal digest of the plan. */
  readonly plan: string;
  /** The sharing of the weights: its id, drawn by their owner, and where it has what the plan takes. */
  readonly weights: string;
  /** The identity of the sharing of the inputs, drawn by their owner. */
  readonly inputs: string;
  /** The session's id, and who asks, where a party has many sessions. */
  readonly session?: string | undefined;
  readonly asker?: string | undefined;
  /** The longest frame that a party takes of a peer, in bytes, where the plan says it. */
  readonly longestFrame?: number | undefined;
  /** What is made ahead in the session, or used of what was: material.ts. An answer at once, without. */
  readonly purpose?: string | undefined;
}

interface Hello extends Agreement {
  /** The role that the sender plays. */
  readonly party: PartyName;
  readonly nonce: string;
  readonly key: string;
}

const HEX_32 = pipe(string(), regex(/^[0-9a-f]{64}$/, "not 32 bytes in hexadecimal"));
const VERSIONED = object({ version: number() });
const HELLO = object({
  version: number(),
  party: picklist(PARTIES),
  plan: string(),
  weights: string(),
  inputs: string(),
  session: optional(string()),
  asker: optional(string()),
  longestFrame: optional(number()),
  purpose: optional(string()),
  nonce: HEX_32,
  key: HEX_32,
});

/** The stream keys of a session that one party knows: two of the three pairs. */
export type SessionKeys = Readonly<Partial<Record<Pair, Uint8Array>>>;

/**
 * Runs the handshake with both peers and returns the stream keys; with those of `among` only, where the session has no
 * use for the third. Rejects with E0801 naming what differs, E0901 where a peer sends something else than the
 * handshake.
 */
export async function shakeHands(
  transport: Transport,
  own: Agreement,
  random: RandomSource,
  among: readonly PartyName[] = PARTIES,
): Promise<SessionKeys> {
  const self = transport.self as PartyName;
  const peers = among.filter((name) => name !== self);
  const ephemeral = ephemeralKey(random);
  const nonce = Buffer.from(random(NONCE_BYTES)).toString("hex");
  const hello = encodeControl({ ...own, party: self, nonce, key: Buffer.from(ephemeral.publicKey).toString("hex") });

  const hellos = new Map<PartyName, Uint8Array>([[self, hello]]);
  await Promise.all(peers.map((peer) => transport.send(peer, hello)));
  for (const peer of peers) {
    hellos.set(peer, await transport.receive(peer));
  }
  // What else a hello of another version says is another matter.
  checkAgreement(self, readHellos(hellos, VERSIONED));
  const read = readHellos(hellos, HELLO);
  checkAgreement(self, read);
  checkRoles(read);

  const transcript = sha256(...among.map((name) => sha256(hellos.get(name)!)));
  const keys: Partial<Record<Pair, Uint8Array>> = {};
  for (const peer of peers) {
    const pair = pairOf(self, peer);
    const derived = deriveOrRefuse(peer, () =>
      derivePairKeys(ephemeral, Buffer.from(read.get(peer)!.key, "hex"), transcript, pair),
    );
    keys[pair] = derived.stream;
    await transport.send(peer, confirmation(derived.confirmation, self));
    const expected = confirmation(derived.confirmation, peer);
    const received = await transport.receive(peer);
    if (received.length !== expected.length || !timingSafeEqual(received, expected)) {
      throw fail(disagreement("the parties did not see the same handshake", peer, "a hello was changed on its way"));
    }
  }
  return keys;
}

/** What all say, in the order of the parties. */
function readHellos<T>(
  hellos: ReadonlyMap<PartyName, Uint8Array>,
  schema: GenericSchema<unknown, T>,
): ReadonlyMap<PartyName, T> {
  const names = PARTIES.filter((name) => hellos.has(name));
  const read = (name: PartyName): T =>
    decodeControl(hellos.get(name)!, name, schema, "a peer's first frame is not a hello");
  return new Map(names.map((name) => [name, read(name)]));
}

const SUBJECTS: readonly [keyof Agreement, string, string][] = [
  ["version", "version of the protocol", "install the same version of pumac on every machine"],
  ["plan", "plan", "give all parties and clients the same plan file: compare `pumac inspect PLAN` on each"],
  ["weights", "sharing of the weights", "share the weights again, to all three parties"],
  ["inputs", "sharing of the inputs", "share the inputs again, to all three parties"],
  ["session", "session", "start a new session"],
  ["asker", "view of who asks", "give all three parties the same public part of the data owner"],
  ["longestFrame", "limit of a frame", "install the same version of pumac on every machine"],
  ["purpose", "idea of what the session is for", "start a new session"],
];

function checkAgreement(self: PartyName, hellos: ReadonlyMap<PartyName, Partial<Agreement>>): void {
  for (const [field, subject, fix] of SUBJECTS) {
    const names = [...hellos.keys()];
    const values = names.map((name) => hellos.get(name)![field]);
    if (new Set(values).size > 1) {
      const held = names.map((name, i) => `${name} ${String(values[i]).slice(0, 12)}`).join(", ");
      throw fail({ code: "E0801", what: `the parties do not hold the same ${subject}`, where: self, why: held, fix });
    }
  }
}

/** A party that was started as another one, or is dialled at another one's address. */
function checkRoles(hellos: ReadonlyMap<PartyName, Hello>): void {
  const [misplaced] = [...hellos].filter(([name, { party }]) => party !== name).map(([name]) => name);
  if (misplaced !== undefined) {
    const held = [...hellos].map(([name, { party }]) => `${name} is ${party}`).join(", ");
    const fix = "look at the addresses of the parties in every topology";
    throw fail({ code: "E0801", what: "a party plays another one's role", where: misplaced, why: held, fix });
  }
}

function deriveOrRefuse<T>(peer: PartyName, derive: () => T): T {
  try {
    return derive();
  } catch {
    throw fail({ code: "E0901", what: "a peer's ephemeral key is not a point of the curve", where: peer });
  }
}

function disagreement(what: string, where: string, why: string): Diagnostic {
  return { code: "E0801", what, where, why, fix: "start a new session" };
}

function confirmation(key: Uint8Array, sender: PartyName): Uint8Array {
  return new Uint8Array(createHmac("sha256", key).update(`confirmed by ${sender}`).digest());
}
