/**
 * The inputs of a run as they are written: `name=@file`, `name=2x3xi64=…`, `text:…`, `text:@file`, `text:-`, and a
 * folder of test data.
 */
import { readFileSync } from "node:fs";
import { parseTensor } from "../formats/bindings.js";
import { readBytes } from "../formats/files.js";
import type { OnCut } from "../formats/text.js";
import { fail } from "../ir/diagnostics.js";
import type { GivenInputs } from "./inputs.js";

export interface WrittenInputs {
  readonly input: readonly string[];
  /** A folder of ONNX test data. */
  readonly inputs?: string | undefined;
  readonly tokenizer?: string | undefined;
  /** Without it texts that are longer than the plan are errors. */
  readonly onCut?: OnCut | undefined;
}

/** What is given. E0201 where something is no input, E0301 where a file cannot be read. */
export function givenInputs({ input, inputs, tokenizer, onCut }: WrittenInputs): GivenInputs {
  const isText = (written: string): boolean => written.startsWith("text:");
  return {
    texts: input.filter(isText).map((text) => textOf(text.slice("text:".length))),
    tensors: Object.fromEntries(input.filter((each) => !isText(each)).map(parseTensor)),
    tokenizer,
    folder: inputs,
    ...(onCut !== undefined && { onCut }),
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
