/**
 * Time estimates: rounds · (half a round trip and what a message takes in the processes), plus the bytes through the
 * busiest network card, plus what the busiest party computes on one core: its multiply-adds, its steps, its bytes. The
 * three do overlap in a run; sharing weights and inputs, before it, is apart. The constants were measured on one
 * machine (docs/performance.md) and are the same on all: an estimate, from numbers that are exact.
 */
import { fail } from "../ir/diagnostics.js";

export interface Network {
  readonly name: string;
  /** Bits per second, each way. */
  readonly bandwidth: number;
  /** Seconds there and back. */
  readonly roundTrip: number;
}

/** Multiply-adds of ring words a second on one core. */
const MACS_PER_SECOND = 20e9;
/** What a step takes, however small: its calls of kernels, its part of the garbage that is collected. */
const SECONDS_PER_STEP = 0.13e-3;
/** What a byte takes that a party sends or receives: drawn from streams, packed, copied, unpacked, computed with. */
const SECONDS_PER_BYTE = 2.1e-9;

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
  readonly steps: number;
  readonly bytes: { readonly links: Readonly<Record<string, number>> };
  readonly macs: Readonly<Record<string, number>>;
}

export interface Estimate {
  readonly network: string;
  /** Seconds: the sum of the parts. */
  readonly estimate: number;
  readonly parts: { readonly delay: number; readonly transfer: number; readonly compute: number };
  /** Seconds before it: weights and inputs through their owner's network card. Parties that stay keep weights. */
  readonly sharing: number;
  readonly formula: string;
}

/** Seconds that a round takes beside the network: a message each way through two processes (docs/performance.md). */
const SECONDS_PER_MESSAGE = 0.1e-3;

const TIME_FORMULA =
  "rounds * (RTT/2 + 0.1 ms) + bytes in or out of the busiest party * 8 / bandwidth" +
  " + of the busiest party: multiply-adds / 20e9 + steps * 0.13 ms + bytes * 2.1 ns";

export function estimateSeconds(cost: EstimatedCost, network: Network = DEFAULT_NETWORK): Estimate {
  const delay = cost.rounds * secondsPerRound(network);
  const transfer = (8 * busiestCard(cost.bytes.links)) / network.bandwidth;
  const compute = Math.max(...PARTIES.map((party) => secondsOf(cost, party)));
  const parts = { delay, transfer, compute };
  const shared = PARTIES.reduce((sum, party) => sum + cost.bytes.links[`owner>${party}`], 0);
  const sharing = (8 * shared) / network.bandwidth;
  return { network: network.name, estimate: delay + transfer + compute, parts, sharing, formula: TIME_FORMULA };
}

const PARTIES = ["P0", "P1", "P2"] as const;
const LINKS = ["P0>P1", "P0>P2", "P1>P2", "P2>P1"] as const;

/** What a party computes, on one core. */
function secondsOf({ macs, steps, bytes }: EstimatedCost, party: (typeof PARTIES)[number]): number {
  const moved = LINKS.filter((link) => link.includes(party)).reduce((sum, link) => sum + bytes.links[link], 0);
  return macs[party] / MACS_PER_SECOND + steps * SECONDS_PER_STEP + moved * SECONDS_PER_BYTE;
}

/** The most bytes that a party sends to, or receives from, the two others. */
function busiestCard(links: Readonly<Record<string, number>>): number {
  const cards = new Map<string, number>();
  for (const link of LINKS) {
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

/** Whether so many rounds less are worth so many bytes more on a network. */
export function trades(network: Network = DEFAULT_NETWORK): (rounds: number, bytes: number) => boolean {
  const { secondsPerRound, secondsPerByte } = linkCost(network);
  return (rounds, bytes) => bytes * secondsPerByte < rounds * secondsPerRound;
}
