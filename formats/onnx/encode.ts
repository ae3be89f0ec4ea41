/**
 * Numbers to little-endian elements on disk, the inverse of elements.ts; 16-bit floats round to nearest, ties to even.
 */
import { floorLog2 } from "../../ir/real.js";
import type { DType, TensorValue } from "../../ir/tensor/value.js";
import { bytesOf } from "./tensor-proto.js";

const scratch = new DataView(new ArrayBuffer(4));

/** A number as IEEE 754 binary16 bits. */
function numberToHalf(value: number): number {
  scratch.setFloat32(0, value);
  const sign = scratch.getUint8(0) & 0x80 ? 0x8000 : 0;
  const size = Math.abs(value);
  if (Number.isNaN(value)) {
    return 0x7e00;
  }
  if (size >= 65520) {
    return sign | 0x7c00;
  }
  if (size < 2 ** -14) {
    return sign | roundHalfEven(size * 2 ** 24);
  }
  const exponent = floorLog2(size);
  const power = size < 2 ** exponent ? exponent - 1 : size >= 2 ** (exponent + 1) ? exponent + 1 : exponent;
  return sign + (power + 15) * 1024 + roundHalfEven((size / 2 ** power - 1) * 1024);
}

function roundHalfEven(value: number): number {
  const whole = Math.floor(value);
  const rest = value - whole;
  return rest > 0.5 || (rest === 0.5 && whole % 2 === 1) ? whole + 1 : whole;
}

/** A number as bfloat16 bits. */
function numberToBrain(value: number): number {
  if (Number.isNaN(value)) {
    return 0x7fc0;
  }
  scratch.setFloat32(0, value);
  const bits = scratch.getUint32(0);
  return Math.floor((bits + 0x7fff + (Math.floor(bits / 65536) % 2)) / 65536) & 0xffff;
}

/** INT64_MAX, which as a double is 2^63. */
const LARGEST = 2n ** 63n - 1n;

type Write = (view: DataView, at: number, value: number) => void;

const WRITERS: Readonly<Record<DType, Write>> = {
  f64: (view, at, value) => view.setFloat64(at, value, true),
  f32: (view, at, value) => view.setFloat32(at, value, true),
  f16: (view, at, value) => view.setUint16(at, numberToHalf(value), true),
  bf16: (view, at, value) => view.setUint16(at, numberToBrain(value), true),
  i64: (view, at, value) => view.setBigInt64(at, value >= 2 ** 63 ? LARGEST : BigInt(value), true),
  i32: (view, at, value) => view.setInt32(at, value, true),
  i16: (view, at, value) => view.setInt16(at, value, true),
  i8: (view, at, value) => view.setInt8(at, value),
  u64: (view, at, value) => view.setBigUint64(at, BigInt(value), true),
  u32: (view, at, value) => view.setUint32(at, value, true),
  u16: (view, at, value) => view.setUint16(at, value, true),
  u8: (view, at, value) => view.setUint8(at, value),
  bool: (view, at, value) => view.setUint8(at, value === 0 ? 0 : 1),
};

/** The little-endian bytes of elements. */
export function encodeElements(data: TensorValue["data"], dtype: DType): Uint8Array {
  const size = bytesOf(dtype);
  const bytes = new Uint8Array(data.length * size);
  const view = new DataView(bytes.buffer);
  const write = WRITERS[dtype];
  for (let i = 0; i < data.length; i++) {
    write(view, i * size, data[i]);
  }
  return bytes;
}
