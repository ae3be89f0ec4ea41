/**
 * Dense constants → tensors. A splat stays one element: its shape is only declared, so a corrupt file cannot make the
 * reader allocate what it merely mentions.
 */

import { decodeElements, elementBytes, readElement } from "../../formats/safetensors.js";
import { fail } from "../../ir/diagnostics.js";
import { type DType, sizeOf, type TensorValue } from "../../ir/tensor/value.js";
import type { DenseLiteral, Type } from "./ast.js";
import { printType } from "./types.js";

const ELEMENTS: Readonly<Record<string, DType>> = {
  f64: "f64",
  f32: "f32",
  f16: "f16",
  bf16: "bf16",
  i64: "i64",
  i32: "i32",
  i16: "i16",
  i8: "i8",
  si64: "i64",
  si32: "i32",
  ui64: "u64",
  ui32: "u32",
  ui16: "u16",
  ui8: "u8",
  i1: "bool",
};

/** The dtype of MLIR's element type; undefined for what pumac has no tensors of (complex, quantised, 4-bit, …). */
function dtypeOfElement(element: string): DType | undefined {
  return Object.hasOwn(ELEMENTS, element) ? ELEMENTS[element] : undefined;
}

export interface StaticType {
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** The static tensor type that a type declares; throws E0402 for anything else. */
export function staticType(type: Type, where: string): StaticType {
  if (type.kind !== "tensor") {
    throw fail({ code: "E0402", what: `values of type ${printType(type)} are not supported`, where });
  }
  const dtype = dtypeOfElement(type.element);
  if (dtype === undefined) {
    throw fail({ code: "E0402", what: `elements of type ${type.element} are not supported`, where });
  }
  const shape = type.shape.map((dimension) => {
    if (dimension === undefined) {
      throw fail({ code: "E0402", what: `${printType(type)} has a dynamic dimension`, where, ...STATIC_SHAPES });
    }
    return dimension;
  });
  if (sizeOf(shape) > Number.MAX_SAFE_INTEGER) {
    throw fail({ code: "E0402", what: `${printType(type)} is too large`, where });
  }
  return { dtype, shape };
}

/** What to do about a shape-polymorphic module. */
export const STATIC_SHAPES = {
  why: "the module was exported with symbolic dimensions; a plan has fixed shapes",
  fix: "lower it for fixed shapes: jax.jit(f).lower(jax.ShapeDtypeStruct((1, 128), 'int32'), …).as_text()",
} as const;

/** The tensor of a dense literal: rank 0 if it is a splat, else of the declared shape. */
export function decodeDense(literal: DenseLiteral, type: StaticType, where: string): TensorValue {
  const size = sizeOf(type.shape);
  if (literal.form === "hex") {
    return decodeHex(literal.text, type, size, where);
  }
  const { elements, shape } = literal;
  if (shape.length === 0 && elements.length === 1) {
    return { dtype: type.dtype, shape: [], data: Float64Array.of(decodeElement(elements[0], type.dtype, where)) };
  }
  if (elements.length !== size || (size > 0 && shape.join() !== type.shape.join())) {
    const what = `a constant of shape [${shape.join(", ")}] does not fit its type's [${type.shape.join(", ")}]`;
    throw fail({ code: "E0302", what, where });
  }
  const data = Float64Array.from(elements, (text) => decodeElement(text, type.dtype, where));
  return { ...type, data };
}

function decodeHex(text: string, type: StaticType, size: number, where: string): TensorValue {
  const bytes = Buffer.from(text.slice(2), "hex");
  const width = elementBytes(type.dtype);
  if (bytes.length === width && size !== 1) {
    return { dtype: type.dtype, shape: [], data: decodeElements(bytes, type.dtype, 1) };
  }
  if (bytes.length !== width * size) {
    const wanted = `[${type.shape.join(", ")}] of ${type.dtype} has ${width * size}`;
    const what = `a constant has ${bytes.length} bytes; ${wanted}`;
    throw fail({ code: "E0302", what, where });
  }
  return { ...type, data: decodeElements(bytes, type.dtype, size) };
}

function decodeElement(text: string, dtype: DType, where: string): number {
  if (text === "true" || text === "false") {
    return text === "true" ? 1 : 0;
  }
  const value = Number(text.startsWith("+") ? text.slice(1) : text);
  const hexadecimal = /^-?0x/.test(text);
  if (text.startsWith("(") || (Number.isNaN(value) && !hexadecimal)) {
    throw fail({ code: "E0302", what: `'${text}' is not a ${dtype}`, where });
  }
  if (hexadecimal && (dtype === "f64" || dtype === "f32" || dtype === "f16" || dtype === "bf16")) {
    return bitsToNumber(text, dtype);
  }
  if (hexadecimal) {
    return text.startsWith("-") ? -Number(text.slice(1)) : value;
  }
  if (dtype === "bool") {
    // MLIR writes i1 as 0 and -1 or 1, too.
    return value === 0 ? 0 : 1;
  }
  return dtype === "f32" ? Math.fround(value) : value;
}

/** `0x7FC00000` in a float constant is the bit pattern. */
function bitsToNumber(text: string, dtype: DType): number {
  const bits = BigInt(text.replace("-", ""));
  const bytes = new DataView(new ArrayBuffer(8));
  bytes.setBigUint64(0, bits, true);
  return readElement(bytes, 0, dtype);
}
