/** The program `pumac`: a command line of one file per command. Exit statuses and error text: exit.ts. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import { handleSignals, reportError } from "./exit.js";

type AddCommand = (program: Command) => void;

/** Where each command is, in the order of --help: only the one that is asked for is loaded. */
const COMMANDS: Readonly<Record<string, () => Promise<AddCommand>>> = {
  demo: async () => (await import("./demo.js")).addDemo,
  compile: async () => (await import("./compile.js")).addCompile,
  inspect: async () => (await import("./inspect.js")).addInspect,
  simulate: async () => (await import("./simulate.js")).addSimulate,
  verify: async () => (await import("./verify.js")).addVerify,
  run: async () => (await import("./run.js")).addRun,
  model: async () => (await import("./model.js")).addModel,
  explain: async () => (await import("./explain.js")).addExplain,
  doctor: async () => (await import("./doctor.js")).addDoctor,
};

function version(): string {
  const manifest = readFileSync(join(import.meta.dirname, "..", "..", "package.json"), "utf8");
  return (JSON.parse(manifest) as { version: string }).version;
}

async function createProgram(wanted: string | undefined): Promise<Command> {
  const program = new Command("pumac")
    .description("Compiles transformers to plans for secure three-party inference, says what they cost, and runs them.")
    .version(version())
    .exitOverride()
    .configureOutput({ outputError: () => undefined });
  const names = wanted !== undefined && Object.hasOwn(COMMANDS, wanted) ? [wanted] : Object.keys(COMMANDS);
  for (const add of await Promise.all(names.map((name) => COMMANDS[name]()))) {
    add(program);
  }
  return program;
}

handleSignals();
try {
  await (await createProgram(process.argv[2])).parseAsync();
  process.exit(0);
} catch (error) {
  process.exit(reportError(error));
}
