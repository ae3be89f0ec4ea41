/**
 * Protects: a batch has one line for every row of the set, answered or with the reason why not, however often it is
 * stopped and started, and reads no further ahead than its lanes.
 */
import { appendFileSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it, vi } from "vitest";
import type { SessionResult } from "../../client/owners.js";
import { Batch, type BatchOptions, type BatchResult } from "../../gateway/batch.js";
import { Lanes } from "../../gateway/lanes.js";
import { InProcessQueue } from "../../gateway/queue/in-process.js";
import { fail, PumacError } from "../../ir/diagnostics.js";
import type { TensorType, TensorValue } from "../../ir/tensor/value.js";
import { disk } from "../party/simulated-disk.js";

vi.mock("node:fs", async (original) => {
  const fs = await original<typeof import("node:fs")>();
  const { onDisk } = await import("../party/simulated-disk.js");
  const written = { writeFileSync: onDisk(fs.writeFileSync as never), writeSync: onDisk(fs.writeSync as never) };
  return { ...fs, ...written, default: fs };
});

const folder = mkdtempSync(join(tmpdir(), "pumac-batch-"));
afterAll(() => rmSync(folder, { recursive: true }));
let files = 0;

const PLAN = "a".repeat(64);
const ONE = new Map<string, TensorType>([["x", { dtype: "f32", shape: [1, 2] }]]);
const FOUR = new Map<string, TensorType>([["x", { dtype: "f32", shape: [4, 2] }]]);

type Values = ReadonlyMap<string, TensorValue>;

let wasFull = false;

/**
 * Answers with the scores [x, -x] of each row's first number; 13 is withheld, 66 ends the lanes, and the first 55 fills
 * the disk.
 */
function answerTo(inputs: Values): SessionResult {
  const [x] = inputs.values();
  if (x.data.includes(13)) {
    throw fail({ code: "E0503", what: "the answer is withheld" });
  }
  if (x.data.includes(66)) {
    throw fail({ code: "E0802", what: "P0 has not approved the plan" });
  }
  disk.isFull ||= x.data.includes(55) && !wasFull;
  wasFull ||= disk.isFull;
  const data = x.data.map((value, i) => (i % 2 === 0 ? value : -x.data[i - 1]));
  return { alarm: false, outputs: new Map([["logits", { ...x, data }]]) } as unknown as SessionResult;
}

interface Done {
  readonly result: BatchResult;
  readonly lines: readonly Readonly<Record<string, unknown>>[];
  readonly asked: number;
  readonly output: string;
}

async function batchOf(
  set: string,
  more: Partial<BatchOptions> & { lanes?: number; queue?: InProcessQueue } = {},
): Promise<Done> {
  const output = more.output ?? join(folder, `answers-${files++}.jsonl`);
  const { lanes: count = 2, queue = new InProcessQueue({ lease: 1000, capacity: 100 }), ...given } = more;
  const options = { expected: ONE, encoder: undefined, truncate: false, reading: {}, plan: PLAN, data: set, output };
  const classOf = () => (outputs: Values, row: number) => (outputs.get("logits")!.data[2 * row] > 0 ? 1 : 0);
  const batch = await Batch.open({ ...options, classOf, ...given });
  let asked = 0;
  const ask = async (inputs: Values): Promise<SessionResult> => {
    asked++;
    return answerTo(inputs);
  };
  const lanes = new Lanes({
    lanes: Array.from({ length: count }, (_, i) => ({ name: `lane ${i}`, ask })),
    queue,
    ...{ lease: 1000, patience: 1000, capacity: 100, rest: 1 },
  });
  try {
    await batch.answer(lanes, 2 * count, () => undefined);
  } finally {
    batch.close();
    await lanes.close();
  }
  return { result: batch.result, asked, output, lines: linesOf(output) };
}

function linesOf(path: string): Readonly<Record<string, unknown>>[] {
  const lines = readFileSync(path, "utf8").trimEnd().split("\n");
  return lines.map((line) => JSON.parse(line)).toSorted((a, b) => a.row - b.row);
}

function file(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

const rowsOf = (values: readonly number[]): string => values.map((x) => `{"x":[${x},0],"label":1}\n`).join("");

async function problem(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => undefined,
    (cause: unknown) => cause,
  );
  return error instanceof PumacError ? `${error.diagnostics[0].code} ${error.diagnostics[0].what}` : String(error);
}

