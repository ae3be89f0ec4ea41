/**
 * Lanes on one machine, over the bundled model.
 *
 *     npm run bench:lanes -- [ROWS] [--queue nats://…]     rows a second with 1, 2 and 4 lanes, and what a queue costs
 *     npm run bench:lanes -- [ROWS] --faults [SECONDS]     4 lanes, and every so many seconds something goes wrong
 *
 * With --faults a party is killed, or stops for longer than anybody waits for it, or the queue is killed and comes
 * back; every row must be answered once, and with the label that one calm lane gives; exit 5 where it is not.
 * (A full disk: test/gateway/batch.test.ts.)
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startTrio, type Trio } from "../client/local/trio.js";
import { dataInputs } from "../client/owners.js";
import { loadEncoder } from "../formats/text.js";
import { Batch } from "../gateway/batch.js";
import { withLanes } from "../gateway/open-lanes.js";
import { InProcessQueue } from "../gateway/queue/in-process.js";
import { openJetStream } from "../gateway/queue/jetstream.js";
import type { Queue } from "../gateway/queue/queue.js";
import { type CompiledPlan, compile, openForSharing } from "../index.js";
import { startNats, WITHOUT_NATS } from "./nats.js";
import { printNote, printResult } from "./terminal.js";

const words = process.argv.slice(2);
const after = (name: string): string | undefined => (words.includes(name) ? words[words.indexOf(name) + 1] : undefined);
const rows = Number(words.find((word) => /^\d+$/.test(word)) ?? 40);
const server = after("--queue");
const MODELS = join("models", "bert-sst2");
const MOST_LANES = 4;
const TIMEOUT = 20_000;
const REQUESTS = 500;

const folder = mkdtempSync(join(tmpdir(), "pumac-bench-"));
const data = join(folder, "rows.jsonl");
/** The same rows, each text once. */
const once = join(folder, "once.jsonl");
let different = 0;
const tokenizer = join(MODELS, "tokenizer.json");
const encoder = loadEncoder(tokenizer);
/** Processes of parties that run. */
const processes: number[] = [];

async function prepare(): Promise<CompiledPlan> {
  const sentences = join(MODELS, "sentences.json");
  const texts = (JSON.parse(readFileSync(sentences, "utf8")) as { text: string }[]).map(({ text }) => text);
  const line = (_: unknown, i: number): string => JSON.stringify({ text: texts[i % texts.length] });
  different = Math.min(rows, texts.length);
  writeFileSync(data, Array.from({ length: rows }, line).join("\n"));
  writeFileSync(once, Array.from({ length: different }, line).join("\n"));
  const calibrate = [{ texts, tokenizer }];
  return await compile(join(MODELS, "bert_sst2.legacy.op14.onnx"), { dims: { b: 1, s: 48 }, calibrate });
}

/** Answers all rows on these trios; seconds, and the label of each row. */
async function answer(plan: CompiledPlan, trios: readonly Trio[], name: string, set = data, queue = server) {
  const output = join(folder, `${name}.jsonl`);
  const options = { data: set, output, plan: plan.digest, expected: dataInputs(plan.plan), encoder };
  const batch = await Batch.open({ ...options, truncate: true, reading: {} });
  const topologies = trios.map(({ topology }) => topology);
  const began = performance.now();
  const given = { loaded: plan, topologies, timeout: TIMEOUT, server: queue, capacity: 4 * trios.length };
  await withLanes({ ...given, onTrouble: printNote }, (lanes) =>
    batch.answer(lanes, 2 * trios.length, () => undefined),
  );
  batch.close();
  const seconds = (performance.now() - began) / 1000;
  const lines = readFileSync(output, "utf8").trimEnd().split("\n");
  const answers = lines.map((line) => JSON.parse(line) as { row: number; best?: { name: string }[] });
  return { seconds, labels: new Map(answers.map(({ row, best }) => [row, best?.[0].name])), lines: lines.length };
}

