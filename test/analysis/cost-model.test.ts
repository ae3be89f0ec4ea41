/**
 * docs/cost-model.md says what the op table says, and works a layer of the bundled BERT. After a change that is meant,
 * `BLESS=1 npx vitest run test/analysis/cost-model.test.ts` writes the tables anew.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { costReport } from "../../analysis/cost.js";
import { compileModel } from "../../compiler/compile.js";
import { definitionOf } from "../../ir/graph.js";
import { seededNumbers } from "../../ir/seeded.js";
import { SHARE } from "../../ir/share/index.js";
import { costOf } from "../share/harness.js";
import { programOf } from "../share/programs.js";
import { checkedRows, freeOps, layerTable, numberOf, opTable } from "./cost-model.js";

const ROOT = join(import.meta.dirname, "..", "..");
const PAGE = join(ROOT, "docs", "cost-model.md");
const MODEL = join(ROOT, "models", "bert-sst2", "bert_sst2.legacy.op14.onnx");
const LAYER = "encoder.0";

/** The part of the page between two marks. */
function partOf(name: string): string {
  const page = readFileSync(PAGE, "utf8");
  return page.slice(page.indexOf(`<!-- begin ${name} -->`), page.indexOf(`<!-- end ${name} -->`)).replace(/^.*\n/, "");
}

function writePart(name: string, text: string): void {
  writeFileSync(
    PAGE,
    readFileSync(PAGE, "utf8").replace(partOf(name), () => `${text}\n`),
  );
}

/** Whole bytes of some bits of every element; words of so many are packed one by one. */
function packed(elements: number, bits: number, words = 1): number {
  return words * Math.ceil((elements * bits) / words / 8);
}

describe("the cost model's page", () => {
  test.each(checkedRows())("has the right formulas for $op", ({ declared, expected }) => {
    expect({ offline: declared.offline, online: declared.online }).toEqual(expected);
  });

  test("has every op: those that it calls free send nothing and add no round", () => {
    const random = seededNumbers(1);
    for (const op of freeOps()) {
      for (let i = 0; i < 10; i++) {
        const node = programOf(op, random).outputs[0].node;
        expect(node.op).toBe(op);
        expect(definitionOf(SHARE, op)).toBeDefined();
        expect(costOf(node)).toMatchObject({ offline: 0, online: 0, output: 0, depth: 0 });
      }
    }
    if (process.env.BLESS === "1") {
      writePart("ops", opTable());
    }
    expect(partOf("ops")).toBe(`${opTable()}\n`);
  });

  test("works a layer of BERT as the compiler plans it, row by row", async () => {
    const { plan } = await compileModel(MODEL, { dims: { b: 1, s: 48 } });
    const table = layerTable(plan, LAYER);
    const line = costReport(plan).layers.find(({ name }) => name === LAYER)!;
    const last = rowsOf(table).at(-1)!;
    expect([7, 8, 9].map((column) => Number(last[column]))).toEqual([
      line.rounds,
      line.bytes.online,
      line.bytes.offline,
    ]);
    if (process.env.BLESS === "1") {
      writePart("layer", table);
    }
    expect(partOf("layer"), "the plan has changed: BLESS=1 writes the worked layer anew").toBe(`${table}\n`);
  });

  test("has rows whose formulas give their bytes, exactly, and which add up", () => {
    const rows = rowsOf(partOf("layer"));
    const last = rows.at(-1)!;
    const sum = (column: number) => rows.slice(0, -1).reduce((total, cells) => total + Number(cells[column]), 0);
    expect(rows.length).toBeGreaterThan(30);
    expect([sum(3), sum(7), sum(8), sum(9)]).toEqual([3, 7, 8, 9].map((column) => Number(last[column])));
    for (const cells of rows.slice(0, -1)) {
      const [steps, elements, online, offline] = [3, 4, 5, 6].map((column) => numberOf(cells[column]));
      const words = Number(/^(\d+)·\(/.exec(cells[6])?.[1] ?? 1);
      const worked = [2 * steps * packed(elements, online), steps * packed(elements, offline, words)];
      expect(worked, cells.join(" | ")).toEqual([Number(cells[8]), Number(cells[9])]);
    }
  });
});

function rowsOf(table: string): string[][] {
  const lines = table.trimEnd().split("\n").slice(2);
  return lines.map((row) => row.split("|").map((cell) => cell.trim()));
}
