/**
 * Protects: the network is cut and worse, and the queue's server dies, while a batch runs on several lanes, and every
 * row is answered once, and rightly; each try is a session of its own. (Killed parties: test/processes/batch.test.ts.)
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type NatsServer, startNats, WITHOUT_NATS } from "../../bench/nats.js";
import { type Answer, answersOf } from "../../client/answers.js";
import { simulate } from "../../client/local/simulation.js";
import { dataInputs, runDataOwner, runOwners, type SessionResult } from "../../client/owners.js";
import { askParties } from "../../client/remote/ask.js";
import { Batch } from "../../gateway/batch.js";
import { Lanes } from "../../gateway/lanes.js";
import { InProcessQueue } from "../../gateway/queue/in-process.js";
import { openJetStream } from "../../gateway/queue/jetstream.js";
import type { Queue } from "../../gateway/queue/queue.js";
import type { TensorValue } from "../../ir/tensor/value.js";
import { FaultyNetwork } from "../party/faulty.js";
import { smallPlan, startThree, type Three } from "../party/three.js";

type Values = ReadonlyMap<string, TensorValue>;

const LANES = 2;
const ROWS = 6;
const TIMEOUT = 2500;
const LEASE = 600;

const folder = mkdtempSync(join(tmpdir(), "pumac-faults-"));
const data = join(folder, "rows.jsonl");
const networks = Array.from({ length: LANES }, () => new FaultyNetwork());
let plan: Awaited<ReturnType<typeof smallPlan>>;
let trios: readonly Three[];
let nats: NatsServer | undefined;
/** What each row's answer is, by the roles in one process: scores by class. */
const expected = new Map<number, Readonly<Record<string, number>>>();
/** Sessions that were answered. */
const sessions: string[] = [];

const inputsOf = (row: number): Values =>
  new Map(
    [...dataInputs(plan.plan)].map(([name, { shape, dtype }]) => {
      const length = shape.reduce((product, size) => product * size, 1);
      const fill = (_: number, i: number): number =>
        name === "input_ids" ? 1 + ((row * 7 + i) % 20) : Number(/mask/.test(name));
      return [name, { shape, dtype, data: new Float64Array(length).map(fill) }];
    }),
  );

function scoresIn(answer: { readonly kind: string }): Readonly<Record<string, number>> {
  const { best } = answer as Extract<Answer, { readonly kind: "class" }>;
  return Object.fromEntries(best.map(({ name, score }) => [name, score]));
}

beforeAll(async () => {
  plan = await smallPlan();
  for (let row = 1; row <= ROWS; row++) {
    const { outputs } = await simulate(plan, runOwners(plan.plan, inputsOf(row), plan.weights), 1);
    const [answer] = await answersOf(outputs, inputsOf(row), {});
    expected.set(row, scoresIn(answer));
  }
  const line = (_: unknown, i: number): string =>
    JSON.stringify(Object.fromEntries([...inputsOf(i + 1)].map(([name, value]) => [name, [...value.data]])));
  writeFileSync(data, Array.from({ length: ROWS }, line).join("\n"));
  trios = await Promise.all(networks.map((network) => startThree({ timeout: TIMEOUT }, (at) => network.through(at))));
  for (const trio of trios) {
    trio.approve(plan.digest);
    await trio.share(plan, { timeout: 20_000 });
  }
  nats = WITHOUT_NATS === undefined ? await startNats() : undefined;
});
afterAll(async () => {
  await Promise.all(trios.map((trio) => trio.stop()));
  networks.forEach((network) => void network.close());
  await nats?.stop();
  rmSync(folder, { recursive: true });
});

/** Answers all rows over the lanes; `during` is called when so many rows are answered. */
async function answerAll(queue: Queue, during: Readonly<Record<number, () => Promise<unknown>>> = {}): Promise<void> {
  const output = join(mkdtempSync(join(folder, "run-")), "answers.jsonl");
  const options = { data, output, plan: plan.digest, expected: dataInputs(plan.plan), encoder: undefined };
  const batch = await Batch.open({ ...options, truncate: false, reading: {} });
  const ask = async (trio: Three, inputs: Values): Promise<SessionResult> => {
    const values = runDataOwner(plan.plan, inputs, new Map());
    const answer = await askParties(plan, values, { topology: trio.topology("clinic"), timeout: TIMEOUT });
    sessions.push(answer.session);
    return answer;
  };
  const lanes = new Lanes({
    lanes: trios.map((trio, i) => ({ name: `lane ${i}`, ask: (inputs: Values) => ask(trio, inputs) })),
    ...{ queue, lease: LEASE, patience: 60_000, capacity: 100, rest: 50 },
  });
  const events: Promise<unknown>[] = [];
  try {
    await batch.answer(lanes, 2 * LANES, (done) => {
      const event = during[done];
      events.push(event?.() ?? Promise.resolve());
    });
  } finally {
    batch.close();
    await Promise.all(events);
    await lanes.close();
    await queue.close();
  }
  expect(batch.result).toMatchObject({ rows: ROWS, done: ROWS, failed: 0, withheld: 0 });
  const lines = readFileSync(output, "utf8").trimEnd().split("\n");
  const answers = lines.map((line) => JSON.parse(line) as { row: number; kind: string });
  expect(answers.map(({ row }) => row).toSorted((a, b) => a - b)).toEqual([...expected.keys()]);
  for (const answer of answers) {
    const known = expected.get(answer.row)!;
    for (const [name, score] of Object.entries(scoresIn(answer))) {
      expect(Math.abs(score - known[name]), `row ${answer.row}`).toBeLessThan(0.02);
    }
  }
  expect(new Set(sessions).size).toBe(sessions.length);
}

const inProcess = (): Queue => new InProcessQueue({ lease: LEASE, capacity: 100 });

describe("a batch on several lanes answers every row once, and rightly", () => {
  it.each([1])("while the network does what networks do, with seed %i", async (seed) => {
    networks.forEach((network, i) => void network.plan(seed * LANES + i));
    await answerAll(inProcess()).finally(() => networks.forEach((network) => void network.plan(undefined)));
  });

  it.skipIf(WITHOUT_NATS !== undefined)("while the queue's server is killed and comes back", async () => {
    const given = { lease: LEASE, capacity: 100, server: nats!.url, name: "faults", patience: 20_000 };
    await answerAll(await openJetStream(given), {
      3: async () => {
        await nats!.kill();
        await new Promise((resolve) => setTimeout(resolve, LEASE));
        await nats!.restart();
      },
    });
  });
});
