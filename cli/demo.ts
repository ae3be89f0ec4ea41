/**
 * `pumac demo`: the bundled classifier of film reviews, from the model file to a private answer, by the commands that
 * it shows; then the private answer beside the plain one, and the measured cost beside the predicted one.
 */
import { readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { Command } from "commander";
import { besidePlain } from "../analysis/data/beside.js";
import { fail } from "../ir/diagnostics.js";
import { addCompile } from "./compile.js";
import { addInspect } from "./inspect.js";
import { type RealRunFlags, runLocally, withRunFlags } from "./run.js";
import { printResult } from "./terminal.js";

/** Beside the package's dist/: the model, its tokenizer, and sentences with the answers that onnxruntime gives. */
const FOLDER = join(import.meta.dirname, "..", "..", "models", "bert-sst2");
const LENGTH = 48;

interface Known {
  readonly text: string;
  readonly logits: readonly number[];
}

export function addDemo(program: Command): void {
  program
    .command("demo")
    .description("compile the bundled classifier of film reviews, and ask it with three party processes")
    .argument("[text]", "a film review in English (default: one of ours)")
    .option("-o, --output <plan>", "where to write the plan", "demo.pumac")
    .action(demo);
}

async function demo(given: string | undefined, { output }: { readonly output: string }): Promise<void> {
  const started = performance.now();
  const place = relative(process.cwd(), FOLDER);
  const known = JSON.parse(readFileSync(join(FOLDER, "sentences.json"), "utf8")) as readonly Known[];
  const text = given ?? known[known.length - 1].text;
  title("compile the model to a plan");
  await follow(addCompile, [
    "compile",
    join(place, "bert_sst2.legacy.op14.onnx"),
    "--dim",
    `b=1,s=${LENGTH}`,
    "-o",
    output,
  ]);
  title("what it will cost");
  await follow(addInspect, ["inspect", output]);
  title("classify a sentence with three party processes");
  const command = withRunFlags(new Command("run")).exitOverride();
  const words = [output, "--input", `text:${text}`, "--tokenizer", join(place, "tokenizer.json")];
  show(["run", ...words]);
  command.parse(words, { from: "user" });
  const run = await runLocally(output, command.opts<RealRunFlags>());
  title("beside the plain model");
  const { prepared, result } = run;
  const plain = known.find((each) => each.text === text)?.logits;
  const { lines, problem } = besidePlain({ ...prepared, result, labels: prepared.reading.labels?.names ?? [], plain });
  [`"${text}"`, ...lines].forEach(printResult);
  if (problem !== undefined) {
    throw fail(problem);
  }
  printResult(`demo: ${((performance.now() - started) / 1000).toFixed(1)} s; the plan is ${output}`);
}

/** Runs a command as if it had been typed. */
async function follow(add: (program: Command) => void, words: readonly string[]): Promise<void> {
  const program = new Command("pumac").exitOverride();
  add(program);
  show(words);
  await program.parseAsync(words, { from: "user" });
}

function show(words: readonly string[]): void {
  const quoted = words.map((word) => (/^[\w./=:,-]+$/.test(word) ? word : `'${word}'`));
  printResult(`pumac ${quoted.join(" ")}`);
}

function title(line: string): void {
  printResult(`\n── ${line} ${"─".repeat(Math.max(0, 76 - line.length))}`);
}
