/**
 * Time estimates: rounds · one-way delay + the busiest link's bytes over the bandwidth + the busiest party's
 * multiply-adds over a core's rate. It ignores overlap of the three, so it is an upper estimate of a run whose
 * parties have one core each.
 */
import { fail } from "../ir/diagnostics.js";

export interface Network {
  readonly name: string;
  /** Bits per second. */
  readonly bandwidth: number;
  /** Seconds there and back. */
  readonly roundTrip: number;
}

/** Multiply-adds a second on one core with the AVX2 kernels (docs/performance.md). */
const MACS_PER_SECOND = 8e9;

const KNOWN: Readonly<Record<string, Network>> = {
  lan: { name: "lan", bandwidth: 5e9, roundTrip: 1e-3 },
  wan: { name: "wan", bandwidth: 400e6, roundTrip: 40e-3 },
};

const UNITS: Readonly<Record<string, number>> = { k: 1e3, m: 1e6, g: 1e9 };
const TIMES: Readonly<Record<string, number>> = { us: 1e-6, ms: 1e-3, s: 1 };

/** `lan` (5 gbps, 1 ms), `wan` (400 mbps, 40 ms) or `BANDWIDTH,RTT` such as `400mbps,40ms`. E0201 otherwise. */
export function parseNetwork(text: string): Network {
  const known = KNOWN[text.toLowerCase()];
  if (known !== undefined) {
    return known;
  }
  const match = /^([\d.]+)([kmg])bps,([\d.]+)(us|ms|s)$/i.exec(text.replaceAll(" ", ""));
  if (match === null) {
    throw fail({
      code: "E0201",
      what: `'${text}' is no network`,
      fix: "write lan, wan, or bandwidth and round trip, such as 400mbps,40ms",
    });
  }
  const bandwidth = Number(match[1]) * UNITS[match[2].toLowerCase()];
  return { name: text, bandwidth, roundTrip: Number(match[3]) * TIMES[match[4].toLowerCase()] };
}

export const DEFAULT_NETWORK = KNOWN.lan;

export interface EstimatedCost {
  readonly rounds: number;
  readonly bytes: { readonly links: Readonly<Record<string, number>> };
  readonly macs: Readonly<Record<string, number>>;
}

export function estimateSeconds(
  cost: EstimatedCost,
  network: Network = DEFAULT_NETWORK,
): { network: string; estimate: number } {
  const between = ["P0>P2", "P1>P2", "P2>P1"].map((link) => cost.bytes.links[link]);
  const delay = (cost.rounds * network.roundTrip) / 2;
  const transfer = (8 * Math.max(...between)) / network.bandwidth;
  const compute = Math.max(...Object.values(cost.macs)) / MACS_PER_SECOND;
  return { network: network.name, estimate: delay + transfer + compute };
}
