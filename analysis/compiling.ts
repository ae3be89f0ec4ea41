/**
 * Compiling in a thread of its own: a compile computes for seconds or minutes without a pause, and whoever waits for it
 * must be able to hear a signal, draw how far it is, and end it at any moment.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { remember, standingOf } from "../client/verified.js";
import type { CompileOptions } from "../compiler/compile.js";
import { parseNetwork } from "../compiler/network.js";
import { openForPlan } from "../compiler/text/compile.js";
import { verifyPlan } from "../compiler/verify.js";
import { openModel } from "../compiler/weights.js";
import type { ModelFiles } from "../formats/plan-file.js";
import { type Diagnostic, fail, PumacError } from "../ir/diagnostics.js";
import { decodePlan, digestIn, encodePlan, planDigest } from "../ir/plan/codec.js";
import type { Plan } from "../ir/plan/types.js";
import { loadKernels } from "../runtime/kernels/load.js";
import { calibrationInputs, type Samples } from "./data/calibration.js";

/** What decides a plan, beside the model; plain values, which a thread can be given. */
export type PlanOptions = Omit<
  CompileOptions,
  "calibration" | "calibrationRun" | "network" | "dump" | "record" | "records" | "next"
> & {
  readonly calibrate: readonly Omit<Samples, "onCut">[];
  readonly network?: string;
};

type Task =
  | { readonly kind: "compile"; readonly model: string; readonly options: PlanOptions; readonly dump: boolean }
  | { readonly kind: "verify"; readonly plan: Uint8Array; readonly files: ModelFiles; readonly again: boolean };

/** What a thread says on the way. */
export interface Heard {
  readonly onCalibration?: ((inputs: number) => void) | undefined;
  readonly onProgress?: ((done: number, all: number) => void) | undefined;
  readonly dump?: ((name: string, text: string) => void) | undefined;
}

/** A plan in its file's bytes, and what is said of it. */
export interface Made {
  readonly file: Uint8Array;
  readonly warnings: readonly Diagnostic[];
  readonly ranges: Plan["ranges"]["method"];
}

type Message =
  | { readonly kind: "heard"; readonly what: keyof Heard; readonly args: readonly unknown[] }
  | { readonly kind: "made"; readonly made: Made | undefined }
  | { readonly kind: "refused"; readonly diagnostics: readonly Diagnostic[] }
  | { readonly kind: "failed"; readonly error: unknown };

/** Compiles a model. `signal` ends it at once: it rejects with the signal's reason. */
export async function compileApart(
  model: string,
  options: PlanOptions,
  heard: Heard,
  signal: AbortSignal | undefined,
): Promise<Made> {
  return (await apart({ kind: "compile", model, options, dump: heard.dump !== undefined }, heard, signal))!;
}

/**
 * Sees that a plan is of this model, before its weights are shared: the model is compiled again with what the plan says
 * of its making, and must give the same plan. What was seen is remembered in the owner's state folder, and is enough
 * unless `again`. E0801 where the plan is of another model or of other weights.
 */
export async function verifyApart(
  plan: Plan,
  files: ModelFiles,
  { again, signal }: { readonly again: boolean; readonly signal?: AbortSignal | undefined },
): Promise<void> {
  await apart({ kind: "verify", plan: encodePlan(plan), files, again }, {}, signal);
}

async function verifyHere(plan: Plan, files: ModelFiles, again: boolean): Promise<void> {
  const digest = planDigest(plan);
  const standing = again ? "unknown" : standingOf(digest, plan, files, (await openModel(files, plan)).weights);
  if (standing === "others") {
    const what = "the plan was compiled from other weights";
    const why = "its ranges were measured on those; with these the answer could be wrong without a word";
    const fix = "give the model that the plan was compiled from, or compile a plan from this one";
    throw fail({ code: "E0801", what, where: files.model, why, fix });
  }
  if (standing === "unknown") {
    remember(digest, plan, files, await verifyPlan(plan, files, loadKernels().multiplyReals));
  }
}

async function perform(task: Task, heard: Heard): Promise<Made | undefined> {
  if (task.kind === "verify") {
    await verifyHere(decodePlan(task.plan, "the plan"), task.files, task.again);
    return undefined;
  }
  const { calibrate, network, ...options } = task.options;
  const planned = network === undefined ? {} : { network: parseNetwork(network) };
  const { inputs, compile } = await openForPlan(task.model, options);
  const types = new Map(inputs.map(({ name, dtype, shape }) => [name, { dtype, shape }] as const));
  const samples = await calibrationInputs(calibrate, types);
  heard.onCalibration?.(samples.length);
  const { plan, warnings, calibration, weights } = await compile({
    ...options,
    ...planned,
    ...(calibrate.length === 0 ? {} : { calibration: samples }),
    ...(heard.dump === undefined ? {} : { dump: heard.dump }),
    calibrationRun: { multiply: loadKernels().multiplyReals, onProgress: heard.onProgress },
  });
  const file = encodePlan(plan);
  if (calibration !== "structure") {
    const { weightsFile } = options;
    const files = { model: task.model, ...(weightsFile === undefined ? {} : { weights: weightsFile }) };
    remember(digestIn(file), plan, files, weights);
  }
  return { file, warnings, ranges: calibration };
}

const THREAD = join(import.meta.dirname, "compiling.js");

async function apart(task: Task, heard: Heard, signal: AbortSignal | undefined): Promise<Made | undefined> {
  signal?.throwIfAborted();
  if (!existsSync(THREAD)) {
    return perform(task, heard); // not translated: a test runs the sources
  }
  const thread = new Worker(THREAD, { workerData: task });
  return new Promise<Made | undefined>((resolve, reject) => {
    signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
    thread.on("error", reject);
    thread.on("message", (message: Message) => {
      if (message.kind === "heard") {
        (heard[message.what] as ((...args: readonly unknown[]) => void) | undefined)?.(...message.args);
      } else if (message.kind === "made") {
        resolve(message.made);
      } else {
        reject(message.kind === "refused" ? fail(...message.diagnostics) : message.error);
      }
    });
  }).finally(() => thread.terminate());
}

async function serve(task: Task, say: (message: Message) => void): Promise<void> {
  const saying =
    (what: keyof Heard) =>
    (...args: readonly unknown[]): void =>
      say({ kind: "heard", what, args });
  const heard: Heard = {
    onCalibration: saying("onCalibration"),
    onProgress: saying("onProgress"),
    ...(task.kind === "compile" && task.dump && { dump: saying("dump") }),
  };
  try {
    say({ kind: "made", made: await perform(task, heard) });
  } catch (error) {
    say(error instanceof PumacError ? { kind: "refused", diagnostics: error.diagnostics } : { kind: "failed", error });
  }
}

if (!isMainThread && (workerData as Task | null)?.kind !== undefined && parentPort !== null) {
  const port = parentPort;
  await serve(workerData as Task, (message) => port.postMessage(message));
}
