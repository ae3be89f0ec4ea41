/** Deadlines: nothing that a party waits for is waited for without one. */
import { fail } from "../ir/diagnostics.js";

/**
 * What `promise` gives, or E0602 naming the peer where it takes longer than so many milliseconds. `peerOf`: who it is
 * that is missing when the time is over.
 */
export async function within<T>(
  promise: Promise<T>,
  milliseconds: number,
  peerOf: string | (() => string),
  what: string,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const peer = typeof peerOf === "string" ? peerOf : peerOf();
      const why = `${what} did not come within ${milliseconds / 1000} seconds`;
      reject(fail({ code: "E0602", what: `${peer} did not answer in time`, where: peer, why }));
    }, milliseconds);
  });
  promise.catch(() => undefined);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** What `promise` gives; rejects with the signal's reason as soon as it is aborted. */
export async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  promise.catch(() => undefined);
  let abort: () => void = () => undefined;
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
  });
  if (signal.aborted) {
    throw signal.reason;
  }
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
