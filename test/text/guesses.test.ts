/**
 * Protects: the parties write the same text with the guesses of a draft, whatever it guesses; what forgets wrong ones
 * costs nothing; a plan that cannot check guesses says so. (trained.test.ts has a trained draft.)
 */
import { describe, expect, it } from "vitest";
import { costOf, costReport } from "../../analysis/cost.js";
import { describePlan } from "../../analysis/describe.js";
import type { Draft } from "../../client/guesses.js";
import { openForPlan } from "../../compiler/text/compile.js";
import { openDraft } from "../../compiler/text/draft.js";
import { verifyPlan } from "../../compiler/verify.js";
import { programsOf } from "../../ir/plan/types.js";
import { rejection } from "../runtime/mesh.js";
import { writeDecoder } from "./decoders.js";
import { logitsAfter } from "./whole.js";
import { planOf, startWith, writeWith } from "./writing.js";

describe("guesses", () => {
  it("are checked with the cache of an export, and forgotten at no cost; inspect says who learns what", async () => {
    const model = writeDecoder({ mask: true, positions: "input" });
    const shared = await planOf(model, { context: 10, buckets: [3], guesses: 2 });
    await expect(verifyPlan(shared.plan, { model })).resolves.toBeDefined();
    const [, , checking, ...forgetting] = programsOf(shared.plan);
    expect(checking.reveals).toMatchObject([{ name: "token", shape: [1, 3] }]);
    expect(forgetting.map((each) => [costOf(each).rounds, costOf(each).bytes.total])).toEqual([
      [0, 0],
      [0, 0],
    ]);
    const report = costReport(shared.plan);
    const { rounds, bytes, seconds } = costOf(checking);
    expect(report.writing).toMatchObject({
      check: { guesses: 2, rounds, bytes: bytes.total, seconds: seconds.estimate },
      prompts: [{ length: 3 }],
    });
    const text = describePlan(shared.plan, report);
    expect(text).toMatch(/^guesses +2 of a draft in one pass: \d+ rounds, .*: \S+ to \S+ tokens a second/m);
    expect(text).toMatch(/^P1, P2 .*how many of a draft's guesses were right/m);
    const three = await startWith(shared);
    try {
      let turn = 0;
      const draft: Draft = (ids, count) => Array.from({ length: count }, () => (ids[0] + turn++) % 24);
      const { written } = await writeWith(three, shared, "3 14 5", 8, { draft });
      const logits = await logitsAfter(model, [3, 14, 5, ...written.map(({ id }) => id)]);
      written.forEach(({ id }, i) => void expect(Math.max(...logits[i + 2]) - logits[i + 2][id]).toBeLessThan(0.02));
    } finally {
      await three.stop();
    }
  });

  const whole = { mask: true, positions: "input" } as const;
  it.each([
    ["more than the context holds", whole, { context: 6, guesses: 5 }, "E0201"],
    ["none", whole, { context: 6, guesses: 0 }, "E0201"],
    ["of logits", whole, { context: 6, guesses: 2, reveal: ["topk:3"] }, "E0201"],
    ["of a plan that writes no text", whole, { guesses: 2 }, "E0201"],
    ["of a model of one token at a time", { ...whole, fixed: 9 }, { context: 10, guesses: 2 }, "E0402"],
  ])("are refused: %s", async (_, form, options, code) => {
    expect(await rejection(openForPlan(writeDecoder(form), options))).toMatchObject({ code });
  });

  it("are no use to a plan that checks none; a model of a past of one length makes none", async () => {
    const shared = await planOf(writeDecoder(whole), { context: 6, buckets: [3] });
    const three = await startWith(shared);
    try {
      const writing = writeWith(three, shared, "3 14", 2, { draft: () => [1, 2] });
      expect(await rejection(writing)).toMatchObject({ code: "E0201" });
    } finally {
      await three.stop();
    }
    expect(await rejection(openDraft(writeDecoder({ ...whole, fixed: 9 }), 12))).toMatchObject({ code: "E0402" });
  });
});
