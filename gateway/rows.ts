/**
 * A data set row by row, however long it is: JSON lines, or a table (CSV as RFC 4180 has it, TSV without quotes) whose
 * first line names the columns. A row that cannot be read is a row with a problem, and the next one follows.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { extname } from "node:path";
import { createInterface } from "node:readline";
import { parse } from "csv-parse";
import { fail } from "../ir/diagnostics.js";

/** A row, counted from 1: its cells by column, or why there are none. */
export interface Row {
  readonly row: number;
  readonly cells: Readonly<Record<string, unknown>> | undefined;
  readonly problem?: string;
}

/** A longer record is no row: a quote was opened and never closed. */
const LONGEST_ROW = 16 << 20;

/** The rows of a file. E0301 where it cannot be read to its end, or is of no such form. */
export async function* readRows(path: string): AsyncGenerator<Row> {
  const read = READERS[extname(path).toLowerCase()];
  if (read === undefined) {
    const fix = "give a .jsonl, .csv or .tsv file";
    throw fail({ code: "E0301", what: `rows cannot be read from '${extname(path)}' files`, where: path, fix });
  }
  try {
    yield* read(path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (typeof code !== "string") {
      throw error;
    }
    throw fail({ code: "E0301", what: "the rows cannot be read", where: path, why: message });
  }
}

const READERS: Readonly<Record<string, (path: string) => AsyncGenerator<Row>>> = {
  ".jsonl": readJsonLines,
  ".csv": (path) => readTable(path, { relax_quotes: true }),
  ".tsv": (path) => readTable(path, { delimiter: "\t", quote: null }),
};

async function* readJsonLines(path: string): AsyncGenerator<Row> {
  let row = 0;
  // A file that cannot be read says so to its reader only, and not to the lines.
  const file = createReadStream(path);
  const opened = new Promise((resolve, reject) => file.once("open", resolve).once("error", reject));
  await opened;
  for await (const line of createInterface({ input: file, crlfDelay: Number.POSITIVE_INFINITY })) {
    const text = line.replace(/^\uFEFF/, "");
    if (text.trim() !== "") {
      row++;
      yield { row, ...objectIn(text) };
    }
  }
}

function objectIn(line: string): Omit<Row, "row"> {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? { cells: value as Record<string, unknown> }
      : { cells: undefined, problem: "the line is no JSON object" };
  } catch {
    // What the parser says quotes the line, which may be private.
    return { cells: undefined, problem: "the line is no JSON" };
  }
}

async function* readTable(path: string, form: object): AsyncGenerator<Row> {
  const always = { bom: true, record_delimiter: ["\r\n", "\n"], relax_column_count: true, skip_empty_lines: true };
  const parser = parse({ ...always, ...form, max_record_size: LONGEST_ROW });
  const file = createReadStream(path).on("error", (error) => parser.destroy(error));
  file.pipe(parser);
  let names: readonly string[] | undefined;
  let row = 0;
  for await (const cells of parser as AsyncIterable<readonly string[]>) {
    if (names === undefined) {
      names = cells.map((name) => name.trim());
      continue;
    }
    row++;
    const known = names;
    yield cells.length === known.length
      ? { row, cells: Object.fromEntries(known.map((name, i) => [name, cells[i]])) }
      : {
          row,
          cells: undefined,
          problem: `it has ${cells.length} cells, the first line names ${known.length} columns`,
        };
  }
}

/** How many rows a file has, and its SHA-256 (hexadecimal). */
export async function countRows(path: string): Promise<{ readonly rows: number; readonly digest: string }> {
  let rows = 0;
  for await (const { row } of readRows(path)) {
    rows = row;
  }
  const hash = createHash("sha256");
  for await (const piece of createReadStream(path)) {
    hash.update(piece as Uint8Array);
  }
  return { rows, digest: hash.digest("hex") };
}
