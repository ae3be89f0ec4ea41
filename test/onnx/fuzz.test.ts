/**
 * Damaged files: whatever the bytes, an import ends soon, in an answer or in a diagnostic, and takes no more than 1 GB.
 * Models are imported by a process of their own, so that its memory can be measured and a hang ended. Deterministic:
 * the mutations come from a seeded generator.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { readTensorFile } from "../../formats/onnx/tensor-proto.js";
import { PumacError } from "../../ir/diagnostics.js";
import { builtFile } from "../built.js";
import { DATA, modelFolders, OWN_FIXTURES } from "./support.js";

const folder = mkdtempSync(join(tmpdir(), "pumac-fuzz-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** xorshift32. */
function generator(seed: number): (limit: number) => number {
  let state = seed >>> 0 || 1;
  return (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % limit;
  };
}

function mutate(bytes: Uint8Array, next: (limit: number) => number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  switch (next(5)) {
    case 0:
      return copy.subarray(0, next(copy.length));
    case 1:
      for (let i = 0; i < 1 + next(20); i++) {
        copy[next(copy.length)] = next(256);
      }
      return copy;
    case 2: {
      const at = next(copy.length);
      copy.fill(0xff, at, at + 1 + next(12));
      return copy;
    }
    case 3: {
      const [from, to, length] = [next(copy.length), next(copy.length), 1 + next(64)];
      copy.copyWithin(to, from, Math.min(copy.length, from + length));
      return copy;
    }
    default: {
      const at = next(copy.length);
      return Buffer.concat([copy.subarray(0, at), copy.subarray(Math.min(copy.length, at + 1 + next(9)))]);
    }
  }
}

/** The kinds of structure differ by exporter; the part of a file that is not weights is what is worth damaging. */
const SOURCES = [
  ...modelFolders(OWN_FIXTURES).map((name) => join(OWN_FIXTURES, name, "model.onnx")),
  ...modelFolders(join(DATA, "fixtures-onnx"))
    .filter((name) => /ortpy|optimum|op11|op23/.test(name))
    .map((name) => join(DATA, "fixtures-onnx", name, "model.onnx")),
];

function ends(action: () => unknown, what: string): void {
  try {
    action();
  } catch (error) {
    if (!(error instanceof PumacError)) {
      throw new Error(`${what}: ${error instanceof Error ? error.stack : String(error)}`);
    }
  }
}

const ROUNDS = 60;
const DIMS = { batch: 1, seq: 4, sequence_length: 4, batch_size: 1, past: 2, total: 6, past_sequence_length: 2 };
const LARGEST_MEMORY = 2 ** 30;
/** Seconds of processor time that one import may take. */
const LONGEST_IMPORT = 10;

/** Imports every file it is given and says how each ended, and the most memory that it ever had. */
const IMPORTER = `
import { importOnnx } from ${JSON.stringify(pathToFileURL(builtFile("compiler", "onnx", "index.js")).href)};
const ends = process.argv.slice(1).map((path) => {
  const before = process.cpuUsage();
  let end = "imported";
  try {
    importOnnx(path, { dims: ${JSON.stringify(DIMS)} });
  } catch (error) {
    end = error.diagnostics?.[0]?.code ?? String(error?.stack ?? error);
  }
  const { user, system } = process.cpuUsage(before);
  return { end, seconds: (user + system) / 1e6 };
});
console.log(JSON.stringify({ ends, bytes: process.resourceUsage().maxRSS * 1024 }));
`;

interface Report {
  readonly ends: readonly { readonly end: string; readonly seconds: number }[];
  readonly bytes: number;
}

function importAll(paths: readonly string[]): Report {
  const options = ["--max-old-space-size=900", "--input-type=module", "--eval", IMPORTER];
  const timeout = 1000 * (60 + LONGEST_IMPORT);
  const { stdout, stderr, signal } = spawnSync(process.execPath, [...options, ...paths], { encoding: "utf8", timeout });
  expect(signal, `the importer hung or ran out of memory: ${stderr}`).toBeNull();
  return JSON.parse(stdout) as Report;
}

describe("mutated models", () => {
  it.each(SOURCES)("%s", (source) => {
    const bytes = readFileSync(source);
    const next = generator(bytes.length);
    const paths = Array.from({ length: ROUNDS }, (_, round) => {
      const path = join(folder, `mutant${round}.onnx`);
      writeFileSync(path, mutate(bytes, next));
      return path;
    });
    const report = importAll(paths);
    expect(report.ends).toHaveLength(ROUNDS);
    report.ends.forEach(({ end, seconds }, round) => {
      expect(end, `round ${round}`).toMatch(/^(imported|E0\d{3})$/);
      expect(seconds, `round ${round}`).toBeLessThan(LONGEST_IMPORT);
    });
    expect(report.bytes).toBeLessThan(LARGEST_MEMORY);
  });
});

describe("mutated tensors", () => {
  it("end in a value or a diagnostic", () => {
    const tensor = Uint8Array.from([8, 2, 8, 3, 16, 1, 66, 1, 120, 74, 24, ...Array(24).fill(7)]);
    const next = generator(7);
    const path = join(folder, "mutant.pb");
    writeFileSync(path, tensor);
    expect(readTensorFile(path).value.shape).toEqual([2, 3]);
    for (let round = 0; round < 2000; round++) {
      writeFileSync(path, mutate(tensor, next));
      ends(() => readTensorFile(path), `round ${round}`);
    }
  });

  it("with huge declared sizes allocate nothing", () => {
    const path = join(folder, "huge.pb");
    const huge = [8, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f];
    for (const kind of [1, 7, 10, 11, 13]) {
      writeFileSync(path, Uint8Array.from([...huge, 16, kind, 74, 0]));
      expect(() => readTensorFile(path)).toThrow(PumacError);
    }
  });
});
