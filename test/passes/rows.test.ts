/**
 * What calibration says of a softmax's rows: whatever share of the first key or neighbour is taken, the sum of the
 * powers of scores that are counted from the combination is at least 1, and the stated spread holds every score.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Node } from "../../ir/graph.js";
import { TENSOR } from "../../ir/tensor/index.js";
import type { TensorType, TensorValue } from "../../ir/tensor/value.js";
import { parse } from "../../ir/text.js";
import { RowStatistics } from "../../passes/rows.js";
import { shift } from "../../passes/shift.js";

const [HEADS, ROWS, COLUMNS] = [2, 5, 5];
const SHAPE = [1, HEADS, ROWS, COLUMNS];

/** A softmax of scores that are counted from their mean, or of scores as they are. */
function softmaxNode(centred: boolean): Node<TensorType> {
  const graph = parse(
    `%0 = input {name = "q", dtype = "f32", shape = [1, 2, 5, 4]} : f32[1,2,5,4]
%1 = input {name = "k", dtype = "f32", shape = [1, 2, 4, 5]} : f32[1,2,4,5]
%2 = matmul %0, %1 : f32[1,2,5,5]
%3 = softmaxBase2 %2 : f32[1,2,5,5]
output "y" = %3`,
    TENSOR,
  );
  return shift(graph, { measured: centred }).outputs[0].node;
}

const tensor = (data: readonly number[], shape: readonly number[]): TensorValue => ({
  dtype: "f32",
  shape,
  data: Float64Array.from(data),
});

const SCORES = fc.array(fc.double({ min: -40, max: 40, noNaN: true }), {
  minLength: HEADS * ROWS * COLUMNS,
  maxLength: HEADS * ROWS * COLUMNS,
});

/** The scores less the mean of the kept ones of their row. */
function centredRows(scores: readonly number[], isKept: (column: number) => boolean): number[] {
  return scores.map((score, i) => {
    const start = i - (i % COLUMNS);
    const row = scores.slice(start, start + COLUMNS).filter((_, column) => isKept(column));
    return score - row.reduce((sum, each) => sum + each, 0) / row.length;
  });
}

describe("the rows of a softmax", () => {
  it("add up to 1 or more in powers, and stay within what is said of their head", () => {
    fc.assert(
      fc.property(SCORES, fc.integer({ min: 1, max: COLUMNS }), (scores, count) => {
        const isKept = (column: number) => column < count;
        const rows = centredRows(scores, isKept);
        const keep = tensor(
          Array.from({ length: COLUMNS }, (_, i) => (isKept(i) ? 1 : 0)),
          [COLUMNS],
        );
        const statistics = new RowStatistics();
        const node = softmaxNode(true);
        statistics.observe(node, tensor(rows, SHAPE), keep);
        const heads = statistics.ranges().get(node)!;
        for (let start = 0; start < rows.length; start += COLUMNS) {
          const { first, neighbour, up, down, sum } = heads[Math.floor(start / COLUMNS / ROWS)];
          const other = ((start / COLUMNS) % ROWS) + (neighbour ?? 0);
          const shift =
            neighbour === undefined
              ? (first / 64) * rows[start]
              : rows[start + (other >= 0 && other < count ? other : 0)];
          const row = rows.slice(start, start + count).map((each) => each - shift);
          const total = row.reduce((all, each) => all + 2 ** each, 0);
          expect(total).toBeGreaterThanOrEqual(1 - 1e-9);
          expect(Math.log2(total)).toBeLessThanOrEqual(sum);
          expect(Math.max(...row)).toBeLessThanOrEqual(up);
          expect(Math.min(...row)).toBeGreaterThanOrEqual(-down);
        }
      }),
    );
  });

  it("are counted from the first key alone where keys are not centred, from nothing where a row hides it", () => {
    const scores = tensor(
      Array.from({ length: HEADS * ROWS * COLUMNS }, (_, i) => (i * 7) % 5),
      SHAPE,
    );
    const node = softmaxNode(false);
    const plain = new RowStatistics();
    plain.observe(node, scores, undefined);
    expect(
      plain
        .ranges()
        .get(node)!
        .map(({ first }) => first),
    ).toEqual([64, 64]);
    const hidden = new RowStatistics();
    hidden.observe(node, scores, tensor([0, 1, 1, 1, 1], [COLUMNS]));
    expect(hidden.ranges().has(node)).toBe(false);
  });
});
