/**
 * The portable kernels: every kernel of interface.ts in plain TypeScript. They are the reference of the native kernels
 * and run where the addon cannot; streams come from node:crypto. Written to be read, fast enough for small models.
 */
import type { Kernels } from "./interface.js";
import { memoryOf } from "./memory.js";
import { bitKernels } from "./portable-bits.js";
import { fusedKernels } from "./portable-fused.js";
import { maskedKernels } from "./portable-masked.js";
import { streamKernels, wireKernels } from "./portable-stream.js";
import { wordKernels } from "./portable-words.js";

/** Portable kernels with a zeroed arena of at least `arenaBytes` bytes. */
export function createPortableKernels(arenaBytes: number): Kernels {
  const arena = new ArrayBuffer(Math.ceil(arenaBytes / 64) * 64);
  const memory = memoryOf(arena);
  const { streamWords, ...streams } = streamKernels(memory);
  return {
    name: "portable",
    arena,
    ...streams,
    ...wireKernels(memory),
    ...wordKernels(memory),
    ...bitKernels(memory),
    ...fusedKernels(memory),
    ...maskedKernels(memory, streamWords),
    close() {
      // Everything lives in the JavaScript heap.
    },
  };
}
