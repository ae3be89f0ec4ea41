/** What the benchmarks print: results to stdout, notes for people to stderr, progress where a person looks on. */
import { SingleBar } from "cli-progress";

export function printResult(text: string): void {
  process.stdout.write(`${text}\n`);
}

export function printNote(text: string): void {
  process.stderr.write(`${text}\n`);
}

export interface Progress {
  update(done: number, all: number): void;
  stop(): void;
}

/** A progress bar on stderr, or nothing where stderr is not a terminal. */
export function startProgress(label: string): Progress {
  if (!process.stderr.isTTY) {
    return { update: () => undefined, stop: () => undefined };
  }
  const bar = new SingleBar({ format: `${label} {bar} {value} of {total}`, stream: process.stderr });
  bar.start(1, 0);
  return {
    update: (done, all) => {
      bar.setTotal(all);
      bar.update(done);
    },
    stop: () => bar.stop(),
  };
}
