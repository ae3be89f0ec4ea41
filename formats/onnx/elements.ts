/**
 * Elements on disk to numbers in memory: little-endian fixed-size elements, and protobuf's packed or unpacked numbers.
 * Floats of at most 32 bits become float32, everything else doubles (64-bit integers beyond 2^53 round, which only the
 * "to the end" sentinels of Slice ever reach).
 */
import { fail } from "../../ir/diagnostics.js";
import type { DType, TensorValue } from "../../ir/tensor/value.js";
import type { ByteSource } from "../model-file.js";
import { brainToNumber, halfToNumber } from "../small-floats.js";

/** Elements converted at a time: the bytes of one piece fit the file's window or little more. */
const PIECE = 1 << 20;

type Read = (view: DataView, at: number) => number;

const READERS: Readonly<Record<DType, { readonly bytes: number; readonly read: Read }>> = {
  f64: { bytes: 8, read: (view, at) => view.getFloat64(at, true) },
  f32: { bytes: 4, read: (view, at) => view.getFloat32(at, true) },
  f16: { bytes: 2, read: (view, at) => halfToNumber(view.getUint16(at, true)) },
  bf16: { bytes: 2, read: (view, at) => brainToNumber(view.getUint16(at, true)) },
  i64: { bytes: 8, read: (view, at) => view.getInt32(at + 4, true) * 2 ** 32 + view.getUint32(at, true) },
  i32: { bytes: 4, read: (view, at) => view.getInt32(at, true) },
  i16: { bytes: 2, read: (view, at) => view.getInt16(at, true) },
  i8: { bytes: 1, read: (view, at) => view.getInt8(at) },
  u64: { bytes: 8, read: (view, at) => view.getUint32(at + 4, true) * 2 ** 32 + view.getUint32(at, true) },
  u32: { bytes: 4, read: (view, at) => view.getUint32(at, true) },
  u16: { bytes: 2, read: (view, at) => view.getUint16(at, true) },
  u8: { bytes: 1, read: (view, at) => view.getUint8(at) },
  bool: { bytes: 1, read: (view, at) => (view.getUint8(at) === 0 ? 0 : 1) },
};

/** Decodes `count` fixed-size little-endian elements that start at byte `offset`; single precision into a `room`. */
export function decodeElements(
  source: ByteSource,
  offset: number,
  count: number,
  dtype: DType,
  room: (singles: number) => Float32Array = (singles) => new Float32Array(singles),
): TensorValue["data"] {
  if (dtype === "f32" || dtype === "f64") {
    const data = dtype === "f32" ? room(count) : new Float64Array(count);
    source.readInto(offset, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    return data;
  }
  const { bytes, read } = READERS[dtype];
  const data = dtype === "f16" || dtype === "bf16" ? room(count) : new Float64Array(count);
  for (let first = 0; first < count; first += PIECE) {
    const piece = Math.min(PIECE, count - first);
    const raw = source.read(offset + first * bytes, piece * bytes);
    const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
    for (let i = 0; i < piece; i++) {
      data[first + i] = read(view, i * bytes);
    }
  }
  return data;
}

/** A run of one typed field: packed values, or values each behind its tag. */
interface Run {
  readonly packed: boolean;
  readonly wire: number;
  readonly field: number;
  readonly offset: number;
  readonly length: number;
}

/**
 * Decodes a run of protobuf numbers into `data` from index `at`; gives the next index. E0302 where they overflow it.
 */
export function decodePacked(source: ByteSource, run: Run, dtype: DType, data: Float64Array, at: number): number {
  const raw = source.read(run.offset, run.length);
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  const fixed = run.field === 4 ? "f32" : run.field === 10 ? "f64" : undefined;
  let next = at;
  let position = 0;
  const convert = converter(dtype);
  while (position < raw.length) {
    if (!run.packed) {
      position = skipVarint(raw, position);
    }
    if (next >= data.length) {
      throw fail({ code: "E0302", what: "a tensor has more values than its shape", where: source.name });
    }
    if (fixed !== undefined) {
      const { bytes, read } = READERS[fixed];
      if (position + bytes > raw.length) {
        throw fail({ code: "E0302", what: "a tensor's data ends inside a value", where: source.name });
      }
      data[next++] = read(view, position);
      position += bytes;
    } else {
      const end = skipVarint(raw, position);
      data[next++] = convert(raw, position, end);
      position = end;
    }
  }
  return next;
}

function skipVarint(raw: Uint8Array, position: number): number {
  let at = position;
  while (at < raw.length && raw[at] >= 0x80) {
    at++;
  }
  return at + 1;
}

/** A varint's 64 bits as a number of the wanted type; the typed fields hold floats of 16 bits as their bit patterns. */
function converter(dtype: DType): (raw: Uint8Array, from: number, to: number) => number {
  const bits = (raw: Uint8Array, from: number, to: number): bigint => {
    let value = 0n;
    for (let i = Math.min(to, raw.length, from + 10) - 1; i >= from; i--) {
      value = (value << 7n) | BigInt(raw[i] & 0x7f);
    }
    return BigInt.asUintN(64, value);
  };
  switch (dtype) {
    case "f16":
      return (raw, from, to) => halfToNumber(Number(bits(raw, from, to) & 0xffffn));
    case "bf16":
      return (raw, from, to) => brainToNumber(Number(bits(raw, from, to) & 0xffffn));
    case "bool":
      return (raw, from, to) => (bits(raw, from, to) === 0n ? 0 : 1);
    case "u64":
    case "u32":
      return (raw, from, to) => Number(bits(raw, from, to));
    default:
      return (raw, from, to) => Number(BigInt.asIntN(64, bits(raw, from, to)));
  }
}
