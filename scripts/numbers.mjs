/**
 * The numbers of the README: `npm run docs:numbers` compiles the models of its table, keeps what their plans cost in
 * docs/numbers.json, and writes the table from there. test/docs/numbers.test.ts holds the table to the file and, in the
 * long set, the file to what plans cost now. A row whose model is not at hand stays as it was.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { root } from "./workspace.mjs";

const MINILM = join(resolve(process.env.PUMAC_DATA ?? join(root, "..", "shared", "data")), "minilm");
const TOKEN = ["--reveal", "token"];
const CALIBRATED = ["--calibrate", join(MINILM, "calibration.jsonl"), "--tokenizer", join(MINILM, "tokenizer.json")];

/** The rows: an architecture with random weights, which no file need hold, or a model file; and how it is compiled. */
const ROWS = [
  {
    name: "all-MiniLM-L6-v2, real weights, calibrated on 64 texts",
    tokens: 128,
    file: join(MINILM, "model.onnx"),
    options: ["--dim", "batch_size=1,sequence_length=128", "--reveal", "sentence_embedding", ...CALIBRATED],
  },
  { name: "BERT-base", tokens: 128, model: "bert-base", options: [] },
  { name: "BERT-base, PUMA's formulas", tokens: 128, model: "bert-base", options: ["--profile", "puma"] },
  { name: "BERT-large", tokens: 128, model: "bert-large", options: [] },
  { name: "GPT-2", tokens: 32, model: "gpt2", options: TOKEN },
  { name: "LLaMA-7B", tokens: 8, model: "llama-7b", options: TOKEN },
];

const FILE = join(root, "docs", "numbers.json");

/** What docs/numbers.json says: for each row its name, tokens, rounds, bytes, and seconds on lan and wan. */
export function readNumbers() {
  return existsSync(FILE) ? JSON.parse(readFileSync(FILE, "utf8")) : [];
}

/** The rows as their plans are now; of those whose model is not at hand, what was known. */
export function measureNumbers(known) {
  const folder = mkdtempSync(join(tmpdir(), "pumac-numbers-"));
  try {
    return ROWS.flatMap((row) => measured(row, folder) ?? known.filter(({ name }) => name === row.name));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function measured({ name, tokens, file, model, options }, folder) {
  const source = file ?? join(folder, `${model}.onnx`);
  if (file !== undefined && !existsSync(file)) {
    return undefined;
  }
  if (file === undefined) {
    pumac("model", model, "--sequence", String(tokens), "--no-weights", "-o", source);
  }
  const plan = join(folder, "numbers.pumac");
  pumac("compile", source, ...options, "-o", plan);
  const inspect = (network) => JSON.parse(pumac("inspect", plan, "--json", "--network", network)).cost;
  const { rounds, bytes, seconds } = inspect("lan");
  const { total, online, input } = bytes;
  const time = { lan: seconds.estimate, wan: inspect("wan").seconds.estimate };
  return [{ name, tokens, rounds, bytes: { total, online, input }, seconds: time }];
}

function pumac(...args) {
  const options = { encoding: "utf8", maxBuffer: 1 << 28, stdio: ["ignore", "pipe", "pipe"] };
  const { status, stdout, stderr } = spawnSync(join(root, "pumac"), args, options);
  if (status !== 0) {
    throw new Error(`pumac ${args.join(" ")}: ${stderr}`);
  }
  return stdout;
}

const HEAD = [
  "| model | tokens | rounds | bytes in all | online | weights and inputs | time, estimated: lan / wan |",
  "|---|---|---|---|---|---|---|",
];

/** The README's table. */
export function tableOf(numbers) {
  const size = (bytes) => (bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`);
  const rows = numbers.map(({ name, tokens, rounds, bytes, seconds }) => {
    const sizes = [bytes.total, bytes.online, bytes.input].map(size);
    return [name, tokens, rounds, ...sizes, `${seconds.lan.toFixed(1)} s / ${seconds.wan.toFixed(1)} s`];
  });
  return [...HEAD, ...rows.map((cells) => `| ${cells.join(" | ")} |`)].join("\n");
}

/** A page with its table made anew. */
export function withTable(page, numbers) {
  const from = page.indexOf(HEAD.join("\n"));
  if (from < 0) {
    throw new Error("the page has no table of numbers");
  }
  return page.slice(0, from) + tableOf(numbers) + page.slice(page.indexOf("\n\n", from));
}

if (process.argv[1] === import.meta.filename) {
  const numbers = measureNumbers(readNumbers());
  writeFileSync(FILE, `${JSON.stringify(numbers, undefined, 2)}\n`);
  const path = join(root, "README.md");
  writeFileSync(path, withTable(readFileSync(path, "utf8"), numbers));
}
