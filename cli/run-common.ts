/**
 * What `run` and `simulate` have in common: their options, everything that is checked before a party starts, and how
 * the result is shown. Results go to stdout; what was measured goes beside what `inspect` predicts.
 */
import type { Command } from "commander";
import { costOf } from "../analysis/cost.js";
import { formatBytes, formatSeconds } from "../analysis/units.js";
import { disclosureOf } from "../client/knowledge.js";
import type { LoadedPlan } from "../formats/plan-file.js";
import { loadEncoder } from "../formats/text.js";
import { openPlan, type PreparedRun, prepare, type SessionResult } from "../index.js";
import type { TensorValue } from "../ir/tensor/value.js";
import { loadKernels } from "../runtime/kernels/load.js";
import type { Measured } from "../runtime/measurement.js";
import { interrupted } from "./exit.js";
import { givenBy } from "./inputs.js";
import { checkOutputOptions, handleOutputs, parseTolerance, type Tolerance } from "./outputs.js";
import { collect, printJson, printNote, printResult } from "./terminal.js";

export interface RunFlags {
  readonly input: readonly string[];
  readonly inputs?: string;
  readonly tokenizer?: string;
  readonly truncate?: boolean;
  readonly output: readonly string[];
  readonly expect: readonly string[];
  readonly tolerance: Tolerance;
  /** A model, a safetensors file, or both. */
  readonly weights: readonly string[];
  /** Digests of plans that are not compiled again before weights are shared. */
  readonly trustPlan: readonly string[];
  readonly json?: boolean;
}

/** Adds the plan argument and the common options to a command. */
export function runOptions(command: Command): Command {
  return command
    .argument("<plan>", "the plan file that compile wrote")
    .option(
      "--input <name=value>",
      'name=@file.npy, name=@file.json, name=2x3xi64=1,2,…, text:"…", text:@file or text:-',
      collect,
      [],
    )
    .option("--inputs <folder>", "an ONNX test data folder: input_0.pb, input_1.pb, …")
    .option("--tokenizer <file>", "the model's tokenizer.json, for text inputs")
    .option("--truncate", "cut texts that are longer than the plan, and say so")
    .option(
      "--weights <file>",
      "the model, or JAX's .safetensors, or each (default: those the plan was compiled from)",
      collect,
      [],
    )
    .option("--output <name=@file>", "write an output to a .npy or .json file", collect, [])
    .option(
      "--expect <name=@file>",
      "compare an output with a file, or all with a test data folder (exit 5 when outside the tolerance)",
      collect,
      [],
    )
    .option(
      "--tolerance <number>",
      "largest difference that --expect allows: 1e-3, or 0.5% of the largest value (default: 0.2%, and 0.02 at least)",
      parseTolerance,
      "usual",
    )
    .option("--trust-plan <digest>", "share weights for this plan without compiling the model again", collect, [])
    .option("--json", "print one JSON document (pumac.run/1)");
}

/** Loads the plan, reads and checks all inputs, and runs the owners' programs in the clear. */
export async function prepareRun(planPath: string, flags: RunFlags): Promise<PreparedRun> {
  const opened = openPlan(planPath, flags.weights);
  checkOutputOptions(
    flags,
    opened.plan.reveals.map(({ name }) => name),
  );
  disclosureOf(opened.plan).forEach(printNote);
  const prepared = await prepare(opened, givenBy(flags), { trusted: flags.trustPlan, signal: interrupted });
  const { warning } = loadKernels();
  if (warning !== undefined) {
    printNote(`slow: ${warning}`);
  }
  return prepared;
}

/** Prints the outputs and the measured cost beside the predicted one, then writes and compares the outputs. */
export async function presentRun(
  { loaded }: PreparedRun,
  { outputs, measured }: SessionResult,
  flags: RunFlags,
): Promise<void> {
  const text = await tokenText(outputs, flags);
  if (flags.json === true) {
    printJson({
      schema: "pumac.run/1",
      plan: { digest: loaded.digest },
      outputs: Object.fromEntries([...outputs].map(([name, { shape, data }]) => [name, { shape, data: [...data] }])),
      ...(text !== undefined && { text }),
      measured,
    });
  } else {
    for (const [name, value] of outputs) {
      const said =
        name === "token" && text !== undefined ? ` ${text.map((each) => JSON.stringify(each)).join(" ")}` : "";
      printResult(`${name} [${value.shape}]: ${describeValue(value)}${said}`);
    }
    printCosts(loaded, measured);
  }
  handleOutputs(flags, outputs).forEach(printNote);
}

/** The next tokens as text, where the plan reveals them and there is a tokenizer. */
async function tokenText(
  outputs: ReadonlyMap<string, TensorValue>,
  { tokenizer }: RunFlags,
): Promise<readonly string[] | undefined> {
  const token = outputs.get("token");
  if (token === undefined || tokenizer === undefined) {
    return undefined;
  }
  const { decode } = loadEncoder(tokenizer);
  return Promise.all([...token.data].map((id) => decode([id])));
}

const MOST_SHOWN = 16;

function describeValue({ data }: TensorValue): string {
  const shown = [...data.subarray(0, MOST_SHOWN)].map((number) => number.toFixed(4));
  return data.length > MOST_SHOWN ? `${shown.join(" ")} … (${data.length} numbers)` : shown.join(" ");
}

function printCosts({ plan }: LoadedPlan, measured: Measured): void {
  const cost = costOf(plan);
  const row = (what: string, is: string, predicted: string): string =>
    `${what.padEnd(22)}${is.padStart(14)}${predicted.padStart(14)}`;
  const bytes = (what: "online" | "offline" | "total" | "input"): string =>
    row(`bytes ${what}`, formatBytes(measured.bytes[what]), formatBytes(cost.bytes[what]));
  printNote(
    [
      row("(sum over parties)", "measured", "predicted"),
      row("rounds", String(measured.rounds), String(cost.rounds)),
      bytes("online"),
      bytes("offline"),
      bytes("total"),
      bytes("input"),
      row("seconds online", formatSeconds(measured.seconds.online), ""),
      row("seconds total", formatSeconds(measured.seconds.total), ""),
    ].join("\n"),
  );
}
