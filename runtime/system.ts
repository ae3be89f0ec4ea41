/**
 * What a process that holds shares asks of its system, and Node does not offer: the addon does it, where there is one.
 */
import { setFlagsFromString } from "node:v8";
import { openNative } from "./kernels/native.js";

/**
 * From now on this process leaves no core file, which would hold its shares: by the limit of cores, and, where the
 * system pipes them to a program, by being undumpable; nobody else of this user may look into its memory then either.
 * Whether that holds.
 */
export function leaveNoCore(): boolean {
  const native = openNative();
  return typeof native !== "string" && native.leaveNoCore();
}

/** The last major version of V8 that knows these flags, Node 20's: later ones complain of one on standard error. */
const LAST_WITH_BUDGET = 11;

/**
 * From now on this process optimises only JavaScript that runs ten times as often as V8 waits for: a party's time is in
 * kernels, and compiling what calls them took more of a session than it gave back (docs/performance.md). Of a later V8
 * than Node 20's nothing is asked: nobody measured it there.
 */
export function optimiseLate(): void {
  if (Number.parseInt(process.versions.v8, 10) <= LAST_WITH_BUDGET) {
    setFlagsFromString("--interrupt-budget=1500000");
  }
}

/**
 * From now on this process looks for garbage when there is four times as much as was in use, on the heap and in buffers
 * outside of it, not half as much again: what comes over TLS to a socket that listened lies in a buffer of its own for
 * each 16 KB, and each collection looks through the whole plan. It may hold some tens of megabytes more.
 */
export function collectLate(): void {
  if (Number.parseInt(process.versions.v8, 10) <= LAST_WITH_BUDGET) {
    setFlagsFromString("--heap-growing-percent=300");
  }
}

/**
 * A file mapped into memory: all who map it use the system's one copy, read as it is used; what is written to it here
 * stays here. Undefined where it cannot be mapped: it is to be read then. The file must not become shorter meanwhile.
 */
export function mapFile(path: string): Uint8Array | undefined {
  const native = openNative();
  const mapped = typeof native === "string" ? undefined : native.mapFile(path);
  return mapped && new Uint8Array(mapped);
}

/**
 * Gives back the memory of bytes of a mapped file that were used: this process reads them from the system's copy again
 * where it uses them again. Of other memory, and where the system cannot, nothing happens.
 */
export function forgetPages({ buffer, byteOffset, byteLength }: Uint8Array): void {
  const native = openNative();
  if (typeof native !== "string" && buffer instanceof ArrayBuffer) {
    native.forgetPages(buffer, byteOffset, byteLength);
  }
}
