/** Data sets as tables: TSV, CSV (RFC 4180), JSON and JSON lines, as named columns of equal length. */
import { parse } from "csv-parse/sync";

/** Columns in the order of the file; cells are text (TSV, CSV) or what JSON says. */
export type Table = ReadonlyMap<string, readonly unknown[]>;

/** Columns that hold a class number from 0; the first that a set has counts. */
export const LABELS: readonly string[] = ["label", "labels", "class", "target"];
/** Columns that hold a text. */
export const TEXTS: readonly string[] = ["text", "sentence", "content", "review", "document", "input"];

/** Tab-separated: the first line names the columns; no quoting, as data sets of sentences have it. */
export function parseTsv(text: string): Table {
  return tableOf(rowsOf(text, { delimiter: "\t", quote: null }));
}

/** Comma-separated, the first line names the columns; quoted cells may hold commas, quotes (doubled) and line ends. */
export function parseCsv(text: string): Table {
  return tableOf(rowsOf(text, {}));
}

/** The cells of every row that is not empty; how many there are is `tableOf`'s to check. */
function rowsOf(text: string, form: { readonly delimiter?: string; readonly quote?: null }): string[][] {
  const always = { bom: true, record_delimiter: ["\r\n", "\n"], relax_column_count: true, skip_empty_lines: true };
  return parse(text, { ...always, ...form });
}

/** An object a line. */
export function parseJsonLines(text: string): Table {
  return tableOfObjects(linesOf(text).map((line) => JSON.parse(line) as unknown));
}

/** A list of objects, or an object of lists. */
export function parseJsonTable(text: string): Table {
  const value: unknown = JSON.parse(text);
  if (Array.isArray(value)) {
    return tableOfObjects(value);
  }
  if (typeof value !== "object" || value === null || !Object.values(value).every(Array.isArray)) {
    throw new Error("it is neither a list of objects nor an object of lists");
  }
  return checked(new Map(Object.entries(value as Record<string, unknown[]>)));
}

function linesOf(text: string): readonly string[] {
  return text.split(/\r?\n/).filter((line) => line !== "");
}

function tableOf([names = [], ...rows]: readonly (readonly string[])[]): Table {
  const bad = rows.findIndex((row) => row.length !== names.length);
  if (bad >= 0) {
    throw new Error(`row ${bad + 1} has ${rows[bad].length} cells, the first line names ${names.length} columns`);
  }
  return new Map(names.map((name, i) => [name.trim(), rows.map((row) => row[i])]));
}

function tableOfObjects(rows: readonly unknown[]): Table {
  const isObject = (row: unknown): row is Record<string, unknown> =>
    typeof row === "object" && row !== null && !Array.isArray(row);
  if (!rows.every(isObject)) {
    throw new Error(`example ${rows.findIndex((row) => !isObject(row)) + 1} is no object`);
  }
  const names = Object.keys(rows[0] ?? {});
  return new Map(
    names.map((name) => {
      const bad = rows.findIndex((row) => !Object.hasOwn(row, name));
      if (bad >= 0) {
        throw new Error(`example ${bad + 1} has no '${name}'`);
      }
      return [name, rows.map((row) => row[name])];
    }),
  );
}

function checked(table: Table): Table {
  const lengths = new Set([...table.values()].map((column) => column.length));
  if (lengths.size > 1) {
    throw new Error(`its lists have different lengths: ${[...lengths].join(", ")}`);
  }
  return table;
}

/** A cell of comma-separated values (RFC 4180), in quotes where it needs them. */
export function csvCell(value: string | number): string {
  const text = String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
