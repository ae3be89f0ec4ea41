/**
 * A labelled data set as the inputs of a plan: a table with a column of text (TSV, CSV, JSON, JSON lines, and the
 * model's tokenizer), or the model's inputs by name with a row for each example (`.npz`, JSON, JSON lines). Labels are
 * class numbers from 0 in a column named label; examples without one (or with −1, as test sets have it) count for
 * agreement only. A plan of batch B takes B examples at a time.
 */
import { extname } from "node:path";
import { readBytes } from "../../formats/files.js";
import { fitted } from "../../formats/fitted.js";
import { readNpz } from "../../formats/npz.js";
import { LABELS, parseCsv, parseJsonLines, parseJsonTable, parseTsv, type Table, TEXTS } from "../../formats/table.js";
import { type ReadTensor, readNumpy, tensorOfArrays } from "../../formats/tensor-files.js";
import { loadEncoder, textInputs } from "../../formats/text.js";
import { fail } from "../../ir/diagnostics.js";
import { sizeOf, type TensorType, type TensorValue } from "../../ir/tensor/value.js";

export interface Examples {
  readonly count: number;
  /** The class of each example; undefined where the set does not say. */
  readonly labels: readonly (number | undefined)[];
  /** Examples that the plan takes at a time. */
  readonly batch: number;
  /** The plan's inputs for `batch` examples, by their places in the set. */
  inputs(indices: readonly number[]): ReadonlyMap<string, TensorValue>;
  /** Places of texts that were longer than the plan and have been cut, of those that were asked for. */
  readonly cut?: ReadonlySet<number>;
}

type Inputs = ReadonlyMap<string, TensorType>;

/** Reads a set for a plan with these inputs. E0301 for what is no such file, E0202 for what does not fit the plan. */
export async function readExamples(path: string, tokenizer: string | undefined, expected: Inputs): Promise<Examples> {
  const extension = extname(path).toLowerCase();
  const bytes = readBytes(path);
  if (extension === ".npz") {
    const read = () => new Map([...readNpz(bytes)].map(([name, array]) => [name, readNumpy(array)]));
    const arrays = parsed(path, read);
    const [labels, inputs] = splitLabels(arrays);
    return fromTensors(path, inputs, labels && [...labels.data], expected);
  }
  const parse = PARSERS[extension];
  if (parse === undefined) {
    const fix = "give a .tsv, .csv, .jsonl or .json table, or the model's inputs as .npz or .json";
    throw fail({ code: "E0301", what: `data sets cannot be read from '${extension}' files`, where: path, fix });
  }
  const table = parsed(path, () => parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)));
  const [labels, columns] = splitLabels(table);
  const text = TEXTS.find((name) => typeof columns.get(name)?.[0] === "string");
  if (text !== undefined) {
    return fromTexts(path, columns.get(text) as readonly string[], labels, tokenizer, expected);
  }
  if ([...columns.values()].some((column) => typeof column[0] === "string")) {
    throw withoutText(path, table);
  }
  const arrays = parsed(path, () => new Map([...columns].map(([name, rows]) => [name, tensorOfArrays(rows)])));
  return fromTensors(path, arrays, labels, expected);
}

const PARSERS: Readonly<Record<string, (text: string) => Table>> = {
  ".tsv": parseTsv,
  ".csv": parseCsv,
  ".json": parseJsonTable,
  ".jsonl": parseJsonLines,
};

function parsed<T>(path: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw fail({ code: "E0301", what: "not a data set of that form", where: path, why });
  }
}

function withoutText(path: string, table: Table): Error {
  return fail({
    code: "E0202",
    what: "the data set has no column of text",
    where: path,
    why: `its columns are ${[...table.keys()].map((name) => `'${name}'`).join(", ")}`,
    fix: `name the columns in the first line: ${TEXTS.slice(0, 3).join(", ")} or ${TEXTS[3]}, and label`,
  });
}

/** The labels, and everything else. */
function splitLabels<T>(columns: ReadonlyMap<string, T>): readonly [T | undefined, ReadonlyMap<string, T>] {
  const name = LABELS.find((each) => columns.has(each));
  const others = new Map([...columns].filter(([each]) => each !== name));
  return [name === undefined ? undefined : columns.get(name), others];
}

