/** Every pass keeps the meaning of any graph, leaves a valid one, and has nothing more to do when it runs again. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { withConstants } from "../../compiler/constants.js";
import type { Graph } from "../../ir/graph.js";
import { evaluateGraph, TENSOR } from "../../ir/tensor/index.js";
import type { TensorType, TensorValue } from "../../ir/tensor/value.js";
import { print } from "../../ir/text.js";
import { canonicalise } from "../../passes/canonicalise.js";
import { TENSOR_PASSES } from "../../passes/index.js";
import { place } from "../../passes/place.js";
import { randomGraph } from "./graphs.js";
import { evaluatePlaced, expectClose, expectValid, storeOf } from "./support.js";

/** Wide enough for the rounding of reordered sums, and far from any wrong rule. */
const TOLERANCE = 1e-6;
const RUNS = { seed: 20260101, numRuns: 200 };

/** Not a number, or so large that reordering a sum would show. */
function isWild(outputs: ReadonlyMap<string, TensorValue>): boolean {
  return [...outputs.values()].some(({ data }) => data.some((each) => !(Math.abs(each) < 1e5)));
}

describe("random graphs", () => {
  it("keep their meaning through every pass and through place", () => {
    const property = fc.property(fc.nat(), (seed) => {
      const { graph, values } = randomGraph(seed);
      let weights = storeOf(values);
      const expected = evaluateGraph(graph, values, weights);
      fc.pre(!isWild(expected));
      let current: Graph<TensorType> = graph;
      for (const pass of TENSOR_PASSES) {
        current = pass.run(current, {
          onPublication: (made) => {
            weights = withConstants(weights, made.weights);
          },
        });
        expectValid(current, pass.name);
        expectClose(evaluateGraph(current, values, weights), expected, TOLERANCE, pass.name);
      }
      const placed = place(current);
      for (const program of [placed.secret, placed.model, placed.data]) {
        expectValid(program, "place");
      }
      expectClose(evaluatePlaced(placed, values, weights), expected, TOLERANCE, "place");
    });
    fc.assert(property, RUNS);
  });

  it("are at rest after canonicalise", () => {
    const property = fc.property(fc.nat(), (seed) => {
      const once = canonicalise(randomGraph(seed).graph);
      expect(print(canonicalise(once), TENSOR)).toBe(print(once, TENSOR));
    });
    fc.assert(property, RUNS);
  });
});
