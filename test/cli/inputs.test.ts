/** What users write as inputs: the forms that are taken, and that every problem is reported, all at once. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { dump } from "npyjs";
import { afterAll, describe, expect, it } from "vitest";
import { givenInputs, type WrittenInputs } from "../../client/given.js";
import { inputValues } from "../../client/inputs.js";
import { checkOutputOptions, handleOutputs } from "../../client/outputs.js";
import { parseInline, readTensor, writeTensor } from "../../formats/tensor-files.js";
import { PumacError } from "../../ir/diagnostics.js";
import type { TensorType, TensorValue } from "../../ir/tensor/value.js";

const folder = mkdtempSync(join(tmpdir(), "pumac-inputs-"));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

/** The codes and texts of the diagnostics that a call throws. */
async function problems(call: () => unknown): Promise<readonly string[]> {
  try {
    await call();
  } catch (error) {
    if (error instanceof PumacError) {
      return error.diagnostics.map(({ code, what }) => `${code} ${what}`);
    }
    throw error;
  }
  return [];
}

describe("tensor files", () => {
  it("read NumPy files of every number type", () => {
    const arrays = [
      new Float32Array([1, -2.5]),
      new Float64Array([1, -2.5]),
      new BigInt64Array([1n, -2n]),
      new Int32Array([1, -2]),
      new Uint8Array([1, 2]),
    ];
    const read = arrays.map((array, i) => readTensor(file(`a${i}.npy`, new Uint8Array(dump(array, [2, 1])))));
    expect(read.map(({ dtype }) => dtype)).toEqual(["f32", "f64", "i64", "i32", "u8"]);
    expect(read.map(({ data }) => data[1])).toEqual([-2.5, -2.5, -2, -2, 2]);
    expect(read.every(({ shape }) => shape.join() === "2,1")).toBe(true);
  });

  it("read Fortran order", () => {
    const bytes = Buffer.from(dump(new Float32Array([1, 4, 2, 5, 3, 6]), [2, 3]));
    const at = bytes.indexOf("False");
    bytes.write("True ", at, "latin1");
    expect([...readTensor(file("f.npy", bytes)).data]).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it("read nested JSON and JSON with a shape", () => {
    expect(readTensor(file("n.json", "[[1,2,3],[4,5,6]]"))).toMatchObject({ shape: [2, 3] });
    expect(readTensor(file("s.json", '{"shape":[2],"data":[1,2]}'))).toMatchObject({ shape: [2] });
    expect(readTensor(file("x.json", "3"))).toMatchObject({ shape: [] });
  });

  it.each([
    ["ragged.json", "[[1,2],[3]]"],
    ["deep.json", "[1,[2]]"],
    ["text.json", '["a"]'],
    ["short.json", '{"shape":[3],"data":[1,2]}'],
    ["broken.json", "[1,"],
    ["noise.npy", "not an array at all"],
    ["empty.npy", ""],
    ["tensor.txt", "1"],
  ])("refuse %s with E0301", async (name, content) => {
    expect(await problems(() => readTensor(file(name, content)))).toEqual([expect.stringContaining("E0301")]);
  });

  it("refuse a truncated NumPy file", async () => {
    const bytes = new Uint8Array(dump(new Float64Array(8), [8]));
    expect(await problems(() => readTensor(file("t.npy", bytes.subarray(0, bytes.length - 8))))).toHaveLength(1);
  });

  it("write what they read", () => {
    const value: TensorValue = { dtype: "f32", shape: [2, 2], data: Float32Array.of(1, 2, 3, 0.1) };
    for (const name of ["out.npy", "out.json"]) {
      writeTensor(join(folder, name), value);
      expect([...readTensor(join(folder, name)).data]).toEqual([...value.data]);
    }
  });

  it("take numbers on the command line", async () => {
    expect(parseInline("2x3xi64=1,2,3,4,5,6")).toMatchObject({ shape: [2, 3], dtype: "i64" });
    expect(parseInline("f32=-0.5")).toMatchObject({ shape: [], dtype: "f32" });
    expect(parseInline("2xq7=1,2")).toBeUndefined();
    expect(await problems(() => parseInline("2xi64=1"))).toEqual([expect.stringContaining("E0202")]);
    expect(await problems(() => parseInline("2xi64=1,"))).toEqual([expect.stringContaining("E0202")]);
  });
});

describe("the inputs of a run", () => {
  const readInputs = async (written: WrittenInputs, expected: ReadonlyMap<string, TensorType>) =>
    inputValues(givenInputs(written), expected);
  const plan = new Map<string, TensorType>([
    ["ids", { dtype: "i64", shape: [1, 2] }],
    ["x", { dtype: "f32", shape: [2] }],
  ]);

  it("are taken in every form", async () => {
    const path = file("x.json", "[0.5, 1]");
    const values = await readInputs({ input: ["ids=1x2xi64=7,8", `x=@${path}`] }, plan);
    expect([...values.get("ids")!.data]).toEqual([7, 8]);
    expect(values.get("x")).toMatchObject({ dtype: "f32", shape: [2] });
  });

  it("are checked all at once", async () => {
    expect(await problems(() => readInputs({ input: ["ids=2xi64=7,8", "y=f32=1"] }, plan))).toEqual([
      "E0202 the input has shape [2], the plan needs [1,2]",
      "E0202 the plan has no input 'y'",
      "E0202 the plan's input 'x' was not given",
    ]);
    expect(await problems(() => readInputs({ input: ["ids=1x2xf32=7,8", "x=2xf32=1,Infinity"] }, plan))).toEqual([
      "E0202 the input is f32, the plan needs i64",
      "E0202 element 1 is not a f32",
    ]);
  });

  it("must be inputs", async () => {
    expect(await problems(() => readInputs({ input: ["nonsense"] }, plan))).toEqual([expect.stringContaining("E0201")]);
    expect(await problems(() => readInputs({ input: ["text:hello"] }, plan))).toEqual(["E0201 text needs a tokenizer"]);
    expect(await problems(() => readInputs({ input: [], inputs: join(folder, "absent") }, plan))).toHaveLength(1);
  });
});

describe("the outputs of a run", () => {
  const outputs = new Map([["y", { dtype: "f32", shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) } as const]]);

  it("are compared, and the first bad index is named", async () => {
    const path = file("y.json", "[[1.01,2],[3.5,5]]");
    const gate = (tolerance: number) => handleOutputs({ output: [], expect: [`y=@${path}`], tolerance }, outputs);
    expect(await problems(() => gate(1))).toEqual([]);
    expect(await problems(() => gate(0.02))).toEqual(["E0502 2 of 4 elements are outside the tolerance 0.02"]);
    try {
      gate(0.02);
    } catch (error) {
      expect((error as PumacError).exitCode).toBe(5);
      expect((error as PumacError).diagnostics[0].where).toBe("y[1, 0]");
    }
  });

  it("of another shape, or with NaN expected, fail the comparison", async () => {
    const options = (path: string) => ({ output: [], expect: [`y=@${path}`], tolerance: 10 });
    expect(await problems(() => handleOutputs(options(file("z.json", "[1,2,3,4]")), outputs))).toHaveLength(1);
    const nan = file("nan.npy", new Uint8Array(dump(new Float32Array([1, Number.NaN, 3, 4]), [2, 2])));
    expect(await problems(() => handleOutputs(options(nan), outputs))).toHaveLength(1);
  });

  it("are compared with those of a test data folder that the plan reveals", async () => {
    const data = join(
      import.meta.dirname,
      "..",
      "..",
      "models",
      "fixtures",
      "bert_cls.t5.legacy.eager.op11.dyn",
      "test_data_set_0",
    );
    const names = ["logits"];
    const options = { output: [], expect: [data], tolerance: 1e-6 };
    checkOutputOptions(options, names);
    const reference = readTensor(join(data, "output_0.pb"));
    const given = (shift: number) =>
      new Map(
        names.map((name) => [
          name,
          { ...reference, dtype: "f32", data: reference.data.map((x) => x + shift) } as const,
        ]),
      );
    expect(handleOutputs(options, given(0))).toEqual(["logits is as expected: the largest difference is 0.0"]);
    expect(await problems(() => handleOutputs(options, given(0.1)))).toHaveLength(1);
    expect(await problems(() => checkOutputOptions({ ...options, expect: [folder] }, names))).toEqual([
      "E0301 the folder holds no output_0.pb",
    ]);
  });

  it("that the plan does not have are refused before anything runs", async () => {
    const options = { output: ["z=@z.npy"], expect: [], tolerance: 1 };
    expect(await problems(() => checkOutputOptions(options, ["y"]))).toEqual([
      "E0201 --output: there is no output 'z'",
    ]);
  });
});
