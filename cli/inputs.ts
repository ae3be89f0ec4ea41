/**
 * The inputs of a run as the command line writes them: `--input name=@file`, `--input name=2x3xi64=…`,
 * `--input text:"…"`, `--inputs DIR`.
 */
import { type GivenInputs, type GivenTensor, inputValues } from "../client/inputs.js";
import { parseInline, readTensor } from "../formats/tensor-files.js";
import { fail } from "../ir/diagnostics.js";
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
  return inputValues(givenBy(options), expected);
}

/** What the options give. E0201 where one is no input, E0301 where a file cannot be read. */
export function givenBy({ input, inputs, tokenizer }: InputOptions): GivenInputs {
  const isText = (specification: string): boolean => specification.startsWith("text:");
  return {
    texts: input.filter(isText).map((text) => unquoted(text.slice("text:".length))),
    tensors: Object.fromEntries(input.filter((each) => !isText(each)).map(parseInput)),
    tokenizer,
    folder: inputs,
  };
}

function unquoted(text: string): string {
  return /^"(.*)"$/s.exec(text)?.[1] ?? text;
}

function parseInput(specification: string): readonly [string, GivenTensor] {
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
