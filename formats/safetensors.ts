/**
 * Reads safetensors files: eight bytes of header length, a JSON header with each tensor's dtype, shape and place, then
 * the data. Tensors are read when asked for, by position; nothing is loaded whole. (No maintained npm package reads
 * local files; the format is this small: https://github.com/huggingface/safetensors#format.)
 */
import { fail } from "../ir/diagnostics.js";
import { type DType, sizeOf, type TensorType, type TensorValue } from "../ir/tensor/value.js";
import { type ByteSource, ModelFile } from "./model-file.js";
import { brainToNumber, halfToNumber } from "./small-floats.js";

const DTYPES: Readonly<Record<string, readonly [DType, number]>> = {
  F64: ["f64", 8],
  F32: ["f32", 4],
  F16: ["f16", 2],
  BF16: ["bf16", 2],
  I64: ["i64", 8],
  I32: ["i32", 4],
  I16: ["i16", 2],
  I8: ["i8", 1],
  U64: ["u64", 8],
  U32: ["u32", 4],
  U16: ["u16", 2],
  U8: ["u8", 1],
  BOOL: ["bool", 1],
};
/** The format's own limit. */
const LONGEST_HEADER = 100_000_000;

interface Entry extends TensorType {
  /** From the start of the file. */
  readonly offset: number;
}

/** A safetensors file: names, types, metadata, and values on demand. */
export class SafetensorsFile {
  readonly metadata: Readonly<Record<string, string>>;
  private readonly entries: ReadonlyMap<string, Entry>;

  /** Reads the header. E0301 where the file is not safetensors or contradicts itself. */
  constructor(private readonly source: ByteSource) {
    const { entries, metadata } = readHeader(source);
    this.entries = entries;
    this.metadata = metadata;
  }

  static open(path: string): SafetensorsFile {
    return new SafetensorsFile(new ModelFile(path));
  }

  get names(): readonly string[] {
    return [...this.entries.keys()];
  }

  /** The type of a tensor; undefined where the file has none of that name. */
  typeOf(name: string): TensorType | undefined {
    return this.entries.get(name);
  }

  /**
   * The tensor's values, or `count` of them from element `first` on, f32 in a `room` if given. E0301 where there is
   * none of that name.
   */
  read(
    name: string,
    first = 0,
    count?: number,
    room: (n: number) => Float32Array = (n) => new Float32Array(n),
  ): TensorValue {
    const entry = this.entries.get(name);
    if (entry === undefined) {
      throw fail({ code: "E0301", what: `the file has no tensor '${name}'`, where: this.source.name });
    }
    const { dtype, shape, offset } = entry;
    const wanted = count ?? sizeOf(shape) - first;
    const width = elementBytes(dtype);
    if (dtype === "f32") {
      const data = room(wanted);
      this.source.readInto(offset + first * width, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
      return { dtype, shape, data };
    }
    const bytes = this.source.read(offset + first * width, wanted * width);
    return { dtype, shape, data: decodeElements(bytes, dtype, wanted) };
  }
}

function broken(source: ByteSource, what: string): Error {
  return fail({ code: "E0301", what: `not a safetensors file: ${what}`, where: source.name });
}

function readHeader(source: ByteSource): Pick<Header, "entries" | "metadata"> {
  const prefix = source.read(0, 8);
  const length = Number(new DataView(prefix.buffer, prefix.byteOffset, 8).getBigUint64(0, true));
  if (length > LONGEST_HEADER || length + 8 > source.size) {
    throw broken(source, "the header is longer than the file");
  }
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder().decode(source.read(8, length)));
  } catch {
    throw broken(source, "the header is not JSON");
  }
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw broken(source, "the header is not an object");
  }
  const header: Header = { source, start: 8 + length, entries: new Map(), metadata: {} };
  for (const [name, value] of Object.entries(json)) {
    addEntry(header, name, value);
  }
  return header;
}

interface Header {
  readonly source: ByteSource;
  readonly start: number;
  readonly entries: Map<string, Entry>;
  metadata: Record<string, string>;
}

function addEntry(header: Header, name: string, value: unknown): void {
  const { source, start } = header;
  if (typeof value !== "object" || value === null) {
    throw broken(source, `'${name}' is not described by an object`);
  }
  if (name === "__metadata__") {
    header.metadata = Object.fromEntries(Object.entries(value).filter(([, text]) => typeof text === "string"));
    return;
  }
  const { dtype, shape, data_offsets: place } = value as Record<string, unknown>;
  const known = typeof dtype === "string" && Object.hasOwn(DTYPES, dtype) ? DTYPES[dtype] : undefined;
  if (known === undefined || !isCounts(shape) || !isCounts(place) || place.length !== 2) {
    throw broken(source, `'${name}' has no known dtype, shape and place`);
  }
  const bytes = place[1] - place[0];
  if (bytes !== sizeOf(shape) * known[1] || start + place[1] > source.size) {
    throw broken(source, `'${name}' has another size than its shape says`);
  }
  header.entries.set(name, { dtype: known[0], shape, offset: start + place[0] });
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0);
}

const READERS: Readonly<Record<DType, readonly [number, (view: DataView, at: number) => number]>> = {
  f64: [8, (view, at) => view.getFloat64(at, true)],
  f32: [4, (view, at) => view.getFloat32(at, true)],
  f16: [2, (view, at) => halfToNumber(view.getUint16(at, true))],
  bf16: [2, (view, at) => brainToNumber(view.getUint16(at, true))],
  i64: [8, (view, at) => Number(view.getBigInt64(at, true))],
  u64: [8, (view, at) => Number(view.getBigUint64(at, true))],
  i32: [4, (view, at) => view.getInt32(at, true)],
  u32: [4, (view, at) => view.getUint32(at, true)],
  i16: [2, (view, at) => view.getInt16(at, true)],
  u16: [2, (view, at) => view.getUint16(at, true)],
  i8: [1, (view, at) => view.getInt8(at)],
  u8: [1, (view, at) => view.getUint8(at)],
  bool: [1, (view, at) => (view.getUint8(at) === 0 ? 0 : 1)],
};

/** Bytes of one element. */
export function elementBytes(dtype: DType): number {
  return READERS[dtype][0];
}

/** One little-endian element. */
export function readElement(view: DataView, at: number, dtype: DType): number {
  return READERS[dtype][1](view, at);
}

/** Little-endian elements as numbers; f32 stays in a Float32Array. 64-bit integers are exact to 2^53. */
export function decodeElements(bytes: Uint8Array, dtype: DType, size: number): Float64Array | Float32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [width, read] = READERS[dtype];
  const data = dtype === "f32" ? new Float32Array(size) : new Float64Array(size);
  for (let i = 0; i < size; i++) {
    data[i] = read(view, i * width);
  }
  return data;
}
