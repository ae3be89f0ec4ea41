/**
 * Protects: a token that the parties draw in secret is the largest of scores with the data owner's noise, as often as
 * its probability, at the temperature that the data owner chose; inspect says what that tells.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { costReport } from "../../analysis/cost.js";
import { describePlan } from "../../analysis/describe.js";
import type { SharedPlan } from "../../client/remote/share.js";
import { noiseOf, type Sampling } from "../../client/sampling.js";
import { readText } from "../../compiler/text/compile.js";
import { verifyPlan } from "../../compiler/verify.js";
import { NOISE } from "../../formats/text.js";
import type { Three } from "../party/three.js";
import { rejection } from "../runtime/mesh.js";
import { writeDecoder } from "./decoders.js";
import { logitsAfter, typesOf } from "./whole.js";
import { planOf, startWith, writeWith } from "./writing.js";

const OPTIONS = { context: 6, buckets: [3], reveal: ["draw"] };

describe("noise", () => {
  const LOGITS = [2, 1, 0, -3];
  const type = { dtype: "f32", shape: [1, 1, LOGITS.length] } as const;

  it.each([0.5, 1, 2])("draws each token as often as its probability at temperature %d", (temperature) => {
    const noise = noiseOf({ temperature, seed: 3 });
    const counts = LOGITS.map(() => 0);
    for (let i = 0; i < 4000; i++) {
      const { data } = noise(type);
      const scores = LOGITS.map((x, k) => x + data[k]);
      counts[scores.indexOf(Math.max(...scores))]++;
    }
    const weights = LOGITS.map((x) => Math.exp(x / temperature));
    const sum = weights.reduce((a, b) => a + b, 0);
    counts.forEach((count, k) => void expect(count / 4000).toBeCloseTo(weights[k] / sum, 1.4));
  });

  it("is drawn anew for each token, is another one without a seed, and none at temperature 0", () => {
    const [first, again] = [noiseOf({ temperature: 1, seed: 1 }), noiseOf({ temperature: 1, seed: 1 })];
    expect(first(type)).toEqual(again(type));
    expect(first(type)).not.toEqual(noiseOf({ temperature: 1, seed: 1 })(type));
    expect(noiseOf({ temperature: 1 })(type)).not.toEqual(noiseOf({ temperature: 1 })(type));
    expect([...noiseOf({})(type).data]).toEqual([0, 0, 0, 0]);
  });
});

describe("a plan whose parties draw", () => {
  const model = writeDecoder({ mask: true, positions: "input" });
  let shared: SharedPlan;
  let three: Three;
  beforeAll(async () => {
    shared = await planOf(model, OPTIONS);
    three = await startWith(shared);
  });
  afterAll(() => three.stop());

  const write = (sampling: Sampling) => writeWith(three, shared, "3 14 5", 4, { sampling });

  it("compiles again to the same plan, and says what a token tells", async () => {
    await expect(verifyPlan(shared.plan, { model })).resolves.toBeDefined();
    expect(shared.plan.disclosed).toEqual([]);
    const text = describePlan(shared.plan, costReport(shared.plan));
    expect(text).toMatch(/^data owner .*token \[1,1\] \(drawn with its own noise/m);
  });

  it.each([{}, { temperature: 2, seed: 4 }, { temperature: 2, seed: 5 }])("draws with %o", async (sampling) => {
    const { written } = await write(sampling);
    const ids = written.map(({ id }) => id);
    const logits = await logitsAfter(model, [3, 14, 5, ...ids]);
    const { graphs } = await readText(model, OPTIONS);
    const noise = noiseOf(sampling);
    ids.forEach((id, i) => {
      const { data } = noise(typesOf(graphs[0]).get(NOISE)!);
      const scores = logits[i + 2].map((x, k) => x + data[k]);
      expect(Math.max(...scores) - scores[id]).toBeLessThan(0.02);
    });
  });

  it("takes no narrower choice, and no hotter one", async () => {
    for (const sampling of [{ topK: 3 }, { topP: 0.5 }, { temperature: 2.5 }]) {
      expect(await rejection(write(sampling))).toMatchObject({ code: "E0201" });
    }
  });
});
