/** What inputs that the compiler makes up have at places that a mask drops: ids whose row of the table is zeros. */
import { expect, test } from "vitest";
import type { TensorValue } from "../../ir/tensor/value.js";
import { floats, normal, runText } from "./support.js";

const [LENGTH, WIDTH, WORDS, PADDING] = [6, 16, 1000, 7];

/** A layer of attention between two norms, as decoders have them: nothing but the ids says what padding is. */
const TEXT = `%0 = input {name = "ids", dtype = "i64", shape = [${LENGTH}]} : i64[${LENGTH}]
%1 = input {name = "mask", dtype = "bool", shape = [${LENGTH}]} : bool[${LENGTH}]
%2 = parameter {name = "table", dtype = "f32", shape = [${WORDS}, ${WIDTH}]} : f32[${WORDS},${WIDTH}]
%3 = gather %2, %0 {axis = 0} : f32[${LENGTH},${WIDTH}]
%4 = rmsNorm %3 {epsilon = 1e-05} : f32[${LENGTH},${WIDTH}]
%5 = parameter {name = "m", dtype = "f32", shape = [${WIDTH}, ${WIDTH}]} : f32[${WIDTH},${WIDTH}]
%6 = matmul %4, %5 : f32[${LENGTH},${WIDTH}]
%7 = transpose %6 {permutation = [1, 0]} : f32[${WIDTH},${LENGTH}]
%8 = matmul %6, %7 : f32[${LENGTH},${LENGTH}]
%9 = broadcast %1 {shape = [${LENGTH}, ${LENGTH}]} : bool[${LENGTH},${LENGTH}]
%10 = softmax %8, %9 {axis = 1} : f32[${LENGTH},${LENGTH}]
%11 = matmul %10, %6 : f32[${LENGTH},${WIDTH}]
%12 = rmsNorm %6 {epsilon = 1e-05} : f32[${LENGTH},${WIDTH}]
%13 = add %11, %12 : f32[${LENGTH},${WIDTH}]
output "y" = %13`;

const ints = (dtype: "i64" | "bool", ...data: number[]): TensorValue => ({
  dtype,
  shape: [data.length],
  data: Float64Array.from(data),
});

test.each([
  ["behind", [5, 6, 8, 9, PADDING, PADDING], [1, 1, 1, 1, 0, 0]],
  ["before", [PADDING, PADDING, 5, 6, 8, 9], [0, 0, 1, 1, 1, 1]],
  ["nowhere", [11, 12, 5, 6, 8, 9], [1, 1, 1, 1, 1, 1]],
] as const)("an answer with padding %s is right at every place", async (_, ids, mask) => {
  const table = normal([WORDS, WIDTH], 0.02);
  const row = (i: number) => Math.floor(i / WIDTH);
  const model = {
    text: TEXT,
    weights: new Map([
      ["table", floats([WORDS, WIDTH], (i) => (row(i) === PADDING ? 0 : table.data[i]))],
      ["m", normal([WIDTH, WIDTH], 0.2, 3)],
    ]),
    inputs: new Map([
      ["ids", ints("i64", ...ids)],
      ["mask", ints("bool", ...mask)],
    ]),
  };
  const { error } = await runText(model, { calibration: undefined } as object);
  expect(error).toBeLessThan(0.02);
});
