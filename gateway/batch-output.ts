/**
 * The answers of a batch: a line of JSON for each row, in the order in which rows were answered, written as soon as it
 * is known; so whatever ends the batch, what was answered is kept, and a later start answers the rest only. A note
 * beside the file says of which plan and set the answers are, and which process writes them now.
 */
import {
  closeSync,
  createReadStream,
  existsSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  statSync,
  writeSync,
} from "node:fs";
import { createInterface } from "node:readline";
import { number, object, optional, parse, string, unknown } from "valibot";
import { endOfLines, writeWhole, writing } from "../formats/files.js";
import { fail } from "../ir/diagnostics.js";

/** What a batch comes to. */
export interface Tally {
  /** Rows that were answered, those withheld and those without an answer counted. */
  done: number;
  failed: number;
  /** Withheld by the overflow guard. */
  withheld: number;
  /** Rows with a class in the set that were answered, and those with the same class as the answer. */
  labelled: number;
  right: number;
}

const NOTE = object({ plan: string(), data: string(), process: number() });
const LINE = object({
  row: number(),
  error: optional(unknown()),
  withheld: optional(unknown()),
  right: optional(unknown()),
});

const OWN = 0o600;

/** The answers of this plan (its digest) on this set (its SHA-256). */
export interface AnswersOf {
  readonly plan: string;
  readonly data: string;
}

export class BatchOutput {
  readonly tally: Tally = { done: 0, failed: 0, withheld: 0, labelled: 0, right: 0 };
  private readonly isDone: Uint8Array;
  private descriptor = -1;
  private size = 0;

  private constructor(
    private readonly path: string,
    private readonly of: AnswersOf,
    rows: number,
  ) {
    this.isDone = new Uint8Array(rows + 1);
  }

  /** Opens the answers to a set of so many rows. E0201 where the file is another batch's, or is being written. */
  static async open(path: string, of: AnswersOf, rows: number): Promise<BatchOutput> {
    const output = new BatchOutput(path, of, rows);
    output.takeOver();
    await output.readBack();
    output.descriptor = writing(path, "the answers", () => openSync(path, existsSync(path) ? "r+" : "wx", OWN));
    // What was written of a last line that has no end is not there.
    ftruncateSync(output.descriptor, output.size);
    return output;
  }

  has(row: number): boolean {
    return this.isDone[row] === 1;
  }

  /** Keeps the answer to a row, unless there is one. */
  write(line: { readonly row: number }): void {
    if (!this.has(line.row)) {
      const bytes = Buffer.from(`${JSON.stringify(line)}\n`);
      try {
        writing(this.path, "the answers", () => {
          for (let at = 0; at < bytes.length; ) {
            at += writeSync(this.descriptor, bytes, at, bytes.length - at, this.size + at);
          }
        });
      } catch (error) {
        ftruncateSync(this.descriptor, this.size);
        throw error;
      }
      this.size += bytes.length;
      this.count(line);
    }
  }

  close(): void {
    fsyncSync(this.descriptor);
    closeSync(this.descriptor);
    try {
      this.note(0);
    } catch {
      // A full disk: the note names a process that is gone then, which means the same; why it ended is said already.
    }
  }

  private takeOver(): void {
    const file = `${this.path}.batch`;
    const fix = "name another --output, or remove that one with the .batch beside it";
    if (!existsSync(file)) {
      if (existsSync(this.path) && statSync(this.path).size > 0) {
        throw fail({
          code: "E0201",
          what: "the output is there already, and no batch wrote it",
          where: this.path,
          fix,
        });
      }
    } else {
      const { plan, data, process: writer } = readNote(file);
      if (plan !== this.of.plan || data !== this.of.data) {
        const what = `the output holds answers ${plan === this.of.plan ? "to another set" : "of another plan"}`;
        throw fail({ code: "E0201", what, where: this.path, fix });
      }
      if (writer !== 0 && writer !== process.pid && isAlive(writer)) {
        throw fail({ code: "E0201", what: `process ${writer} is writing the output`, where: this.path });
      }
    }
    this.note(process.pid);
  }

  private note(writer: number): void {
    writeWhole(`${this.path}.batch`, "the batch's note", `${JSON.stringify({ ...this.of, process: writer })}\n`);
  }

  private async readBack(): Promise<void> {
    if (!existsSync(this.path)) {
      return;
    }
    const end = lastLineEnd(this.path);
    if (end > 0) {
      for await (const line of createInterface({ input: createReadStream(this.path, { end: end - 1 }) })) {
        this.count(parsed(() => parse(LINE, JSON.parse(line)), this.path));
      }
    }
    this.size = end;
  }

  private count(line: { readonly row: number; error?: unknown; withheld?: unknown; right?: unknown }): void {
    this.isDone[line.row] = 1;
    this.tally.done++;
    this.tally.failed += Number(line.error !== undefined);
    this.tally.withheld += Number(line.withheld === true);
    this.tally.labelled += Number(line.right !== undefined);
    this.tally.right += Number(line.right === true);
  }
}

function readNote(file: string) {
  return parsed(() => parse(NOTE, JSON.parse(readFileSync(file, "utf8"))), file);
}

function parsed<T>(read: () => T, where: string): T {
  try {
    return read();
  } catch {
    const fix = "move the file away with the .batch beside it, and start anew";
    throw fail({ code: "E0301", what: "what a batch wrote is damaged", where, fix });
  }
}

function lastLineEnd(path: string): number {
  const descriptor = openSync(path, "r");
  try {
    return endOfLines(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function isAlive(id: number): boolean {
  try {
    return process.kill(id, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
