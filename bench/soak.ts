/**
 * `npm run soak -- [QUESTIONS | MINUTESmin] [CLIENTS]`, 1000 and 20 without: three parties that stay, as processes on
 * this machine, asked again and again by so many data owners at once. Every answer must be right, nothing may fail, and
 * no party's memory may grow: the last line says. Exit 5 where it does not hold.
 */
import { type ChildProcess, fork } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createCertificate } from "../client/identities.js";
import { inputValues } from "../client/inputs.js";
import { dataInputs, runDataOwner } from "../client/owners.js";
import { askParties } from "../client/remote/ask.js";
import { shareModel } from "../client/remote/share.js";
import { addressOf, identityOf, loadTopology, type PublicPart, saveKey, saveTopology } from "../formats/topology.js";
import { compile, openForSharing } from "../index.js";
import { PartyDaemon } from "../party/daemon.js";
import { PlanShelf } from "../party/plans.js";
import { loadKernels } from "../runtime/kernels/load.js";
import { systemRandom } from "../runtime/keys.js";
import { processUsage } from "../runtime/memory.js";
import { PARTIES, type PartyName } from "../runtime/transport.js";
import { freePort } from "./free-port.js";
import { printNote, printResult } from "./terminal.js";

const [much = "1000", clients = "20"] = process.argv.slice(2);
/** For how long is asked, in milliseconds, or how often. */
const [time, questions] = much.endsWith("min")
  ? [60_000 * Number(much.slice(0, -3)), Infinity]
  : [Infinity, Number(much)];
const model = join("models", "bert-sst2", "bert_sst2.legacy.op14.onnx");
const tokenizer = join("models", "bert-sst2", "tokenizer.json");
const TEXTS = ["A fine film.", "A dull film, badly acted.", "I would see it again tomorrow.", "It never begins."];
const NAMES = [...PARTIES, "lab", "clinic"] as const;
/** Memory may be this much more at the end than after the first tenth. */
const MOST_GROWTH = 1.25;

/** Keys and topologies of all five. */
async function prepare(folder: string): Promise<void> {
  const peers: PublicPart["peers"] = {};
  for (const name of NAMES) {
    mkdirSync(join(folder, name));
    const { key, certificate } = await createCertificate(name, 1);
    saveKey(join(folder, name, "key"), key);
    const isParty = (PARTIES as readonly string[]).includes(name);
    peers[name] = { certificates: [certificate], ...(isParty && { address: `127.0.0.1:${await freePort()}` }) };
  }
  for (const name of NAMES) {
    saveTopology({ file: join(folder, name, "topology"), name, key: "key", state: "state", peers });
  }
}

/** One party, in a process of its own that runs this program: until it is ended. */
async function beParty(file: string): Promise<void> {
  const topology = loadTopology(file);
  const [P0, P1, P2] = PARTIES.map((name) => addressOf(topology, name));
  const party = topology.name as PartyName;
  const quiet = { info: () => undefined, warn: (fields: object) => printNote(JSON.stringify(fields)) };
  const daemon = new PartyDaemon({
    ...{ party, listenAt: addressOf(topology, party), addresses: { P0, P1, P2 }, identity: identityOf(topology) },
    ...{ state: topology.folder, sessions: 4, memory: 8e9, queue: 1000, timeout: 60_000, deadline: 600_000 },
    ...{
      quota: Number.POSITIVE_INFINITY,
      prepared: 0,
      kernels: loadKernels().create,
      random: systemRandom,
      log: quiet,
    },
    usage: processUsage,
  });
  await daemon.start();
  process.send?.("listening");
}

function start(folder: string, name: string): Promise<ChildProcess> {
  const child = fork(import.meta.filename, ["--party", join(folder, name, "topology")], { stdio: "inherit" });
  return new Promise((resolve, reject) => {
    child.once("message", () => resolve(child));
    child.once("exit", (status) => reject(new Error(`${name} ended with ${status}`)));
  });
}

function memoryOf({ pid }: ChildProcess): number {
  const found = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  return Number(found?.[1]) / 1000;
}

