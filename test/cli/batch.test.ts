/** What `batch` says: how fast it is and how long it takes yet; then the share that is right, with its interval. */
import { expect, it } from "vitest";
import { batchDocument, describeBatch, describeProgress } from "../../analysis/data/batch.js";

const RUN = { digest: "ab", data: "rows.jsonl", output: "answers.jsonl", lanes: 2, seconds: 10 };
const COUNTS = { rows: 110, done: 110, before: 10, failed: 3, withheld: 2, labelled: 100, right: 90, cut: 1 };

it("a batch says how fast it is and how long it takes, counted from this start", () => {
  const say = describeProgress(10);
  expect(say(30, 110, 4)).toBe("30 of 110 rows, 5.00 rows/s, about 16.00 s left");
  expect(say(10, 110, 4)).toBe("10 of 110 rows");
});

it("a batch says what came of it, with an interval where there are labels", () => {
  const said = describeBatch(RUN, COUNTS).join("\n");
  expect(said).toContain("110 rows, 100 now in 10.00 s on 2 lanes, 100 ms each");
  expect(said).toMatch(/right: .*90.*100.*95 %/);
  expect(said).toContain("withheld by the overflow guard: 2");
  expect(said).toContain("without an answer: 3");
  expect(batchDocument(RUN, { ...COUNTS, labelled: 0, right: 0 })).toMatchObject({ accuracy: null });
});
