/** Scattering with a reduction: indices that name one slice twice, from its two ends too, reach it both times. */
import { describe, it } from "vitest";
import { compareWithRuntime, type OperatorCase } from "./oracle.js";

const scatter = (reduction: string, indices: readonly number[], width: number): OperatorCase => ({
  op: "ScatterND",
  opset: 18,
  inputs: [
    { shape: [4, 3] },
    { shape: [indices.length / width, width], values: [...indices], dtype: "i64", fixed: true },
    { shape: width === 1 ? [indices.length, 3] : [indices.length / width] },
  ],
  outputs: [[4, 3]],
  attributes: { reduction: { string: reduction } },
});

describe.each(["add", "mul", "max", "min"])("ScatterND, reduction %s", (reduction) => {
  it.each([
    ["rows that differ", [0, 2], 1],
    ["a row named twice", [1, 3, 1], 1],
    ["a row named from both ends", [3, -1, 0, -4], 1],
    ["an element named from both ends", [3, 2, -1, -1, 3, -1, 0, 0], 2],
  ])("%s", (_, indices, width) => compareWithRuntime(scatter(reduction, indices, width)));
});