function at(sorted: readonly number[], part: number): string {
  return `${Math.round(1000 * sorted[Math.floor(part * (sorted.length - 1))])} ms`;
}

async function soak(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "pumac-soak-"));
  const children: ChildProcess[] = [];
  try {
    await prepare(folder);
    const asked = await deploy(folder, children);
    const early: number[] = [];
    const result = await askAll(asked, () => void early.push(...children.map(memoryOf)));
    const late = children.map(memoryOf);
    const grown = late.map((now, i) => `P${i} ${early[i].toFixed(0)} to ${now.toFixed(0)} MB`);
    printResult(`memory after a tenth and at the end: ${grown.join(", ")}`);
    const isSound = result === 0 && late.every((now, i) => now < MOST_GROWTH * early[i]);
    process.exitCode = isSound ? 0 : 5;
  } finally {
    for (const child of children) {
      child.kill("SIGKILL");
    }
    rmSync(folder, { recursive: true, force: true });
  }
}

type Ask = (i: number) => Promise<{ readonly logit: number; readonly setup: number }>;

/** Starts the parties, shares the model, and gives what asks about one of the texts. */
async function deploy(folder: string, children: ChildProcess[]): Promise<Ask> {
  const compiled = await compile(model, { dims: { b: 1, s: 48 } });
  compiled.save(join(folder, "plan"));
  for (const name of PARTIES) {
    const shelf = new PlanShelf(join(folder, name, "state"));
    shelf.approve(shelf.put(readFileSync(join(folder, "plan")), "plan"));
    children.push(await start(folder, name));
  }
  const plans = await openForSharing([join(folder, "plan")], [model]);
  await shareModel({ topology: loadTopology(join(folder, "lab", "topology")), timeout: 60_000, plans });
  const topology = loadTopology(join(folder, "clinic", "topology"));
  const inputs = dataInputs(compiled.plan);
  const values = await Promise.all(
    TEXTS.map(async (text) =>
      runDataOwner(compiled.plan, await inputValues({ texts: [text], tokenizer }, inputs), new Map()),
    ),
  );
  return async (i) => {
    const answer = await askParties(compiled, values[i % TEXTS.length], { topology, timeout: 60_000 });
    return { logit: answer.outputs.get("logits")!.data[0], setup: answer.measured.seconds.setup };
  };
}

/** Asks all questions; how many were wrong or failed. */
async function askAll(ask: Ask, onTenth: () => void): Promise<number> {
  const expected: number[] = [];
  for (const i of TEXTS.keys()) {
    expected.push((await ask(i)).logit);
  }
  let [next, wrong, failed] = [0, 0, 0];
  let isEarly = true;
  const [wall, setup]: [number[], number[]] = [[], []];
  const began = performance.now();
  const isOver = (part = 1): boolean => next >= part * questions || performance.now() - began >= part * time;
  const client = async (): Promise<void> => {
    while (!isOver()) {
      const i = next++;
      const since = performance.now();
      try {
        const answer = await ask(i);
        wrong += Math.abs(answer.logit - expected[i % TEXTS.length]) < 0.02 ? 0 : 1;
        setup.push(answer.setup);
        wall.push((performance.now() - since) / 1000);
      } catch (error) {
        failed++;
        printNote(String(error));
      }
      if (isEarly && isOver(0.1)) {
        isEarly = false;
        onTenth();
      }
    }
  };
  await Promise.all(Array.from({ length: Number(clients) }, client));
  const seconds = (performance.now() - began) / 1000;
  wall.sort((a, b) => a - b);
  setup.sort((a, b) => a - b);
  printResult(`${next} questions by ${clients} clients in ${seconds.toFixed(0)} s: ${wrong} wrong, ${failed} failed`);
  printResult(`a question: median ${at(wall, 0.5)}, 95 % ${at(wall, 0.95)}; its handshake: median ${at(setup, 0.5)}`);
  return wrong + failed;
}

await (process.argv[2] === "--party" ? beParty(process.argv[3]) : soak());