function labelsOf(path: string, column: readonly unknown[] | undefined, count: number): (number | undefined)[] {
  if (count === 0) {
    throw fail({ code: "E0202", what: "the data set is empty", where: path });
  }
  if (column === undefined) {
    return Array.from({ length: count }, () => undefined);
  }
  return column.map((cell, i) => {
    const label = typeof cell === "string" && cell.trim() === "" ? Number.NaN : Number(cell);
    if (!Number.isInteger(label) || label < -1) {
      const what = `the label of example ${i + 1} is ${JSON.stringify(cell)}`;
      throw fail({ code: "E0202", what, where: path, fix: "write labels as class numbers from 0, -1 for unknown" });
    }
    return label === -1 ? undefined : label;
  });
}

async function fromTexts(
  path: string,
  texts: readonly string[],
  labels: readonly unknown[] | undefined,
  tokenizer: string | undefined,
  expected: Inputs,
): Promise<Examples> {
  if (tokenizer === undefined) {
    throw fail({ code: "E0201", what: "text needs a tokenizer", fix: "add --tokenizer path/to/tokenizer.json" });
  }
  const encoder = loadEncoder(tokenizer);
  const tokens = await encoder.encode(texts);
  const [type] = expected.values();
  const batch = type === undefined || type.shape.length < 2 ? 1 : type.shape[0];
  const cut = new Set<number>();
  const encode = (indices: readonly number[]) =>
    textInputs(
      encoder.paddingId,
      indices.map((index) => tokens[index]),
      expected,
      ({ text }) => cut.add(indices[text - 1]),
    );
  const first = encode(Array.from({ length: batch }, () => 0));
  const missing = [...expected.keys()].filter((name) => !first.has(name));
  if (missing.length > 0) {
    const what = `text does not say what the input '${missing[0]}' is`;
    throw fail({ code: "E0202", what, where: path, fix: "give the model's inputs by name, as .npz or .json" });
  }
  return { count: texts.length, labels: labelsOf(path, labels, texts.length), batch, inputs: encode, cut };
}

function fromTensors(
  path: string,
  arrays: ReadonlyMap<string, ReadTensor>,
  labels: readonly unknown[] | undefined,
  expected: Inputs,
): Examples {
  const count = labels?.length ?? [...arrays.values()][0]?.shape[0] ?? 0;
  const batches = new Set<number>();
  for (const [name, type] of expected) {
    batches.add(batchOf(path, name, arrays.get(name), type, count));
  }
  if (batches.size !== 1) {
    const what = `the plan's inputs disagree on how many examples it takes: ${[...batches].join(", ")}`;
    throw fail({ code: "E0202", what, where: path });
  }
  const [batch] = batches;
  return {
    count,
    labels: labelsOf(path, labels, count),
    batch,
    inputs: (indices) =>
      new Map(
        [...expected].map(([name, type]) => [name, fitted(name, rowsOf(arrays.get(name)!, indices, type), type)]),
      ),
  };
}

/** Examples per run by one input: its array has a row for each example, of the plan's shape or without its batch. */
function batchOf(path: string, name: string, array: ReadTensor | undefined, type: TensorType, count: number): number {
  if (array === undefined) {
    const fix = `add an array '${name}' with a row of shape [${type.shape.slice(1)}] for each example`;
    throw fail({ code: "E0202", what: `the data set has no input '${name}'`, where: path, fix });
  }
  const row = array.shape.slice(1).join();
  if (array.shape[0] === count && row === type.shape.join()) {
    return 1;
  }
  if (array.shape[0] === count && type.shape.length > 0 && row === type.shape.slice(1).join()) {
    return type.shape[0];
  }
  const what = `'${name}' has shape [${array.shape}], needed is [${[count, ...type.shape.slice(1)]}]`;
  throw fail({
    code: "E0202",
    what,
    where: path,
    why: `the set has ${count} examples, the plan takes [${type.shape}]`,
  });
}

function rowsOf({ shape, data, dtype }: ReadTensor, indices: readonly number[], type: TensorType): ReadTensor {
  const length = sizeOf(shape.slice(1));
  const rows = new Float64Array(sizeOf(type.shape));
  for (const [i, index] of indices.entries()) {
    rows.set(data.subarray(index * length, (index + 1) * length), i * length);
  }
  return { shape: type.shape, data: rows, dtype };
}
