/** The options that say what a run is given. */
import { givenInputs } from "../client/given.js";
import type { GivenInputs } from "../client/inputs.js";
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

/** What the options give. */
export function givenBy({ truncate, ...given }: InputOptions): GivenInputs {
  return givenInputs({
    ...given,
    ...(truncate === true && {
      onCut: ({ text, tokens, length }) => printNote(`text ${text} is cut: ${tokens} tokens, the plan takes ${length}`),
    }),
  });
}