describe("a batch", () => {
  it.each([
    ["a.jsonl", '{"x":[1,0],"label":1}\n{"x":[[-2,0]],"label":1}\n'],
    ["a.csv", 'label,x\r\n1,"[1, 0]"\r\n1,"[-2,0]"\r\n'],
    ["a.tsv", "x\tlabel\n[1,0]\t1\n[-2,0]\t1\n"],
  ])("of %s has a line for every row", async (name, content) => {
    const { lines, result } = await batchOf(file(name, content));
    expect(lines.map(({ row, right, label }) => [row, right, label])).toEqual([
      [1, true, 1],
      [2, false, 1],
    ]);
    expect(result).toMatchObject({ rows: 2, done: 2, before: 0, failed: 0, labelled: 2, right: 1 });
  });

  it("is not stopped by bad rows, and says of each what is wrong", async () => {
    const bad = [
      "no json",
      "[1]",
      '{"y":1}',
      '{"x":[1,2,3]}',
      '{"x":"?"}',
      '{"x":[1,0],"label":"good"}',
      '{"x":[13,0]}',
    ];
    const { lines, result } = await batchOf(file("bad.jsonl", [...bad, '{"x":[5,0]}'].join("\n")));
    expect(lines.map(({ row }) => row)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(lines.slice(0, 6).map(({ error }) => (error as { code: string }).code)).toEqual(new Array(6).fill("E0202"));
    expect(lines[6]).toEqual({ row: 7, withheld: true });
    expect(lines[7]).toMatchObject({ row: 8, kind: "class" });
    expect(result).toMatchObject({ rows: 8, done: 8, failed: 6, withheld: 1, labelled: 0 });
    expect(JSON.stringify(lines)).not.toContain("no json");
  });

  it("of a table with rows of other lengths keeps their numbers", async () => {
    const { lines } = await batchOf(file("short.csv", 'x,label\n"[1,0]",1\nalone\n"[2,0]",1\n'));
    expect(lines.map(({ row, error, right }) => [row, (error as { code: string } | undefined)?.code, right])).toEqual([
      [1, undefined, true],
      [2, "E0202", undefined],
      [3, undefined, true],
    ]);
  });

  it("asks about as many rows at a time as the plan takes; one withheld row is alone", async () => {
    const set = file("four.jsonl", rowsOf([1, 2, -3, 4, 5, 13, 7, 8, 9, -10]));
    const { lines, asked, result } = await batchOf(set, { expected: FOUR });
    expect(lines.map(({ right, withheld }) => withheld ?? right)).toEqual([
      true,
      true,
      false,
      true,
      true,
      true,
      true,
      true,
      true,
      false,
    ]);
    expect(result).toMatchObject({ done: 10, withheld: 1, labelled: 9, right: 7 });
    // Three groups, and the four rows of the one with the withheld row.
    expect(asked).toBe(7);
  });

  it("goes on where it was stopped, in the middle of a line too", async () => {
    const values = Array.from({ length: 30 }, (_, i) => i + 100);
    const whole = file("whole.jsonl", rowsOf(values));
    const { output, asked } = await batchOf(whole);
    expect(asked).toBe(30);
    const text = readFileSync(output, "utf8");
    const kept = text.split("\n").slice(0, 11).join("\n").length + 1;
    truncateSync(output, kept + 7);
    const again = await batchOf(whole, { output });
    expect(again).toMatchObject({ asked: 19, result: { before: 11, done: 30, right: 30 } });
    expect(readFileSync(output, "utf8").slice(0, kept)).toBe(text.slice(0, kept));
    expect(again.lines.map(({ row }) => row)).toEqual(values.map((_, i) => i + 1));
    expect(await batchOf(whole, { output })).toMatchObject({ asked: 0, result: { before: 30, done: 30 } });
  });

  it("says that the disk is full, loses no answer, and goes on when there is room", async () => {
    const values = Array.from({ length: 20 }, (_, i) => (i === 9 ? 55 : i + 100));
    const set = file("full.jsonl", rowsOf(values));
    const output = join(folder, "full-answers.jsonl");
    expect(await problem(batchOf(set, { output, lanes: 1 }))).toMatch(/^E1001 the answers cannot be written/);
    disk.isFull = false;
    const before = linesOf(output).length;
    expect(before).toBeGreaterThan(5);
    const { lines, result } = await batchOf(set, { output });
    expect([lines.map(({ row }) => row), result.before]).toEqual([values.map((_, i) => i + 1), before]);
  });

  it("waits for a queue that is full of what is answered, as one is that was killed and came back", async () => {
    const queue = new InProcessQueue({ lease: 1000, capacity: 100 });
    let refused = 0;
    const put: typeof queue.put = async (id) => {
      if (refused++ % 3 === 0) {
        throw fail({ code: "E1002", what: "the queue is full" });
      }
      return await queue.put(id);
    };
    const forgetful = Object.assign(Object.create(queue) as InProcessQueue, { put });
    const set = file("forgotten.jsonl", rowsOf([1, 2, 3, 4, 5]));
    expect((await batchOf(set, { queue: forgetful })).result.done).toBe(5);
  });

  it("that loses all its lanes keeps what is answered", async () => {
    const set = file("lost.jsonl", rowsOf([1, 2, 3, 4, 66, 6, 7, 8]));
    const output = join(folder, "lost-answers.jsonl");
    // A lane that has answered before waits for its parties: its patience is over soon here.
    expect(await problem(batchOf(set, { output, lanes: 1 }))).toMatch(/^E0802/);
    const lines = linesOf(output);
    expect(lines.length).toBeGreaterThanOrEqual(4);
    expect(lines.every(({ error }) => error === undefined)).toBe(true);
  });

  it("does not write into other answers", async () => {
    const set = file("mine.jsonl", rowsOf([1]));
    const foreign = file("foreign.jsonl", "precious\n");
    expect(await problem(batchOf(set, { output: foreign }))).toMatch(/^E0201 the output is there already/);
    expect(readFileSync(foreign, "utf8")).toBe("precious\n");
    const { output } = await batchOf(set);
    expect(await problem(batchOf(set, { output, plan: "b".repeat(64) }))).toMatch(/^E0201 .*of another plan/);
    appendFileSync(set, rowsOf([2]));
    expect(await problem(batchOf(set, { output }))).toMatch(/^E0201 .*to another set/);
    expect(await problem(batchOf(set, { output: join(folder, "x.csv") }))).toMatch(/^E0201/);
    writeFileSync(
      `${output}.batch`,
      readFileSync(`${output}.batch`, "utf8").replace('"process":0', `"process":${process.ppid}`),
    );
    writeFileSync(set, rowsOf([1]));
    expect(await problem(batchOf(set, { output }))).toMatch(/^E0201 process \d+ is writing/);
  });

  it("needs a set", async () => {
    expect(await problem(batchOf(join(folder, "none.jsonl")))).toMatch(/^E0301/);
    expect(await problem(batchOf(join(folder, "none.csv")))).toMatch(/^E0301/);
    expect(await problem(batchOf(file("empty.jsonl", "\n")))).toMatch(/^E0202/);
    expect(await problem(batchOf(file("set.xml", "<a/>")))).toMatch(/^E0301/);
    expect(await problem(batchOf(file("text.jsonl", '{"text":"a"}\n')))).toMatch(/^E0201 text needs a tokenizer/);
  });

  it("of many rows reads a few ahead of its lanes", async () => {
    const count = 10_000;
    const set = file(
      "many.jsonl",
      Array.from({ length: count }, (_, i) => `{"text":"${i + 100}","label":1}\n`).join(""),
    );
    let [read, answered, most] = [0, 0, 0];
    const encode = async ([text]: readonly string[]) => {
      most = Math.max(most, ++read - answered);
      return [{ ids: [Number(text), 0], closing: 0 }];
    };
    const encoder = { encode, decode: async () => "", paddingId: 0, endIds: [] };
    const expected = new Map<string, TensorType>([["ids", { dtype: "i64", shape: [1, 2] }]]);
    const classOf = () => () => ++answered;
    const { result, asked } = await batchOf(set, { encoder, expected, classOf });
    expect(result).toMatchObject({ rows: count, done: count, labelled: count });
    expect(asked).toBe(count);
    expect(most).toBeLessThanOrEqual(2 * 2 + 1);
  });
});
