/** The built command line as users run it: a process, its output, its exit status. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { builtFile } from "../built.js";

const ROOT = join(import.meta.dirname, "..", "..");
/** The built command line. */
export const MAIN = builtFile("cli", "main.js");
export const MODEL_FOLDER = join(ROOT, "models", "bert-sst2");
export const MODEL = join(MODEL_FOLDER, "bert_sst2.legacy.op14.onnx");
export const TOKENIZER = join(MODEL_FOLDER, "tokenizer.json");

export interface Finished {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running {
  readonly child: ChildProcess;
  readonly finished: Promise<Finished>;
  /** Resolves with the match when stderr so far matches; rejects when the process ends before. */
  readonly said: (pattern: RegExp) => Promise<RegExpExecArray>;
}

/** Starts `pumac` with these arguments; `environment` is added to ours. */
export function startPumac(args: readonly string[], environment: Readonly<Record<string, string>> = {}): Running {
  const child = spawn(process.execPath, [MAIN, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...environment },
  });
  let [stdout, stderr] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const finished = new Promise<Finished>((resolve) => {
    child.on("close", (status, signal) => resolve({ status, signal, stdout, stderr }));
  });
  const said = (pattern: RegExp): Promise<RegExpExecArray> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const match = pattern.exec(stderr);
        if (match !== null) {
          child.stderr.off("data", look);
          resolve(match);
        }
      };
      child.stderr.on("data", look);
      child.on("close", () => reject(new Error(`ended without saying ${pattern}: ${stderr}`)));
      look();
    });
  return { child, finished, said };
}

/** Runs `pumac` to its end. */
export function pumac(...args: readonly string[]): Promise<Finished> {
  return startPumac(args).finished;
}

const FOLDERS: string[] = [];
process.once("exit", () => FOLDERS.forEach((folder) => void rmSync(folder, { recursive: true, force: true })));

/** A folder that is gone when the process ends. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "pumac-test-"));
  FOLDERS.push(folder);
  return folder;
}

/** Whether a process runs: exists, and is no zombie that nobody has waited for. */
export function isAlive(id: number): boolean {
  try {
    process.kill(id, 0);
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${id}/status`, "utf8"));
  } catch {
    return false;
  }
}
