/**
 * Soft caps, cap·tanh(x/cap): right by what they are multiplied with, not by what tanh is right by, and shown only
 * where the cap follows from the architecture.
 */
import { describe, expect, it } from "vitest";
import { normal, runText, type TextModel } from "./support.js";

const [ROWS, WIDTH] = [8, 16];
const TYPE = `f32[${ROWS},${WIDTH}]`;

/** c·tanh(xW·a/c), and a softmax of it. */
function capped(cap: number, scale: number): TextModel {
  const text = `%0 = input {name = "x", dtype = "f32", shape = [${ROWS}, ${WIDTH}]} : ${TYPE}
%1 = parameter {name = "w", dtype = "f32", shape = [${WIDTH}, ${WIDTH}]} : f32[${WIDTH},${WIDTH}]
%2 = matmul %0, %1 : ${TYPE} @ "scores"
%3 = constant {value = f32[] [${0.25 / cap}]} : f32[]
%4 = multiply %2, %3 : ${TYPE}
%5 = tangentHyperbolic %4 : ${TYPE} @ "cap"
%6 = constant {value = f32[] [${cap}]} : f32[]
%7 = multiply %5, %6 : ${TYPE} @ "capped"
%8 = softmax %7 {axis = 1} : ${TYPE} @ "softmax"
output "logits" = %7
output "softmax" = %8`;
  const weights = new Map([["w", normal([WIDTH, WIDTH], 1, 2)]]);
  return { text, weights, inputs: new Map([["x", normal([ROWS, WIDTH], scale, 1)]]) };
}

describe("a soft cap", () => {
  // Scores of a part of the cap, about it, and far beyond it.
  it.each([
    [30, 2],
    [30, 30],
    [50, 12],
    [50, 120],
    [64, 100],
  ])("of %i, scores of about %i", async (cap, scale) => {
    const { outputs, expected, plan, error } = await runText(capped(cap, scale), {}, 1);
    expect(error).toBeLessThan(Math.max(0.012, cap / 2 ** 10));
    const [found, wanted] = [outputs.get("softmax")!.data, expected.get("softmax")!.data];
    expect(Math.max(...Array.from(wanted, (x, i) => Math.abs(x - found[i])))).toBeLessThan(0.01);
    expect(plan.published.map(({ why }) => why)).toContain("the bound of a soft cap");
  });

  it("that was learnt stays its owner's", async () => {
    const { plan, error } = await runText(capped(2.7, 1));
    expect(error).toBeLessThan(0.02);
    expect(JSON.stringify(plan.published)).not.toContain("soft cap");
    expect(JSON.stringify(plan.steps)).not.toContain("2.7");
  });
});
