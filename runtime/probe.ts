/**
 * What anybody who is pinned may ask a party: how it is, and how it sees the others. Owners and parties ask
 * (`pumac doctor`); a party asks the other two when it is asked for its links. Nothing here is about a value.
 */
import { type InferOutput, nullable, number, object, optional, picklist, record, string } from "valibot";
import { type Diagnostic, PumacError } from "../ir/diagnostics.js";
import { type Address, dial } from "./connect.js";
import { decodeControl, encodeControl } from "./control.js";
import { PROTOCOL_VERSION } from "./handshake.js";
import type { Identity } from "./identity.js";
import { systemRandom } from "./keys.js";
import { STANDING } from "./requests.js";
import { SocketTransport } from "./socket-transport.js";
import { PARTIES, type PartyName } from "./transport.js";

/** Where one party stands with another: the code of what is wrong, or the round trip. */
const LINK = object({ code: nullable(string()), milliseconds: number() });

const ANSWER = object({
  version: number(),
  /** Milliseconds since 1970, by the party's clock. */
  now: number(),
  /** Free bytes. */
  disk: number(),
  memory: number(),
  sessions: number(),
  waiting: number(),
  /** Prepared questions that it keeps material for, and their bytes on its disk. */
  prepared: optional(object({ count: number(), bytes: number() }), { count: 0, bytes: 0 }),
  plans: record(string(), picklist(STANDING)),
  sharings: record(string(), object({ ids: string() })),
  links: optional(record(picklist(PARTIES), LINK), {}),
});
export type ProbeAnswer = InferOutput<typeof ANSWER>;

export interface Probed {
  readonly answer: ProbeAnswer;
  /** The round trip, and how long the bytes that were asked for took beyond it. */
  readonly milliseconds: number;
  readonly bytesMilliseconds: number;
}

export interface ProbeOptions {
  readonly identity: Identity | undefined;
  /** Milliseconds. */
  readonly timeout: number;
  /** Digests of plans to ask about. */
  readonly plans?: readonly string[];
  /** How many bytes the party is to send. */
  readonly bytes?: number;
  /** Whether the party is to look at its own links. */
  readonly links?: boolean;
}

/** Asks one party. E0601, E0602 and E0701 where it cannot be reached or is another one. */
export async function probe(party: PartyName, at: Address, options: ProbeOptions): Promise<Probed> {
  const { identity, timeout, plans = [], bytes = 0, links = false } = options;
  const transport = new SocketTransport("model", timeout);
  const id = Buffer.from(systemRandom(16)).toString("hex");
  try {
    await dial(transport, party, at, identity, timeout, id);
    transport.allowFrames(bytes);
    const began = performance.now();
    const request = { do: "probe", version: PROTOCOL_VERSION, plans, bytes, links };
    await transport.send(party, encodeControl(request));
    const answer = decodeControl(await transport.receive(party), party, ANSWER);
    const heard = performance.now();
    await transport.receive(party);
    await transport.close();
    return { answer, milliseconds: heard - began, bytesMilliseconds: performance.now() - heard };
  } catch (error) {
    transport.abort(error);
    throw error;
  }
}

/** How a party sees the others, by name. */
export async function probeLinks(
  self: PartyName,
  addresses: Readonly<Record<PartyName, Address>>,
  options: ProbeOptions,
): Promise<ProbeAnswer["links"]> {
  const looked = PARTIES.filter((name) => name !== self).map(async (name) => {
    try {
      const { milliseconds } = await probe(name, addresses[name], options);
      return [name, { code: null, milliseconds }] as const;
    } catch (error) {
      return [name, { code: codeOf(error), milliseconds: 0 }] as const;
    }
  });
  return Object.fromEntries(await Promise.all(looked)) as ProbeAnswer["links"];
}

function codeOf(error: unknown): Diagnostic["code"] {
  return error instanceof PumacError ? error.diagnostics[0].code : "E0601";
}
