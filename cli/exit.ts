/**
 * How the process ends: every error becomes its documented exit status here, and nowhere else. Signals end with
 * 128 + their number after what was opened is cleaned up.
 */
import { CommanderError } from "commander";
import { isShortage } from "../formats/files.js";
import { PumacError } from "../ir/diagnostics.js";
import { EXAMPLES } from "./examples.js";
import { printAlways, printJson, printProblem, wantsDocument } from "./terminal.js";

const BUG = 1;
const USAGE = 2;
const RESOURCES = 10;

/** Prints an error for people, with --json as a document too, and returns the exit status of CLI.md. */
export function reportError(error: unknown): number {
  const status = printError(error);
  if (status !== 0 && wantsDocument()) {
    const errors = error instanceof PumacError ? error.diagnostics : [diagnosticOf(error)];
    printJson({ schema: "pumac.error/1", exit: status, errors });
  }
  return status;
}

/** What the command line itself refuses, and what the system does. */
function diagnosticOf(error: unknown): object {
  const { message } = error as Error;
  return error instanceof CommanderError ? { code: "E0201", what: message.replace(/^error: /, "") } : { what: message };
}

/** The command that was asked for, for its own help. */
function commandOf(word: string | undefined): string {
  return word !== undefined && Object.hasOwn(EXAMPLES, word) ? `${word} ` : "";
}

function printError(error: unknown): number {
  if (error instanceof PumacError) {
    for (const diagnostic of error.diagnostics) {
      printProblem(diagnostic);
    }
    printAlways(`\nmore: pumac explain ${error.diagnostics[0].code}`);
    return error.exitCode;
  }
  if (error instanceof CommanderError) {
    if (error.exitCode !== 0 && error.code !== "commander.help") {
      printProblem({
        code: "E0201",
        what: error.message.replace(/^error: /, ""),
        fix: `see pumac ${commandOf(process.argv[2])}--help`,
      });
    }
    return error.exitCode === 0 ? 0 : USAGE;
  }
  const { code, message } = error as NodeJS.ErrnoException;
  if (isShortage(error) || code?.endsWith("_OUT_OF_MEMORY")) {
    printProblem({ code: "E1001", what: message });
    return RESOURCES;
  }
  printAlways(`bug: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  printAlways("This is a mistake in pumac, not in your model. Please report it with the command that you ran.");
  return BUG;
}

const interruption = new AbortController();

/** Aborted when a signal ends the process; its listeners clean up, there and then. */
export const interrupted: AbortSignal = interruption.signal;

/** From now on the first SIGTERM or SIGINT asks to end; a second one ends at once. */
export function endGently(ask: () => void): void {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.removeAllListeners(signal);
    process.once(signal, () => {
      handleSignals();
      ask();
    });
  }
}

/** From now on SIGINT and SIGTERM clean up and end with 130 and 143. */
export function handleSignals(): void {
  for (const [signal, status] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const) {
    process.once(signal, () => {
      interruption.abort();
      process.exit(status);
    });
  }
}
