/**
 * Text as a model's inputs: token ids, attention mask and token types, padded or cut to the plan's fixed length.
 * Tokenisation is Hugging Face's own (their library in Rust, which the Python tokenizer is too), from the model's
 * tokenizer.json; padding and truncation follow the Hugging Face defaults (padding on the right, special tokens kept
 * when a text is cut).
 */
import { Tokenizer } from "@anush008/tokenizers";
import { fail } from "../ir/diagnostics.js";
import { isFloat, sizeOf, type TensorType, type TensorValue } from "../ir/tensor/value.js";
import { readBytes } from "./files.js";
import { loadPieces, type PieceTokenizer } from "./llama2-tokenizer.js";

/** A text's token ids with special tokens. */
export interface Tokens {
  readonly ids: readonly number[];
  /** How many special tokens close it. */
  readonly closing: number;
}

export interface Encoder {
  /** With the special tokens that begin and close a text; `bare`: only those that the text spells out itself. */
  readonly encode: (texts: readonly string[], bare?: "bare") => Promise<readonly Tokens[]>;
  readonly decode: (ids: readonly number[]) => Promise<string>;
  readonly paddingId: number;
  /** The token that stands for a gap to fill, where the vocabulary has one. */
  readonly maskId?: number | undefined;
  /** Tokens with which a text that is generated ends. */
  readonly endIds: readonly number[];
}

/** What the vocabularies of language models call the end of a text, or of what a chat's side says. */
const ENDS = /^(<\|endoftext\|>|<\|im_end\|>|<\|eot_id\|>|<\|end_of_text\|>|<end_of_turn>|<\/s>)$/;

interface TokenizerFile {
  readonly padding?: { readonly pad_id?: number } | null;
  readonly added_tokens?: readonly { readonly id: number; readonly content: string }[];
}

const PADDING_TOKENS = ["[PAD]", "<pad>", "<|pad|>"];

/** Loads a tokenizer.json, or a tokenizer of llama2.c (`tok512.bin`); E0301 where it is neither. */
export function loadEncoder(path: string): Encoder {
  return path.endsWith(".bin") ? encoderOfPieces(loadPieces(path)) : encoderOfFile(path);
}

function encoderOfPieces({ encode, decode }: PieceTokenizer): Encoder {
  return {
    encode: async (texts, bare) => {
      const begun = bare === undefined ? 0 : 1;
      return texts.map((text) => ({ ids: encode(text).slice(begun), closing: 0 }));
    },
    decode: async (ids) => decode(ids),
    paddingId: 0,
    endIds: [1, 2],
  };
}

function encoderOfFile(path: string): Encoder {
  const bytes = readBytes(path);
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    const file = JSON.parse(text) as TokenizerFile;
    const tokenizer = Tokenizer.fromString(text);
    // What the file was saved with is how somebody trained; the plan says how long a text may be.
    tokenizer.disableTruncation();
    tokenizer.disablePadding();
    const padding = file.added_tokens?.find(({ content }) => PADDING_TOKENS.includes(content))?.id;
    return {
      encode: async (texts, bare) => {
        const encodings = await tokenizer.encodeBatch([...texts], { addSpecialTokens: bare === undefined });
        return encodings.map((encoding) => {
          const special = encoding.getSpecialTokensMask();
          // A template that spells out its last tokens has nothing that closes it.
          const closing = bare === undefined ? special.length - 1 - special.lastIndexOf(0) : 0;
          return { ids: encoding.getIds(), closing };
        });
      },
      decode: (ids) => tokenizer.decode([...ids], false),
      paddingId: file.padding?.pad_id ?? padding ?? 0,
      endIds: (file.added_tokens ?? []).flatMap(({ id, content }) => (ENDS.test(content) ? [id] : [])),
      maskId: file.added_tokens?.find(({ content }) => /^(\[MASK\]|<mask>)$/.test(content))?.id,
    };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw fail({ code: "E0301", what: "not a Hugging Face tokenizer.json", where: path, why });
  }
}

