/**
 * Time estimates: rounds · (half a round trip and what a message takes in the processes), plus the bytes through the
 * busiest network card, plus the busiest party's multiply-adds on one core. The three do overlap in a run, and setting
 * up, sharing weights and inputs are apart: an estimate of the order, from numbers that are exact.
 */
import { fail } from "../ir/diagnostics.js";

export interface Network {
  readonly name: string;
  /** Bits per second, each way. */
  readonly bandwidth: number;
  /** Seconds there and back. */
  readonly roundTrip: number;
}

/** Multiply-adds of 64-bit words a second on one core with the AVX2 kernels, rounded down (docs/performance.md). */
const MACS_PER_SECOND = 8e9;

const KNOWN: Readonly<Record<string, Network>> = {
  lan: { name: "lan", bandwidth: 5e9, roundTrip: 1e-3 },
  wan: { name: "wan", bandwidth: 400e6, roundTrip: 40e-3 },
};

const UNITS: Readonly<Record<string, number>> = { k: 1e3, m: 1e6, g: 1e9 };
const TIMES: Readonly<Record<string, number>> = { us: 1e-6, ms: 1e-3, s: 1 };

/** `lan` (5 gbps, 1 ms), `wan` (400 mbps, 40 ms) or `BANDWIDTH,RTT` such as `400mbps,40ms`. E0201 otherwise. */
export function parseNetwork(text: string): Network {
  const known = text.toLowerCase();
  if (Object.hasOwn(KNOWN, known)) {
    return KNOWN[known];
  }
  const match = /^(\d+(?:\.\d+)?)([kmg])bps,(\d+(?:\.\d+)?)(us|ms|s)$/i.exec(text.replaceAll(" ", ""));
  const bandwidth = match === null ? 0 : Number(match[1]) * UNITS[match[2].toLowerCase()];
  if (match === null || bandwidth === 0) {
    throw fail({
      code: "E0201",
      what: `'${text}' is no network`,
      fix: "write lan, wan, or bandwidth and round trip, such as 400mbps,40ms",
    });
  }
  return { name: text, bandwidth, roundTrip: Number(match[3]) * TIMES[match[4].toLowerCase()] };
}

export const DEFAULT_NETWORK = KNOWN.lan;

export interface EstimatedCost {
  readonly rounds: number;
  readonly bytes: { readonly links: Readonly<Record<string, number>> };
  readonly macs: Readonly<Record<string, number>>;
}

export interface Estimate {
  readonly network: string;
  /** Seconds: the sum of the parts. */
  readonly estimate: number;
  readonly parts: { readonly delay: number; readonly transfer: number; readonly compute: number };
  readonly formula: string;
}

/** Seconds that a round takes beside the network: a message each way through two processes (docs/performance.md). */
const SECONDS_PER_MESSAGE = 0.1e-3;

const TIME_FORMULA =
  "rounds * (RTT/2 + 0.1 ms) + bytes in or out of the busiest party * 8 / bandwidth" +
  " + multiply-adds of the busiest party / 8e9";

export function estimateSeconds(cost: EstimatedCost, network: Network = DEFAULT_NETWORK): Estimate {
  const delay = cost.rounds * secondsPerRound(network);
  const transfer = (8 * busiestCard(cost.bytes.links)) / network.bandwidth;
  const compute = Math.max(...Object.values(cost.macs)) / MACS_PER_SECOND;
  const parts = { delay, transfer, compute };
  return { network: network.name, estimate: delay + transfer + compute, parts, formula: TIME_FORMULA };
}

/** The most bytes that a party sends to, or receives from, the two others. */
function busiestCard(links: Readonly<Record<string, number>>): number {
  const cards = new Map<string, number>();
  for (const link of ["P0>P1", "P0>P2", "P1>P2", "P2>P1"]) {
    const [from, to] = link.split(">");
    for (const card of [`from ${from}`, `to ${to}`]) {
      cards.set(card, (cards.get(card) ?? 0) + links[link]);
    }
  }
  return Math.max(...cards.values());
}

function secondsPerRound({ roundTrip }: Network): number {
  return roundTrip / 2 + SECONDS_PER_MESSAGE;
}

/** What a round and a byte cost on a network: the same as in the estimate. */
export function linkCost(network: Network): { secondsPerRound: number; secondsPerByte: number } {
  return { secondsPerRound: secondsPerRound(network), secondsPerByte: 8 / network.bandwidth };
}
