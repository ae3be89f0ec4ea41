/** Protects: a request for what a plan's way of sampling cannot do is refused by the field that asks for it. */
import { describe, expect, it } from "vitest";
import { checkSampling } from "../../gateway/requests.js";

const ALL = Number.POSITIVE_INFINITY;

describe("sampling in a request", () => {
  it.each([
    ["the likeliest token", { temperature: 0.5 }, 1, /temperature is not supported.*--reveal draw or topk:K/],
    ["the likeliest token", { topP: 0.5 }, 1, /top_p/],
    ["a token that its parties draw", { temperature: 2.5 }, ALL, /temperature is not supported.*up to 2/],
    ["a token that its parties draw", { temperature: 1, topP: 0.5 }, ALL, /top_p is not supported.*topk:K/],
  ])("is refused of a plan that reveals %s: %o", (_, sampling, choices, message) => {
    expect(() => checkSampling(sampling, choices)).toThrow(message);
  });

  it.each([
    [{}, 1],
    [{ temperature: 0, topP: 0.5 }, 1],
    [{ temperature: 2, seed: 1 }, ALL],
    [{ temperature: 0, topP: 0.5 }, ALL],
    [{ temperature: 3, topP: 0.5 }, 8],
  ])("is taken: %o of %d", (sampling, choices) => {
    expect(() => checkSampling(sampling, choices)).not.toThrow();
  });
});
