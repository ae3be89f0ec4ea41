/**
 * Text as a model's inputs: token ids, attention mask and token types, padded or cut to the plan's fixed length.
 * Tokenisation is @huggingface/tokenizers', from the model's own tokenizer.json; padding and truncation follow the
 * Hugging Face defaults (padding on the right, special tokens kept when a text is cut).
 */
import { Tokenizer } from "@huggingface/tokenizers";
import { fail } from "../ir/diagnostics.js";
import { sizeOf, type TensorType, type TensorValue } from "../ir/tensor/value.js";
import { readBytes } from "./files.js";

export interface Encoder {
  /**
   * Token ids with special tokens, at most `length`: of a longer text the first ones and the closing special
   * tokens. `onCut` hears how many tokens such a text has.
   */
  readonly encode: (text: string, length: number, onCut?: (tokens: number) => void) => readonly number[];
  readonly decode: (ids: readonly number[]) => string;
  readonly paddingId: number;
}

interface TokenizerFile {
  readonly padding?: { readonly pad_id?: number } | null;
  readonly added_tokens?: readonly { readonly id: number; readonly content: string }[];
}

const PADDING_TOKENS = ["[PAD]", "<pad>", "<|pad|>"];

/** Loads a tokenizer.json; E0301 where it is none. */
export function loadEncoder(path: string): Encoder {
  const bytes = readBytes(path);
  try {
    const file = JSON.parse(new TextDecoder().decode(bytes)) as TokenizerFile;
    const tokenizer = new Tokenizer(file, {});
    const padding = file.added_tokens?.find(({ content }) => PADDING_TOKENS.includes(content))?.id;
    return {
      encode: (text, length, onCut) => cut(tokenizer, text, length, onCut),
      decode: (ids) => tokenizer.decode([...ids]),
      paddingId: file.padding?.pad_id ?? padding ?? 0,
    };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw fail({ code: "E0301", what: "not a Hugging Face tokenizer.json", where: path, why });
  }
}

function cut(
  tokenizer: Tokenizer,
  text: string,
  length: number,
  onCut: (tokens: number) => void = () => undefined,
): readonly number[] {
  const whole = tokenizer.encode(text).ids;
  if (whole.length <= length) {
    return whole;
  }
  onCut(whole.length);
  const opening = tokenizer.encode("").ids;
  const bare = tokenizer.encode(text, { add_special_tokens: false }).ids;
  const closing = Math.max(0, opening.length - whole.indexOf(bare[0]));
  return [...whole.slice(0, length - closing), ...whole.slice(whole.length - closing)];
}

/** A text that is longer than the plan: which (from 1), its tokens, and the plan's. */
export interface Cut {
  readonly text: number;
  readonly tokens: number;
  readonly length: number;
}

export type OnCut = (cut: Cut) => void;

function refuseToCut({ text, tokens, length }: Cut): never {
  throw fail({
    code: "E0202",
    what: `the text has ${tokens} tokens, the plan takes ${length}`,
    where: `text ${text}`,
    fix: "add --truncate to cut it, or compile for longer texts (--dim or --shape)",
  });
}

/** What a text can fill, by the names that exports give their inputs. */
const ROLES: readonly {
  readonly pattern: RegExp;
  readonly value: (id: number, isToken: boolean, at: number) => number;
}[] = [
  { pattern: /mask/i, value: (_, isToken) => (isToken ? 1 : 0) },
  { pattern: /token_type|segment/i, value: () => 0 },
  { pattern: /position/i, value: (_id, _isToken, at) => at },
  { pattern: /ids|tokens|^input$/i, value: (id) => id },
];

/**
 * The model inputs that texts determine: for each input of the plan whose name says that it holds ids, a mask, types or
 * positions. The plan's ids have shape [sequence] or [texts, sequence]; E0202 where the number of texts differs, and
 * for a text that is longer than the plan, unless there is an `onCut`: then it is cut, and that is said.
 */
export function encodeTexts(
  encoder: Encoder,
  texts: readonly string[],
  inputs: ReadonlyMap<string, TensorType>,
  onCut: OnCut = refuseToCut,
): ReadonlyMap<string, TensorValue> {
  const said = new Set<number>();
  const values = new Map<string, TensorValue>();
  for (const [name, { dtype, shape }] of inputs) {
    const role = ROLES.find(({ pattern }) => pattern.test(name));
    if (role === undefined || shape.length === 0 || shape.length > 2) {
      continue;
    }
    const length = shape[shape.length - 1];
    const rows = shape.length === 1 ? 1 : shape[0];
    if (rows !== texts.length) {
      const why = `the plan's '${name}' has ${rows} rows of ${length} tokens`;
      throw fail({ code: "E0202", what: `${texts.length} texts were given, the plan takes ${rows}`, where: name, why });
    }
    const data = new Float64Array(sizeOf(shape));
    for (const [row, text] of texts.entries()) {
      const ids = encoder.encode(text, length, (tokens) => {
        if (!said.has(row)) {
          said.add(row);
          onCut({ text: row + 1, tokens, length });
        }
      });
      for (let at = 0; at < length; at++) {
        const isToken = at < ids.length;
        data[row * length + at] = role.value(isToken ? ids[at] : encoder.paddingId, isToken, at);
      }
    }
    values.set(name, { dtype, shape, data });
  }
  if (values.size === 0) {
    const what = "no input of the plan takes text";
    throw fail({
      code: "E0202",
      what,
      why: `its inputs are ${[...inputs.keys()].join(", ")}`,
      fix: "give --input NAME=@FILE",
    });
  }
  return values;
}
