/** What a program says to the parties that it starts on its own machine, over private channels, and they to it. */
import type { Address } from "./connect.js";
import type { Identity } from "./identity.js";
import type { PartyName } from "./transport.js";

/** From the parent: what to be, then where all parties listen. */
export type ToStaying =
  | {
      readonly kind: "start";
      readonly party: PartyName;
      readonly identity: Identity;
      readonly state: string;
      readonly timeout: number;
      readonly memory: number;
      /** Digests of the plans that may be run. */
      readonly approved: readonly string[];
    }
  | { readonly kind: "peers"; readonly addresses: Readonly<Record<PartyName, Address>> };

/** To the parent: where this party listens, or why it does not. */
export type FromStaying =
  | { readonly kind: "listening"; readonly address: Address }
  | { readonly kind: "failed"; readonly reason: string };
