/**
 * What `run` and `simulate` have in common: their options, everything that is checked before a party starts, and how
 * the result is shown. Results go to stdout; what was measured goes beside what `inspect` predicts.
 */
import type { Command } from "commander";
import { describeMeasured, roundsDone } from "../analysis/measured.js";
import { labelsBeside, type Reading, readLabels } from "../client/answers.js";
import { type GivenInputs, inputValues } from "../client/inputs.js";
import { disclosureOf } from "../client/knowledge.js";
import { checkOutputOptions, handleOutputs, parseTolerance, type Tolerance } from "../client/outputs.js";
import { dataInputs } from "../client/owners.js";
import { describeOutputs, documentOf, readOutputs } from "../client/read.js";
import { tokenizerIn } from "../formats/checkpoint.js";
import type { LoadedPlan } from "../formats/plan-file.js";
import { loadEncoder } from "../formats/text.js";
import { type OpenPlan, openPlan, type PrepareOptions, type SessionResult } from "../index.js";
import { fail } from "../ir/diagnostics.js";
import type { Plan } from "../ir/plan/types.js";
import type { TensorValue } from "../ir/tensor/value.js";
import { loadKernels } from "../runtime/kernels/load.js";
import { interrupted } from "./exit.js";
import { givenBy } from "./inputs.js";
import {
  collect,
  type Progress,
  parseCount,
  printAlways,
  printJson,
  printNote,
  printResult,
  startProgress,
} from "./terminal.js";

/** What every command that gives an answer takes. */
export interface AnswerFlags {
  readonly input: readonly string[];
  readonly inputs?: string;
  readonly tokenizer?: string | undefined;
  readonly truncate?: boolean;
  readonly output: readonly string[];
  readonly expect: readonly string[];
  readonly tolerance: Tolerance;
  /** What the classes are called. */
  readonly labels?: string;
  readonly json?: boolean;
  readonly trace?: string;
}

export interface RunFlags extends AnswerFlags {
  /** A model, a safetensors file, or both. */
  readonly weights: readonly string[];
  /** Digests of plans that are not compiled again before weights are shared. */
  readonly trustPlan: readonly string[];
  /** A data set instead of one input. */
  readonly data?: string;
  readonly count?: number;
}

/** Adds the plan argument, and what is asked and shown, to a command. */
export function answerOptions(command: Command): Command {
  return command
    .argument("<plan>", "the plan file that compile wrote")
    .option(
      "--input <name=value>",
      'name=@file.npy, name=@file.json, name=2x3xi64=1,2,…, text:"…", text:@file or text:-',
      collect,
      [],
    )
    .option("--inputs <folder>", "an ONNX test data folder: input_0.pb, input_1.pb, …")
    .option("--tokenizer <file>", "the model's tokenizer.json, for text inputs (default: its folder's)")
    .option("--truncate", "cut texts that are longer than the plan, and say so")
    .option("--output <name=@file>", "write an output to a .npy or .json file; with --data: FILE", collect, [])
    .option(
      "--expect <name=@file>",
      "compare an output with a file, or all with a test data folder (exit 5 when outside the tolerance)",
      collect,
      [],
    )
    .option(
      "--tolerance <number>",
      "largest difference that --expect allows: 1e-3, or 0.5% of the largest value (usual: 0.2%, and 0.02 at least)",
      parseTolerance,
      "usual",
    )
    .option("--labels <file>", "what classes are called (default: id2label of the config.json beside the model)")
    .option("--json", "print one JSON document (pumac.run/1)");
}

/** Adds the plan argument and the common options to a command that runs a plan with its weights. */
export function runOptions(command: Command): Command {
  return answerOptions(command)
    .option(
      "--weights <file>",
      "the model, or JAX's .safetensors, or each (default: those the plan was compiled from)",
      collect,
      [],
    )
    .option(
      "--data <file>",
      "a data set (.tsv, .csv, .jsonl, .json, .npz) instead of one input; --output FILE.jsonl or .csv: an answer a row",
    )
    .option("--count <n>", "of a data set, only the first n rows", parseCount)
    .option("--trust-plan <digest>", "share weights for this plan without compiling the model again", collect, []);
}

