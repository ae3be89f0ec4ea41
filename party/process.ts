/**
 * A party that stays, as a process that a program on this machine starts for itself (`pumac run`): what it must know
 * comes over the parent's private channel, never by arguments or environment, which other users can read; and when the
 * parent is gone, so is this process.
 */
import { PumacError } from "../ir/diagnostics.js";
import type { Address } from "../runtime/connect.js";
import { loadKernels } from "../runtime/kernels/load.js";
import { systemRandom } from "../runtime/keys.js";
import { processUsage } from "../runtime/memory.js";
import type { FromStaying, ToStaying } from "../runtime/staying.js";
import { collectLate, leaveNoCore, optimiseLate } from "../runtime/system.js";
import type { PartyName } from "../runtime/transport.js";
import { PartyDaemon } from "./daemon.js";

const LOOPBACK: Address = { host: "127.0.0.1", port: 0 };
const addresses: Record<PartyName, Address> = { P0: LOOPBACK, P1: LOOPBACK, P2: LOOPBACK };
/** No session of a trial on one machine takes longer, in milliseconds. */
const DEADLINE = 3_600_000;

/** Between two words on how far a session is, in milliseconds. */
const PAUSE = 200;
let said = 0;

function tell(message: FromStaying, then: () => void = () => undefined): void {
  process.send?.(message, then);
}

function sayRound(done: number, all: number): void {
  if (performance.now() - said > PAUSE) {
    said = performance.now();
    tell({ kind: "round", done, all });
  }
}

/** What the parent hears of an error. */
function failed(error: unknown): FromStaying {
  const bug = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return error instanceof PumacError
    ? { kind: "failed", diagnostics: error.diagnostics }
    : { kind: "failed", diagnostics: [], bug };
}

async function handle(message: ToStaying): Promise<void> {
  if (message.kind === "peers") {
    Object.assign(addresses, message.addresses);
    return;
  }
  if (message.kind === "usage") {
    tell({ kind: "usage", usage: processUsage() });
    return;
  }
  const { approved, watched, port, ...given } = message;
  const daemon = new PartyDaemon({
    ...given,
    ...{
      listenAt: { ...LOOPBACK, port },
      addresses,
      queue: given.sessions,
      deadline: DEADLINE,
      quota: Number.POSITIVE_INFINITY,
      prepared: 0,
    },
    kernels: loadKernels().create,
    random: systemRandom,
    log: { info: () => undefined, warn: () => undefined },
    onError: (error) => tell(failed(error)),
    onRound: message.party === "P1" ? sayRound : () => undefined,
    usage: processUsage,
    ...(watched && { onSeen: (seen) => void process.send?.({ kind: "seen", seen } satisfies FromStaying) }),
  });
  approved.forEach((digest) => void daemon.plans.approve(digest));
  tell({ kind: "listening", address: await daemon.start() });
}

leaveNoCore();
collectLate();
optimiseLate();
process.on("message", (message: ToStaying) => {
  handle(message).catch((error: unknown) => tell(failed(error), () => process.exit(1)));
});
process.once("disconnect", () => process.exit(0));
// Ctrl-C on a terminal reaches all of its processes: the parent ends this one, when it is done.
process.on("SIGINT", () => undefined);
