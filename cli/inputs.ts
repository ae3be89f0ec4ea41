/**
 * The inputs of a run from the command line: `--input name=@file`, `--input name=2x3xi64=…`, `--input text:"…"`,
 * `--inputs DIR`. Everything is checked against the plan before any party starts: every problem is one diagnostic,
 * and all are reported together.
 */

import { fitted } from "../formats/fitted.js";
import { parseInline, type ReadTensor, readTensor } from "../formats/tensor-files.js";
import { readTestData } from "../formats/test-data.js";
import { encodeTexts, loadEncoder } from "../formats/text.js";
import { type Diagnostic, fail, PumacError } from "../ir/diagnostics.js";
import type { TensorType, TensorValue } from "../ir/tensor/value.js";

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
