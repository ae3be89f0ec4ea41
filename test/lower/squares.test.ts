/**
 * Norms whose sum of squares is dealt (`squares`), of rows from far below to far above what was measured: every answer
 * is right, or the overflow guard withholds it. The rows are products, so that they leave their range where the inputs
 * do not.
 */
import { describe, expect, it } from "vitest";
import { simulate } from "../../client/local/simulation.js";
import { runOwners } from "../../client/owners.js";
import { planDigest } from "../../ir/plan/codec.js";
import { evaluateGraph, TENSOR } from "../../ir/tensor/index.js";
import { parse } from "../../ir/text.js";
import { compileText, floats, normal } from "./support.js";

const [ROWS, FEATURES] = [4, 96];
const TYPE = `f32[${ROWS},${FEATURES}]`;
const WEIGHTS = new Map([["w", normal([FEATURES, FEATURES], 0.1, 3)]]);
const BASE = normal([ROWS, FEATURES]).data;

/** Two factors whose product is 2^octaves times as large; `apart`: octaves between them. */
function factors(octaves: number, apart = 0) {
  const by = (i: number, sign: number) => 2 ** (octaves / 2 + (i % 2 === 0 ? sign : -sign) * apart);
  return new Map([
    ["a", floats([ROWS, FEATURES], (i) => BASE[i] * by(i, 1))],
    ["b", floats([ROWS, FEATURES], (i) => (1 + (i % 3) / 4) * by(i, -1))],
  ]);
}

const twoNorms = (op: string): string => `
%0 = input {name = "a", dtype = "f32", shape = [${ROWS}, ${FEATURES}]} : ${TYPE}
%1 = input {name = "b", dtype = "f32", shape = [${ROWS}, ${FEATURES}]} : ${TYPE}
%2 = multiply %0, %1 : ${TYPE}
%3 = parameter {name = "w", dtype = "f32", shape = [${FEATURES}, ${FEATURES}]} : f32[${FEATURES},${FEATURES}]
%4 = matmul %2, %3 : ${TYPE}
%5 = add %4, %2 : ${TYPE}
%6 = ${op} %5 {epsilon = 1e-05} : ${TYPE}
%7 = matmul %6, %3 : ${TYPE}
%8 = add %7, %6 : ${TYPE}
%9 = ${op} %8 {epsilon = 1e-05} : ${TYPE}
output "y" = %9`;

describe.each(["layerNorm", "rmsNorm"])("%s", (op) => {
  it("of rows from 2^-8 to 2^10 times what was measured is right, or withheld", async () => {
    const text = twoNorms(op);
    const calibration = Array.from({ length: 16 }, (_, i) => factors((i % 5) / 5, i % 2 === 0 ? 0 : 9));
    const options = { shared: ["a", "b"], calibration };
    const { plan, weights } = compileText({ text, weights: WEIGHTS, inputs: factors(0) }, options);
    expect(plan.steps.some((step) => step.op === "squares")).toBe(true);
    const graph = parse(text, TENSOR);
    const answered: number[] = [];
    for (const octaves of [-8, -4, -2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2, 2.5, 4, 10]) {
      const inputs = factors(octaves);
      const wanted = evaluateGraph(graph, inputs, { read: (name) => WEIGHTS.get(name)! }).get("y")!.data;
      const owners = runOwners(plan, inputs, weights);
      const found = await simulate({ plan, digest: planDigest(plan) }, owners, 1).catch((error: Error) => error);
      if (found instanceof Error) {
        expect(found.message, `2^${octaves}`).toContain("E0503");
        continue;
      }
      answered.push(octaves);
      found.outputs
        .get("y")!
        .data.forEach((y, i) => void expect(Math.abs(y - wanted[i]), `2^${octaves}`).toBeLessThan(0.02));
    }
    expect(answered).toEqual(expect.arrayContaining([0, 0.5]));
    expect(answered.length).toBeLessThan(12);
  });
});
