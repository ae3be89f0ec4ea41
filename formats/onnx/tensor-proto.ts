/**
 * ONNX's TensorProto: its header now, its data when asked. Data may lie in `raw_data`, in one of five typed fields, or
 * in a file beside the model; it is read by position straight into the result, and every declared size is checked
 * against the bytes that are there before anything is allocated.
 */
import { fail } from "../../ir/diagnostics.js";
import { type DType, sizeOf, type TensorValue } from "../../ir/tensor/value.js";
import { type ByteSource, ModelFile, resolveExternal } from "../model-file.js";
import { decodeElements, decodePacked } from "./elements.js";
import {
  FLOAT4E2M1,
  FLOAT8E4M3FN,
  FLOAT8E4M3FNUZ,
  FLOAT8E5M2,
  FLOAT8E5M2FNUZ,
  FLOAT8E8M0,
  type Packed,
  unpack,
  whole,
} from "./packed.js";
import { decodeMessage, type TensorHeader } from "./schema.js";
import { joinBytes, type WireField, wireFields } from "./wire.js";

/**
 * TensorProto.DataType by number: our type where the compiler has it, else the name to refuse it by, and how stored
 * weights of few bits are told.
 */
const DATA_TYPES: readonly { readonly name: string; readonly dtype?: DType; readonly packed?: Packed }[] = [
  { name: "UNDEFINED" },
  { name: "FLOAT", dtype: "f32" },
  { name: "UINT8", dtype: "u8" },
  { name: "INT8", dtype: "i8" },
  { name: "UINT16", dtype: "u16" },
  { name: "INT16", dtype: "i16" },
  { name: "INT32", dtype: "i32" },
  { name: "INT64", dtype: "i64" },
  { name: "STRING" },
  { name: "BOOL", dtype: "bool" },
  { name: "FLOAT16", dtype: "f16" },
  { name: "DOUBLE", dtype: "f64" },
  { name: "UINT32", dtype: "u32" },
  { name: "UINT64", dtype: "u64" },
  { name: "COMPLEX64" },
  { name: "COMPLEX128" },
  { name: "BFLOAT16", dtype: "bf16" },
  { name: "FLOAT8E4M3FN", packed: FLOAT8E4M3FN },
  { name: "FLOAT8E4M3FNUZ", packed: FLOAT8E4M3FNUZ },
  { name: "FLOAT8E5M2", packed: FLOAT8E5M2 },
  { name: "FLOAT8E5M2FNUZ", packed: FLOAT8E5M2FNUZ },
  { name: "UINT4", packed: whole(4, false) },
  { name: "INT4", packed: whole(4, true) },
  { name: "FLOAT4E2M1", packed: FLOAT4E2M1 },
  { name: "FLOAT8E8M0", packed: FLOAT8E8M0 },
  { name: "UINT2", packed: whole(2, false) },
  { name: "INT2", packed: whole(2, true) },
];

/** The type of an ONNX element type number; E0402, naming it, where the compiler has none. */
export function dtypeOf(dataType: number, where: string): DType {
  const entry = DATA_TYPES[dataType];
  if (entry?.dtype === undefined) {
    throw fail({
      code: "E0402",
      what: `element type ${entry?.name ?? `number ${dataType}`} is not supported`,
      where,
      why: "only floating point, integers of 8 to 64 bits and booleans can be computed on",
      fix: "export the model unquantised, in float32, float16 or bfloat16, without string or complex tensors",
    });
  }
  return entry.dtype;
}

/** The ONNX number of a type. */
export function dataTypeOf(dtype: DType): number {
  return DATA_TYPES.findIndex((entry) => entry.dtype === dtype);
}

const BYTES: Readonly<Record<DType, number>> = {
  f64: 8, f32: 4, f16: 2, bf16: 2, i64: 8, i32: 4, i16: 2, i8: 1, u64: 8, u32: 4, u16: 2, u8: 1, bool: 1,
}; // biome-ignore format: a table

