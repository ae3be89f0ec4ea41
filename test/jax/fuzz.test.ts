/**
 * Damaged modules: whatever is done to the text or the proto, the answer is a graph or a PumacError with a place, never
 * another exception, a hang or an allocation that the module only claims to need.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { importHlo, importStableHlo } from "../../compiler/jax/index.js";
import { PumacError } from "../../ir/diagnostics.js";
import { dataFolder } from "./data.js";

/** A generator of numbers in [0, 1) that gives the same ones in every run. */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

const SMALL = readFileSync(join(import.meta.dirname, "fixtures", "small.mlir"), "utf8");

const FRAGMENTS = [
  "%",
  "%0",
  "tensor<",
  ">",
  "<",
  "{",
  "}",
  "(",
  "[",
  "]",
  '"',
  "x",
  "99999999999",
  "-1",
  "0x",
  "loc(",
  "#loc",
  ":",
  "?",
  "\n",
  "dense<",
];

/** One to three random edits. */
function damage(text: string, random: () => number): string {
  let result = text;
  const edits = 1 + Math.floor(random() * 3);
  for (let i = 0; i < edits; i++) {
    const at = Math.floor(random() * result.length);
    const length = Math.floor(random() * 12);
    const fragment = FRAGMENTS[Math.floor(random() * FRAGMENTS.length)];
    const other = Math.floor(random() * result.length);
    const kind = Math.floor(random() * 4);
    const insert = [fragment, "", result.slice(other, other + length * 4), String(Math.floor(random() * 12))][kind];
    result = result.slice(0, at) + insert + result.slice(at + (kind === 0 ? 0 : length % 4));
  }
  return result;
}

/** Imports; any error must be a diagnostic with a place. Returns whether the module was accepted. */
function survives(run: () => unknown, place: RegExp): boolean {
  try {
    run();
    return true;
  } catch (error) {
    if (!(error instanceof PumacError)) {
      throw error;
    }
    for (const { where } of error.diagnostics) {
      expect(where).toMatch(place);
    }
    return false;
  }
}

describe("damaged text", () => {
  it("is accepted or told where it is wrong", () => {
    const random = generator(7);
    expect(survives(() => importStableHlo(SMALL), /./)).toBe(true);
    let accepted = 0;
    for (let i = 0; i < 1500; i++) {
      const text = damage(SMALL, random);
      accepted += Number(survives(() => importStableHlo(text, { file: "f.mlir" }), /^f\.mlir(:\d+:\d+|$)/));
    }
    expect(accepted).toBeGreaterThan(0);
    expect(accepted).toBeLessThan(1500);
  });
});

const fixtures = dataFolder("fixtures-jax");

describe.skipIf(fixtures === undefined)("damaged protos", () => {
  it("are accepted or told where they are wrong", () => {
    const random = generator(11);
    const original = readFileSync(join(fixtures!, "flax_llama_lm", "module.hlo.pb"));
    let refused = 0;
    for (let i = 0; i < 120; i++) {
      const bytes = Buffer.from(original);
      const edits = 1 + Math.floor(random() * 4);
      for (let k = 0; k < edits; k++) {
        bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
      }
      const cut = i % 10 === 0 ? bytes.subarray(0, Math.floor(random() * bytes.length)) : bytes;
      refused += Number(!survives(() => importHlo(cut, { file: "f.pb" }), /^f\.pb/));
    }
    expect(refused).toBeGreaterThan(0);
  });
});
