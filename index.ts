/**
 * pumac as a library: what the command line does, as functions. A model becomes a plan (`compile`), the plan says
 * exactly what it costs (`inspect`), and the three roles run it in this process (`simulate`), which shows what it
 * answers and gives no privacy. A data owner asks three parties (`connect`), and lets them write (`generate`).
 *
 * What a user can mend rejects with a `PumacError`: its `diagnostics` are values with a code, the place, why, and what
 * to do. Anything else that is thrown is a mistake in pumac.
 */

import { checkBudget } from "./analysis/budget.js";
import { compileApart, type PlanOptions, verifyApart } from "./analysis/compiling.js";
import { type CostReport, costOf, costReport } from "./analysis/cost.js";
import type { Samples } from "./analysis/data/calibration.js";
import { rolesOf } from "./analysis/data/evaluation.js";
import { readExamples } from "./analysis/data/examples.js";
import { type AnsweredRow, answeredRows } from "./client/answered-rows.js";
import { type Answer, answersOf, describeAnswer, type Labels, labelsBeside, readLabels } from "./client/answers.js";
import { contextOf, type Ending, type Written, generate as writeTokens } from "./client/generate.js";
import { type GivenInputs, inputValues } from "./client/inputs.js";
import { simulate as simulateRoles } from "./client/local/simulation.js";
import { startTrio, type TrioOptions } from "./client/local/trio.js";
import {
  dataInputs,
  type OwnerValues,
  runDataOwner,
  runModelOwnerInTurns,
  type SessionResult,
} from "./client/owners.js";
import { type AskOptions, askParties, refuseConversation } from "./client/remote/ask.js";
import { type Conversation, converse } from "./client/remote/converse.js";
import type { SharedPlan } from "./client/remote/share.js";
import type { Sampling } from "./client/sampling.js";
import { isRemembered } from "./client/verified.js";
import type { ImportedModel } from "./compiler/imported.js";
import { DEFAULT_NETWORK, parseNetwork } from "./compiler/network.js";
import { openDraft } from "./compiler/text/draft.js";
import { openModel } from "./compiler/weights.js";
import { chatTemplateBeside, type Message } from "./formats/chat-template.js";
import { tokenizerIn } from "./formats/checkpoint.js";
import { findModel, type LoadedPlan, loadPlan, type ModelFiles, savePlan } from "./formats/plan-file.js";
import { loadEncoder } from "./formats/text.js";
import { loadTopology } from "./formats/topology.js";
import { type Diagnostic, fail, PumacError } from "./ir/diagnostics.js";
import { decodePlan, digestIn, encodePlan } from "./ir/plan/codec.js";
import type { Plan } from "./ir/plan/types.js";
import type { TensorValue } from "./ir/tensor/value.js";
import { loadKernels } from "./runtime/kernels/load.js";

export {
  type Answer,
  type AnsweredRow,
  answersOf,
  type CostReport,
  checkBudget,
  type Diagnostic,
  describeAnswer,
  type Ending,
  type GivenInputs,
  type Labels,
  labelsBeside,
  type Message,
  type Plan,
  PumacError,
  readLabels,
  type Samples,
  type SessionResult,
  type TensorValue,
  type Written,
};

/** A plan, and how to find the model that it was compiled from: a plan holds no weight. */
export interface OpenPlan extends LoadedPlan {
  /** The files with the model and its weights; throws E0201 where nothing says which they are. */
  readonly files: () => ModelFiles;
}

/** What is common to everything that takes a while. */
export interface Waiting {
  /** Ends it at once: the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Hears how much is done, of how much: inputs that a compile is calibrated on, rounds of a simulation. */
  readonly onProgress?: (done: number, all: number) => void;
}

export interface CompileOptions extends Waiting, Omit<PlanOptions, "calibrate" | "weights"> {
  /** Inputs like those that the plan will meet: they say how large secrets may become. */
  readonly calibrate?: readonly Samples[];
  /** Hears how many inputs calibrate, before they are run. */
  readonly onCalibration?: (inputs: number) => void;
  /** Is given the text of the graph after each pass that changed it. */
  readonly dump?: (name: string, text: string) => void;
}

