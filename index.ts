/**
 * pumac as a library: what the command line does, as functions. A model becomes a plan (`compile`), the plan says
 * exactly what it costs (`inspect`), and the three roles run it in this process (`simulate`), which shows what it
 * answers and gives no privacy.
 *
 * What a user can mend rejects with a `PumacError`: its `diagnostics` are values with a code, the place, why, and what
 * to do. Anything else that is thrown is a mistake in pumac.
 */
import { type CostReport, costReport } from "./analysis/cost.js";
import { calibrationInputs, type Samples } from "./analysis/data/calibration.js";
import { type GivenInputs, inputValues } from "./client/inputs.js";
import { simulate as simulateRoles } from "./client/local/simulation.js";
import { dataInputs, type OwnerValues, runOwners, type SessionResult } from "./client/owners.js";
import { remember, standingOf } from "./client/verified.js";
import type { Compiled, CompileOptions as CompilerOptions } from "./compiler/compile.js";
import type { ImportedModel } from "./compiler/imported.js";
import { DEFAULT_NETWORK, parseNetwork } from "./compiler/network.js";
import { openModel } from "./compiler/weights.js";
import { findModel, type LoadedPlan, loadPlan, type ModelFiles, savePlan } from "./formats/plan-file.js";
import { type Diagnostic, fail, PumacError } from "./ir/diagnostics.js";
import { planDigest } from "./ir/plan/codec.js";
import type { Plan } from "./ir/plan/types.js";
import type { WeightStore } from "./ir/tensor/index.js";
import type { TensorValue } from "./ir/tensor/value.js";
import { loadKernels } from "./runtime/kernels/load.js";

export {
  type CostReport,
  type Diagnostic,
  type GivenInputs,
  type Plan,
  PumacError,
  type Samples,
  type SessionResult,
  type TensorValue,
};

/** A plan, and how to find the model that it was compiled from: a plan holds no weight. */
export interface OpenPlan extends LoadedPlan {
  /** The files with the model and its weights; throws E0201 where nothing says which they are. */
  readonly files: () => ModelFiles;
}

/** What is common to everything that takes a while. */
export interface Waiting {
  /** Ends it: the promise rejects with the signal's reason. A compile looks between its phases. */
  readonly signal?: AbortSignal;
  /** Hears how much is done, of how much: inputs that a compile is calibrated on, rounds of a simulation. */
  readonly onProgress?: (done: number, all: number) => void;
}

export interface CompileOptions
  extends Waiting,
    Omit<CompilerOptions, "calibration" | "calibrationRun" | "network" | "weights"> {
  /** Inputs like those that the plan will meet: they say how large secrets may become. */
  readonly calibrate?: readonly Samples[];
  /** Hears how many inputs calibrate, before they are run. */
  readonly onCalibration?: (inputs: number) => void;
  /** The network to plan for: lan, wan, or BANDWIDTH,RTT such as 400mbps,40ms. */
  readonly network?: string;
}

/** A plan that has just been made; `save` writes it, and beside it where its model is. */
export interface CompiledPlan extends OpenPlan {
  readonly warnings: readonly Diagnostic[];
  /** Where the ranges of secret values are from. */
  readonly ranges: Compiled["calibration"];
  readonly save: (path: string) => void;
}

/**
 * Compiles a model: ONNX (`.onnx`, external data beside it), StableHLO text (`.mlir`) or HLO proto (`.hlo.pb`). The
 * same model and options give the same plan, byte for byte. Rejects with E02xx for options, E03xx for files, E04xx for
 * what cannot be computed on secrets.
 */
export async function compile(model: string, options: CompileOptions = {}): Promise<CompiledPlan> {
  const { calibrate = [], onCalibration, network, signal, onProgress, ...rest } = options;
  const { compileImported, importNamed } = await import("./compiler/compile.js");
  const { inputsOf } = await import("./compiler/outputs.js");
  const planned = network === undefined ? {} : { network: parseNetwork(network) };
  const imported = await importNamed(model, rest);
  signal?.throwIfAborted();
  const types = new Map(
    inputsOf(imported, rest.reveal).map(({ name, dtype, shape }) => [name, { dtype, shape }] as const),
  );
  const samples = await calibrationInputs(calibrate, types);
  onCalibration?.(samples.length);
  signal?.throwIfAborted();
  const { plan, warnings, calibration, weights } = compileImported(imported, {
    ...rest,
    ...planned,
    ...(calibrate.length === 0 ? {} : { calibration: samples }),
    calibrationRun: { multiply: loadKernels().multiplyReals, ...(onProgress && { onProgress }) },
  });
  const files: ModelFiles = { model, ...(rest.weightsFile === undefined ? {} : { weights: rest.weightsFile }) };
  return {
    plan,
    digest: planDigest(plan),
    files: () => files,
    warnings,
    ranges: calibration,
    save: (path) => {
      const { digest } = savePlan(path, plan, files);
      if (calibration !== "structure") {
        remember(digest, plan, files, weights);
      }
    },
  };
}

