/**
 * Bytes of a model on disk, read by position. A model may be larger than memory, so nothing here loads a file: a reader
 * asks for the bytes it needs, and a small window serves the many tiny reads of a wire format. External tensor data is
 * resolved here too, because a model file comes from strangers: what it names must lie inside the model's own folder.
 *
 * Assumes that the file does not change while it is read; a read beyond the end is a diagnostic, never a short answer.
 */
import { closeSync, fstatSync, openSync, readSync, realpathSync, statSync } from "node:fs";
import { dirname, isAbsolute, resolve, sep } from "node:path";
import { fail } from "../ir/diagnostics.js";

/** Something that has bytes at positions: a file, or bytes already in memory. */
export interface ByteSource {
  readonly name: string;
  readonly size: number;
  /** The bytes [offset, offset+length); E0301 where the source is shorter. The result may be a view: do not write. */
  read(offset: number, length: number): Uint8Array;
  /** Fills `target` with the bytes from `offset` on; E0301 where the source is shorter. */
  readInto(offset: number, target: Uint8Array): void;
}

const WINDOW = 1 << 18;

function checkRange(source: ByteSource, offset: number, length: number): void {
  if (!(offset >= 0 && length >= 0 && offset + length <= source.size)) {
    throw fail({
      code: "E0301",
      what: `the file ends at byte ${source.size}, but ${length} bytes at ${offset} are needed`,
      where: source.name,
      fix: "copy or export the file again: it is truncated or damaged",
    });
  }
}

/** A file read by position. It is opened for each window, so that no descriptor outlives a call. */
export class ModelFile implements ByteSource {
  readonly size: number;
  private window: Uint8Array = new Uint8Array(0);
  private windowStart = 0;

  /** Looks the file up; E0301 where it is missing, unreadable or not a regular file. */
  constructor(readonly name: string) {
    this.size = withFile(name, (descriptor) => fstatSync(descriptor).size);
  }

  read(offset: number, length: number): Uint8Array {
    checkRange(this, offset, length);
    if (length > WINDOW) {
      const bytes = new Uint8Array(length);
      this.fill(offset, bytes);
      return bytes;
    }
    if (offset < this.windowStart || offset + length > this.windowStart + this.window.length) {
      const bytes = new Uint8Array(Math.min(WINDOW, this.size - offset));
      this.fill(offset, bytes);
      this.window = bytes;
      this.windowStart = offset;
    }
    return this.window.subarray(offset - this.windowStart, offset - this.windowStart + length);
  }

  readInto(offset: number, target: Uint8Array): void {
    checkRange(this, offset, target.length);
    this.fill(offset, target);
  }

  private fill(offset: number, target: Uint8Array): void {
    withFile(this.name, (descriptor) => {
      for (let done = 0; done < target.length; ) {
        const count = readSync(descriptor, target, done, Math.min(target.length - done, 1 << 30), offset + done);
        if (count === 0) {
          throw fail({ code: "E0301", what: "the file became shorter while it was read", where: this.name });
        }
        done += count;
      }
    });
  }
}

function withFile<R>(path: string, use: (descriptor: number) => R): R {
  let descriptor: number;
  try {
    descriptor = openSync(path, "r");
  } catch (error) {
    throw fail({ code: "E0301", what: "the file cannot be opened", where: path, why: reasonOf(error) });
  }
  try {
    if (!fstatSync(descriptor).isFile()) {
      throw fail({ code: "E0301", what: "this is not a file", where: path });
    }
    return use(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Bytes in memory as a source: a tensor inside an attribute, a test. */
export function memorySource(bytes: Uint8Array, name: string): ByteSource {
  const source: ByteSource = {
    name,
    size: bytes.length,
    read(offset, length) {
      checkRange(source, offset, length);
      return bytes.subarray(offset, offset + length);
    },
    readInto(offset, target) {
      checkRange(source, offset, target.length);
      target.set(bytes.subarray(offset, offset + target.length));
    },
  };
  return source;
}

/**
 * The path of external data named `location` by the model at `modelPath`. E0304 unless it stays inside the model's
 * folder: no absolute path, no `..`, no link that leads out. The file itself may be absent (`undefined`): a compile
 * needs shapes, not values.
 */
export function resolveExternal(modelPath: string, location: string): string | undefined {
  const refuse = (why: string) =>
    fail({
      code: "E0304",
      what: `external data at '${location}' is refused`,
      where: modelPath,
      why,
      fix: "put the data file beside the model and name it by a relative path",
    });
  const absolute = isAbsolute(location) || /^[A-Za-z]:/.test(location) || location.startsWith("\\");
  if (location === "" || location.includes("\0")) {
    throw refuse("the location is empty or holds a zero byte");
  }
  if (absolute) {
    throw refuse("the path is absolute");
  }
  if (location.split(/[/\\]/).includes("..")) {
    throw refuse("the path contains '..'");
  }
  const folder = dirname(resolve(modelPath));
  const path = resolve(folder, location);
  if (statSync(path, { throwIfNoEntry: false }) === undefined) {
    return undefined;
  }
  if (!realpathSync(path).startsWith(withSeparator(realpathSync(folder)))) {
    throw refuse("the file is a link that leads out of the model's folder");
  }
  return path;
}

function withSeparator(folder: string): string {
  return folder.endsWith(sep) ? folder : folder + sep;
}
