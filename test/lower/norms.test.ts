/**
 * Norms of rows with an outlier, as GPT-2 and LLaMA have them: one channel is a thousand times the others. Every row
 * goes through the three roles; the channel itself must be right, and so must the others, which the norm makes small.
 */
import { describe, expect, test } from "vitest";
import { floats, normal, runText } from "./support.js";

const ROWS = 6;
const OUTLIER = 1000;

/** Rows about normal, but for one channel, which is ±1000 in the rows that `hasOutlier` says. */
function rowsOf(features: number, hasOutlier: (row: number) => boolean) {
  const { data } = normal([ROWS, features]);
  return floats([ROWS, features], (i) => {
    const [row, channel] = [Math.floor(i / features), i % features];
    return channel === 5 && hasOutlier(row) ? (row % 2 === 0 ? OUTLIER : -OUTLIER) : data[i];
  });
}

const run = (op: string, features: number, hasOutlier: (row: number) => boolean) =>
  runText({
    text: `%0 = input {name = "x", dtype = "f32", shape = [${ROWS}, ${features}]} : f32[${ROWS},${features}]
%1 = parameter {name = "w", dtype = "f32", shape = [${features}]} : f32[${features}]
%2 = add %0, %1 : f32[${ROWS},${features}]
%3 = ${op} %2 {epsilon = 1e-05} : f32[${ROWS},${features}]
output "y" = %3`,
    weights: new Map([["w", normal([features], 0.1, 2)]]),
    inputs: new Map([["x", rowsOf(features, hasOutlier)]]),
  });

describe.each([64, 768])("%i features, one of them at 1000", (features) => {
  test.each(["layerNorm", "rmsNorm"])("%s of rows that all have it", async (op) => {
    const { error } = await run(op, features, () => true);
    expect(error).toBeLessThan(1e-2);
  });

  test.each(["layerNorm", "rmsNorm"])("%s of rows with it beside rows without", async (op) => {
    const { error } = await run(op, features, (row) => row % 3 === 0);
    expect(error).toBeLessThan(1e-2);
  });
});
