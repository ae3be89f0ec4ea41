/** What a party answers to a probe: how it is, and as many bytes as were asked for, to measure the link with. */

import { statfsSync } from "node:fs";
import { freemem } from "node:os";
import { encodeControl } from "../runtime/control.js";
import { PROTOCOL_VERSION } from "../runtime/handshake.js";
import type { Request } from "../runtime/requests.js";
import type { SocketTransport } from "../runtime/socket-transport.js";
import type { PartyContext } from "./context.js";

const MOST_BYTES = 1 << 20;

export async function answerProbe(
  { plans, sharings, settings, admission }: PartyContext,
  probe: Extract<Request, { do: "probe" }>,
  transport: SocketTransport,
): Promise<void> {
  const { bavail, bsize } = statfsSync(settings.state);
  const answer = {
    version: PROTOCOL_VERSION,
    now: Date.now(),
    disk: bavail * bsize,
    memory: freemem(),
    sessions: admission.running,
    waiting: admission.waiting,
    plans: Object.fromEntries(probe.plans.map((digest) => [digest, plans.standing(digest)])),
    sharings: Object.fromEntries(
      probe.plans.map((digest) => [digest, sharings.serving(digest).map(({ id }) => id)] as const),
    ),
  };
  await transport.send("model", encodeControl(answer));
  await transport.send("model", new Uint8Array(Math.min(probe.bytes, MOST_BYTES)));
}
