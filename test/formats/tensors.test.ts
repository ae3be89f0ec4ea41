/** TensorProto: every type is read as it was written, from raw bytes and from the typed fields. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { readTensorFile } from "../../formats/onnx/tensor-proto.js";
import { encodeTensor } from "../../formats/onnx/write.js";
import { DTYPES, type DType } from "../../ir/tensor/value.js";

const folder = mkdtempSync(join(tmpdir(), "pumac-tensors-"));
afterAll(() => rmSync(folder, { recursive: true }));

function read(bytes: Uint8Array) {
  const path = join(folder, "tensor.pb");
  writeFileSync(path, bytes);
  return readTensorFile(path);
}

/** Values that each type holds exactly. */
function valuesOf(dtype: DType): number[] {
  if (dtype === "bool") {
    return [0, 1, 1, 0];
  }
  return dtype.startsWith("u") ? [0, 1, 77, 255] : [0, -1, 77, -128];
}

describe("raw data", () => {
  it.each(DTYPES)("%s", (dtype) => {
    const values = valuesOf(dtype);
    const found = read(encodeTensor("name", { dtype, shape: [2, 2], data: Float64Array.from(values) }));
    expect(found.name).toBe("name");
    expect(found.value).toMatchObject({ dtype, shape: [2, 2] });
    expect(Array.from(found.value.data)).toEqual(values);
  });

  it("of half precision covers infinities, subnormals and rounding", () => {
    const values = [65504, -65504, 2 ** -24, 6.1e-5, 1 / 3, Number.POSITIVE_INFINITY, 1 + 2 ** -11];
    const found = read(encodeTensor("", { dtype: "f16", shape: [7], data: Float64Array.from(values) }));
    const wanted = [65504, -65504, 2 ** -24, 1023 * 2 ** -24, 1365 * 2 ** -12, Number.POSITIVE_INFINITY, 1];
    expect(Array.from(found.value.data)).toEqual(wanted);
  });
});

/** A field of dims [3], a type, and what follows. */
const proto = (type: number, ...rest: number[]) => Uint8Array.from([8, 3, 16, type, ...rest]);

describe("typed fields", () => {
  it("packed: int64, with negative numbers of ten bytes", () => {
    const minus = [...Array(9).fill(0xff), 1];
    expect(Array.from(read(proto(7, 58, 12, 5, ...minus, 6)).value.data)).toEqual([5, -1, 6]);
  });
  it("one by one: int32 as bool, and float16 as bits", () => {
    expect(Array.from(read(proto(9, 40, 1, 40, 0, 40, 1)).value.data)).toEqual([1, 0, 1]);
    const halves = proto(10, 42, 6, 0x80, 0x78, 0, 0x80, 0xf8, 2);
    expect(Array.from(read(Uint8Array.from([...halves])).value.data)).toEqual([1, 0, -1]);
  });
  it("one by one: floats", () => {
    const one = [37, 0, 0, 0x80, 0x3f];
    expect(Array.from(read(proto(1, ...one, ...one, ...one)).value.data)).toEqual([1, 1, 1]);
  });
  it("that hold too few or too many values are refused", () => {
    expect(() => read(proto(7, 58, 2, 5, 6))).toThrow(/E0302/);
    expect(() => read(proto(7, 58, 4, 5, 6, 7, 8))).toThrow(/E0302/);
    expect(() => read(proto(8, 50, 1, 65))).toThrow(/STRING/);
  });
});
