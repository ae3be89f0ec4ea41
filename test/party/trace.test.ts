/**
 * Protects: a trace has every round and every byte of a session, in order on one clock, whatever the parties' clocks
 * say; nothing of it is there where nobody asked for it; and it is the form that Perfetto opens.
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { chromeTrace, type SessionTrace } from "../../client/trace.js";
import { PARTIES } from "../../runtime/transport.js";
import { smallPlan, startThree, type Three } from "./three.js";

let plan: Awaited<ReturnType<typeof smallPlan>>;
let three: Three;
beforeAll(async () => {
  plan = await smallPlan();
  three = await startThree();
  three.approve(plan.digest);
  await three.share(plan);
});
afterAll(async () => three.stop());

interface Event {
  readonly ph: string;
  readonly name: string;
  readonly pid: number;
  readonly tid: number;
  readonly ts: number;
  readonly dur: number;
  readonly args: { readonly name?: string; readonly bytes?: number };
}

it("has every round and byte, on the data owner's clock, in a form that Perfetto opens", async () => {
  const traces: SessionTrace[] = [];
  const { measured } = await three.ask(plan, { onTrace: (trace) => void traces.push(trace) });
  const [trace] = traces;
  const document = chromeTrace(trace, { plan: plan.digest }) as { traceEvents: Event[]; otherData: object };
  expect(document.otherData).toEqual({ schema: "pumac.trace/1", plan: plan.digest, omitted: 0 });
  const slices = document.traceEvents.filter(({ ph }) => ph === "X");
  const names = document.traceEvents.filter(({ ph }) => ph === "M");
  const nameOf = (kind: string, pid: number, tid: number): string =>
    names.find((event) => event.name === `${kind}_name` && event.pid === pid && (tid === 0 || event.tid === tid))!.args
      .name!;
  const of = (side: string, lane: RegExp): Event[] =>
    slices.filter(({ pid, tid }) => nameOf("process", pid, 0) === side && lane.test(nameOf("thread", pid, tid)));
  for (const evaluator of ["P1", "P2"]) {
    expect(of(evaluator, /rounds/).length).toBe(measured.rounds);
  }
  const running = ({ ts }: Event, side: string): boolean =>
    ts >= of(side, /parts/).find(({ name }) => name === "running")!.ts;
  const sent = of("P1", /to P2/).filter((event) => running(event, "P1"));
  expect(sent.reduce((sum, { args }) => sum + args.bytes!, 0)).toBe(measured.bytes.links["P1>P2"]);
  // Whatever happens at a party happens while its owner waits, and nothing that is received was sent later.
  const owner = of("data owner", /parts/);
  const [first, last] = [owner[0].ts, owner.at(-1)!.ts + owner.at(-1)!.dur];
  const slack = 50_000;
  for (const { ts, dur } of slices) {
    expect(dur).toBeGreaterThanOrEqual(0);
    expect(ts).toBeGreaterThan(first - slack);
    expect(ts + dur).toBeLessThan(last + slack);
  }
  const lanes = new Map<string, number>();
  for (const { pid, tid, ts, dur } of [...slices].sort((a, b) => a.ts - b.ts)) {
    // Times are whole microseconds on each side.
    expect(ts).toBeGreaterThanOrEqual((lanes.get(`${pid} ${tid}`) ?? 0) - 1);
    lanes.set(`${pid} ${tid}`, ts + dur);
  }
});

it("is not made where nobody asks", async () => {
  const { measured } = await three.ask(plan);
  expect(JSON.stringify(measured)).not.toContain("frames");
  expect(PARTIES.every((party) => three.of[party].admission.waiting === 0)).toBe(true);
});
