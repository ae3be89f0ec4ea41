/** A tensor that was read, as an input of a plan: of just its shape and type, or a diagnostic that says why not. */
import { fail } from "../ir/diagnostics.js";
import { isFloat, type TensorType, type TensorValue } from "../ir/tensor/value.js";
import type { ReadTensor } from "./tensor-files.js";

/** The value with the plan's type, if its shape is the plan's and every number is one that the type can hold. */
export function fitted(name: string, value: ReadTensor, type: TensorType): TensorValue {
  if (value.shape.join() !== type.shape.join()) {
    const what = `the input has shape [${value.shape}], the plan needs [${type.shape}]`;
    throw fail({
      code: "E0202",
      what,
      where: name,
      fix: "give an input of that shape, or compile for this one (--shape)",
    });
  }
  if (value.dtype !== undefined && kindOf(value.dtype) !== kindOf(type.dtype)) {
    throw fail({ code: "E0202", what: `the input is ${value.dtype}, the plan needs ${type.dtype}`, where: name });
  }
  const bad = value.data.findIndex((number) => !holds(type, number));
  if (bad >= 0) {
    throw fail({ code: "E0202", what: `element ${bad} is not a ${type.dtype}`, where: name });
  }
  return { dtype: type.dtype, shape: type.shape, data: value.data };
}

function kindOf(dtype: TensorType["dtype"]): "float" | "integer" {
  return isFloat(dtype) ? "float" : "integer";
}

const INTEGER_RANGES: Readonly<Record<string, readonly [number, number]>> = {
  ...{ bool: [0, 1], i8: [-128, 127], u8: [0, 255], i16: [-32768, 32767], u16: [0, 65535] },
  ...{ i32: [-(2 ** 31), 2 ** 31 - 1], u32: [0, 2 ** 32 - 1] },
  ...{ i64: [-(2 ** 53), 2 ** 53], u64: [0, 2 ** 53] },
};

function holds({ dtype }: TensorType, number: number): boolean {
  const range = INTEGER_RANGES[dtype];
  return range === undefined
    ? number < Number.POSITIVE_INFINITY // minus infinity: masks hold it, and the owner checks which those are
    : Number.isInteger(number) && number >= range[0] && number <= range[1];
}
