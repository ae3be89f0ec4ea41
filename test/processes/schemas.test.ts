/** What every command prints with --json is what its published schema says, and every schema is some command's. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { OWN_FIXTURES } from "../onnx/support.js";
import { pumac, temporaryFolder } from "./command.js";
import { DOCUMENTS, documentOf } from "./documents.js";

const seen = new Set<string>();

const FIXTURE = join(OWN_FIXTURES, "bert_cls.t5.legacy.eager.op11.dyn");
const MODEL = join(FIXTURE, "model.onnx");
const DATA = join(FIXTURE, "test_data_set_0");
const folder = temporaryFolder();
const [plan, other, set, rowsFile] = ["plan.pumac", "other.pumac", "set.json", "rows.jsonl"].map((name) =>
  join(folder, name),
);
const DIMS = ["--dim", "batch=1,seq=8"];

/** Of parties that stay: parties.test.ts and generate.test.ts hold these. */
const OF_PARTIES = ["audit", "generate", "prepare", "share", "trust"].map((name) => `pumac.${name}/1`);

/** Holds a document to the schema that it names. */
function check(text: string): void {
  seen.add(documentOf(text).schema);
}

beforeAll(async () => {
  const made = await Promise.all([
    pumac("compile", MODEL, ...DIMS, "--calibrate", DATA, "-o", plan, "--json"),
    pumac("compile", MODEL, ...DIMS, "--assume-ranges", "--profile", "puma", "-o", other, "--json"),
  ]);
  for (const { stdout } of made) {
    check(stdout);
  }
  const rows = [1, 2].map((id) => ({ input_ids: new Array(8).fill(id), attention_mask: new Array(8).fill(1) }));
  const labelled = rows.map((row) => ({ ...row, token_type_ids: new Array(8).fill(0), label: 0 }));
  writeFileSync(set, JSON.stringify(labelled));
  writeFileSync(rowsFile, labelled.map((row) => `${JSON.stringify(row)}\n`).join(""));
});
afterAll(() => expect([...seen, ...OF_PARTIES].toSorted()).toEqual(DOCUMENTS));

describe("a document", () => {
  it.each([
    ["inspect", [plan]],
    ["inspect", [plan, other]],
    ["simulate", [plan, "--inputs", DATA]],
    ["simulate", [plan, "--data", set]],
    ["run", [plan, "--inputs", DATA]],
    ["batch", [plan, "--data", rowsFile, "--output", join(folder, "answers.jsonl"), "--local"]],
    ["verify", [plan]],
    ["model", ["bert-base", "--no-weights", "--sequence", "8", "-o", join(folder, "bert.onnx")]],
    ["explain", ["E0203"]],
    ["doctor", []],
    ["inspect", [join(folder, "none.pumac")]],
    ["inspect", [plan, "--nothing"]],
  ])("of %s is what its schema says: %j", async (command, words) => {
    check((await pumac(command, ...words, "--json")).stdout);
  });

  it("of a report is what its schema says", async () => {
    const report = join(folder, "report.json");
    await pumac("simulate", plan, "--inputs", DATA, "--report", report);
    check(readFileSync(report, "utf8"));
  });
});
