/**
 * Lanes on one machine, over the bundled model.
 *
 *     npm run bench:lanes -- [ROWS] [--queue nats://…]     rows a second with 1, 2 and 4 lanes, and what a queue costs
 *     npm run bench:lanes -- [ROWS] --faults [SECONDS]     4 lanes, and every so many seconds something goes wrong
 *
 * With --faults a party is killed, or stops for longer than anybody waits for it, the network to a party is cut, the
 * queue is killed and comes back, or the disk is full and the batch goes on when it is not any more (where `prlimit`
 * is: no file of this process may grow); every row must be answered once, and with the label that one calm lane gives;
 * exit 5 where it is not.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startTrio, type Trio } from "../client/local/trio.js";
import { dataInputs } from "../client/owners.js";
import { loadEncoder } from "../formats/text.js";
import { addressOf, type Topology } from "../formats/topology.js";
import { Batch } from "../gateway/batch.js";
import { withLanes } from "../gateway/open-lanes.js";
import { InProcessQueue } from "../gateway/queue/in-process.js";
import { openJetStream } from "../gateway/queue/jetstream.js";
import type { Queue } from "../gateway/queue/queue.js";
import { type CompiledPlan, compile, openForSharing } from "../index.js";
import { PumacError } from "../ir/diagnostics.js";
import { PARTIES } from "../runtime/transport.js";
import { Cable } from "./cable.js";
import { type NatsServer, startNats, WITHOUT_NATS } from "./nats.js";
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

const outputOf = (name: string): string => join(folder, `${name}.jsonl`);

/** Answers all rows of these data owners' topologies; seconds, and the label of each row. */
async function answer(plan: CompiledPlan, topologies: readonly Topology[], name: string, set = data, queue = server) {
  const output = outputOf(name);
  const options = { data: set, output, plan: plan.digest, expected: dataInputs(plan.plan), encoder };
  const batch = await Batch.open({ ...options, truncate: true, reading: {} });
  const began = performance.now();
  const given = { loaded: plan, topologies, timeout: TIMEOUT, server: queue, capacity: 4 * topologies.length };
  try {
    await withLanes({ ...given, onTrouble: printNote }, (lanes) =>
      batch.answer(lanes, 2 * topologies.length, () => undefined),
    );
  } finally {
    batch.close();
  }
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

async function throughput(plan: CompiledPlan, topologies: readonly Topology[]): Promise<void> {
  await answer(plan, topologies, "warm", once);
  let first = 0;
  for (const count of [1, 2, 4]) {
    const { seconds } = await answer(plan, topologies.slice(0, count), `lanes-${count}`);
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

/** How long a file of a process may become. */
const limitOfFiles = (bytes: number | "unlimited", id = process.pid): boolean =>
  spawnSync("prlimit", [`--pid=${id}`, `--fsize=${bytes}:`]).status === 0;

/** A party has the limits of who starts it: its own disk is never full. */
function noteParty(id: number): void {
  processes.push(id);
  limitOfFiles("unlimited", id);
}

/** What goes wrong, one after the other; each gives whether it did. */
function troubles(output: string, cables: readonly Cable[], nats: NatsServer | undefined) {
  const oneOf = <T>(list: readonly T[]): T => list[Math.floor(Math.random() * list.length)];
  const send = (victim: number, signal: "SIGKILL" | "SIGSTOP" | "SIGCONT"): boolean => {
    try {
      return process.kill(victim, signal);
    } catch {
      return false; // It was killed before, and another process has its place.
    }
  };
  const kill = (): boolean => send(oneOf(processes), "SIGKILL");
  const stall = (): boolean => {
    const victim = oneOf(processes);
    setTimeout(() => send(victim, "SIGCONT"), 1.3 * TIMEOUT);
    return send(victim, "SIGSTOP");
  };
  const cut = (): boolean => {
    oneOf(cables).cut(1000);
    return true;
  };
  const queue = (): boolean => {
    void nats?.kill().then(() => setTimeout(() => void nats.restart(), 1000));
    return nats !== undefined;
  };
  const disk = (): boolean => existsSync(output) && limitOfFiles(statSync(output).size + 1);
  return [
    ["kills", kill],
    ["cuts", cut],
    ["kills", kill],
    ["stalls", stall],
    ["full disks", disk],
    ["kills", kill],
    ["queues killed", queue],
  ] as const;
}

async function faults(plan: CompiledPlan, topologies: readonly Topology[], seconds: number): Promise<void> {
  const calm = await answer(plan, topologies.slice(0, 1), "calm", once);
  const nats = WITHOUT_NATS === undefined ? await startNats() : undefined;
  const cables: Cable[] = [];
  const through = await Promise.all(topologies.map((topology) => overCables(topology, cables)));
  const list = troubles(outputOf("rough"), cables, nats);
  const counts = new Map<string, number>(list.map(([name]) => [name, 0]));
  let ticks = 0;
  const trouble = setInterval(() => {
    const [name, happen] = list[ticks++ % list.length];
    counts.set(name, counts.get(name)! + Number(happen()));
  }, 1000 * seconds);
  const began = performance.now();
  const rough = await untilThereIsRoom(() => answer(plan, through, "rough", data, nats?.url)).finally(() => {
    clearInterval(trouble);
    cables.forEach((cable) => void cable.close());
  });
  await nats?.stop();
  const wrong = [...rough.labels].filter(([row, label]) => calm.labels.get(1 + ((row - 1) % different)) !== label);
  const times = `${((performance.now() - began) / 1000).toFixed(0)} s`;
  const happened = [...counts].map(([name, count]) => `${count} ${name}`).join(", ");
  printResult(`${rough.lines} lines for ${rows} rows, ${wrong.length} other labels, ${happened}; ${times}`);
  process.exitCode = rough.lines === rows && rough.labels.size === rows && wrong.length === 0 ? 0 : 5;
}

/** The same parties, each behind a cable of its own. */
async function overCables(topology: Topology, cables: Cable[]): Promise<Topology> {
  const peers = { ...topology.peers };
  for (const party of PARTIES) {
    const cable = await Cable.to((addressOf(topology, party) as { readonly port: number }).port);
    cables.push(cable);
    peers[party] = { ...peers[party], address: `127.0.0.1:${cable.port}` };
  }
  return { ...topology, peers };
}

/** A batch that ends because the disk is full is started again when there is room. */
async function untilThereIsRoom<T>(work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof PumacError) || error.diagnostics[0].code !== "E1001") {
        throw error;
      }
      printNote(`the batch ends: ${error.diagnostics[0].what}`);
      limitOfFiles("unlimited");
    }
  }
}

const trios: Trio[] = [];
try {
  const plan = await prepare();
  const plans = await openForSharing([plan], [], { trusted: [plan.digest] });
  for (let lane = 0; lane < MOST_LANES; lane++) {
    printNote(`lane ${lane} …`);
    trios.push(await startTrio({ plans, timeout: TIMEOUT, onStarted: (_, id) => noteParty(id) }));
  }
  const topologies = trios.map(({ topology }) => topology);
  const isCalm = !words.includes("--faults");
  await (isCalm ? throughput(plan, topologies) : faults(plan, topologies, Number(after("--faults") ?? 5)));
} finally {
  trios.forEach(({ close }) => void close());
  rmSync(folder, { recursive: true, force: true });
}
