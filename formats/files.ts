/** Files read and written whole; what the system refuses is a diagnostic with the file's name. */
import { readFileSync } from "node:fs";
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
