/**
 * Private inference beside the same model in the clear (analysis/bench), for whole known architectures.
 *
 *     npm run bench:end-to-end [-- bert-base gpt2 … [--json]]      default: the bundled model
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BenchedModel, bench } from "../analysis/bench/measure.js";
import { BENCH_FORMS } from "../analysis/bench/table.js";
import { writeArchitecture } from "../models/architectures/index.js";
import { printNote, printResult } from "./terminal.js";

const TOKENS: Readonly<Record<string, number>> = { gpt2: 32, "gpt2-medium": 32, "gpt2-large": 32 };

const json = process.argv.includes("--json");
const named = process.argv.slice(2).filter((argument) => argument !== "--json");
const folder = mkdtempSync(join(tmpdir(), "pumac-bench-"));
const planPath = join(folder, "plan.pumac");

function bundled(): BenchedModel {
  const path = join("models", "bert-sst2", "bert_sst2.legacy.op14.onnx");
  return { name: "demo BERT, 48 tokens", path, options: { dims: { b: 1, s: 48 } }, planPath, sessions: 10 };
}

/** A known architecture with random weights, written for this run. */
function written(name: string): BenchedModel {
  const tokens = TOKENS[name] ?? 128;
  const { path, ...reveal } = writeArchitecture(folder, name, tokens);
  return { name: `${name}, ${tokens} tokens`, path, options: { ...reveal, assumeRanges: true }, planPath, sessions: 2 };
}

try {
  const models = [];
  for (const make of named.length === 0 ? [bundled] : named.map((name) => () => written(name))) {
    const model = make();
    printNote(`${model.name} …`);
    models.push(await bench(model));
  }
  printResult(BENCH_FORMS[json ? "json" : "table"](models));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
