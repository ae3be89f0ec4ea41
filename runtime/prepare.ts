/**
 * The session that makes an entry (material.ts), at each of the three parties. The data owner gives its seeds, and to
 * each evaluator the key that its part is sealed under; P0 deals its whole part of a run to P2, and keeps nothing; P1
 * and P2 keep theirs. Only when the data owner has heard of all three, and has written the entry down itself, does it
 * say that it stays: an entry that one of them lacks is kept by nobody.
 */
import { literal, number, object } from "valibot";
import { decodeControl, encodeControl } from "./control.js";
import { ONLY_RUN } from "./keys.js";
import { ENTRY_KEY_BYTES, MAKING, SEED_BYTES, seedBytes } from "./material.js";
import { agree, type EstablishedSession, receiveExactly, type SessionOptions, sharesOf, wipeKeys } from "./session.js";
import { SecretState } from "./state.js";
import type { PartyName, Transport } from "./transport.js";

/** An evaluator's part of an entry while it is made. */
export interface Part {
  /** What it is sealed under; nothing of it may stay. */
  readonly key: Uint8Array;
  /** The identity of the sharing of the weights. */
  readonly weights: string;
  /** The key of the pair with P0, then the data owner's seed. */
  readonly secrets: Uint8Array;
  /** At P2: P0's frames, an empty one last. */
  readonly frames: (() => Promise<Uint8Array>) | undefined;
}

/** A part that is kept until further notice. */
export interface KeptPart {
  readonly bytes: number;
  /** It stays. */
  readonly confirm: () => void;
  readonly discard: () => void;
}

export interface PrepareOptions extends Pick<SessionOptions, "plan" | "random" | "kept" | "layouts"> {
  /** P0's run of the plan. */
  readonly deal: (session: EstablishedSession) => Promise<unknown>;
  /** Keeps a part, at P1 and P2. */
  readonly keep: (part: Part) => Promise<KeptPart>;
}

/** What an evaluator, and P0 with 0, says when its part is done: bytes on its disk. */
export const MADE = object({ bytes: number() });
/** The data owner's last word: the entry stays. */
const STAYS = object({ stays: literal(true) });

/** The frame with which the data owner says so. */
export function itStays(): Uint8Array {
  return encodeControl({ stays: true });
}

/** One party's part in making an entry. The bytes that it keeps. */
export async function prepareEntry(transport: Transport, options: PrepareOptions): Promise<number> {
  const self = transport.self as PartyName;
  const { keys, shared } = await agree(transport, options, MAKING);
  try {
    const seeds = await receiveExactly(transport, "data", seedBytes(self), "seeds");
    if (shared === undefined) {
      throw new Error("material is made for a sharing that is kept");
    }
    if (self === "P0") {
      const data = sharesOf(self, seeds, options.layouts.data, new Map());
      const inputs = { model: shared.programs[0], data };
      const none = (): never => {
        throw new Error("P0 reads no public input");
      };
      const state = new SecretState();
      await options.deal({ transport, keys, inputs, publicInput: none, run: ONLY_RUN, state });
      seeds.fill(0);
      await transport.send("data", encodeControl({ bytes: 0 }));
      await confirmed(transport);
      return 0;
    }
    const key = await receiveExactly(transport, "data", ENTRY_KEY_BYTES, "the key of an entry");
    const secrets = Buffer.concat([keys[self === "P1" ? "01" : "02"]!, seeds.subarray(0, SEED_BYTES)]);
    const frames = self === "P2" ? () => transport.receive("P0") : undefined;
    const part = await options.keep({ key, weights: shared.identity, secrets, frames }).finally(() => {
      [key, seeds, secrets].forEach((secret) => void secret.fill(0));
    });
    try {
      await transport.send("data", encodeControl({ bytes: part.bytes }));
      await confirmed(transport);
    } catch (error) {
      part.discard();
      throw error;
    }
    part.confirm();
    return part.bytes;
  } finally {
    wipeKeys(keys);
  }
}

async function confirmed(transport: Transport): Promise<void> {
  decodeControl(await transport.receive("data"), "data", STAYS, "a last word that is none");
}
