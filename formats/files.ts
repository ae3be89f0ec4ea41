/** Files read and written whole; what the system refuses is a diagnostic with the file's name. */
import {
  accessSync,
  closeSync,
  constants,
  fsyncSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { fail } from "../ir/diagnostics.js";

/** The bytes of a file; E0301 where it cannot be read. */
export function readBytes(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw fail({ code: "E0301", what: "the file cannot be read", where: path, why });
  }
}

/** Does what writes a file. E0301 where it cannot be written, E1001 where the disk is full; `what` names it. */
export function writing<T>(path: string, what: string, write: () => T): T {
  try {
    return write();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === undefined) {
      throw error;
    }
    const resource = code === "ENOSPC" ? "E1001" : "E0301";
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
