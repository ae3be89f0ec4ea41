/**
 * An answer for every row of a data set, how often the private answer is the plain model's, and how often it is right.
 */
import { type AnsweredRow, answeredRows, writerFor } from "../../client/answered-rows.js";
import type { Reading } from "../../client/answers.js";
import { dataInputs } from "../../client/owners.js";
import { checkWritable, writeWhole } from "../../formats/files.js";
import { fail } from "../../ir/diagnostics.js";
import type { Plan } from "../../ir/plan/types.js";
import { type EvaluationOptions, evaluateExamples, scoresIfAny, scoresOf } from "./evaluation.js";
import { type Examples, readExamples } from "./examples.js";
import { type Summary, summarise } from "./summary.js";
import type { DataRun } from "./text.js";

/** A set that has been read and checked against a plan, and where its answers are to be written. */
export interface OpenSet {
  readonly path: string;
  readonly examples: Examples;
  /** How many rows are answered, from the first. */
  readonly count: number;
  /** The output with a row of scores for each example; none where answers are only written. */
  readonly output: string | undefined;
  readonly write: (rows: readonly AnsweredRow[]) => readonly string[];
}

/** What came of a set: the rows; where there are scores also their summary. */
export interface AnsweredSet {
  readonly rows: readonly AnsweredRow[];
  readonly scored: { readonly run: Omit<DataRun, "digest">; readonly summary: Summary } | undefined;
  /** The files that were written. */
  readonly written: readonly string[];
}

/** Reads the set, and sees that its answers can be written and scored, before anything runs. E0201, E0202, E0301. */
export async function openSet(
  plan: Plan,
  {
    data,
    tokenizer,
    count: wanted,
    output: files,
  }: {
    readonly data: string;
    readonly tokenizer?: string | undefined;
    readonly count?: number | undefined;
    readonly output: readonly string[];
  },
): Promise<OpenSet> {
  const examples = await readExamples(data, tokenizer, dataInputs(plan));
  const writers = files.map((path) => ({ path, writer: writerFor(path) }));
  files.forEach(checkWritable);
  // Where answers are written, none need have scores.
  const output = (files.length > 0 ? scoresIfAny : scoresOf)(plan, examples.batch);
  const count = Math.min(examples.count, wanted ?? examples.count);
  if (count === 0) {
    throw fail({ code: "E0201", what: "--count 0 leaves no example" });
  }
  const write: OpenSet["write"] = (rows) =>
    writers.map(({ path, writer }) => {
      writeWhole(path, "the answers", writer(rows));
      return path;
    });
  return { path: data, examples, count, output, write };
}

/** Runs the set. E0503 where the overflow guard withholds every answer. */
export async function answerSet(
  { path, examples, count, output, write }: OpenSet,
  {
    reading,
    onRows,
    ...options
  }: Pick<EvaluationOptions, "roles" | "plain" | "seed"> & {
    readonly reading: Reading;
    /** Hears how many rows are done. */
    readonly onRows: (done: number, all: number) => void;
  },
): Promise<AnsweredSet> {
  const started = performance.now();
  const rows: AnsweredRow[] = [];
  const scored = await evaluateExamples({
    ...{ examples, output, count },
    ...options,
    onResult: async (indices, result, inputs) => {
      rows.push(...(await answeredRows(indices, result, inputs, examples, reading)));
      onRows(rows.length, count);
    },
  });
  if (rows.every(({ withheld }) => withheld)) {
    const fix = "compile again with --calibrate on inputs like these";
    throw fail({ code: "E0503", what: "the overflow guard withholds every answer", where: path, fix });
  }
  const written = write(rows);
  const seconds = (performance.now() - started) / 1000;
  const run = output === undefined ? undefined : { path, output, seconds, cut: examples.cut?.size ?? 0 };
  return { rows, scored: run && { run, summary: summarise(scored) }, written };
}
