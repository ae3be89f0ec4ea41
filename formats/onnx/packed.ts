/**
 * Numbers of 2, 4 and 8 bits as ONNX stores them: several to a byte, the lowest bits first, and floats of 8 bits by
 * their codes. Definitions: ONNX, docs/docsgen "float8" and "int4"; OCP Microscaling formats 1.0.
 */
import type { DType, TensorValue } from "../../ir/tensor/value.js";

/** How a stored number is told from its bits. */
export interface Packed {
  readonly bits: 2 | 4 | 8;
  /** The type that its numbers have from then on. */
  readonly dtype: DType;
  readonly value: (code: number) => number;
}

/** Whole numbers; unsigned ones of few bits are signed bytes too, so that bytes are bytes and nothing else. */
export function whole(bits: 2 | 4, signed: boolean): Packed {
  const half = 2 ** (bits - 1);
  return { bits, dtype: "i8", value: (code) => (signed && code >= half ? code - 2 * half : code) };
}

/** A float of this layout; `special` says what codes are infinite or no number. */
function small(bits: 4 | 8, fraction: number, bias: number, special: (code: number) => number | undefined): Packed {
  const sign = 2 ** (bits - 1);
  const step = 2 ** fraction;
  const value = (code: number): number => {
    const magnitude = code % sign;
    const [exponent, rest] = [Math.floor(magnitude / step), magnitude % step];
    const size = exponent === 0 ? (rest / step) * 2 ** (1 - bias) : (1 + rest / step) * 2 ** (exponent - bias);
    return special(code) ?? (code >= sign ? -size : size);
  };
  return { bits, dtype: "f32", value };
}

const none = () => undefined;
const onlyNaN = (code: number) => (code === 0x80 ? Number.NaN : undefined);
const infinite = (code: number) => {
  const magnitude = code & 0x7f;
  return magnitude < 0x7c ? undefined : magnitude > 0x7c ? Number.NaN : (code & 0x80 ? -1 : 1) / 0;
};

export const FLOAT8E4M3FN = small(8, 3, 7, (code) => ((code & 0x7f) === 0x7f ? Number.NaN : undefined));
export const FLOAT8E4M3FNUZ = small(8, 3, 8, onlyNaN);
export const FLOAT8E5M2 = small(8, 2, 15, infinite);
export const FLOAT8E5M2FNUZ = small(8, 2, 16, onlyNaN);
export const FLOAT4E2M1 = small(4, 1, 1, none);
export const FLOAT8E8M0: Packed = {
  ...{ bits: 8, dtype: "f32" },
  value: (code) => (code === 0xff ? Number.NaN : 2 ** (code - 127)),
};

/** A reader of the numbers over a reader of the bytes that hold them. */
export function unpack(
  { bits, dtype, value }: Packed,
  count: number,
  bytes: (first: number, count: number) => TensorValue["data"],
): (first?: number, count?: number) => TensorValue["data"] {
  const each = 8 / bits;
  return (first = 0, wanted = count - first) => {
    const start = Math.floor(first / each);
    const raw = bytes(start, Math.ceil((first + wanted) / each) - start);
    const code = (at: number) => Math.floor(raw[Math.floor(at / each) - start] / 2 ** (bits * (at % each))) % 2 ** bits;
    const make = (_: unknown, i: number) => value(code(first + i));
    return dtype === "f32" ? Float32Array.from({ length: wanted }, make) : Float64Array.from({ length: wanted }, make);
  };
}