/** At most `length` ids: of a longer text the first ones and the closing special tokens. */
function cut({ ids, closing }: Tokens, length: number): readonly number[] {
  const kept = Math.max(0, length - closing);
  return ids.length <= length ? ids : [...ids.slice(0, kept), ...ids.slice(ids.length - (length - kept))];
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

/** Of a plan that reveals the next token without a mask: how many positions follow each row's last token. */
export const PADDED = "padded_after";

/** Of a plan that reveals the largest logits of the next token: the logits, from the largest down, and their ids. */
export const TOP_LOGITS = "topk.logits";
export const TOP_IDS = "topk.ids";

/** Of a plan whose parties draw the next token: noise for each score, which the data owner draws, and its range. */
export const NOISE = "token.noise";
export const NOISE_RANGE: readonly [low: number, high: number] = [-16, 64];

/** Of a plan that writes a text at once: the ids that were written, the newest at the end. */
export const WRITTEN = "text";

/**
 * What inputs hold that nobody gives, where whole numbers by their name are a mask (ones: everything is a token), token
 * types (zeros) or positions (counted); undefined for any other.
 */
export function usualValue(
  name: string,
  { dtype, shape }: TensorType,
): { value: TensorValue; what: string } | undefined {
  const role = ROLES.findIndex(({ pattern }) => pattern.test(name));
  const what = (["ones", "zeros", "0, 1, 2, …"] as const)[role];
  if (what === undefined || isFloat(dtype) || shape.length === 0) {
    return undefined;
  }
  const length = shape[shape.length - 1];
  const data = new Float64Array(sizeOf(shape)).map((_, i) => ROLES[role].value(0, true, i % length));
  return { value: { dtype, shape, data }, what };
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
 * The inputs of a program that has the newest of a text's tokens at its end: as many as each input has, with nothing
 * before the text's beginning. Positions are the tokens' own, from 0.
 */
export function windowInputs(
  paddingId: number,
  ids: readonly number[],
  inputs: ReadonlyMap<string, TensorType>,
): ReadonlyMap<string, TensorValue> {
  const values = [...inputs].flatMap(([name, { dtype, shape }]) => {
    const role = ROLES.find(({ pattern }) => pattern.test(name));
    const data = new Float64Array(sizeOf(shape));
    const missing = data.length - ids.length;
    data.forEach((_, i) => {
      const at = i - missing;
      data[i] = role?.value(at < 0 ? paddingId : ids[at], at >= 0, Math.max(0, at)) ?? 0;
    });
    return role === undefined ? [] : [[name, { dtype, shape, data }] as const];
  });
  return new Map(values);
}

/**
 * The model inputs that texts determine: for each input of the plan whose name says that it holds ids, a mask, types or
 * positions. The plan's ids have shape [sequence] or [texts, sequence]; E0202 where the number of texts differs, and
 * for a text that is longer than the plan, unless there is an `onCut`: then it is cut, and that is said.
 */
export function textInputs(
  paddingId: number,
  texts: readonly Tokens[],
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
      if (text.ids.length > length && !said.has(row)) {
        said.add(row);
        onCut({ text: row + 1, tokens: text.ids.length, length });
      }
      const ids = cut(text, length);
      for (let at = 0; at < length; at++) {
        const isToken = at < ids.length;
        data[row * length + at] = role.value(isToken ? ids[at] : paddingId, isToken, at);
      }
    }
    values.set(name, { dtype, shape, data });
  }
  const padded = inputs.get(PADDED);
  const [ids] = [...values].flatMap(([name, { shape }]) => (ROLES.at(-1)!.pattern.test(name) ? [shape.at(-1)!] : []));
  if (padded !== undefined && ids !== undefined) {
    const data = Float64Array.from(texts, (text) => ids - Math.min(text.ids.length, ids));
    values.set(PADDED, { ...padded, data });
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
