/**
 * Tensors as users write them: NumPy files (npyjs), JSON, ONNX TensorProto files, and numbers on the command line.
 * Every reader says which file and why when it cannot read it (E0301), and never guesses a shape.
 */
import { extname } from "node:path";
import { dump, parse } from "npyjs";
import { fail } from "../ir/diagnostics.js";
import { DTYPES, type DType, sizeOf, type TensorValue } from "../ir/tensor/value.js";
import { checkWritable, readBytes, writeWhole } from "./files.js";
import { readTensorFile } from "./onnx/tensor-proto.js";

/** A tensor whose type the file may leave open: JSON has numbers only. */
export interface ReadTensor {
  readonly shape: readonly number[];
  readonly data: Float64Array;
  readonly dtype: DType | undefined;
}

/** Reads `.npy`, `.json` or `.pb`; E0301 where the file is not what its name says. */
export function readTensor(path: string): ReadTensor {
  const extension = extname(path).toLowerCase();
  if (extension === ".pb") {
    const { value } = readTensorFile(path);
    return { shape: value.shape, data: Float64Array.from(value.data), dtype: value.dtype };
  }
  const bytes = readBytes(path);
  try {
    if (extension === ".npy") {
      return readNumpy(bytes);
    }
    if (extension === ".json") {
      return readJson(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw fail({ code: "E0301", what: `not a tensor in ${extension.slice(1)} form`, where: path, why });
  }
  const fix = "give a .npy, .json or .pb file";
  throw fail({ code: "E0301", what: `tensors cannot be read from '${extension}' files`, where: path, fix });
}

/** NumPy's type codes, and ours. */
const NUMPY_TYPES: Readonly<Record<string, DType>> = {
  ...{ b1: "bool", i1: "i8", u1: "u8", i2: "i16", u2: "u16", i4: "i32", u4: "u32", i8: "i64", u8: "u64" },
  ...{ f2: "f16", f4: "f32", f8: "f64" },
};

/** A NumPy array from its file's bytes; throws where they are none. */
export function readNumpy(bytes: Uint8Array): ReadTensor {
  const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
  const { data, shape, dtype, fortranOrder } = parse(buffer);
  const ours = NUMPY_TYPES[dtype];
  if (ours === undefined) {
    throw new Error(`elements of type '${dtype}' are not numbers`);
  }
  const elements = data as unknown as ArrayLike<number | bigint | boolean>;
  if (elements.length !== sizeOf(shape)) {
    throw new Error(`${elements.length} elements, but the shape [${shape}] has ${sizeOf(shape)}`);
  }
  const numbers = Float64Array.from({ length: elements.length }, (_, i) => Number(elements[i]));
  return { shape, data: fortranOrder ? toRowMajor(numbers, shape) : numbers, dtype: ours };
}

/** The same tensor with its last axis running fastest, from one whose first axis does. */
function toRowMajor(data: Float64Array, shape: readonly number[]): Float64Array {
  const result = new Float64Array(data.length);
  const index = shape.map(() => 0);
  for (let at = 0; at < data.length; at++) {
    let from = 0;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from = from * shape[axis] + index[axis];
    }
    result[at] = data[from];
    for (let axis = shape.length - 1; axis >= 0 && ++index[axis] === shape[axis]; axis--) {
      index[axis] = 0;
    }
  }
  return result;
}

/** Nested arrays of numbers, or `{ "shape": […], "data": […] }`. */
function readJson(text: string): ReadTensor {
  const value: unknown = JSON.parse(text);
  if (typeof value === "object" && value !== null && "shape" in value && "data" in value) {
    const flat: number[] = [];
    collect((value as { data: unknown }).data, [], 0, flat);
    const shape = (value as { shape: readonly number[] }).shape;
    if (!Array.isArray(shape) || !shape.every(isSize) || sizeOf(shape) !== flat.length) {
      throw new Error(`${flat.length} elements do not fill the shape ${JSON.stringify(shape)}`);
    }
    return { shape, data: Float64Array.from(flat), dtype: undefined };
  }
  return tensorOfArrays(value);
}

/** The tensor of a nested array of numbers; throws where it is ragged, or holds something else. */
export function tensorOfArrays(value: unknown): ReadTensor {
  const flat: number[] = [];
  const shape: number[] = [];
  collect(value, shape, 0, flat);
  return { shape, data: Float64Array.from(flat), dtype: undefined };
}

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** Appends the numbers of a nested array, and fixes the shape on the way down the first branch. */
function collect(value: unknown, shape: number[], depth: number, flat: number[]): void {
  if (!Array.isArray(value)) {
    if (typeof value !== "number" && typeof value !== "boolean") {
      throw new Error(`${JSON.stringify(value)} is not a number`);
    }
    if (depth < shape.length) {
      throw new Error("the array is ragged");
    }
    flat.push(Number(value));
    return;
  }
  if (shape.length === depth && flat.length === 0) {
    shape.push(value.length);
  } else if (shape[depth] !== value.length) {
    throw new Error("the array is ragged");
  }
  for (const element of value) {
    collect(element, shape, depth + 1, flat);
  }
}

/** The tensor that `2x3xi64=1,2,3,4,5,6` or `f32=0.5` describes, or `undefined` if the text is not of that form. */
export function parseInline(text: string): ReadTensor | undefined {
  const match = /^((?:\d+x)*)([a-z]\w*)=(.*)$/s.exec(text);
  if (match === null || !DTYPES.includes(match[2] as DType)) {
    return undefined;
  }
  const shape = match[1].split("x").slice(0, -1).map(Number);
  const numbers = match[3].split(",").map((part) => (part.trim() === "" ? Number.NaN : Number(part)));
  if (numbers.length !== sizeOf(shape) || numbers.some(Number.isNaN)) {
    const what = `'${text.slice(0, 60)}' does not list ${sizeOf(shape)} numbers`;
    throw fail({ code: "E0202", what, why: `the shape [${shape}] has ${sizeOf(shape)} elements` });
  }
  return { shape, data: Float64Array.from(numbers), dtype: match[2] as DType };
}

/** Writes a `.npy` file of float32 (float64 where the type says so) or a `.json` file of `{shape, data}`. */
export function writeTensor(path: string, value: TensorValue): void {
  const content = contentOf(path, value);
  writeWhole(path, "the output", content);
}

/** Sees that a tensor can be written there, before there is one: E0201 for another form, E0301 for the place. */
export function checkTensorFile(path: string): void {
  contentOf(path, { dtype: "f32", shape: [0], data: new Float64Array(0) });
  checkWritable(path);
}

function contentOf(path: string, value: TensorValue): Uint8Array | string {
  const extension = extname(path).toLowerCase();
  if (extension === ".npy") {
    const data = value.dtype === "f64" ? Float64Array.from(value.data) : Float32Array.from(value.data);
    return new Uint8Array(dump(data, [...value.shape]));
  }
  if (extension === ".json") {
    return `${JSON.stringify({ shape: value.shape, data: [...value.data] })}\n`;
  }
  throw fail({
    code: "E0201",
    what: `outputs cannot be written as '${extension}'`,
    where: path,
    fix: "use .npy or .json",
  });
}
