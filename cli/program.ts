/** The command line: a table of one file per command, of which only the one that is asked for is loaded. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Command, Help, type Option } from "commander";
import { EXAMPLES } from "./examples.js";

type AddCommand = (program: Command) => void;

/** Where each command is, in the order of --help: only the one that is asked for is loaded. */
const COMMANDS: Readonly<Record<string, () => Promise<AddCommand>>> = {
  demo: async () => (await import("./demo.js")).addDemo,
  compile: async () => (await import("./compile.js")).addCompile,
  inspect: async () => (await import("./inspect.js")).addInspect,
  simulate: async () => (await import("./simulate.js")).addSimulate,
  verify: async () => (await import("./verify.js")).addVerify,
  run: async () => (await import("./run.js")).addRun,
  init: async () => (await import("./init.js")).addInit,
  topology: async () => (await import("./init.js")).addTopology,
  party: async () => (await import("./party.js")).addParty,
  trust: async () => (await import("./trust.js")).addTrust,
  share: async () => (await import("./share.js")).addShare,
  prepare: async () => (await import("./prepare.js")).addPrepare,
  infer: async () => (await import("./infer.js")).addInfer,
  generate: async () => (await import("./generate.js")).addGenerate,
  batch: async () => (await import("./batch.js")).addBatch,
  serve: async () => (await import("./serve.js")).addServe,
  model: async () => (await import("./model.js")).addModel,
  bench: async () => (await import("./bench.js")).addBench,
  explain: async () => (await import("./explain.js")).addExplain,
  doctor: async () => (await import("./doctor.js")).addDoctor,
};

function version(): string {
  // Beside cli/ in a checkout, and one folder higher from its translation in dist/.
  const [near, far] = ["..", "../.."].map((above) => join(import.meta.dirname, above, "package.json"));
  const manifest = readFileSync(existsSync(near) ? near : far, "utf8");
  return (JSON.parse(manifest) as { version: string }).version;
}

/** What --help says of an option: an empty list is no default worth a word. */
function descriptionOf(option: Option): string {
  const { defaultValue } = option;
  return Array.isArray(defaultValue) ? option.description : new Help().optionDescription(option);
}

/** The commands, in the order of --help. */
export function commandNames(): readonly string[] {
  return Object.keys(COMMANDS);
}

/** The program with the command that is wanted, or with all of them. */
export async function createProgram(wanted: string | undefined): Promise<Command> {
  const program = new Command("pumac")
    .description("Compiles transformers to plans for secure three-party inference, says what they cost, and runs them.")
    .version(version())
    .exitOverride()
    .configureHelp({ optionDescription: descriptionOf })
    .configureOutput({ outputError: () => undefined });
  const names = wanted !== undefined && Object.hasOwn(COMMANDS, wanted) ? [wanted] : Object.keys(COMMANDS);
  for (const add of await Promise.all(names.map((name) => COMMANDS[name]()))) {
    add(program);
  }
  for (const command of program.commands) {
    command.option("--quiet", "print results, warnings and errors only");
    const examples = (EXAMPLES[command.name()] ?? []).map((example) => `  $ pumac ${command.name()} ${example}`);
    command.addHelpText("after", `\nExamples:\n${examples.join("\n")}`);
  }
  if (names.length > 1) {
    // `pumac complete bash` prints a script; the script asks `pumac complete -- WORDS` for what fits.
    (await import("@bomb.sh/tab/commander")).default(program);
  }
  return program;
}
