/**
 * A tensor in the clear. Numbers are held as doubles whatever the declared type says (integers are exact to 2^53),
 * because the tensor graph speaks about real numbers; large float32 weights may stay float32.
 */
export const DTYPES = [
  "f64", "f32", "f16", "bf16", "i64", "i32", "i16", "i8", "u64", "u32", "u16", "u8", "bool",
] as const; // biome-ignore format: one line says it
export type DType = (typeof DTYPES)[number];

export interface TensorType {
  readonly dtype: DType;
  readonly shape: readonly number[];
}

export interface TensorValue extends TensorType {
  /** Row-major; booleans are 0 and 1. */
  readonly data: Float64Array | Float32Array;
  /** True of constants that were made from shapes alone, and hold nothing of a model's file. */
  readonly made?: true;
}

/** The mark of a value that is made of others, and of nothing else. */
export function madeOf(values: readonly TensorValue[]): { readonly made?: true } {
  return values.every(({ made }) => made === true) ? { made: true } : {};
}

const TYPE_TEXT = /^([a-z0-9]+)\[((?:\d+(?:,\d+)*)?)\]$/;

/** The text of a type: `f32[48,128]`, `bool[]` for a scalar. */
export function printTensorType({ dtype, shape }: TensorType): string {
  return `${dtype}[${shape.join(",")}]`;
}

/** The inverse of `printTensorType`; throws on other text. */
export function parseTensorType(text: string): TensorType {
  const match = TYPE_TEXT.exec(text.replaceAll(" ", ""));
  if (match === null || !DTYPES.includes(match[1] as DType)) {
    throw new Error(`not a tensor type: '${text}'`);
  }
  return { dtype: match[1] as DType, shape: match[2] === "" ? [] : match[2].split(",").map(Number) };
}

export function isFloat(dtype: DType): boolean {
  return dtype === "f64" || dtype === "f32" || dtype === "f16" || dtype === "bf16";
}

/** The number of elements of a shape. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, n) => product * n, 1);
}

/** The index of a place that there is not: no axis has it, so that whoever holds an index in the clear sees it. */
export const NO_PLACE = 2 ** 30;

/** A rank-0 tensor. */
export function scalar(value: number, dtype: DType = "f32"): TensorValue {
  return { dtype, shape: [], data: Float64Array.of(value) };
}