/** A plan that has just been made; `save` writes it, and beside it where its model is. */
export interface CompiledPlan extends OpenPlan {
  readonly warnings: readonly Diagnostic[];
  /** What it costs: exact rounds, bytes over all parties, multiplications; memory and time are estimates. */
  readonly cost: CostReport["cost"];
  /** Where the ranges of secret values are from. */
  readonly ranges: Plan["ranges"]["method"];
  readonly save: (path: string) => void;
}

/**
 * Compiles a model: ONNX (`.onnx`, external data beside it), StableHLO text (`.mlir`), HLO proto (`.hlo.pb`) or a
 * Hugging Face folder. The same model and options give the same plan, byte for byte. Rejects with E02xx for options,
 * E03xx for files, E04xx for what cannot be computed on secrets.
 */
export async function compile(model: string, options: CompileOptions = {}): Promise<CompiledPlan> {
  const { calibrate = [], onCalibration, onProgress, dump, signal, ...rest } = options;
  const samples = calibrate.map(({ onCut: _, tokenizer = tokenizerIn(model), ...each }) => ({ ...each, tokenizer }));
  const heard = { onCalibration, onProgress, dump };
  const { file, warnings, ranges } = await compileApart(model, { ...rest, calibrate: samples }, heard, signal);
  const plan = decodePlan(file, model);
  const files: ModelFiles = { model, ...(rest.weightsFile === undefined ? {} : { weights: rest.weightsFile }) };
  return {
    plan,
    digest: digestIn(file),
    files: () => files,
    warnings,
    cost: costOf(plan),
    ranges,
    save: (path) => void savePlan(path, plan, files),
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
export async function verify(plan: string | OpenPlan, { signal }: Pick<Waiting, "signal"> = {}): Promise<void> {
  const loaded = opened(plan);
  await verifyApart(loaded.plan, loaded.files(), { again: true, signal });
}

export interface PrepareOptions extends Pick<Waiting, "signal"> {
  /** Digests of plans that are not compiled again before weights are shared. */
  readonly trusted?: readonly string[];
}

/** Sees that a plan is of its model, unless it is trusted or was seen to be before. E0801. */
async function assured({ plan, digest }: LoadedPlan, files: ModelFiles, options: PrepareOptions): Promise<void> {
  const { trusted = [], signal } = options;
  if (!trusted.includes(digest) && !isRemembered(digest, files)) {
    await verifyApart(plan, files, { again: false, signal });
  }
}

/**
 * Opens plans and their one model, and sees that they belong together before anything is shared (`verify`). E0801 where
 * they do not.
 */
export async function openForSharing(
  wanted: readonly (string | OpenPlan)[],
  given: readonly string[],
  options: PrepareOptions = {},
): Promise<readonly SharedPlan[]> {
  const plans: SharedPlan[] = [];
  for (const each of wanted) {
    plans.push((await prepareSharing(typeof each === "string" ? openPlan(each, given) : each, options)).shared);
  }
  return plans;
}

/** A plan with its model: they were seen to belong together. */
export type CheckedModel = Pick<PreparedRun, "loaded" | "model">;

/** Opens a plan's model and sees that the plan is of it. E0801. */
async function openChecked(plan: string | OpenPlan, options: PrepareOptions): Promise<CheckedModel> {
  const loaded = opened(plan);
  const files = loaded.files();
  const model = await openModel(files, loaded.plan);
  await assured(loaded, files, options);
  return { loaded, model };
}

/** The same, with what its parties are given. */
export async function prepareSharing(
  plan: string | OpenPlan,
  options: PrepareOptions = {},
): Promise<CheckedModel & { readonly shared: SharedPlan }> {
  const { loaded, model } = await openChecked(plan, options);
  const { plan: content, digest } = loaded;
  const shared = { plan: content, digest, file: encodePlan(content), weights: model.weights };
  return { loaded, model, shared };
}

/** A plan with its model, whose owner's program has been run in the clear. */
export type PreparedModel = CheckedModel & {
  readonly owned: ReadonlyMap<string, TensorValue>;
};

/** Opens a plan's model, sees that the plan is of it, and runs its owner's program in the clear. */
export async function prepareModel(plan: string | OpenPlan, options: PrepareOptions = {}): Promise<PreparedModel> {
  refuseConversation(opened(plan).plan);
  const { loaded, model } = await openChecked(plan, options);
  return { loaded, model, owned: await runModelOwnerInTurns(loaded.plan, model.weights, options.signal) };
}

/** Checks inputs against a plan, opens its model and runs both owners' programs in the clear. */
export async function prepare(
  plan: string | OpenPlan,
  given: GivenInputs,
  options: PrepareOptions = {},
): Promise<PreparedRun> {
  const wanted = opened(plan);
  const tokenizer =
    (given.texts ?? []).length === 0 ? undefined : (given.tokenizer ?? tokenizerIn(wanted.files().model));
  const inputs = await inputValues({ ...given, tokenizer }, dataInputs(wanted.plan));
  const { loaded, model, owned } = await prepareModel(wanted, options);
  return { loaded, model, inputs, values: runDataOwner(loaded.plan, inputs, owned) };
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
  const { loaded, values } = await prepare(plan, inputs, { signal });
  return simulateRoles(loaded, values, seed, { onRound: onProgress, signal });
}

/** A table of texts or of the model's inputs, as `--data` takes it. */
export interface DataSet {
  /** .tsv, .csv, .jsonl, .json or .npz. */
  readonly data: string;
  /** The model's tokenizer.json, for texts; a model's folder has its own. */
  readonly tokenizer?: string;
  /** Only the first rows. */
  readonly count?: number;
}

/**
 * Answers a data set row by row, with all three roles in this process, and gives every answer as soon as it is there.
 * The weights are shared once. What the overflow guard withholds is a row without an answer's meaning: `withheld`.
 */
export async function* answerRows(
  plan: string | OpenPlan,
  { data, count, ...given }: DataSet,
  { seed, signal, onProgress }: SimulateOptions = {},
): AsyncGenerator<AnsweredRow> {
  const wanted = opened(plan);
  const tokenizer = given.tokenizer ?? tokenizerIn(wanted.files().model);
  const examples = await readExamples(data, tokenizer, dataInputs(wanted.plan));
  const { loaded, owned } = await prepareModel(wanted, { signal });
  const encoder = tokenizer === undefined ? undefined : loadEncoder(tokenizer);
  const reading = { labels: labelsBeside(wanted.files().model), encoder };
  const roles = rolesOf(loaded, owned);
  const all = Math.min(examples.count, count ?? examples.count);
  for (let from = 0; from < all; from += examples.batch) {
    signal?.throwIfAborted();
    const indices = Array.from({ length: examples.batch }, (_, i) => Math.min(from + i, all - 1));
    const inputs = examples.inputs(indices);
    const result = await roles(inputs, seed === undefined ? undefined : seed + from);
    yield* await answeredRows(indices.slice(0, all - from), result, inputs, examples, reading);
    onProgress?.(Math.min(all, from + examples.batch), all);
  }
}

export interface ConnectOptions extends Waiting, PrepareOptions {
  /** The data owner's topology file: its parties keep the model's shares. */
  readonly topology?: string | undefined;
  /** Starts three parties on this machine instead, and shares the model with them: no privacy. */
  readonly local?: boolean | undefined;
  /** With `local`: the model, where it is not the one that the plan names. */
  readonly weights?: readonly string[];
  /** How long a silent party is waited for, in seconds; a minute unless said otherwise. */
  readonly timeout?: number;
  /** With `local`: how many questions may run at a time; one unless said otherwise. */
  readonly atOnce?: number;
  /** With `local`: hears what the three parties receive. */
  readonly onSeen?: TrioOptions["onSeen"];
}

/** What a single question may have besides. */
export type AskingOptions = Pick<AskOptions, "signal" | "onShared" | "onPlace" | "sharing">;

/** Three parties that keep a model's shares, as a data owner asks them. */
export interface Connection {
  readonly plans: readonly OpenPlan[];
  /** Asks once; the plan is the first one unless another is named. Rejects with E0202 for inputs, E05xx to E10xx. */
  readonly infer: (inputs: GivenInputs, options?: AskingOptions, plan?: LoadedPlan) => Promise<SessionResult>;
  /** The same with what a data owner's program has made of its inputs. */
  readonly ask: (values: OwnerValues, options?: AskingOptions, plan?: LoadedPlan) => Promise<SessionResult>;
  /** Begins a session of many runs, of a plan that keeps its cache at the parties. */
  readonly converse: (options?: AskingOptions, plan?: LoadedPlan) => Promise<Conversation>;
  /** Ends parties that were started for this; those of a topology stay. */
  readonly close: () => void;
}

/**
 * Finds the parties that answer questions about these plans: those of a topology, or three that are started on this
 * machine. The signal ends all of it, then and later. E0201 where neither is named.
 */
export async function connect(
  wanted: string | OpenPlan | readonly (string | OpenPlan)[],
  options: ConnectOptions,
): Promise<Connection> {
  const { topology: file, local = false, weights = [], signal, onProgress, onSeen, atOnce = 1 } = options;
  if ((file === undefined) === !local) {
    const fix = "add --topology FILE, or --local";
    throw fail({ code: "E0201", what: "which parties are to be asked?", fix });
  }
  const given = [wanted].flat() as readonly (string | OpenPlan)[];
  const plans = given.map((each) => (typeof each === "string" ? openPlan(each, weights) : each));
  const timeout = (options.timeout ?? 60) * 1000;
  const { topology, close } =
    file !== undefined
      ? { topology: loadTopology(file), close: () => undefined }
      : await startTrio({
          plans: await openForSharing(plans, weights, options),
          ...{ timeout, sessions: atOnce },
          ...{ ...(signal && { signal }), ...(onProgress && { onProgress }), ...(onSeen && { onSeen }) },
        });
  const heard = (asking: AskingOptions): AskOptions => {
    const signals = [signal, asking.signal].filter((each) => each !== undefined);
    return { ...asking, topology, timeout, signal: AbortSignal.any(signals) };
  };
  const ask: Connection["ask"] = (values, asking = {}, plan = plans[0]) => askParties(plan, values, heard(asking));
  const conversation: Connection["converse"] = (asking = {}, plan = plans[0]) => converse(plan, heard(asking));
  const infer: Connection["infer"] = async (inputs, asking, { plan, digest } = plans[0]) => {
    const values = await inputValues(inputs, dataInputs(plan));
    return ask(runDataOwner(plan, values, new Map()), asking, { plan, digest });
  };
  return { plans, infer, ask, converse: conversation, close };
}

export interface GenerateOptions extends AskingOptions, Sampling {
  /** What the text begins with, or a conversation, where the model has a chat template beside its tokenizer. */
  readonly prompt: string | readonly Message[];
  /** The model's tokenizer.json, or llama2.c's tok*.bin. */
  readonly tokenizer: string;
  /** How many tokens are written at most; 32 unless said otherwise. */
  readonly maxTokens?: number;
  /** Texts before which it ends. */
  readonly stops?: readonly string[];
  /** A small public language model of the same tokens, which guesses in the clear, here, for a plan with `guesses`. */
  readonly draft?: string | undefined;
}

/**
 * Lets a language model write: each token as it is there, with its text and what it cost; returns why no more is
 * written. The plan reveals the next token (`compile` with `reveal: ["token"]`), or logits to draw it from
 * (`["topk:8"]`). E0202 where the prompt does not fit, E0201 for what the plan cannot be drawn from.
 */
export async function* generate(
  { plans, ask, converse: begin }: Connection,
  { prompt, tokenizer, maxTokens = 32, stops = [], temperature, topK, topP, seed, draft, ...asking }: GenerateOptions,
  { plan, digest }: LoadedPlan = plans[0],
): AsyncGenerator<Written, Ending> {
  const encoder = loadEncoder(tokenizer);
  const guess = draft === undefined ? undefined : await openDraft(draft, contextOf(plan), loadKernels().multiplyReals);
  const template = typeof prompt === "string" ? undefined : chatTemplateBeside(tokenizer);
  if (typeof prompt !== "string" && template === undefined) {
    const fix = "put the model's tokenizer_config.json beside it, or give the prompt as a text";
    throw fail({ code: "E0201", what: "there is no chat template beside the tokenizer", where: tokenizer, fix });
  }
  return yield* writeTokens({
    plan,
    encoder: typeof prompt === "string" ? encoder : { ...encoder, encode: (texts) => encoder.encode(texts, "bare") },
    ask: (values) => ask(values, asking, { plan, digest }),
    converse: () => begin(asking, { plan, digest }),
    prompt: typeof prompt === "string" ? prompt : template!(prompt),
    mostTokens: maxTokens,
    stops,
    sampling: { temperature, topK, topP, seed },
    draft: guess,
  });
}
