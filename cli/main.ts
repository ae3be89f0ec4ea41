/** The program `pumac`: a command line of one file per command. Exit statuses and error text: exit.ts. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import { addCompile } from "./compile.js";
import { addDoctor } from "./doctor.js";
import { handleSignals, reportError } from "./exit.js";
import { addExplain } from "./explain.js";
import { addInspect } from "./inspect.js";
import { addModel } from "./model.js";
import { addRun } from "./run.js";
import { addSimulate } from "./simulate.js";

function version(): string {
  const manifest = readFileSync(join(import.meta.dirname, "..", "..", "package.json"), "utf8");
  return (JSON.parse(manifest) as { version: string }).version;
}

function createProgram(): Command {
  const program = new Command("pumac")
    .description("Compiles transformers to plans for secure three-party inference, says what they cost, and runs them.")
    .version(version())
    .exitOverride()
    .configureOutput({ outputError: () => undefined });
  for (const add of [addCompile, addInspect, addSimulate, addRun, addModel, addExplain, addDoctor]) {
    add(program);
  }
  return program;
}

handleSignals();
try {
  await createProgram().parseAsync();
  process.exit(0);
} catch (error) {
  process.exit(reportError(error));
}
