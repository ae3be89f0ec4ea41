/**
 * What a session really cost: payload bytes by link and phase, rounds, seconds, processor time and memory. Bytes are
 * counted where they are sent, as payload: framing, control frames and TLS apart. The compiler predicts the same
 * numbers; equality is tested to the byte.
 */
import type { Trace } from "./trace.js";
import { PARTIES, type PartyName, type PeerName, type Transport } from "./transport.js";

/** What a frame belongs to; control frames are not payload. */
export type Phase = "control" | "weights" | "input" | "run";

/** A transport that counts what is sent, by phase and peer. */
export class MeteredTransport implements Transport {
  phase: Phase = "control";
  private readonly sent = new Map<string, { bytes: number; frames: number }>();

  constructor(private readonly inner: Transport) {}

  get self(): PeerName {
    return this.inner.self;
  }

  send(to: PeerName, frame: Uint8Array): Promise<void> {
    const key = `${this.phase} ${to}`;
    const { bytes, frames } = this.sent.get(key) ?? { bytes: 0, frames: 0 };
    this.sent.set(key, { bytes: bytes + frame.length, frames: frames + 1 });
    return this.inner.send(to, frame);
  }

  receive(from: PeerName): Promise<Uint8Array> {
    return this.inner.receive(from);
  }

  release(from: PeerName, frame: Uint8Array): void {
    this.inner.release?.(from, frame);
  }

  /** Payload bytes sent to a peer in a phase. */
  bytes(phase: Phase, to: PeerName): number {
    return this.sent.get(`${phase} ${to}`)?.bytes ?? 0;
  }

  /** Frames sent to a peer in a phase. */
  frames(phase: Phase, to: PeerName): number {
    return this.sent.get(`${phase} ${to}`)?.frames ?? 0;
  }
}

/** Seconds that each phase of a session took at one party. */
export interface PhaseSeconds {
  readonly setup: number;
  readonly weights: number;
  readonly input: number;
  readonly run: number;
}

/** What one party tells the data owner at the end. */
export interface PartyReport {
  readonly party: PartyName;
  /** Payload bytes sent in the run, by receiver. */
  readonly sent: Readonly<Record<string, number>>;
  /** Messages exchanged with the other evaluator: rounds. 0 at P0. */
  readonly rounds: number;
  readonly seconds: PhaseSeconds;
  /** Processor seconds and peak memory (bytes) of the party's process; null where roles share a process. */
  readonly cpu: number | null;
  /** Of them those of the run alone, without starting, agreeing and sharing. */
  readonly cpuOfRun: number | null;
  readonly memory: number | null;
  /** What it did when, where the data owner asked for that. */
  readonly trace?: Trace | undefined;
}

/** A client's part: the payload that it sent to each party. */
export interface OwnerReport {
  readonly sent: Readonly<Record<PartyName, number>>;
}

/** The field `measured` of `pumac.run/1` (CLI.md): bytes are totals over all parties, times are seconds. */
export interface Measured {
  readonly rounds: number;
  readonly bytes: {
    readonly online: number;
    readonly offline: number;
    /** Weights and inputs: what their owners sent to the parties. */
    readonly input: number;
    /** What the evaluators sent to the data owner; not part of the total. */
    readonly output: number;
    /** Online and offline, summed over all parties. */
    readonly total: number;
    readonly links: Readonly<Record<string, number>>;
  };
  readonly seconds: Readonly<Record<"setup" | "weights" | "input" | "offline" | "online" | "total", number>>;
  readonly cpu: Readonly<Record<PartyName, number | null>>;
  readonly cpuOfRun: Readonly<Record<PartyName, number | null>>;
  readonly memory: Readonly<Record<PartyName, number | null>>;
}

/** What there is to say of a party that took no part: P0, where its material was made ahead. */
const ABSENT = {
  ...{ sent: {}, rounds: 0, seconds: { setup: 0, weights: 0, input: 0, run: 0 } },
  ...{ cpu: null, cpuOfRun: null, memory: null },
} satisfies Omit<PartyReport, "party">;

/** Puts the parties' and the owners' reports together. `total` is the session's wall time in seconds. */
export function combineReports(
  parties: ReadonlyMap<PartyName, PartyReport>,
  owners: readonly OwnerReport[],
  total: number,
): Measured {
  const of = (party: PartyName): PartyReport => parties.get(party) ?? { party, ...ABSENT };
  const links: Record<string, number> = {};
  for (const [from, to] of [
    ["P0", "P1"],
    ["P0", "P2"],
    ["P1", "P2"],
    ["P2", "P1"],
  ] as const) {
    links[`${from}>${to}`] = of(from).sent[to] ?? 0;
  }
  for (const party of PARTIES) {
    links[`owner>${party}`] = owners.reduce((sum, { sent }) => sum + sent[party], 0);
  }
  for (const party of ["P1", "P2"] as const) {
    links[`${party}>owner`] = of(party).sent.data ?? 0;
  }
  const sum = (...names: readonly string[]): number => names.reduce((bytes, name) => bytes + links[name], 0);
  const online = sum("P1>P2", "P2>P1");
  const offline = sum("P0>P1", "P0>P2");
  const longest = (phase: keyof PhaseSeconds, among: readonly PartyName[] = PARTIES): number =>
    Math.max(...among.map((name) => of(name).seconds[phase]));
  const each = <T>(pick: (report: PartyReport) => T): Record<PartyName, T> => ({
    P0: pick(of("P0")),
    P1: pick(of("P1")),
    P2: pick(of("P2")),
  });
  return {
    rounds: Math.max(of("P1").rounds, of("P2").rounds),
    bytes: {
      online,
      offline,
      input: sum("owner>P0", "owner>P1", "owner>P2"),
      output: sum("P1>owner", "P2>owner"),
      total: online + offline,
      links,
    },
    seconds: {
      setup: longest("setup"),
      weights: longest("weights"),
      input: longest("input"),
      offline: longest("run", ["P0"]),
      online: longest("run", ["P1", "P2"]),
      total,
    },
    cpu: each(({ cpu }) => cpu),
    cpuOfRun: each(({ cpuOfRun }) => cpuOfRun),
    memory: each(({ memory }) => memory),
  };
}