/** The bytes of one element on disk. */
export function bytesOf(dtype: DType): number {
  return BYTES[dtype];
}

/** A run of data fields of a TensorProto: one packed field, or many unpacked ones with their tags. */
interface DataRun {
  readonly field: number;
  readonly packed: boolean;
  readonly wire: number;
  readonly offset: number;
  length: number;
}

/** A tensor whose data is still where it was. */
export interface StoredTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: DType;
  /** True where the data lies in a file that is absent. */
  readonly absent: boolean;
  /** Reads `count` elements from element `first` on; all by default. Float data stays float32, in a `room` if given. */
  read(first?: number, count?: number, room?: (count: number) => Float32Array): TensorValue["data"];
}

const RAW_FIELD = 9;
const DATA_FIELDS: ReadonlySet<number> = new Set([4, 5, 6, 7, RAW_FIELD, 10, 11]);
const MOST_ELEMENTS = 2 ** 40;

/**
 * Reads the header of the TensorProto at [offset, offset+length) of `source`. `modelPath`: where external data is
 * sought. `isWeight`: numbers of few bits are what they stand for; inputs and outputs have none.
 */
export function readTensor(
  source: ByteSource,
  offset: number,
  length: number,
  modelPath: string,
  fallbackName = "",
  isWeight = true,
): StoredTensor {
  const runs: DataRun[] = [];
  const header: Uint8Array[] = [];
  for (const field of wireFields(source, offset, length)) {
    if (DATA_FIELDS.has(field.number)) {
      appendRun(runs, field);
    } else {
      header.push(source.read(field.start, field.offset + field.length - field.start).slice());
    }
  }
  const message = decodeMessage("TensorHeader", joinBytes(header), source.name);
  const name = message.name === "" ? fallbackName : message.name;
  const where = name === "" ? source.name : `tensor '${name}'`;
  const packed = isWeight ? DATA_TYPES[message.dataType]?.packed : undefined;
  const dtype = packed === undefined ? dtypeOf(message.dataType, where) : packed.dtype;
  const shape = message.dims;
  const count = sizeOf(shape);
  if (!shape.every((n) => Number.isSafeInteger(n) && n >= 0) || !(count <= MOST_ELEMENTS)) {
    throw fail({ code: "E0302", what: `a tensor declares the impossible shape [${shape.join(", ")}]`, where });
  }
  // Numbers of few bits lie in bytes.
  const [on, elements] =
    packed === undefined ? [dtype, count] : (["u8", Math.ceil((count * packed.bits) / 8)] as const);
  const stored =
    message.dataLocation === 1
      ? externalBytes(message, modelPath, elements * BYTES[on], where)
      : embeddedData(source, runs, on, elements, where);
  const read = reader(stored, on, elements, where, message);
  const numbers = packed === undefined ? read : unpack(packed, count, read);
  return { name, shape, dtype, absent: stored === undefined, read: numbers };
}

function appendRun(runs: DataRun[], field: WireField): void {
  const packed = field.wire === 2;
  const last = runs.at(-1);
  const continues =
    !packed && last !== undefined && !last.packed && last.field === field.number && last.wire === field.wire;
  if (continues && last.offset + last.length === field.start) {
    last.length += field.offset + field.length - field.start;
  } else if (packed) {
    runs.push({ field: field.number, packed, wire: 2, offset: field.offset, length: field.length });
  } else {
    const end = field.offset + field.length;
    runs.push({ field: field.number, packed, wire: field.wire, offset: field.start, length: end - field.start });
  }
}

/** Where a tensor's elements are: fixed-size ones at a position, or in typed fields that were decoded already. */
type Stored = { readonly source: ByteSource; readonly offset: number } | { readonly data: Float64Array };

