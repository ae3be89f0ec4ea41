/**
 * Protects: a batch of a hundred thousand rows takes the memory of one of a few thousand, stopped half-way and started
 * again too, and has one line for every row. Who answers is simulated; reading, queue, lanes and output are those of
 * `pumac batch`.
 */
import { once } from "node:events";
import { createReadStream, createWriteStream, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { finished } from "node:stream/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterAll, expect, it } from "vitest";
import type { SessionResult } from "../../client/owners.js";
import { Batch } from "../../gateway/batch.js";
import { Lanes } from "../../gateway/lanes.js";
import { InProcessQueue } from "../../gateway/queue/in-process.js";
import { fail } from "../../ir/diagnostics.js";
import type { TensorType, TensorValue } from "../../ir/tensor/value.js";

const ROWS = 100_000;
const LANES = 4;
/** Rows after which what stays in memory is looked at, and where the first start ends. */
const [EARLY, HALF] = [5_000, ROWS / 2];
/** What may be held for rows that are done: a bit each, and the room that the collector leaves itself. */
const MOST_GROWTH = 3e6;

const folder = mkdtempSync(join(tmpdir(), "pumac-batch-long-"));
afterAll(() => rmSync(folder, { recursive: true }));

setFlagsFromString("--expose-gc");
const collect: () => void = runInNewContext("gc");

function heap(): number {
  collect();
  return process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers;
}

/** Rows of two numbers and a label; every thousandth has a number too few, and cannot be read. */
async function writeRows(path: string): Promise<void> {
  const stream = createWriteStream(path);
  for (let row = 0; row < ROWS; row++) {
    const line = row % 1000 === 7 ? '{"x":[1]}\n' : `{"x":[${row},0],"label":1}\n`;
    if (!stream.write(line)) {
      await once(stream, "drain");
    }
  }
  stream.end();
  await finished(stream);
}

type Values = ReadonlyMap<string, TensorValue>;

async function answerOf(inputs: Values): Promise<SessionResult> {
  const [x] = inputs.values();
  const data = Float64Array.of(x.data[0], -x.data[0]);
  return { alarm: false, outputs: new Map([["logits", { ...x, data }]]) } as unknown as SessionResult;
}

/** Answers until this many rows are done; gives what was in memory early, and at the end. */
async function start(data: string, output: string, until: number): Promise<readonly [early: number, late: number]> {
  const expected = new Map<string, TensorType>([["x", { dtype: "f32", shape: [1, 2] }]]);
  const options = { expected, encoder: undefined, truncate: false, reading: {}, plan: "a".repeat(64), data, output };
  const batch = await Batch.open(options);
  const before = batch.before;
  let [isStopped, early, late] = [false, 0, 0];
  const ask = async (inputs: Values): Promise<SessionResult> => {
    if (isStopped) {
      throw fail({ code: "E0802", what: "P0 has not approved the plan" });
    }
    return answerOf(inputs);
  };
  const lanes = new Lanes<Values, SessionResult>({
    lanes: Array.from({ length: LANES }, (_, i) => ({ name: `lane ${i}`, ask })),
    queue: new InProcessQueue({ lease: 1000, capacity: 100 }),
    ...{ lease: 1000, patience: 1000, capacity: 100, rest: 1 },
  });
  const onProgress = (done: number): void => {
    early = early === 0 && done >= before + EARLY ? heap() : early;
    isStopped ||= done >= until && until < ROWS;
    late = done >= until && late === 0 ? heap() : late;
  };
  const ended = await batch.answer(lanes, 2 * LANES, onProgress).then(
    () => undefined,
    (error: unknown) => error,
  );
  batch.close();
  await lanes.close();
  expect(ended === undefined).toBe(until === ROWS);
  return [early, late];
}

it("a hundred thousand rows, in the memory of a few thousand", { timeout: 600_000 }, async () => {
  const [data, output] = [join(folder, "rows.jsonl"), join(folder, "answers.jsonl")];
  await writeRows(data);
  const [first, half] = await start(data, output, HALF);
  const [again, whole] = await start(data, output, ROWS);
  expect(half - first, "from 5,000 to 50,000 rows").toBeLessThan(MOST_GROWTH);
  expect(whole - again, "from 55,000 to 100,000 rows").toBeLessThan(MOST_GROWTH);
  const seen = new Uint8Array(ROWS + 1);
  let refused = 0;
  for await (const line of createInterface({ input: createReadStream(output) })) {
    const { row, error } = JSON.parse(line) as { row?: number; error?: { code: string } };
    if (row !== undefined) {
      seen[row]++;
      refused += error === undefined ? 0 : 1;
    }
  }
  expect(seen.findIndex((times, row) => times !== (row === 0 ? 0 : 1))).toBe(-1);
  expect(refused).toBe(ROWS / 1000);
});
