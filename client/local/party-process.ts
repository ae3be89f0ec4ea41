/**
 * The program that `pumac run` starts three times. What it must know comes over the parent's private channel, never
 * by arguments or environment, which other users can read; when the parent is gone, so is this process.
 */

import { loadPlan } from "../../formats/plan-file.js";
import { type Diagnostic, fail, PumacError } from "../../ir/diagnostics.js";
import type { Address } from "../../runtime/connect.js";
import type { Identity } from "../../runtime/identity.js";
import { loadKernels } from "../../runtime/kernels/load.js";
import { processUsage } from "../../runtime/memory.js";
import { type ListeningParty, startParty, withoutNotes } from "../../runtime/party.js";
import type { PartyName } from "../../runtime/transport.js";

/** From the parent: what to be, then where the others listen. */
export type ToParty =
  | {
      readonly kind: "start";
      readonly party: PartyName;
      readonly planPath: string;
      readonly listenAt: Address;
      readonly identity: Identity | undefined;
      readonly timeout: number;
    }
  | { readonly kind: "peers"; readonly addresses: Readonly<Record<PartyName, Address>> };

/** To the parent: where this party listens, how far it is, or why it gives up. */
export type FromParty =
  | { readonly kind: "round"; readonly done: number; readonly all: number }
  | { readonly kind: "listening"; readonly address: Address }
  | { readonly kind: "failed"; readonly diagnostics: readonly Diagnostic[]; readonly bug?: string };

let listening: ListeningParty | undefined;

/** Between two words on how far a session is, in milliseconds. */
const PAUSE = 200;
let said = 0;

function sayRound(done: number, all: number): void {
  if (performance.now() - said > PAUSE) {
    said = performance.now();
    process.send?.({ kind: "round", done, all } satisfies FromParty);
  }
}

async function handle(message: ToParty): Promise<void> {
  if (message.kind === "start") {
    const { plan, digest } = loadPlan(message.planPath);
    listening = await startParty({
      ...message,
      plan: withoutNotes(plan),
      digest,
      kernels: loadKernels().create,
      usage: processUsage,
      clock: () => performance.now() / 1000,
      onRound: message.party === "P1" ? sayRound : () => undefined,
    });
    process.send?.({ kind: "listening", address: listening.address } satisfies FromParty);
  } else {
    await listening?.run(message.addresses);
    process.disconnect();
  }
}

/** Tells the parent and ends with the error's status; the peers have been told by the transport. */
function giveUp(error: unknown): void {
  const diagnostics = error instanceof PumacError ? error.diagnostics : [];
  const bug = diagnostics.length > 0 || !(error instanceof Error) ? {} : { bug: error.stack ?? error.message };
  const status = error instanceof PumacError ? error.exitCode : 1;
  const message: FromParty = { kind: "failed", diagnostics, ...bug };
  if (process.connected) {
    process.send?.(message, () => process.exit(status));
  } else {
    process.exit(status);
  }
}

process.on("message", (message: ToParty) => {
  handle(message).catch(giveUp);
});
process.on("disconnect", () => {
  listening?.abort(fail({ code: "E0601", what: "the process that started the parties is gone", where: "data" }));
});