/** What is asked, and what helps to read the outputs. */
export interface Asked {
  readonly inputs: ReadonlyMap<string, TensorValue>;
  readonly reading: Reading;
}

/** Loads the plan, reads and checks all inputs, and opens the model with what `open` makes of them. */
export async function prepareRun<T>(
  planPath: string,
  given: RunFlags,
  open: (plan: OpenPlan, inputs: Asked["inputs"], options: PrepareOptions) => Promise<T>,
): Promise<Asked & T> {
  if (given.count !== undefined) {
    throw fail({ code: "E0201", what: "--count is of a data set", fix: "add --data FILE" });
  }
  const opened = openPlan(planPath, given.weights);
  const flags = { ...given, tokenizer: given.tokenizer ?? tokenizerIn(opened.files().model) };
  checkNames(opened.plan, flags);
  const reading = readingOf(flags, opened);
  sayFirst(opened.plan);
  const inputs = await whatIsFilled(flags, (given) => inputValues(given, dataInputs(opened.plan)));
  const prepared = open(opened, inputs, { trusted: flags.trustPlan, signal: interrupted });
  return { ...(await watched("opening the model", prepared)), inputs, reading };
}

/** Throws where --output or --expect name no output of the plan. */
export function checkNames({ reveals }: Plan, flags: AnswerFlags): void {
  checkOutputOptions(
    flags,
    reveals.map(({ name }) => name),
  );
}

/** Gives what the options say of inputs, and says afterwards which were filled by themselves. */
export async function whatIsFilled<T>(flags: AnswerFlags, use: (given: GivenInputs) => Promise<T>): Promise<T> {
  const filled: string[] = [];
  const onFilled = (name: string, what: string): void => void filled.push(`${name} with ${what}`);
  const result = await use({ ...givenBy(flags), onFilled });
  if (filled.length > 0) {
    printNote(`not given, so filled: ${filled.join(", ")}`);
  }
  return result;
}

/** Shows that something goes on while a promise is waited for. */
export function watched<T>(label: string, work: Promise<T>): Promise<T> {
  return work.finally(startProgress(label).stop);
}

/** What is said before anything is sent: what becomes public, and how slow it will be. */
export function sayFirst(plan: Plan): void {
  disclosureOf(plan).forEach(printAlways);
  const { warning } = loadKernels();
  if (warning !== undefined) {
    printNote(`slow: ${warning}`);
  }
}

/** The labels and the tokenizer of a run; without --labels those beside the model, where it is here. */
export function readingOf({ labels, tokenizer }: Pick<AnswerFlags, "labels" | "tokenizer">, plan?: OpenPlan): Reading {
  return {
    labels: labels !== undefined ? readLabels(labels) : plan && labelsBeside(plan.files().model),
    encoder: tokenizer === undefined ? undefined : loadEncoder(tokenizer),
  };
}

/** Rounds done of all, their bytes, and the time that is left by them. */
export function startRounds(label: string, plan: Plan): Progress {
  return startProgress(label, roundsDone(plan));
}

/** What an answer is shown with. `inputBytes`: what the owners share for it, where it is not weights and inputs. */
export interface Presented extends Asked {
  readonly loaded: LoadedPlan;
  readonly inputBytes?: number;
}

/** Prints the answer and the measured cost beside the predicted one, then writes and compares the outputs. */
export async function presentRun(
  { loaded, inputs, reading, inputBytes }: Presented,
  { outputs, measured }: SessionResult,
  flags: AnswerFlags,
): Promise<void> {
  const read = await readOutputs(outputs, inputs, reading);
  if (flags.json === true) {
    printJson({ schema: "pumac.run/1", plan: { digest: loaded.digest }, ...documentOf(read), measured });
  } else {
    describeOutputs(read).forEach(printResult);
    printNote(describeMeasured(loaded.plan, measured, inputBytes));
  }
  handleOutputs(flags, outputs).forEach(printNote);
}