/** Seconds that a request takes in a queue that is otherwise idle: put, claimed, acknowledged. */
async function queueSeconds(queue: Queue): Promise<number> {
  const began = performance.now();
  for (let i = 0; i < REQUESTS; i++) {
    await queue.put(`request-${i}`);
    await (await queue.claim(new AbortController().signal))!.acknowledge();
  }
  await queue.close();
  return (performance.now() - began) / 1000 / REQUESTS;
}

async function throughput(plan: CompiledPlan, trios: readonly Trio[]): Promise<void> {
  await answer(plan, trios, "warm");
  let first = 0;
  for (const count of [1, 2, 4]) {
    const { seconds } = await answer(plan, trios.slice(0, count), `lanes-${count}`);
    first ||= seconds;
    const rate = (rows / seconds).toFixed(2);
    printResult(`${count} lanes: ${rate} rows/s, ${(first / seconds).toFixed(2)} times one lane`);
  }
  const bounds = { lease: 30_000, capacity: 100 };
  const queues = { "in this process": new InProcessQueue(bounds) } as Record<string, Queue>;
  if (server !== undefined) {
    queues["of JetStream"] = await openJetStream({ ...bounds, server, name: "bench", isTemporary: true });
  }
  for (const [name, queue] of Object.entries(queues)) {
    const each = await queueSeconds(queue);
    const part = ((100 * each * rows) / first).toFixed(3);
    printResult(`queue ${name}: ${(1e6 * each).toFixed(0)} µs a request, ${part} % of one on one lane`);
  }
}

async function faults(plan: CompiledPlan, trios: readonly Trio[], seconds: number): Promise<void> {
  const calm = await answer(plan, trios.slice(0, 1), "calm", once);
  const nats = WITHOUT_NATS === undefined ? await startNats() : undefined;
  const counts = { kills: 0, stalls: 0, queues: 0 };
  const send = (victim: number, signal: "SIGKILL" | "SIGSTOP" | "SIGCONT"): number => {
    try {
      return Number(process.kill(victim, signal));
    } catch {
      return 0; // It was killed before, and another process has its place.
    }
  };
  let ticks = 0;
  const trouble = setInterval(() => {
    const victim = processes[Math.floor(Math.random() * processes.length)];
    switch (ticks++ % 5) {
      case 3:
        counts.stalls += send(victim, "SIGSTOP");
        setTimeout(() => send(victim, "SIGCONT"), 1.3 * TIMEOUT);
        break;
      case 4:
        counts.queues += Number(nats !== undefined);
        void nats?.kill().then(() => setTimeout(() => void nats.restart(), 1000));
        break;
      default:
        counts.kills += send(victim, "SIGKILL");
    }
  }, 1000 * seconds);
  const rough = await answer(plan, trios, "rough", data, nats?.url).finally(() => clearInterval(trouble));
  await nats?.stop();
  const wrong = [...rough.labels].filter(([row, label]) => calm.labels.get(1 + ((row - 1) % different)) !== label);
  const times = `${rough.seconds.toFixed(0)} s`;
  const happened = `${counts.kills} kills, ${counts.stalls} stalls, ${counts.queues} queues killed`;
  printResult(`${rough.lines} lines for ${rows} rows, ${wrong.length} other labels, ${happened}; ${times}`);
  process.exitCode = rough.lines === rows && rough.labels.size === rows && wrong.length === 0 ? 0 : 5;
}

const trios: Trio[] = [];
try {
  const plan = await prepare();
  const plans = await openForSharing([plan], [], { trusted: [plan.digest] });
  for (let lane = 0; lane < MOST_LANES; lane++) {
    printNote(`lane ${lane} …`);
    trios.push(await startTrio({ plans, timeout: TIMEOUT, onStarted: (_, id) => processes.push(id) }));
  }
  await (words.includes("--faults") ? faults(plan, trios, Number(after("--faults") ?? 5)) : throughput(plan, trios));
} finally {
  trios.forEach(({ close }) => void close());
  rmSync(folder, { recursive: true, force: true });
}
