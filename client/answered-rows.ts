/** Answers to a data set as rows of a file: JSON lines, or comma-separated values (RFC 4180). */

import { csvCell } from "../formats/table.js";
import { fail } from "../ir/diagnostics.js";
import type { TensorValue } from "../ir/tensor/value.js";
import { type Answer, answersOf, describeAnswer, type Reading } from "./answers.js";
import type { SessionResult } from "./owners.js";

/** What came of a row of the set; rows count from 1. */
export interface AnsweredRow {
  readonly row: number;
  /** Withheld by the overflow guard: then there is no answer. */
  readonly withheld: boolean;
  /** Where the outputs are of no known kind: their numbers, by name. */
  readonly answer: Answer | { readonly kind: "outputs"; readonly values: Readonly<Record<string, readonly number[]>> };
  /** The set's own label. */
  readonly label: number | undefined;
}

/** The answers of a batch: of these examples, from their session. */
export async function answeredRows(
  indices: readonly number[],
  { outputs, alarm }: Pick<SessionResult, "outputs" | "alarm">,
  inputs: ReadonlyMap<string, TensorValue>,
  { labels, batch }: { readonly labels: readonly (number | undefined)[]; readonly batch: number },
  reading: Reading,
): Promise<readonly AnsweredRow[]> {
  const answers = await answersOf(outputs, inputs, reading);
  return indices.map((index, i) => ({
    row: index + 1,
    withheld: alarm,
    answer: answers[i] ?? numbersOf(outputs, i, batch),
    label: labels[index],
  }));
}

/** The numbers of one row of a batch. */
export function numbersOf(
  outputs: ReadonlyMap<string, TensorValue>,
  row: number,
  batch: number,
): AnsweredRow["answer"] {
  const part = ({ data }: TensorValue): readonly number[] => {
    const length = data.length / batch;
    return [...data.subarray(row * length, (row + 1) * length)];
  };
  return { kind: "outputs", values: Object.fromEntries([...outputs].map(([name, value]) => [name, part(value)])) };
}

const WRITERS: Readonly<Record<string, (rows: readonly AnsweredRow[]) => string>> = {
  ".jsonl": (rows) => rows.map((each) => `${JSON.stringify(lineOf(each))}\n`).join(""),
  ".csv": (rows) => [HEAD, ...rows.map(cellsOf)].map((cells) => `${cells.map(csvCell).join(",")}\r\n`).join(""),
};

/** How answers are written to a file of this name; E0201 where its ending says no form. */
export function writerFor(path: string): (rows: readonly AnsweredRow[]) => string {
  const writer = WRITERS[path.slice(path.lastIndexOf("."))];
  if (writer === undefined) {
    const fix = "name a .jsonl or .csv file";
    throw fail({ code: "E0201", what: `answers cannot be written to '${path}'`, fix });
  }
  return writer;
}

/** The line of a row, as an object. */
export function lineOf({ row, withheld, answer, label }: AnsweredRow): object {
  return { row, ...(withheld ? { withheld } : answer), ...(label === undefined ? {} : { label }) };
}

const HEAD = ["row", "answer", "score", "label", "withheld"];

function cellsOf({ row, withheld, answer, label }: AnsweredRow): readonly string[] {
  const [said, score] = withheld ? ["", ""] : inCells(answer);
  return [String(row), said, score, label === undefined ? "" : String(label), withheld ? "yes" : ""];
}

function inCells(answer: AnsweredRow["answer"]): readonly [string, string] {
  switch (answer.kind) {
    case "class":
      return [answer.best[0].name, answer.best[0].score.toFixed(6)];
    case "span":
      return [answer.text ?? `${answer.from}-${answer.to}`, answer.score.toFixed(6)];
    case "embedding":
      return [JSON.stringify(answer.values), ""];
    case "outputs":
      return [JSON.stringify(answer.values), ""];
    default:
      return [describeAnswer(answer), ""];
  }
}
