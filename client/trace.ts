/**
 * The trace of one question (runtime/trace.ts), all clocks on the data owner's: a party's answer to the first frame
 * lies in the middle of the time that the data owner waited for it, but for what the party says that it took. So clocks
 * are right to half of a round trip, and no party's clock must be.
 */
import { checkWritable, writeWhole } from "../formats/files.js";
import { fail } from "../ir/diagnostics.js";
import { type Trace, TracedTransport } from "../runtime/trace.js";
import { PARTIES, type PartyName, type Transport } from "../runtime/transport.js";

/** A party's trace, and where its zero lies: microseconds from the data owner's. */
interface Aligned {
  readonly zero: number;
  readonly trace: Trace;
}

/** The traces of the data owner and of the parties that took part. */
export type SessionTrace = ReadonlyMap<PartyName | "data", Aligned>;

/** Notes a question at its owner. */
export class Tracer {
  readonly transport: TracedTransport;
  private asked = 0;
  private readonly heard = new Map<PartyName, number>();

  constructor(transport: Transport) {
    this.transport = new TracedTransport(transport);
  }

  /** The first frames are sent. */
  asks(): void {
    this.transport.part("asking");
    this.asked = this.transport.now;
  }

  /** A party has answered its first frame. */
  hears(party: PartyName): void {
    this.heard.set(party, this.transport.now);
  }

  /** All of it, with what the parties gave. */
  whole(parties: ReadonlyMap<PartyName, Trace>): SessionTrace {
    const { asked, heard } = this;
    this.transport.part("over");
    const aligned = [...parties].map(([party, trace]): [PartyName, Aligned] => {
      const came = heard.get(party) ?? asked;
      return [party, { zero: came - Math.max(0, came - asked - trace.took) / 2, trace }];
    });
    return new Map([["data", { zero: 0, trace: this.transport.trace }], ...aligned]);
  }
}

interface Slice {
  readonly lane: string;
  readonly name: string;
  readonly from: number;
  readonly to: number;
  readonly args?: object;
}

/** What is shown of one side, in lanes in which nothing overlaps. */
function slicesOf({ parts, rounds, frames }: Trace): readonly Slice[] {
  const running = parts.find(([name]) => name === "running")?.[1] ?? 0;
  const frameOf = ([what, peer, from, took, bytes]: Trace["frames"][number]): Slice => {
    const [lane, name] = what === "send" ? [`to ${peer}`, "send"] : [`from ${peer}`, "wait and receive"];
    return { lane, name, from, to: from + took, args: { bytes } };
  };
  return [
    ...parts.slice(0, -1).map(([name, from], i) => ({ lane: "parts", name, from, to: parts[i + 1][1] })),
    ...rounds.map((to, i) => ({ lane: "rounds", name: `round ${i + 1}`, from: rounds[i - 1] ?? running, to })),
    ...frames.map(frameOf),
  ];
}

/**
 * What writes the trace of a question into a file; undefined where no file is given. E0301, before anything runs, where
 * it cannot be written; E0201 where a whole data set is asked about.
 */
export function traceInto(
  { trace: file, data }: { readonly trace?: string; readonly data?: string },
  plan: string,
): ((trace: SessionTrace) => void) | undefined {
  if (file === undefined) {
    return undefined;
  }
  if (data !== undefined) {
    throw fail({ code: "E0201", what: "--trace is of one question", fix: "leave out --data, and give --input" });
  }
  checkWritable(file);
  return (trace) => writeWhole(file, "the trace", `${JSON.stringify(chromeTrace(trace, { plan }))}\n`);
}

/** The trace as Chrome's trace events (JSON object format), which Perfetto and chrome://tracing open. */
export function chromeTrace(session: SessionTrace, about: { readonly plan: string }): object {
  const traceEvents: object[] = [];
  for (const [process, name] of (["data", ...PARTIES] as const).entries()) {
    const side = session.get(name);
    if (side === undefined) {
      continue;
    }
    const called = (kind: string, tid: number, as: string) => ({
      ...{ ph: "M", name: `${kind}_name`, pid: process + 1, tid, args: { name: as } },
    });
    traceEvents.push(called("process", 0, name === "data" ? "data owner" : name));
    const lanes = new Map<string, number>();
    for (const { lane, name: what, from, to, args = {} } of slicesOf(side.trace)) {
      if (!lanes.has(lane)) {
        lanes.set(lane, lanes.size + 1);
        traceEvents.push(called("thread", lanes.size, lane));
      }
      const at = { pid: process + 1, tid: lanes.get(lane), ts: side.zero + from, dur: to - from };
      traceEvents.push({ ph: "X", name: what, cat: "pumac", ...at, args });
    }
  }
  const omitted = [...session.values()].reduce((sum, { trace }) => sum + trace.omitted, 0);
  return { displayTimeUnit: "ms", otherData: { schema: "pumac.trace/1", ...about, omitted }, traceEvents };
}
