/** What everything at a party works with: its settings, what it keeps, and who waits. */
import type { Address } from "../runtime/connect.js";
import type { Identity } from "../runtime/identity.js";
import type { KernelsFactory } from "../runtime/kernels/interface.js";
import type { RandomSource } from "../runtime/keys.js";
import type { Seen } from "../runtime/staying.js";
import type { PartyName } from "../runtime/transport.js";
import type { Admission, Bounds } from "./admission.js";
import type { PlanShelf } from "./plans.js";
import type { PreparedStore } from "./prepared.js";
import type { Quota, SessionIds } from "./records.js";
import type { Rendezvous } from "./rendezvous.js";
import type { SharingStore } from "./sharings.js";

/** Where a party says what happens: names, counts, digests and codes; never a value. */
export interface Log {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

export interface PartySettings extends Bounds {
  readonly party: PartyName;
  /** Where this party listens, and where the others are. */
  readonly listenAt: Address;
  readonly addresses: Readonly<Record<PartyName, Address>>;
  readonly identity: Identity | undefined;
  /** The folder that holds everything that is kept. */
  readonly state: string;
  /** The folder of plans and approvals, where several processes of a party have one; `state` without. */
  readonly shelf?: string;
  /** How long a silent peer is waited for, and a session may take, in milliseconds. */
  readonly timeout: number;
  readonly deadline: number;
  /** Questions that each data owner may ask in a day. */
  readonly quota: number;
  /** How much prepared material may take on the disk, in bytes. */
  readonly prepared: number;
  readonly kernels: KernelsFactory;
  readonly random: RandomSource;
  readonly log: Log;
  /** Hears of every session that has ended. */
  readonly onEnd?: (end: SessionEnd) => void;
  /** Hears of every request that failed, of owners too. */
  readonly onError?: (error: unknown) => void;
  /** Hears how many rounds of a session are done, of how many. */
  readonly onRound?: (done: number, all: number) => void;
  /** Hears, now and then, what a session's peers have sent: for a trial on one machine. */
  readonly onSeen?: (seen: Seen) => void;
  readonly usage: () => { readonly cpu: number; readonly memory: number };
}

/** How a session ended. */
export interface SessionEnd {
  /** "answered", "not begun" where the data owner was told why not or left, or the code of the error. */
  readonly outcome: string;
  readonly rounds: number;
  /** Payload bytes that this party sent, by receiver. */
  readonly sent: Readonly<Record<string, number>>;
  readonly seconds: number;
  /** Seconds that this party waited for frames, by sender. */
  readonly waits: Readonly<Record<string, number>>;
  readonly error: unknown;
}

export interface PartyContext {
  readonly settings: PartySettings;
  readonly plans: PlanShelf;
  readonly sharings: SharingStore;
  /** Material that was made ahead; none at P0. */
  readonly prepared: PreparedStore | undefined;
  readonly admission: Admission;
  readonly ids: SessionIds;
  readonly quota: Quota;
  readonly rendezvous: Rendezvous;
  /** How many callers were hung up on. */
  readonly refused: number;
  /** Whether the party is being stopped. */
  readonly isDraining: boolean;
}
