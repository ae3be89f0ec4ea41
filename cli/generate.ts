/** `pumac generate`: a language model's text, token by token, from the parties of a topology or from three here. */
import type { Command } from "commander";
import { describeWritten } from "../analysis/measured.js";
import { generate, type Written } from "../client/generate.js";
import { textOf } from "../client/given.js";
import { withTrio } from "../client/local/trio.js";
import { askParties } from "../client/remote/ask.js";
import { type LoadedPlan, loadPlan } from "../formats/plan-file.js";
import { loadEncoder } from "../formats/text.js";
import { loadTopology, type Topology } from "../formats/topology.js";
import { openForSharing } from "../index.js";
import { fail } from "../ir/diagnostics.js";
import { interrupted } from "./exit.js";
import { type RunFlags, sayFirst } from "./run-common.js";
import { collect, parseCount, parseSeconds, printJson, printNote, startProgress, writePart } from "./terminal.js";

interface GenerateFlags extends Pick<RunFlags, "weights" | "trustPlan" | "json"> {
  readonly tokenizer: string;
  readonly prompt: string;
  readonly maxTokens: number;
  readonly stop: readonly string[];
  readonly topology?: string;
  readonly local?: boolean;
  readonly timeout: number;
}

export function addGenerate(program: Command): void {
  program
    .command("generate")
    .description("write text with a language model's plan (compile --reveal token), each token a private question")
    .argument("<plan>", "the plan file that compile wrote")
    .requiredOption("--tokenizer <file>", "the model's tokenizer.json, or llama2.c's tok*.bin")
    .option("--prompt <text>", "what the text begins with: TEXT, @FILE, or - for standard input", "")
    .option("--max-tokens <number>", "how many tokens to write at most", parseCount, 32)
    .option("--stop <text>", "end before this text; may be given several times", collect, [])
    .option("--topology <file>", "ask the parties of this topology, which keep the model's shares")
    .option("--local", "start three parties on this machine and share the model with them first: no privacy")
    .option("--weights <file>", "with --local: the model, where it is not the one the plan names", collect, [])
    .option("--trust-plan <digest>", "with --local: share without compiling the model again", collect, [])
    .option("--timeout <seconds>", "how long a silent party is waited for", parseSeconds, 60)
    .option("--json", "print one JSON document (pumac.generate/1)")
    .action(async (planPath: string, flags: GenerateFlags) => {
      const loaded = loadPlan(planPath);
      sayFirst(loaded.plan);
      if ((flags.topology === undefined) === (flags.local !== true)) {
        const fix = "add --topology FILE, or --local";
        throw fail({ code: "E0201", what: "which parties are to be asked?", fix });
      }
      if (flags.topology !== undefined) {
        await write(loaded, flags, loadTopology(flags.topology));
        return;
      }
      const [timeout, trusted] = [flags.timeout * 1000, flags.trustPlan];
      const plans = await openForSharing([planPath], flags.weights, { trusted, signal: interrupted });
      printNote("All three parties run on this machine: this shows how it works, and gives no privacy.");
      const { update: onProgress, stop } = startProgress("sharing weights");
      const options = { plans, timeout, signal: interrupted, onProgress };
      await withTrio(options, (topology) => {
        stop();
        return write(loaded, flags, topology);
      }).finally(stop);
    });
}

async function write(loaded: LoadedPlan, flags: GenerateFlags, topology: Topology): Promise<void> {
  const { maxTokens, stop: stops, json } = flags;
  const writing = generate({
    plan: loaded.plan,
    encoder: loadEncoder(flags.tokenizer),
    ask: (values) => askParties(loaded, values, { topology, timeout: flags.timeout * 1000 }),
    ...{ prompt: textOf(flags.prompt), mostTokens: maxTokens, stops },
  });
  const tokens: Written[] = [];
  const started = performance.now();
  let step = await writing.next();
  for (; step.done !== true; step = await writing.next()) {
    tokens.push(step.value);
    if (json !== true) {
      writePart(step.value.text);
    }
  }
  const seconds = (performance.now() - started) / 1000;
  if (json === true) {
    printJson({
      schema: "pumac.generate/1",
      plan: { digest: loaded.digest },
      text: tokens.map(({ text }) => text).join(""),
      tokens: tokens.map(({ id }) => id),
      ended: step.value,
      measured: tokens.map(({ measured }) => measured),
    });
    return;
  }
  writePart("\n");
  printNote(describeWritten(loaded.plan, tokens, seconds, step.value));
}
