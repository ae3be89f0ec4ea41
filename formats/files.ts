/** Files read and written whole; what the system refuses is a diagnostic with the file's name. */
import {
  accessSync,
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  readSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { fail } from "../ir/diagnostics.js";

/**
 * What the system says where it has no more of something: of the disk, of the user's part of it, of the largest file
 * that this process may write, of open files, of memory.
 */
const SHORT_OF: ReadonlySet<string | undefined> = new Set(["ENOSPC", "EDQUOT", "EFBIG", "EMFILE", "ENFILE", "ENOMEM"]);

/** Whether the system has no more of something that was asked for: of the disk, of memory, of open files. */
export function isShortage(error: unknown): boolean {
  return SHORT_OF.has((error as NodeJS.ErrnoException).code);
}

/** The bytes of a file; E0301 where it cannot be read, E1001 where too many files are open. */
export function readBytes(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const code = isShortage(error) ? "E1001" : "E0301";
    throw fail({ code, what: "the file cannot be read", where: path, why });
  }
}

/**
 * Does what writes a file. E0301 where it cannot be written, E1001 where the disk is full or too many files are open;
 * `what` names it.
 */
export function writing<T>(path: string, what: string, write: () => T): T {
  try {
    return write();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === undefined) {
      throw error;
    }
    const resource = isShortage(error) ? "E1001" : "E0301";
    throw fail({ code: resource, what: `${what} cannot be written`, where: path, why: message });
  }
}

/** Has on the disk which files a folder holds: what was made, renamed and removed there. */
export function settleFolder(path: string): void {
  const descriptor = openSync(path, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Sees that a file can be written, before there is anything to write; E0301 where it cannot. */
export function checkWritable(path: string): void {
  writing(path, "the file", () => {
    const existing = statSync(path, { throwIfNoEntry: false });
    if (existing?.isDirectory() === true) {
      throw fail({ code: "E0301", what: "the file cannot be written", where: path, why: "it is a folder" });
    }
    accessSync(existing === undefined ? dirname(path) : path, constants.W_OK);
  });
}

/** Only who runs this may read it: answers, reports and notes hold values. */
const OWN = 0o600;
/** What holds no value, such as a plan, which all parties read. */
export const FOR_ALL = 0o644;

/**
 * Writes a file whole or not at all: a file that was there stays as it was until the new one is complete on the disk.
 * It is the user's own (mode 0600) unless `mode` says otherwise. E0301 where it cannot be written, E1001 where the disk
 * is full; `what` names it.
 */
export function writeWhole(path: string, what: string, content: Uint8Array | string, mode = OWN): void {
  writing(path, what, () => {
    const existing = statSync(path, { throwIfNoEntry: false });
    if (existing !== undefined && !existing.isFile()) {
      writeFileSync(path, content); // a pipe or a device, /dev/stdout: nothing to keep
      return;
    }
    const target = existing === undefined ? path : realpathSync(path);
    const temporary = join(dirname(target), `.${basename(target)}.${process.pid}`);
    try {
      const descriptor = openSync(temporary, "wx", mode);
      try {
        writeFileSync(descriptor, content);
        fsyncSync(descriptor);
      } finally {
        closeSync(descriptor);
      }
      renameSync(temporary, target);
    } catch (error) {
      rmSync(temporary, { force: true });
      throw error;
    }
  });
}

/**
 * Adds whole lines to the end of a file, the user's own. A line that was not written to its end, now for want of room
 * or before because a process was stopped, does not stay there: the next one would become part of it. E0301 and E1001
 * as `writeWhole`.
 */
export function appendLines(path: string, what: string, lines: readonly string[]): void {
  writing(path, what, () => {
    const descriptor = openSync(path, "a+", OWN);
    try {
      const end = endOfLines(descriptor);
      ftruncateSync(descriptor, end);
      try {
        writeFileSync(descriptor, lines.map((line) => `${line}\n`).join(""));
      } catch (error) {
        ftruncateSync(descriptor, end);
        throw error;
      }
    } finally {
      closeSync(descriptor);
    }
  });
}

/** Looked through from the end, in pieces of so many bytes. */
const PIECE = 1 << 16;
const LINE_END = 10;

/** Just behind the last line end of an open file; 0 where there is none. */
export function endOfLines(descriptor: number): number {
  const piece = Buffer.alloc(PIECE);
  for (let end = fstatSync(descriptor).size; end > 0; end -= PIECE) {
    const from = Math.max(0, end - PIECE);
    const length = readSync(descriptor, piece, 0, end - from, from);
    const at = piece.subarray(0, length).lastIndexOf(LINE_END);
    if (at >= 0) {
      return from + at + 1;
    }
  }
  return 0;
}
