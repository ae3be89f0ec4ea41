/**
 * Walks the fields of a protobuf message by position, without decoding them: a model's weights are fields of hundreds
 * of megabytes that must stay on disk, while the few kilobytes around them are wanted now.
 */
import { fail } from "../../ir/diagnostics.js";
import type { ByteSource } from "../model-file.js";

/** One field: its number and wire type, where its tag starts, and where its payload lies. */
export interface WireField {
  readonly number: number;
  /** 0 varint, 1 eight bytes, 2 length-delimited, 5 four bytes. */
  readonly wire: number;
  readonly start: number;
  readonly offset: number;
  readonly length: number;
}

function damaged(source: ByteSource, offset: number, why: string): Error {
  return fail({ code: "E0301", what: `the file is not protobuf at byte ${offset}`, where: source.name, why });
}

/** A varint at `offset`, as a double (exact to 2^53), and the position behind it. */
function readVarint(source: ByteSource, offset: number, end: number): [value: number, next: number] {
  const bytes = source.read(offset, Math.min(10, end - offset));
  let value = 0;
  let factor = 1;
  for (let i = 0; i < bytes.length; i++) {
    value += (bytes[i] & 0x7f) * factor;
    if (bytes[i] < 0x80) {
      return [value, offset + i + 1];
    }
    factor *= 128;
  }
  throw damaged(source, offset, "a number does not end");
}

/** The fields of the message at [offset, offset+length), in order. E0301 where the bytes are not a message. */
export function* wireFields(source: ByteSource, offset: number, length: number): Generator<WireField> {
  const end = offset + length;
  for (let at = offset; at < end; ) {
    const start = at;
    const [tag, afterTag] = readVarint(source, at, end);
    const wire = tag % 8;
    const number = Math.floor(tag / 8);
    let payload = afterTag;
    let size: number;
    if (wire === 0) {
      size = readVarint(source, afterTag, end)[1] - afterTag;
    } else if (wire === 2) {
      [size, payload] = readVarint(source, afterTag, end);
    } else if (wire === 1 || wire === 5) {
      size = wire === 1 ? 8 : 4;
    } else {
      throw damaged(source, start, `wire type ${wire} is not in use`);
    }
    if (number === 0 || payload + size > end) {
      throw damaged(source, start, number === 0 ? "field number 0" : "a field is longer than its message");
    }
    yield { number, wire, start, offset: payload, length: size };
    at = payload + size;
  }
}

/** Joins pieces of a message. */
export function joinBytes(pieces: readonly Uint8Array[]): Uint8Array {
  const total = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const bytes = new Uint8Array(total);
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}
