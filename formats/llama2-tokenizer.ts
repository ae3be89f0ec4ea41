/**
 * llama2.c's tokenizer files (`tok512.bin`: run.c, `build_tokenizer`, `encode`): pieces with scores. A text's bytes are
 * merged pair by pair, the pair with the best score first, as SentencePiece's BPE does; a character that is no piece is
 * its bytes, at three behind the special tokens. A text begins with token 1 and with a space before its first word.
 */
import { fail } from "../ir/diagnostics.js";
import { readBytes } from "./files.js";

const BEGINNING = 1;
/** Byte b is token b + 3: unknown, beginning and end come first. */
const FIRST_BYTE = 3;
const BYTE = /^<0x([0-9A-F]{2})>$/;

export interface PieceTokenizer {
  readonly encode: (text: string) => readonly number[];
  readonly decode: (ids: readonly number[]) => string;
}

/** Reads a llama2.c tokenizer; E0301 where it is none. */
export function loadPieces(path: string): PieceTokenizer {
  const { pieces, scores } = readPieces(path);
  const known = new Map(pieces.map((piece, id) => [piece.toString("latin1"), id]));
  return {
    encode: (text) => [BEGINNING, ...(text === "" ? [] : merged(` ${text}`, pieces, scores, known))],
    decode(ids) {
      const bytes = ids.map((id, i) => {
        const piece = pieces[id] ?? Buffer.alloc(0);
        const byte = BYTE.exec(piece.toString("latin1"));
        const shown = id === BEGINNING ? Buffer.alloc(0) : byte ? Buffer.of(Number.parseInt(byte[1], 16)) : piece;
        return ids[i - 1] === BEGINNING && shown[0] === 0x20 ? shown.subarray(1) : shown;
      });
      return Buffer.concat(bytes).toString("utf8");
    },
  };
}

function readPieces(path: string): { readonly pieces: readonly Buffer[]; readonly scores: readonly number[] } {
  const file = Buffer.from(readBytes(path));
  const [pieces, scores]: [Buffer[], number[]] = [[], []];
  let at = 4;
  while (at + 8 <= file.length) {
    const [score, length] = [file.readFloatLE(at), file.readInt32LE(at + 4)];
    at += 8 + length;
    if (length < 0 || at > file.length) {
      break;
    }
    scores.push(score);
    pieces.push(file.subarray(at - length, at));
  }
  if (at !== file.length || pieces.length < FIRST_BYTE + 256) {
    const why = `it is no list of pieces: ${pieces.length} of them, then ${file.length - at} bytes`;
    throw fail({ code: "E0301", what: "not a llama2.c tokenizer", where: path, why, fix: "give tok*.bin" });
  }
  return { pieces, scores };
}

function merged(
  text: string,
  pieces: readonly Buffer[],
  scores: readonly number[],
  known: ReadonlyMap<string, number>,
): readonly number[] {
  const ids = [...text].flatMap((character) => {
    const bytes = Buffer.from(character);
    const id = known.get(bytes.toString("latin1"));
    return id === undefined ? [...bytes].map((byte) => byte + FIRST_BYTE) : [id];
  });
  for (;;) {
    let best: { readonly at: number; readonly id: number } | undefined;
    for (let at = 0; at + 1 < ids.length; at++) {
      const id = known.get(Buffer.concat([pieces[ids[at]], pieces[ids[at + 1]]]).toString("latin1"));
      if (id !== undefined && (best === undefined || scores[id] > scores[best.id])) {
        best = { at, id };
      }
    }
    if (best === undefined) {
      return ids;
    }
    ids.splice(best.at, 2, best.id);
  }
}
