/** How large secret values may become: what calibration saw, with margin, and what it may promise of signs. */
import { describe, expect, it } from "vitest";
import { DEFAULT_PRECISION } from "../../compiler/compile.js";
import { lower } from "../../compiler/lower/index.js";
import { DEFAULT_NETWORK, linkCost } from "../../compiler/network.js";
import { TENSOR } from "../../ir/tensor/index.js";
import type { TensorValue } from "../../ir/tensor/value.js";
import { parse } from "../../ir/text.js";
import { outward } from "../../passes/outward.js";
import { calibratedRanges } from "../../passes/range.js";

const row = (...data: number[]): TensorValue => ({
  dtype: "f32",
  shape: [data.length],
  data: Float64Array.from(data),
});

/** y = op(x + w), seen on samples of x with w = 1. */
function calibrated(op: string, ...samples: TensorValue[]) {
  const graph = parse(
    `%0 = input {name = "x", dtype = "f32", shape = [2]} : f32[2]
%1 = input {name = "w", dtype = "f32", shape = [2]} : f32[2]
%2 = add %0, %1 : f32[2]
%3 = ${op} %2 : f32[2]
output "y" = %3`,
    TENSOR,
  );
  const input = { owner: "data", integral: false, oneHot: false } as const;
  const lookups = samples.map((x) => (name: string) => (name === "x" ? x : row(1, 1)));
  const { ranges, variances } = calibratedRanges(graph, lookups, () => input);
  const inputs = new Map(["x", "w"].map((name) => [name, input]));
  const link = linkCost(DEFAULT_NETWORK);
  return {
    ranges: graph.nodes.map((node) => ranges.get(node)),
    lower: () => lower(graph, { precision: DEFAULT_PRECISION, ranges, variances, inputs, link }),
  };
}

describe("bounds as a plan carries them", () => {
  it("are the least eighth of a power of two that is not nearer, and stay what they are", () => {
    for (let i = -400; i < 400; i++) {
      const x = (i === 0 ? 1 : i) * 1.7 ** (i / 40);
      const [low, high] = [outward(x, false), outward(x, true)];
      expect(low).toBeLessThanOrEqual(x);
      expect(high).toBeGreaterThanOrEqual(x);
      expect(high - low).toBeLessThan(0.0906 * Math.abs(x) * 1.05);
      expect([outward(low, false), outward(low, true), outward(high, true)]).toEqual([low, low, high]);
    }
    expect([0, 1, -4, Number.POSITIVE_INFINITY].map((x) => outward(x, true))).toEqual([0, 1, -4, Infinity]);
  });
});

describe("calibrated ranges", () => {
  it("keep the sign of what was seen, and leave two bits on either side", () => {
    expect(calibrated("negate", row(1, 7), row(3, 3)).ranges).toEqual([
      [0.25, outward(28, true)],
      [0.25, 4],
      [0.5, 32],
      [-32, -0.5],
    ]);
  });

  it("are symmetric where both signs were seen, and never near zero", () => {
    expect(calibrated("negate", row(-2, 1)).ranges[0]).toEqual([-8, 8]);
    expect(calibrated("negate", row(0, 0)).ranges[0]).toEqual([-0.5, 0.5]);
  });

  it("do not take a softmax over flat scores for one that is always flat", () => {
    const text = `%0 = input {name = "x", dtype = "f32", shape = [16]} : f32[16]
%1 = softmax %0 {axis = 0} : f32[16]
output "y" = %1`;
    const graph = parse(text, TENSOR);
    const input = { owner: "data", integral: false, oneHot: false } as const;
    const { ranges } = calibratedRanges(graph, [() => row(...new Array<number>(16).fill(0))], () => input);
    const [low, high] = ranges.get(graph.nodes[1])!;
    expect(low).toBeLessThanOrEqual(0);
    expect(high).toBeGreaterThan(1);
  });

  it.each(["reciprocal", "logarithm", "squareRoot", "reciprocalSquareRoot"])(
    "give %s of what was only seen positive a domain",
    (op) => {
      expect(calibrated(op, row(0.5, 7)).lower().graph.outputs).toHaveLength(1);
      expect(calibrated("negate", row(0.5, 7)).ranges[2]).toEqual([outward(0.375, false), 32]);
      expect(calibrated(op, row(-1.5, 7)).lower).toThrow("E0404");
    },
  );

  it("1/x has one below zero too", () => {
    expect(calibrated("reciprocal", row(-3, -2)).lower().graph.outputs).toHaveLength(1);
  });
});
