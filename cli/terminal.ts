/**
 * The only door to the terminal: results to stdout, everything for people to stderr, colour only where a person looks
 * on. With --json stdout gets exactly one document.
 */
import { writeSync } from "node:fs";
import { Chalk, type ChalkInstance } from "chalk";
import { SingleBar } from "cli-progress";
import { type Diagnostic, printDiagnostic } from "../ir/diagnostics.js";

export { parseBytes, parseCount, parseSeconds } from "../formats/quantities.js";

/** Colours for stderr: none where it is not a terminal, or NO_COLOR is set. */
export const colours: ChalkInstance = new Chalk({
  level: process.stderr.isTTY && process.env.NO_COLOR === undefined ? 1 : 0,
});

/** Prints a result to stdout. Synchronous: what is printed before an exit is not lost in a pipe. */
export function printResult(text: string): void {
  writeAll(1, `${text}\n`);
}

/** Prints a piece of a result that is still being made. */
export function writePart(text: string): void {
  writeAll(1, text);
}

/** With --quiet there are results, warnings, errors, and what becomes public. */
function isQuiet(): boolean {
  return process.argv.includes("--quiet");
}

/** Prints a line for people to stderr, unless they want none. */
export function printNote(text: string): void {
  if (!isQuiet()) {
    printAlways(text);
  }
}

/** Prints to stderr what nobody may miss. */
export function printAlways(text: string): void {
  writeAll(2, `${text}\n`);
}

let documents = 0;

/** Whether --json is asked for and its one document has not been printed. */
export function wantsDocument(): boolean {
  return documents === 0 && process.argv.includes("--json");
}

/** Prints the one document of --json. */
export function printJson(document: object): void {
  documents++;
  printResult(JSON.stringify(document, undefined, 2));
}

/** Prints a diagnostic in colour, as an error or as a warning. */
export function printProblem(diagnostic: Diagnostic, kind: "error" | "warning" = "error"): void {
  const [head, ...rest] = printDiagnostic(diagnostic)
    .replace(/^error/, kind)
    .split("\n");
  const paint = kind === "error" ? colours.red.bold : colours.yellow.bold;
  const title = head.replace(/^\w+\[E\d+\]/, (code) => paint(code));
  printAlways([title, ...rest.map((line) => line.replace(/^ {2}\w+:/, (label) => colours.cyan(label)))].join("\n"));
}

function writeAll(descriptor: number, text: string): void {
  const bytes = Buffer.from(text);
  let at = 0;
  while (at < bytes.length) {
    try {
      at += writeSync(descriptor, bytes, at);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "EPIPE") {
        return;
      }
      if (code !== "EAGAIN") {
        throw error;
      }
    }
  }
}

export interface Progress {
  update(done: number, all: number): void;
  stop(): void;
}

/** Work of less than this shows nothing, in milliseconds. */
const SILENT = 1000;
/** Where nobody looks on, a line each time this has passed. */
const BETWEEN_LINES = 10_000;
const BETWEEN_DRAWINGS = 200;

/**
 * What is going on, once it takes more than a second: a bar where stderr is a terminal, else a line now and then.
 * `describe` says how far it is, from what is done, of how much, and the seconds since the start.
 */
export function startProgress(
  label: string,
  describe: (done: number, all: number, seconds: number) => string = (done, all) => `${done} of ${all}`,
): Progress {
  const started = performance.now();
  let [done, all, drawn] = [0, 0, 0];
  const seconds = (): number => (performance.now() - started) / 1000;
  const what = (): string => (all === 0 ? `${seconds().toFixed(0)} s` : describe(done, all, seconds()));
  const bar = process.stderr.isTTY ? new SingleBar({ ...BAR, format: `${label} {bar} {what}` }) : undefined;
  const draw = (): void => {
    const now = performance.now();
    if (isQuiet() || now - started < SILENT || now - drawn < (bar === undefined ? BETWEEN_LINES : BETWEEN_DRAWINGS)) {
      return;
    }
    if (bar === undefined) {
      printNote(`${label}: ${what()}`);
    } else if (drawn === 0) {
      bar.start(Math.max(all, 1), done, { what: what() });
    } else {
      bar.setTotal(Math.max(all, 1));
      bar.update(done, { what: what() });
    }
    drawn = now;
  };
  const timer = setInterval(draw, BETWEEN_DRAWINGS);
  timer.unref();
  return {
    update: (now, of) => {
      [done, all] = [now, of];
      draw();
    },
    stop: () => {
      clearInterval(timer);
      if (drawn > 0) {
        bar?.stop();
      }
    },
  };
}

const BAR = { clearOnComplete: true, stream: process.stderr, barsize: 24 };

/** Collects an option that may be given several times. */
export function collect(value: string, previous: readonly string[]): readonly string[] {
  return [...previous, value];
}
