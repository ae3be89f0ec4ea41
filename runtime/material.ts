/**
 * P0's material for one question, made before the question (`pumac prepare`): an entry. It is P0's whole part of a run:
 * the dealing that P2 takes from it, in P2's file, and the keys of its streams, k01 at P1 and k02 at P2, agreed by a
 * handshake of all three like any session's. Nothing of it stays at P0.
 *
 * What P0 deals depends on k01, k02, the owners' seeds and the plan, and on nothing that P1 and P2 draw from k12; so
 * the question's session has a fresh k12, made by P1 and P2 alone, and the data owner's two seeds are those that it
 * drew for the entry. At rest everything is under AES-256-GCM with a key that the data owner alone keeps, one for each
 * evaluator, and sends with the question. An evaluator writes down that an entry is used, for good, before it opens it.
 */
import { createCipheriv, createDecipheriv, hkdfSync } from "node:crypto";
import { fail } from "../ir/diagnostics.js";
import type { SessionKeys } from "./handshake.js";
import type { PeerName, Transport } from "./transport.js";

/** A seed of an owner's stream: an AES-128 key. */
export const SEED_BYTES = 16;
/** A key of an evaluator's part of an entry, which its data owner keeps. */
export const ENTRY_KEY_BYTES = 32;

/** What a session that makes an entry, or uses it, is for: part of what the parties agree on. */
export const MAKING = "material for later";
export const usingOf = (entry: string): string => `material ${entry}`;

/** How many bytes of seeds a party gets: both at P0. */
export function seedBytes(party: PeerName): number {
  return party === "P0" ? 2 * SEED_BYTES : SEED_BYTES;
}

/** An evaluator's part of an entry, opened. */
export interface Ahead {
  /** Of the pair with P0. */
  readonly keys: SessionKeys;
  /** Of the data owner's: the first at P1, the second at P2. */
  readonly seed: Uint8Array;
  /** P0's frames in their order, an empty one last, at P2. */
  readonly frames?: () => Promise<Uint8Array>;
  readonly close: () => void;
}

/** A question's use of an entry. */
export interface AheadSession {
  readonly purpose: string;
  /**
   * Writes down, for good, that the entry is used, then opens it with the data owner's key. `weights`: the identity of
   * the sharing that the session is about. Throws, and nothing is used, where this cannot be written down.
   */
  readonly spend: (key: Uint8Array, weights: string) => Promise<Ahead>;
}

/** Takes the key from the data owner and opens the entry. */
export async function takeAhead(
  transport: Transport,
  weights: string,
  session: AheadSession | undefined,
): Promise<Ahead | undefined> {
  if (session === undefined) {
    return undefined;
  }
  const key = await transport.receive("data");
  if (key.length !== ENTRY_KEY_BYTES) {
    throw fail({ code: "E0901", what: `the key of an entry came in ${key.length} bytes`, where: "data" });
  }
  return session.spend(key, weights);
}

/** A transport on which P0's frames are those of an entry. */
export function hearing(transport: Transport, { frames }: Ahead): Transport {
  return {
    self: transport.self,
    send: (to, frame) => transport.send(to, frame),
    receive: (from) => (from === "P0" && frames !== undefined ? frames() : transport.receive(from)),
    release: (from, frame) => transport.release?.(from, frame),
  };
}

/** Material lies in pieces of so many bytes, each sealed by itself. */
export const PIECE_OF_MATERIAL = 1 << 20;
export const TAG_BYTES = 16;

/** Bytes on P2's disk of material of so many bytes. */
export function sealedBytes(dealt: number): number {
  return dealt + TAG_BYTES * Math.max(1, Math.ceil(dealt / PIECE_OF_MATERIAL));
}

/**
 * Seals the pieces of one entry, and opens them: AES-256-GCM (NIST SP 800-38D) under a key that is made for this entry
 * and this use of it, the piece's number as its nonce. The last piece says that it is the last: none can be left out,
 * moved or added.
 */
export class Sealer {
  private readonly key: Uint8Array;

  /** `secret`: fresh random bytes, of this entry at this party; `use`: what is sealed. */
  constructor(secret: Uint8Array, entry: string, use: "keys" | "material") {
    this.key = new Uint8Array(hkdfSync("sha256", secret, Buffer.from(entry, "hex"), `pumac prepared ${use}`, 32));
  }

  seal(number: number, isLast: boolean, bytes: Uint8Array): Uint8Array {
    const cipher = createCipheriv("aes-256-gcm", this.key, nonceOf(number, isLast));
    return Buffer.concat([cipher.update(bytes), cipher.final(), cipher.getAuthTag()]);
  }

  /** Undefined where it is not what was sealed as this piece. */
  open(number: number, isLast: boolean, sealed: Uint8Array): Uint8Array | undefined {
    const at = Math.max(0, sealed.length - TAG_BYTES);
    try {
      const decipher = createDecipheriv("aes-256-gcm", this.key, nonceOf(number, isLast), { authTagLength: TAG_BYTES });
      decipher.setAuthTag(sealed.subarray(at));
      return Buffer.concat([decipher.update(sealed.subarray(0, at)), decipher.final()]);
    } catch {
      return undefined;
    }
  }

  close(): void {
    this.key.fill(0);
  }
}

function nonceOf(number: number, isLast: boolean): Uint8Array {
  const nonce = Buffer.alloc(12);
  nonce.writeUInt32BE(isLast ? 1 : 0, 0);
  nonce.writeBigUInt64BE(BigInt(number), 4);
  return nonce;
}
