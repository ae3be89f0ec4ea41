/**
 * The inputs of a run as the command line writes them: `--input name=@file`, `--input name=2x3xi64=…`,
 * `--input text:…`, `--input text:@file`, `--inputs DIR`.
 */
import { readFileSync } from "node:fs";
import { type GivenInputs, type GivenTensor, inputValues } from "../client/inputs.js";
import { readBytes } from "../formats/files.js";
import { parseInline, readTensor } from "../formats/tensor-files.js";
import { fail } from "../ir/diagnostics.js";
import type { TensorType, TensorValue } from "../ir/tensor/value.js";
import { printNote } from "./terminal.js";

export interface InputOptions {
  /** Each `--input`. */
  readonly input: readonly string[];
  /** The folder of `--inputs`. */
  readonly inputs?: string | undefined;
  readonly tokenizer?: string | undefined;
  /** Cut texts that are longer than the plan, and say so. */
  readonly truncate?: boolean | undefined;
}

/** The values of the plan's inputs, each of exactly the plan's shape and type. `expected`: what the plan declares. */
export function readInputs(
  options: InputOptions,
  expected: ReadonlyMap<string, TensorType>,
): Promise<ReadonlyMap<string, TensorValue>> {
  return inputValues(givenBy(options), expected);
}

/** What the options give. E0201 where one is no input, E0301 where a file cannot be read. */
export function givenBy({ input, inputs, tokenizer, truncate }: InputOptions): GivenInputs {
  const isText = (specification: string): boolean => specification.startsWith("text:");
  return {
    texts: input.filter(isText).map((text) => textOf(text.slice("text:".length))),
    tensors: Object.fromEntries(input.filter((each) => !isText(each)).map(parseInput)),
    tokenizer,
    folder: inputs,
    ...(truncate === true && {
      onCut: ({ text, tokens, length }) => printNote(`text ${text} is cut: ${tokens} tokens, the plan takes ${length}`),
    }),
  };
}

/** `@file` and `-` (standard input) keep a private text out of the list of processes; a last line end is no text. */
export function textOf(given: string): string {
  if (given !== "-" && !given.startsWith("@")) {
    return given;
  }
  const bytes = given === "-" ? readFileSync(0) : readBytes(given.slice(1));
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes).replace(/\r?\n$/, "");
  } catch {
    throw fail({ code: "E0301", what: "the text is not UTF-8", where: given });
  }
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
