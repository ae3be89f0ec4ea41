/** What a party answers to a probe: how it is, its links, and as many bytes as were asked for. */
import { statfsSync } from "node:fs";
import { freemem } from "node:os";
import { encodeControl } from "../runtime/control.js";
import { PROTOCOL_VERSION } from "../runtime/handshake.js";
import { type ProbeAnswer, probeLinks } from "../runtime/probe.js";
import type { Request } from "../runtime/requests.js";
import type { SocketTransport } from "../runtime/socket-transport.js";
import type { PartyContext } from "./context.js";

const MOST_BYTES = 1 << 20;
/** How long another party is waited for, in milliseconds. */
const PATIENCE = 2000;

export async function answerProbe(
  { plans, sharings, settings, admission, prepared }: PartyContext,
  probe: Extract<Request, { do: "probe" }>,
  transport: SocketTransport,
): Promise<void> {
  const { state, party, addresses, identity } = settings;
  const { bavail, bsize } = statfsSync(state);
  const idsOf = (digest: string): string =>
    sharings
      .serving(digest)
      .map(({ id }) => id)
      .join(" ");
  const answer: ProbeAnswer = {
    version: PROTOCOL_VERSION,
    now: Date.now(),
    disk: bavail * bsize,
    memory: freemem(),
    sessions: admission.running,
    waiting: admission.waiting,
    prepared: prepared?.held ?? { count: 0, bytes: 0 },
    plans: Object.fromEntries(probe.plans.map((digest) => [digest, plans.standing(digest)])),
    sharings: Object.fromEntries(probe.plans.map((digest) => [digest, { ids: idsOf(digest) }])),
    links: probe.links ? await probeLinks(party, addresses, { identity, timeout: PATIENCE }) : {},
  };
  await transport.send("model", encodeControl(answer));
  await transport.send("model", new Uint8Array(Math.min(Math.max(probe.bytes, 0), MOST_BYTES)));
}
