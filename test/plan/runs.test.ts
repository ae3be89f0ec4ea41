/** Lists of integers in plan files: what is written as runs is read as the same list, and nothing else is read. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Lists, runsOf } from "../../ir/plan/runs.js";

/** Lists that are made of runs, as masks' are, and lists that are not. */
const lists = fc.oneof(
  fc.array(fc.integer({ min: -1, max: 1000 }), { minLength: 65, maxLength: 200 }),
  fc
    .array(
      fc.tuple(fc.integer({ min: -9, max: 999 }), fc.integer({ min: -3, max: 3 }), fc.integer({ min: 1, max: 90 })),
      {
        minLength: 1,
        maxLength: 9,
      },
    )
    .map((runs) => runs.flatMap(([start, step, count]) => Array.from({ length: count }, (_, i) => start + i * step))),
);

describe("runs", () => {
  test("are read as the list that they were written from, and have one form", () => {
    fc.assert(
      fc.property(lists, (list) => {
        const runs = runsOf(list);
        if (runs !== undefined) {
          expect(runs.length).toBeLessThan(list.length);
          const read = new Lists().from(runs);
          expect(read).toEqual(list);
          expect(runsOf(read)).toEqual(runs);
        }
      }),
    );
  });

  test("a causal mask is two runs a row at most, and equal lists of a file are one array", () => {
    const kept = Array.from({ length: 64 }, (_, row) =>
      Array.from({ length: row + 1 }, (_, column) => 64 * row + column),
    );
    const runs = runsOf(kept.flat())!;
    expect(runs.length).toBeLessThanOrEqual(3 * 2 * 64);
    const read = new Lists();
    expect(read.from(runs)).toBe(read.from([...runs]));
  });

  test("short lists, and lists without runs, are written as they are", () => {
    expect(runsOf(Array.from({ length: 64 }, (_, i) => i))).toBeUndefined();
    expect(runsOf(Array.from({ length: 99 }, (_, i) => i * i * i))).toBeUndefined();
  });

  test.each([
    ["no count", [0, 1, 0]],
    ["a negative count", [0, 1, -4]],
    ["half a run", [0, 1]],
    ["more numbers than memory has", [0, 1, 2 ** 40]],
  ])("of %s are refused before anything is made of them", (_, runs) => {
    expect(() => new Lists().from(runs)).toThrow("malformed, or too long");
  });

  test("that are too long together are refused", () => {
    const read = new Lists();
    read.from([0, 1, 10]);
    expect(() => read.from([1, 1, 2 ** 26 - 5])).toThrow("too long");
  });
});
