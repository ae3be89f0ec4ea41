/** What is drawn of the largest logits: the likeliest, what a seed says, and as often as its probability. */
import { describe, expect, it } from "vitest";
import { drawerOf, isGreedy, type Sampling } from "../../client/sampling.js";

const LOGITS = [2, 1, 0, -3];
const IDS = [70, 10, 40, 20];

/** How often each id is drawn in 4000. */
function frequencies(sampling: Sampling): readonly number[] {
  const draw = drawerOf({ seed: 7, ...sampling }, 4, "plan");
  const ids = Array.from({ length: 4000 }, () => draw(LOGITS, IDS));
  return IDS.map((id) => ids.filter((each) => each === id).length / ids.length);
}

function probabilities(temperature: number, count: number): readonly number[] {
  const weights = LOGITS.map((x, i) => (i < count ? Math.exp(x / temperature) : 0));
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => weight / sum);
}

describe("a token that is drawn", () => {
  it.each([
    ["no option", {}, [1, 0, 0, 0]],
    ["temperature 0", { temperature: 0, topP: 0.5 }, [1, 0, 0, 0]],
    ["temperature 1", { temperature: 1 }, probabilities(1, 4)],
    ["temperature 2", { temperature: 2 }, probabilities(2, 4)],
    ["a temperature and the first 2", { temperature: 2, topK: 2 }, probabilities(2, 2)],
    ["the first 3", { topK: 3 }, probabilities(1, 3)],
    ["nine tenths of the probability", { topP: 0.9 }, probabilities(1, 2)],
    ["hardly any of it", { topP: 1e-9 }, [1, 0, 0, 0]],
  ])("by %s", (_, sampling, wanted) => {
    for (const [i, part] of frequencies(sampling).entries()) {
      expect(part).toBeCloseTo(wanted[i], 1.4);
    }
  });

  it("is the same of a seed, on every machine, and another of another", () => {
    const drawn = (seed: number | undefined) => {
      const draw = drawerOf({ temperature: 3, seed }, 4, "plan");
      return Array.from({ length: 24 }, () => draw(LOGITS, IDS)).join(" ");
    };
    expect(drawn(1)).toBe(drawn(1));
    expect(drawn(1)).toMatchInlineSnapshot(`"10 70 20 70 40 70 70 40 20 20 20 70 40 70 20 10 70 10 10 70 70 70 40 70"`);
    expect(drawn(1)).not.toBe(drawn(2));
    expect(drawn(undefined)).not.toBe(drawn(undefined));
  });

  it.each([
    [{ temperature: -1 }, 4],
    [{ temperature: Number.NaN }, 4],
    [{ topP: 0 }, 4],
    [{ topP: 1.5 }, 4],
    [{ topK: 0 }, 4],
    [{ topK: 1.5 }, 4],
    [{ seed: 0.5 }, 4],
    [{ topK: 5 }, 4],
    [{ temperature: 1 }, 1],
    [{ topP: 0.5 }, 1],
    [{ temperature: 1, topK: 3 }, Number.POSITIVE_INFINITY],
    [{ topP: 0.5 }, Number.POSITIVE_INFINITY],
    [{ temperature: 2.5 }, Number.POSITIVE_INFINITY],
  ])("is refused by %o of %i logits", (sampling, revealed) => {
    expect(() => drawerOf(sampling, revealed, "plan")).toThrow(/E0201/);
  });

  it("is known to be the likeliest where nothing is drawn", () => {
    expect([{}, { seed: 3 }, { temperature: 0, topP: 0.5 }, { topK: 1 }].map((each) => isGreedy(each, 4))).toEqual([
      ...[true, true, true, true],
    ]);
    expect([{ temperature: 1 }, { topP: 0.5 }].map((each) => isGreedy(each, 4))).toEqual([false, false]);
    expect(isGreedy({ temperature: 1 }, 1)).toBe(true);
    expect([{}, { temperature: 1 }].map((each) => isGreedy(each, Number.POSITIVE_INFINITY))).toEqual([true, false]);
  });
});
