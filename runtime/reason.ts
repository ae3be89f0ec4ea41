/**
 * What peers tell each other when one gives up: a code and the name of a peer, both out of short lists, and nothing
 * else. An error may name an input, a file or a bound; who hears it could learn from that what it may not know. So an
 * abort is the same for every error that is not about the session itself, and a receiver makes its own words of it.
 */
import { object, picklist } from "valibot";
import type { DiagnosticCode } from "../ir/catalogue.js";
import { type Diagnostic, PumacError } from "../ir/diagnostics.js";
import { decodeControl, encodeControl } from "./control.js";
import type { PeerName } from "./transport.js";

/** A reason as it travels. */
export interface Reason {
  readonly code: SpokenCode;
  /** The peer that is to blame, as far as the one that gives up knows. */
  readonly where: PeerName;
}

/** The codes that travel: what happens between peers, never what is wrong with a peer's own files or values. */
const SPOKEN = {
  E0601: (where: string) => `${where} is gone`,
  E0602: (where: string) => `${where} did not answer in time`,
  E0701: (where: string) => `${where} is not who it says`,
  E0801: () => "the parties do not hold the same plan, sharings or version of pumac",
  E0803: (where: string) => `${where} keeps no such sharing of the weights`,
  E0901: (where: string) => `${where} broke the protocol`,
  E1002: (where: string) => `${where} is busy`,
} as const satisfies Partial<Record<DiagnosticCode, (where: string) => string>>;

type SpokenCode = keyof typeof SPOKEN;

const PEERS: readonly PeerName[] = ["P0", "P1", "P2", "model", "data"];

function isSpoken(code: DiagnosticCode): code is SpokenCode {
  return Object.hasOwn(SPOKEN, code);
}

function isPeer(name: unknown): name is PeerName {
  return PEERS.includes(name as PeerName);
}

/** What peers hear of an error: of one that is the sender's own affair (E0202, a bug) only that the sender is gone. */
export function spokenReason(error: Error, self: PeerName): Reason {
  const [said] = error instanceof PumacError ? error.diagnostics : [];
  if (said === undefined || !isSpoken(said.code)) {
    return { code: "E0601", where: self };
  }
  return { code: said.code, where: isPeer(said.where) ? said.where : self };
}

/** The payload of an abort. */
export function encodeReason({ code, where }: Reason): Uint8Array {
  return encodeControl({ code, where });
}

const REASON = object({ code: picklist(Object.keys(SPOKEN) as SpokenCode[]), where: picklist(PEERS) });

/** The diagnostic that an abort from a peer becomes; E0901 where it is none of those that are sent. */
export function readReason(payload: Uint8Array, peer: PeerName): Diagnostic {
  const { code, where } = decodeControl(payload, peer, REASON, `${peer} broke the protocol: an abort without a reason`);
  const why = `${peer} gave up and ended the session; its own message says more`;
  return { code, what: SPOKEN[code](where), where, why, fix: "start a new session" };
}
