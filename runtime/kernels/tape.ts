/** Tapes for kernels that have none of their own (interface.ts): the calls are kept, and made one by one. */
import type { Kernels, Tape, Work } from "./interface.js";

/** A recorder has every function of the kernels, and never touches an arena. */
export function recorderOf(note: (name: string, args: readonly unknown[]) => void): Kernels {
  return new Proxy({} as Kernels, {
    get: (_, name) => (typeof name === "string" ? (...args: readonly unknown[]) => note(name, args) : undefined),
  });
}

/** So long may noted calls hold the event loop, in milliseconds. */
const TURN = 5;

type Functions = Readonly<Record<string, (...args: readonly unknown[]) => Work>>;

export function plainTape(): Tape {
  const calls: { readonly name: string; readonly args: readonly unknown[] }[] = [];
  return {
    recorder: recorderOf((name, args) => void calls.push({ name, args })),
    get length() {
      return calls.length;
    },
    cut: (length) => {
      calls.length = length;
    },
    play: async (kernels, from, to) => {
      let turn = performance.now();
      for (const { name, args } of calls.slice(from, to)) {
        await (kernels as unknown as Functions)[name](...args);
        if (performance.now() - turn > TURN) {
          await new Promise((resolve) => setImmediate(resolve));
          turn = performance.now();
        }
      }
    },
  };
}
