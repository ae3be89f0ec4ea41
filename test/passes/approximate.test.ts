/** The pass `approximate` keeps what a softmax means, on whatever axis, with a mask of whatever rank. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { evaluateGraph } from "../../ir/tensor/index.js";
import { approximate } from "../../passes/approximate.js";
import { apply, graphOf } from "../tensor/apply.js";
import { EXAMPLES } from "../tensor/examples.js";

it.each(["fourier", "puma"] as const)("softmax in profile %s", (profile) => {
  fc.assert(
    fc.property(EXAMPLES.softmax, ({ args, attributes }) => {
      const graph = approximate(graphOf("softmax", args, attributes), profile);
      const inputs = new Map(args.map((value, i) => [`x${i}`, value]));
      const [value, wanted] = [evaluateGraph(graph, inputs).get("y")!, apply("softmax", args, attributes)];
      expect(value.shape).toEqual(wanted.shape);
      expect(value.data.every((x, i) => Math.abs(x - wanted.data[i]) < 1e-9)).toBe(true);
    }),
  );
});
