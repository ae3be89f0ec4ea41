/**
 * A party that stays, as a process that a program on this machine starts for itself (`pumac generate --local`): what it
 * must know comes over the parent's private channel, and when the parent is gone, so is this process.
 */
import type { Address } from "../runtime/connect.js";
import { loadKernels } from "../runtime/kernels/load.js";
import { systemRandom } from "../runtime/keys.js";
import { processUsage } from "../runtime/memory.js";
import type { FromStaying, ToStaying } from "../runtime/staying.js";
import { leaveNoCore } from "../runtime/system.js";
import type { PartyName } from "../runtime/transport.js";
import { PartyDaemon } from "./daemon.js";

const LOOPBACK: Address = { host: "127.0.0.1", port: 0 };
const addresses: Record<PartyName, Address> = { P0: LOOPBACK, P1: LOOPBACK, P2: LOOPBACK };
/** No session of a trial on one machine takes longer, in milliseconds. */
const DEADLINE = 3_600_000;

async function handle(message: ToStaying): Promise<void> {
  if (message.kind === "peers") {
    Object.assign(addresses, message.addresses);
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
    },
    kernels: loadKernels().create,
    random: systemRandom,
    log: { info: () => undefined, warn: () => undefined },
    usage: processUsage,
    ...(watched && { onSeen: (seen) => void process.send?.({ kind: "seen", seen } satisfies FromStaying) }),
  });
  approved.forEach((digest) => void daemon.plans.approve(digest));
  process.send?.({ kind: "listening", address: await daemon.start() } satisfies FromStaying);
}

leaveNoCore();
process.on("message", (message: ToStaying) => {
  handle(message).catch((error: unknown) => {
    const reason = error instanceof Error ? error.message : String(error);
    process.send?.({ kind: "failed", reason } satisfies FromStaying, () => process.exit(1));
  });
});
process.once("disconnect", () => process.exit(0));
// Ctrl-C on a terminal reaches all of its processes: the parent ends this one, when it is done.
process.on("SIGINT", () => undefined);
