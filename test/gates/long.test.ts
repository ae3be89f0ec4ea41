/**
 * Long sequences are cheap to plan: what a causal mask keeps is said once for all heads and layers, so that the plan of
 * 1024 tokens has not many more steps than that of 256, and hardly a larger file; and the scores that nobody may look
 * at are not computed.
 */
import { expect, test } from "vitest";
import { encodePlan } from "../../ir/plan/codec.js";
import { compileArchitecture, shortened } from "./support.js";

test("GPT-2 at 1024 tokens packs its scores, in a plan of the same size as at 256", async () => {
  const [short, long] = [
    await compileArchitecture(shortened("gpt2", 1), 256),
    await compileArchitecture(shortened("gpt2", 1), 1024),
  ].map(({ plan }) => plan);
  const kept = (plan: typeof short) =>
    plan.steps.filter(({ op }) => op === "matmul").map(({ attributes }) => (attributes.keep as number[]).length);
  expect(kept(short)).toContain((256 * 257) / 2);
  expect(kept(long)).toContain((1024 * 1025) / 2);
  expect(long.steps.length).toBeLessThan(1.5 * short.steps.length);
  expect(encodePlan(short).length).toBeLessThan(2.5e5);
  expect(encodePlan(long).length).toBeLessThan(3e5);
});
