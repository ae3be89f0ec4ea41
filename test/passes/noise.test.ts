/** What rounding of values, and of weights, does to an answer as predicted in the clear: right to a factor of three. */
import { expect, test } from "vitest";
import { DEFAULT_PRECISION } from "../../compiler/compile.js";
import { TENSOR } from "../../ir/tensor/index.js";
import { parse } from "../../ir/text.js";
import { roundingError } from "../../passes/noise.js";
import { normal, runText, type TextModel } from "../lower/support.js";

const [ROWS, WIDTH] = [16, 32];
const hidden = `f32[${ROWS},${WIDTH}]`;
const matrix = `f32[${WIDTH},${WIDTH}]`;

/** norm(x·A)·B, then a chain of matrices that let errors grow by `gain` each. */
function model(matrices: number, gain: number): TextModel {
  const weight = (place: number, name: string) =>
    `%${place} = parameter {name = "${name}", dtype = "f32", shape = [${WIDTH}, ${WIDTH}]} : ${matrix}`;
  const lines = [
    `%0 = input {name = "x", dtype = "f32", shape = [${ROWS}, ${WIDTH}]} : ${hidden}`,
    weight(1, "w0"),
    `%2 = matmul %0, %1 : ${hidden}`,
    `%3 = rmsNorm %2 {epsilon = 0.00001} : ${hidden}`,
  ];
  for (let i = 1; i <= matrices; i++) {
    lines.push(weight(2 + 2 * i, `w${i}`), `%${3 + 2 * i} = matmul %${1 + 2 * i}, %${2 + 2 * i} : ${hidden}`);
  }
  const scaled = (i: number) => normal([WIDTH, WIDTH], gain / Math.sqrt(WIDTH), i);
  return {
    text: `${lines.join("\n")}\noutput "y" = %${3 + 2 * matrices}`,
    weights: new Map(Array.from({ length: matrices + 1 }, (_, i) => [`w${i}`, scaled(i + 2)])),
    inputs: new Map([["x", normal([ROWS, WIDTH], 1, 1)]]),
  };
}

const CASES = [
  [1, 1],
  [3, 1],
  [3, 2],
] as const;

/** What rounding is predicted to do, and what the three roles measure at these fractions. */
async function compared(matrices: number, gain: number, side: "values" | "weights") {
  const given = model(matrices, gain);
  const graph = parse(given.text.replaceAll("parameter", "input"), TENSOR);
  const values = new Map([...given.inputs, ...given.weights!]);
  const rounding = roundingError(graph, [(name) => values.get(name)!], (name) => given.weights!.has(name));
  const { error, bits } = rounding[side];
  const precision = side === "values" ? { activation: bits, weight: 20 } : { activation: 18, weight: bits };
  const measured = await runText(given, { precision: { ...DEFAULT_PRECISION, ...precision } });
  const largest = Math.max(...measured.expected.get("y")!.data.map(Math.abs));
  return { elements: rounding.elements, ratio: measured.error / (error * Math.max(0.02, largest * 2 ** -9)) };
}

test.each(CASES)("values, %d matrices of gain %d", async (matrices, gain) => {
  const { elements, ratio } = await compared(matrices, gain, "values");
  // Every product's factor that is no input: the norm's argument, its rows, and what later matrices multiply.
  expect(elements).toBe(ROWS * WIDTH * (1 + matrices));
  expect(ratio).toBeGreaterThan(1 / 3);
  expect(ratio).toBeLessThan(3);
});

test.each(CASES)("weights, %d matrices of gain %d", async (matrices, gain) => {
  const { ratio } = await compared(matrices, gain, "weights");
  expect(ratio).toBeGreaterThan(1 / 3);
  expect(ratio).toBeLessThan(3);
});
