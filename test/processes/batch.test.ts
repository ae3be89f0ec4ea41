/**
 * Protects: a batch over lanes of real processes answers every row once, though parties are killed meanwhile; a batch
 * that is interrupted keeps what is finished and goes on with the rest.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { OWN_FIXTURES } from "../onnx/support.js";
import { isAlive, pumac, startPumac, temporaryFolder } from "./command.js";

const MODEL = join(OWN_FIXTURES, "bert_cls.t5.legacy.eager.op11.dyn", "model.onnx");
const ROWS = 10;
const folder = temporaryFolder();
const [plan, data] = ["plan.pumac", "rows.jsonl"].map((name) => join(folder, name));

beforeAll(async () => {
  await pumac("compile", MODEL, "--dim", "batch=1,seq=8", "--assume-ranges", "-o", plan);
  const row = (_: unknown, i: number): string =>
    JSON.stringify({ input_ids: Array.from({ length: 8 }, (_, k) => 1 + ((7 * i + k) % 20)), label: 0 });
  writeFileSync(data, Array.from({ length: ROWS }, row).join("\n"));
});

interface Line {
  readonly row: number;
  readonly kind: string;
  readonly best: readonly { readonly name: string; readonly score: number }[];
}

function linesOf(output: string): readonly Line[] {
  return existsSync(output)
    ? readFileSync(output, "utf8")
        .split("\n")
        .slice(0, -1)
        .map((line) => JSON.parse(line))
    : [];
}

/** Resolves when so many rows are answered. */
async function answered(output: string, rows: number): Promise<void> {
  while (linesOf(output).length < rows) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** The processes that this one has started and that run. */
function childrenOf(id: number): readonly number[] {
  const all = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  const isChild = (name: string): boolean => {
    try {
      return (
        readFileSync(join("/proc", name, "stat"), "utf8")
          .split(") ")[1]
          .split(" ")[1] === String(id)
      );
    } catch {
      return false;
    }
  };
  return all.filter(isChild).map(Number).filter(isAlive);
}

/** The score of class 0 by row, of answers to all rows. */
function scoresOf(output: string): ReadonlyMap<number, number> {
  const lines = linesOf(output);
  expect(lines.map(({ row }) => row).toSorted((a, b) => a - b)).toEqual(Array.from({ length: ROWS }, (_, i) => i + 1));
  return new Map(lines.map(({ row, best }) => [row, best.find(({ name }) => name === "class 0")!.score]));
}

describe("a batch", () => {
  it("that is interrupted goes on; parties that are killed are started again; the answers are the same", async () => {
    const [calm, rough] = ["calm.jsonl", "rough.jsonl"].map((name) => join(folder, name));
    const words = (output: string) => ["batch", plan, "--data", data, "--output", output, "--local", "--json"];
    const first = startPumac(words(calm));
    await answered(calm, 3);
    first.child.kill("SIGINT");
    expect((await first.finished).status).toBe(130);
    const kept = linesOf(calm);
    expect(kept.length).toBeLessThan(ROWS);
    const second = JSON.parse((await pumac(...words(calm))).stdout);
    expect(second).toMatchObject({ rows: ROWS, before: kept.length, failed: 0, lanes: 1 });
    expect(second.accuracy.count).toBe(ROWS);
    expect(linesOf(calm).slice(0, kept.length)).toEqual(kept);

    const killed = startPumac([...words(rough), "--lanes", "2", "--timeout", "20"]);
    for (const [rows, which] of [
      [1, 0],
      [3, 4],
    ]) {
      await answered(rough, rows);
      process.kill(childrenOf(killed.child.pid!)[which], "SIGKILL");
    }
    const { status, stdout, stderr } = await killed.finished;
    expect(status, stderr).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ rows: ROWS, before: 0, failed: 0, withheld: 0, lanes: 2 });
    const [known, found] = [scoresOf(calm), scoresOf(rough)];
    for (const [row, score] of found) {
      expect(Math.abs(score - known.get(row)!), `row ${row}`).toBeLessThan(0.02);
    }
  });
});
