/**
 * The maximum of long rows from random combinations: softmax is right wherever its largest score lies, also where a
 * public mask hides a larger one, and no counter is dealt.
 */
import { describe, expect, test } from "vitest";
import { floats, normal, runText } from "./support.js";

const [ROWS, COLUMNS] = [6, 80];

describe("softmax of long rows on assumed ranges", () => {
  test.each([0.25, 1, 2])("scores of about %d", async (scale) => {
    const text = `%0 = input {dtype = "f32", name = "x", shape = [${ROWS}, 4]} : f32[${ROWS},4] @ "x"
%1 = parameter {dtype = "f32", name = "w", shape = [4, ${COLUMNS}]} : f32[4,${COLUMNS}] @ "w"
%2 = matmul %0, %1 : f32[${ROWS},${COLUMNS}] @ "scores"
%3 = softmax %2 {axis = 1} : f32[${ROWS},${COLUMNS}] @ "y"
output "y" = %3`;
    const inputs = new Map([["x", normal([ROWS, 4], Math.sqrt(scale / 2), 3)]]);
    const weights = new Map([["w", normal([4, COLUMNS], Math.sqrt(scale / 2), 5)]]);
    const { plan, error } = await runText({ text, inputs, weights }, { assumeRanges: true });
    const ops = new Set(plan.steps.map(({ op }) => op));
    expect(ops).toContain("randomCombination");
    expect(ops).not.toContain("coarseCount");
    expect(error).toBeLessThan(2e-3);
  });

  test("what a public mask hides is no maximum", async () => {
    const keep = (column: number) => (column % 3 === 0 ? 0 : 1);
    const text = `%0 = input {dtype = "f32", name = "x", shape = [${ROWS}, 1]} : f32[${ROWS},1] @ "x"
%1 = parameter {dtype = "f32", name = "w", shape = [1, ${COLUMNS}]} : f32[1,${COLUMNS}] @ "w"
%2 = input {dtype = "bool", name = "keep", shape = [1, ${COLUMNS}]} : bool[1,${COLUMNS}] @ "keep"
%3 = matmul %0, %1 : f32[${ROWS},${COLUMNS}] @ "scores"
%4 = softmax %3, %2 {axis = 1} : f32[${ROWS},${COLUMNS}] @ "y"
output "y" = %4`;
    const mask = { dtype: "bool", shape: [1, COLUMNS], data: floats([COLUMNS], keep).data } as const;
    const inputs = new Map([
      ["x", floats([ROWS, 1], (i) => 1 + i / 8)],
      ["keep", mask],
    ]);
    // The hidden scores are three and more above all others.
    const weights = new Map([["w", floats([1, COLUMNS], (i) => (keep(i) === 0 ? 5 : -2 + (i % 5)))]]);
    const { plan, error } = await runText({ text, inputs, weights }, { assumeRanges: true, public: ["keep"] });
    expect(plan.steps.some(({ op }) => op === "andPublic")).toBe(true);
    expect(error).toBeLessThan(2e-3);
  });
});
