/**
 * The inputs of a run from the command line: `--input name=@file`, `--input name=2x3xi64=…`, `--input text:"…"`,
 * `--inputs DIR`. Everything is checked against the plan before any party starts: every problem is one diagnostic,
 * and all are reported together.
 */
import { type Diagnostic, fail, PumacError } from "../ir/diagnostics.js";
import { isFloat, type TensorType, type TensorValue } from "../ir/tensor/value.js";
import { parseInline, type ReadTensor, readTensor } from "./tensor-files.js";
import { readTestData } from "./test-data.js";
import { encodeTexts, loadEncoder } from "./text.js";

export interface InputOptions {
  /** Each `--input`. */
  readonly input: readonly string[];
  /** The folder of `--inputs`. */
  readonly inputs?: string | undefined;
  readonly tokenizer?: string | undefined;
}

/** The values of the plan's inputs, each of exactly the plan's shape and type. `expected`: what the plan declares. */
export function readInputs(
  options: InputOptions,
  expected: ReadonlyMap<string, TensorType>,
): ReadonlyMap<string, TensorValue> {
  const given = new Map<string, ReadTensor>();
  const texts: string[] = [];
  if (options.inputs !== undefined) {
    for (const [name, value] of readTestData(options.inputs, "input", [...expected.keys()])) {
      given.set(name, value);
    }
  }
  for (const specification of options.input) {
    const text = /^text:(.*)$/s.exec(specification);
    if (text !== null) {
      texts.push(unquoted(text[1]));
    } else {
      const [name, value] = parseInput(specification);
      given.set(name, value);
    }
  }
  const values = new Map(texts.length > 0 ? fromTexts(options, texts, expected) : []);
  const problems: Diagnostic[] = [];
  for (const [name, value] of given) {
    const type = expected.get(name);
    if (type === undefined) {
      problems.push(unknownInput(name, expected));
    } else {
      try {
        values.set(name, fitted(name, value, type));
      } catch (error) {
        problems.push(...diagnosticsOf(error));
      }
    }
  }
  const missing = [...expected.keys()].filter((name) => !values.has(name) && !given.has(name));
  problems.push(...missing.map((name) => missingInput(name, expected.get(name)!)));
  if (problems.length > 0) {
    throw fail(...problems);
  }
  return values;
}

function diagnosticsOf(error: unknown): readonly Diagnostic[] {
  if (error instanceof PumacError) {
    return error.diagnostics;
  }
  throw error;
}

function unquoted(text: string): string {
  return /^"(.*)"$/s.exec(text)?.[1] ?? text;
}

function fromTexts(
  options: InputOptions,
  texts: readonly string[],
  expected: ReadonlyMap<string, TensorType>,
): ReadonlyMap<string, TensorValue> {
  if (options.tokenizer === undefined) {
    throw fail({ code: "E0201", what: "text needs a tokenizer", fix: "add --tokenizer path/to/tokenizer.json" });
  }
  return encodeTexts(loadEncoder(options.tokenizer), texts, expected);
}

function parseInput(specification: string): readonly [string, ReadTensor] {
  const equals = specification.indexOf("=");
  if (equals > 0) {
    const name = specification.slice(0, equals);
    const rest = specification.slice(equals + 1);
    const value = rest.startsWith("@") ? readTensor(rest.slice(1)) : parseInline(rest);
    if (value !== undefined) {
      return [name, value];
    }
  }
  throw fail({
    code: "E0201",
    what: `'${specification.slice(0, 60)}' is not an input`,
    fix: 'write name=@file.npy, name=@file.json, name=2x3xi64=1,2,3,4,5,6 or text:"…"',
  });
}

/** The value with the plan's type, if its shape is the plan's and every number is one that the type can hold. */
export function fitted(name: string, value: ReadTensor, type: TensorType): TensorValue {
  if (value.shape.join() !== type.shape.join()) {
    const what = `the input has shape [${value.shape}], the plan needs [${type.shape}]`;
    throw fail({
      code: "E0202",
      what,
      where: name,
      fix: "give an input of that shape, or compile for this one (--shape)",
    });
  }
  if (value.dtype !== undefined && kindOf(value.dtype) !== kindOf(type.dtype)) {
    throw fail({ code: "E0202", what: `the input is ${value.dtype}, the plan needs ${type.dtype}`, where: name });
  }
  const bad = value.data.findIndex((number) => !holds(type, number));
  if (bad >= 0) {
    throw fail({ code: "E0202", what: `element ${bad} is not a ${type.dtype}`, where: name });
  }
  return { dtype: type.dtype, shape: type.shape, data: value.data };
}

function kindOf(dtype: TensorType["dtype"]): "float" | "integer" {
  return isFloat(dtype) ? "float" : "integer";
}

const INTEGER_RANGES: Readonly<Record<string, readonly [number, number]>> = {
  ...{ bool: [0, 1], i8: [-128, 127], u8: [0, 255], i16: [-32768, 32767], u16: [0, 65535] },
  ...{ i32: [-(2 ** 31), 2 ** 31 - 1], u32: [0, 2 ** 32 - 1] },
  ...{ i64: [-(2 ** 53), 2 ** 53], u64: [0, 2 ** 53] },
};

function holds({ dtype }: TensorType, number: number): boolean {
  const range = INTEGER_RANGES[dtype];
  return range === undefined
    ? Number.isFinite(number)
    : Number.isInteger(number) && number >= range[0] && number <= range[1];
}

function unknownInput(name: string, expected: ReadonlyMap<string, TensorType>): Diagnostic {
  return {
    code: "E0202",
    what: `the plan has no input '${name}'`,
    fix: `its inputs are ${[...expected.keys()].join(", ")}`,
  };
}

function missingInput(name: string, { dtype, shape }: TensorType): Diagnostic {
  const what = `the plan's input '${name}' was not given`;
  const file = `--input ${name}=@file.npy of shape [${shape}] and type ${dtype}`;
  const fix = `add ${file}, or --input text:"…" --tokenizer FILE`;
  return { code: "E0202", what, where: name, fix };
}
