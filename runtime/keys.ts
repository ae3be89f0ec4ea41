/**
 * Keys of one session. Each pair of parties agrees on a secret by an ephemeral X25519 exchange (RFC 7748) and derives
 * from it, by HKDF-SHA256 (RFC 5869), one AES-128 key for the pair's stream of masks and one key that confirms the
 * handshake. The salt is the transcript of the handshake, which holds fresh nonces of all three parties, the plan's
 * digest and the sharings of the inputs: a stream position is never used twice, because its key is never made twice.
 * (The owners' streams have seeds of their own: client/sharing.ts.)
 *
 * Nothing here is stored; whoever drops the session drops its keys. Authentic links are the transport's work.
 */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  hkdfSync,
  type KeyObject,
  randomBytes,
} from "node:crypto";
import type { Pair } from "../ir/share/types.js";
import type { PartyName } from "./transport.js";

/**
 * Where a session's nonces, seeds and ephemeral keys come from: so many fresh bytes. Tests and `simulate` give a
 * seed.
 */
export type RandomSource = (length: number) => Uint8Array;

/** The operating system's generator. */
export const systemRandom: RandomSource = (length) => randomBytes(length);

/**
 * A reproducible source for simulations: HKDF of a seed and a label, a counter for each call. Not for real
 * sessions.
 */
export function seededRandom(seed: string): RandomSource {
  let calls = 0;
  return (length) => new Uint8Array(hkdfSync("sha256", seed, "pumac simulation", `call ${calls++}`, length));
}

/** The pair of two different parties, whatever their order. */
export function pairOf(one: PartyName, other: PartyName): Pair {
  return [one, other]
    .map((name) => name.slice(1))
    .sort()
    .join("") as Pair;
}

export interface EphemeralKey {
  readonly secret: KeyObject;
  /** The raw 32 bytes that go to the peers. */
  readonly publicKey: Uint8Array;
}

/** PKCS#8 and SubjectPublicKeyInfo of an X25519 key up to its 32 raw bytes (RFC 8410). */
const SECRET_PREFIX = Buffer.from("302e020100300506032b656e04220420", "hex");
const PUBLIC_PREFIX = Buffer.from("302a300506032b656e032100", "hex");
const KEY_BYTES = 32;

/** A fresh X25519 key. */
export function ephemeralKey(random: RandomSource): EphemeralKey {
  const der = Buffer.concat([SECRET_PREFIX, random(KEY_BYTES)]);
  const secret = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  const spki = createPublicKey(secret).export({ format: "der", type: "spki" });
  return { secret, publicKey: new Uint8Array(spki.subarray(PUBLIC_PREFIX.length)) };
}

export interface PairKeys {
  /** AES-128 key of the stream that both draw masks from. */
  readonly stream: Uint8Array;
  /** Key of the handshake's confirmation. */
  readonly confirmation: Uint8Array;
}

/** The keys that a party shares with a peer; `transcript` is 32 bytes. Throws where the peer's key is not a point. */
export function derivePairKeys(own: EphemeralKey, peerKey: Uint8Array, transcript: Uint8Array, pair: Pair): PairKeys {
  const der = Buffer.concat([PUBLIC_PREFIX, peerKey]);
  const publicKey = createPublicKey({ key: der, format: "der", type: "spki" });
  const secret = diffieHellman({ privateKey: own.secret, publicKey });
  const derive = (purpose: string, length: number): Uint8Array =>
    new Uint8Array(hkdfSync("sha256", secret, transcript, `pumac ${purpose} ${pair}`, length));
  return { stream: derive("stream", 16), confirmation: derive("confirmation", 32) };
}

/** Which run of a session: its number, from 0, and the place of the program that it runs among the plan's. */
export interface RunName {
  readonly number: number;
  readonly program: number;
}

/** The one run of a session that runs its plan once. */
export const ONLY_RUN: RunName = { number: 0, program: 0 };

/**
 * The keys of one run: HKDF of the session's, by the run's number and its program. Stream positions begin at 0 in
 * every run; with a key for each they are other positions, and parties that were told different programs for one run
 * share no stream at all.
 */
export function runKeys(
  keys: Partial<Readonly<Record<Pair, Uint8Array>>>,
  { number, program }: RunName,
): Partial<Readonly<Record<Pair, Uint8Array>>> {
  if (![number, program].every((each) => Number.isSafeInteger(each) && each >= 0)) {
    throw new Error(`run ${number} of program ${program}`);
  }
  const derived = Object.entries(keys).map(([pair, key]) => {
    const made = hkdfSync("sha256", key, new Uint8Array(0), `pumac run ${number} of program ${program}, ${pair}`, 16);
    return [pair, new Uint8Array(made)] as const;
  });
  return Object.fromEntries(derived);
}

/** SHA-256. */
export function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash("sha256");
  for (const part of parts) {
    hash.update(part);
  }
  return new Uint8Array(hash.digest());
}
