/** What a program says to the parties that it starts on its own machine, over private channels, and they to it. */
import type { Diagnostic } from "../ir/diagnostics.js";
import type { Address } from "./connect.js";
import type { Identity } from "./identity.js";
import type { PartyName, PeerName } from "./transport.js";

/** From the parent: what to be, then where all parties listen; and, at any time, what the process has needed. */
export type ToStaying =
  | {
      readonly kind: "start";
      readonly party: PartyName;
      readonly identity: Identity;
      readonly state: string;
      /** Where it is to listen; 0: wherever it can. */
      readonly port: number;
      readonly timeout: number;
      readonly memory: number;
      /** How many sessions may run at a time, and as many wait. */
      readonly sessions: number;
      /** Digests of the plans that may be run. */
      readonly approved: readonly string[];
      /** Whether the parent wants to hear what this party receives. */
      readonly watched: boolean;
    }
  | { readonly kind: "peers"; readonly addresses: Readonly<Record<PartyName, Address>> }
  | { readonly kind: "usage" };

/** What a process has needed since it began: processor seconds, and its peak memory in bytes. */
export interface Usage {
  readonly cpu: number;
  readonly memory: number;
}

/** What a party has received in a session so far, and the beginning of the last frame: masked words, never a seed. */
export interface Seen {
  readonly party: PartyName;
  readonly from: PeerName;
  readonly bytes: number;
  readonly rounds: number;
  readonly words: Uint8Array;
}

/** To the parent: where it listens, how far a session is, what it sees, what goes wrong. */
export type FromStaying =
  | { readonly kind: "listening"; readonly address: Address }
  | { readonly kind: "seen"; readonly seen: Seen }
  | { readonly kind: "usage"; readonly usage: Usage }
  | { readonly kind: "round"; readonly done: number; readonly all: number }
  | { readonly kind: "failed"; readonly diagnostics: readonly Diagnostic[]; readonly bug?: string };