/**
 * Reads a plan file and checks it. `weights`: the model, a safetensors file, or both, where they are not those that the
 * note beside the plan names. Throws E0301 where there is no such file, E0303 where it is no sound plan.
 */
export function openPlan(path: string, weights: readonly string[] = []): OpenPlan {
  const loaded = loadPlan(path);
  return { ...loaded, files: () => findModel(path, loaded.digest, weights) };
}

function opened(plan: string | OpenPlan): OpenPlan {
  return typeof plan === "string" ? openPlan(plan) : plan;
}

/** What a plan costs, exactly, before anything runs; times are estimates for a network (lan unless said otherwise). */
export function inspect(plan: string | OpenPlan, options: { readonly network?: string } = {}): CostReport {
  const { plan: content, digest } = opened(plan);
  const network = options.network === undefined ? DEFAULT_NETWORK : parseNetwork(options.network);
  return costReport(content, network, digest);
}

/** Everything that a run needs, read and checked, and the owners' programs run in the clear. */
export interface PreparedRun {
  readonly loaded: LoadedPlan;
  readonly model: ImportedModel;
  /** The model's inputs, and what the owners make of them and of the weights. */
  readonly inputs: ReadonlyMap<string, TensorValue>;
  readonly values: OwnerValues;
}

/**
 * Sees that a plan is of this model before its weights are shared: the model is compiled again with what the plan says
 * of its making, and must give the same plan. What was seen once is remembered in the owner's state folder. E0801.
 */
export async function verify(plan: string | OpenPlan): Promise<void> {
  const loaded = opened(plan);
  const files = loaded.files();
  const { weights } = await openModel(files, loaded.plan);
  await verified(loaded, files, weights);
}

async function verified({ plan, digest }: LoadedPlan, files: ModelFiles, weights: WeightStore): Promise<void> {
  const { verifyPlan } = await import("./compiler/verify.js");
  await verifyPlan(plan, files, loadKernels().multiplyReals);
  remember(digest, plan, files, weights);
}

/** Throws E0801 where the weights are not those of the plan, or are unknown and the model gives another plan. */
async function assureModel(loaded: LoadedPlan, files: ModelFiles, weights: WeightStore): Promise<void> {
  const standing = standingOf(loaded.digest, loaded.plan, files, () => weights);
  if (standing === "others") {
    const what = "the plan was compiled from other weights";
    const why = "its ranges were measured on those; with these the answer could be wrong without a word";
    const fix = "give the model that the plan was compiled from, or compile a plan from this one";
    throw fail({ code: "E0801", what, where: files.model, why, fix });
  }
  if (standing === "unknown") {
    await verified(loaded, files, weights);
  }
}

/** Checks inputs against a plan, opens its model and runs both owners' programs in the clear. */
export async function prepare(
  plan: string | OpenPlan,
  given: GivenInputs,
  { trusted = [] }: { readonly trusted?: readonly string[] } = {},
): Promise<PreparedRun> {
  const loaded = opened(plan);
  const inputs = await inputValues(given, dataInputs(loaded.plan));
  const files = loaded.files();
  const model = await openModel(files, loaded.plan);
  if (!trusted.includes(loaded.digest)) {
    await assureModel(loaded, files, model.weights);
  }
  return { loaded, model, inputs, values: runOwners(loaded.plan, inputs, model.weights) };
}

export interface SimulateOptions extends Waiting {
  /** Makes the run reproducible. */
  readonly seed?: number | undefined;
}

/**
 * Runs a plan with all three roles in this process, and measures what it cost: the bytes and rounds that `inspect`
 * says. For trying things out: whoever simulates holds every share.
 */
export async function simulate(
  plan: string | OpenPlan,
  inputs: GivenInputs,
  { seed, signal, onProgress }: SimulateOptions = {},
): Promise<SessionResult> {
  const { loaded, values } = await prepare(plan, inputs);
  return simulateRoles(loaded, values, seed, { onRound: onProgress, signal });
}