function reader(stored: Stored | undefined, dtype: DType, count: number, where: string, header: TensorHeader) {
  return (first = 0, wanted = count - first, room?: (count: number) => Float32Array): TensorValue["data"] => {
    if (first < 0 || wanted < 0 || first + wanted > count) {
      throw new Error(`elements ${first}..${first + wanted} of ${count} of ${where}`);
    }
    if (stored === undefined) {
      const file = header.externalData.find((entry) => entry.key === "location")?.value ?? "";
      throw fail({
        code: "E0301",
        what: `the external data file '${file}' is missing`,
        where,
        fix: "copy it beside the model: without it the model can be compiled, not run",
      });
    }
    if ("data" in stored) {
      return stored.data.subarray(first, first + wanted);
    }
    return decodeElements(stored.source, stored.offset + first * BYTES[dtype], wanted, dtype, room);
  };
}

function embeddedData(source: ByteSource, runs: DataRun[], dtype: DType, count: number, where: string): Stored {
  const raw = runs.findLast((run) => run.field === RAW_FIELD);
  if (raw !== undefined && (raw.length > 0 || count === 0)) {
    if (raw.length !== count * BYTES[dtype] || !raw.packed) {
      throw sizeError(where, count * BYTES[dtype], raw.length);
    }
    return { source, offset: raw.offset };
  }
  const field = typedField(dtype);
  const mine = runs.filter((run) => run.field === field);
  const least = field === 4 ? 4 : field === 10 ? 8 : 1;
  const available = mine.reduce((sum, run) => sum + run.length, 0);
  if (available < count * least) {
    throw sizeError(where, count * least, available);
  }
  if (mine.length === 1 && mine[0].packed && least > 1) {
    if (available !== count * least) {
      throw sizeError(where, count * least, available);
    }
    return { source, offset: mine[0].offset };
  }
  const data = new Float64Array(count);
  let filled = 0;
  for (const run of mine) {
    filled = decodePacked(source, run, dtype, data, filled);
  }
  if (filled !== count) {
    throw fail({ code: "E0302", what: `a tensor has ${filled} values where its shape needs ${count}`, where });
  }
  return { data };
}

/** The typed field in which TensorProto keeps this type (onnx.proto, comments at the fields). */
function typedField(dtype: DType): number {
  switch (dtype) {
    case "f32":
      return 4;
    case "f64":
      return 10;
    case "i64":
      return 7;
    case "u64":
    case "u32":
      return 11;
    default:
      return 5;
  }
}

function sizeError(where: string, needed: number, present: number): Error {
  return fail({
    code: "E0302",
    what: `a tensor has ${present} bytes of data where its shape needs ${needed}`,
    where,
    fix: "export the model again: the file is damaged",
  });
}

/** The place of external data, checked; `undefined` where the file is absent. */
function externalBytes(header: TensorHeader, modelPath: string, needed: number, where: string): Stored | undefined {
  const entries = new Map(header.externalData.map(({ key, value }) => [key, value]));
  const number = (key: string): number | undefined => {
    const text = entries.get(key);
    if (text === undefined || text === "") {
      return undefined;
    }
    if (!/^\d{1,15}$/.test(text)) {
      throw fail({ code: "E0302", what: `external data has ${key} '${text}', which is not a number of bytes`, where });
    }
    return Number(text);
  };
  const offset = number("offset") ?? 0;
  const length = number("length");
  if (length !== undefined && length !== needed) {
    throw sizeError(where, needed, length);
  }
  const path = resolveExternal(modelPath, entries.get("location") ?? "");
  if (path === undefined) {
    return undefined;
  }
  const source = new ModelFile(path);
  if (offset + needed > source.size) {
    throw fail({
      code: "E0301",
      what: `the external data file has ${source.size} bytes, but bytes ${offset} to ${offset + needed} are needed`,
      where,
      fix: "copy the data file again: it is truncated",
    });
  }
  return { source, offset };
}

/** Reads a `.pb` file that holds one TensorProto, the form of ONNX's test data. */
export function readTensorFile(path: string): { readonly name: string; readonly value: TensorValue } {
  const source = new ModelFile(path);
  const tensor = readTensor(source, 0, source.size, path, "", false);
  return { name: tensor.name, value: { dtype: tensor.dtype, shape: tensor.shape, data: tensor.read() } };
}
