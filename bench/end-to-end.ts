/**
 * Private inference beside the same model in the clear, in one run on one machine, so that what the machine is doing
 * otherwise hits both: three party processes against onnxruntime on one thread and against the plain evaluator.
 *
 *     npm run bench:end-to-end [-- bert-base gpt2 …]      whole models of known architectures, instead of two layers
 *
 * Times are the best of several runs (of whole models one session): wall seconds, and CPU seconds of all processes,
 * which other programs disturb less.
 */
import { existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { formatBytes, formatSeconds } from "../analysis/units.js";
import { withLocalParties } from "../client/local/parties.js";
import { dataInputs, type OwnerValues, runDataOwner, runModelOwner, runOwnerClients } from "../client/owners.js";
import { type CompileOptions, compileModel } from "../compiler/compile.js";
import { importModel } from "../compiler/import.js";
import { writeModel } from "../formats/onnx/write.js";
import { type LoadedPlan, savePlan } from "../formats/plan-file.js";
import { evaluateGraph } from "../ir/tensor/index.js";
import type { TensorType, TensorValue } from "../ir/tensor/value.js";
import { sizeOf } from "../ir/tensor/value.js";
import { ARCHITECTURES, type ArchitectureConfig, architectureModel } from "../models/architectures/index.js";
import { systemRandom } from "../runtime/keys.js";
import type { Measured } from "../runtime/measurement.js";
import { printNote, printResult } from "./terminal.js";

const NAMED = process.argv.slice(2);
const RUNS = 3;
const SESSIONS = NAMED.length === 0 ? RUNS : 1;
const TIMEOUT = 600_000;
const folder = mkdtempSync(join(tmpdir(), "pumac-bench-"));

interface Model {
  readonly name: string;
  readonly path: string;
  readonly options: CompileOptions;
}

type Inputs = ReadonlyMap<string, TensorValue>;

/** Wall and CPU seconds. */
interface Spent {
  readonly wall: number;
  readonly cpu: number;
}

function bundled(): Model {
  const path = join("models", "bert-sst2", "bert_sst2.legacy.op14.onnx");
  return { name: "bundled BERT, 2 layers, 48 tokens", path, options: { dims: { b: 1, s: 48 } } };
}

/** A known architecture with random weights, written for this run. */
function written(name: string, tokens: number, layers: number): Model {
  const config: ArchitectureConfig = { ...ARCHITECTURES[name], layers };
  const path = join(folder, `${name}.onnx`);
  writeModel(path, architectureModel(config, tokens), { external: `${name}.onnx.data` });
  const reveal = config.architecture === "bert" || config.architecture === "roberta" ? {} : { reveal: ["token"] };
  const size = layers === ARCHITECTURES[name].layers ? "" : `${layers} of its ${ARCHITECTURES[name].layers} layers, `;
  return { name: `${name}, ${size}${tokens} tokens`, path, options: reveal };
}

/** Ids all over the vocabulary, nothing masked, one segment. */
function inputsFor(types: ReadonlyMap<string, TensorType>): Inputs {
  return new Map(
    [...types].map(([name, { dtype, shape }]) => {
      const element = (i: number) => (/mask/.test(name) ? 1 : /type/.test(name) ? 0 : (7 * i) % 1000);
      return [name, { dtype, shape, data: Float64Array.from({ length: sizeOf(shape) }, (_, i) => element(i)) }];
    }),
  );
}

async function spent(work: () => unknown): Promise<Spent> {
  const [start, before] = [performance.now(), process.cpuUsage()];
  await work();
  const { user, system } = process.cpuUsage(before);
  return { wall: (performance.now() - start) / 1000, cpu: (user + system) / 1e6 };
}

async function best(work: () => Promise<Spent>): Promise<Spent> {
  const all: Spent[] = [];
  for (let i = 0; i < RUNS; i++) {
    all.push(await work());
  }
  return { wall: Math.min(...all.map(({ wall }) => wall)), cpu: Math.min(...all.map(({ cpu }) => cpu)) };
}

/** One inference by onnxruntime, on one thread. */
async function byOnnxruntime(path: string, inputs: Inputs): Promise<Spent> {
  const { InferenceSession, Tensor } = await import("onnxruntime-node");
  const session = await InferenceSession.create(path, { intraOpNumThreads: 1, interOpNumThreads: 1 });
  const feeds = Object.fromEntries(
    session.inputNames.map((name) => {
      const { data, shape } = inputs.get(name)!;
      return [name, new Tensor("int64", BigInt64Array.from(data as Float64Array, BigInt), [...shape])];
    }),
  );
  await session.run(feeds);
  return best(() => spent(() => session.run(feeds)));
}

interface Private {
  readonly spent: Spent;
  readonly online: number;
  readonly measured: Measured;
}

/** Sessions of three party processes; what all processes spent, this one's sharing included. */
async function byParties(loaded: LoadedPlan, planPath: string, values: OwnerValues): Promise<Private> {
  const results: Private[] = [];
  for (let i = 0; i < SESSIONS; i++) {
    let measured: Measured | undefined;
    const own = await spent(async () => {
      const options = { planPath, tls: false, timeout: TIMEOUT };
      const session = await withLocalParties(options, (transports) =>
        runOwnerClients(transports, { ...loaded, values, random: systemRandom }),
      );
      measured = session.measured;
    });
    const { cpu, seconds } = measured!;
    const parties = Object.values(cpu).reduce<number>((sum, each) => sum + (each ?? 0), 0);
    results.push({
      spent: { wall: own.wall, cpu: own.cpu + parties },
      online: seconds.online,
      measured: measured!,
    });
  }
  return results.reduce((least, each) => (each.online < least.online ? each : least));
}

async function compare({ name, path, options }: Model): Promise<void> {
  printNote(`${name} …`);
  const { plan, weights } = await compileModel(path, options);
  const planPath = join(folder, "plan.pumac");
  const loaded = savePlan(planPath, plan, { model: path });
  const inputs = inputsFor(dataInputs(plan));
  const clear = await byOnnxruntime(path, inputs);
  const model = await importModel(path, { dims: options.dims ?? {}, shapes: {} });
  const plain = await spent(() => evaluateGraph(model.graph, inputs, model.weights));
  const given = runModelOwner(plan, weights);
  const secret = await byParties(loaded, planPath, runDataOwner(plan, inputs, given));
  report(name, path, { clear, plain, secret });
}

function report(name: string, path: string, times: { clear: Spent; plain: Spent; secret: Private }): void {
  const { clear, plain, secret } = times;
  const { rounds, bytes, memory } = secret.measured;
  const ratio = (one: number, other: number): string => `${Number((one / other).toPrecision(2))}×`;
  const peak = Object.values(memory).map((each) => formatBytes(each ?? 0));
  const data = `${path}.data`;
  const size = statSync(existsSync(data) ? data : path).size;
  const rows: [string, string, string, string][] = [
    ["", "wall", "CPU", "to onnxruntime (wall, CPU)"],
    ["onnxruntime, one thread", formatSeconds(clear.wall), formatSeconds(clear.cpu), ""],
    [
      "plain evaluator",
      formatSeconds(plain.wall),
      formatSeconds(plain.cpu),
      `${ratio(plain.wall, clear.wall)}, ${ratio(plain.cpu, clear.cpu)}`,
    ],
    ["private, online", formatSeconds(secret.online), "", ratio(secret.online, clear.wall)],
    [
      "private, whole session",
      formatSeconds(secret.spent.wall),
      formatSeconds(secret.spent.cpu),
      `${ratio(secret.spent.wall, clear.wall)}, ${ratio(secret.spent.cpu, clear.cpu)}`,
    ],
  ];
  printResult(`${name}: weights ${formatBytes(size)}`);
  for (const [what, wall, cpu, to] of rows) {
    printResult(`  ${what.padEnd(26)}${wall.padStart(10)}${cpu.padStart(10)}   ${to}`);
  }
  printResult(`  ${rounds} rounds, ${formatBytes(bytes.total)} between parties, ${formatBytes(bytes.input)} of shares`);
  printResult(`  peak memory of P0, P1, P2: ${peak.join(", ")}`);
}

const TOKENS: Readonly<Record<string, number>> = { gpt2: 32, "gpt2-medium": 32, "gpt2-large": 32 };

try {
  const models =
    NAMED.length > 0
      ? NAMED.map((name) => () => written(name, TOKENS[name] ?? 128, ARCHITECTURES[name].layers))
      : [bundled, () => written("bert-base", 128, 2), () => written("gpt2", 32, 2)];
  for (const make of models) {
    await compare(make());
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
