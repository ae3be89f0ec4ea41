/**
 * Functions that people write by hand for secure computation are the functions that they stand for: PUMA's piecewise
 * GELU out of a table of coefficients, a softmax whose exponential is zero from −14 down.
 */
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { importJax } from "../../compiler/jax/index.js";
import { SafetensorsFile } from "../../formats/safetensors.js";

const CASE = join(import.meta.dirname, "../fixtures/cases/puma_by_hand");

describe("a layer as users of SPU write it", () => {
  it("has a GELU and an exponential, no comparison, and says what it computes instead", () => {
    const weights = SafetensorsFile.open(join(CASE, "weights.safetensors"));
    const { graph, warnings } = importJax(join(CASE, "model.mlir"), { weights });
    const needed = new Set(graph.outputs.map(({ node }) => node));
    for (const node of needed) {
      node.args.forEach((argument) => {
        needed.add(argument);
      });
    }
    const ops = [...needed].map(({ op }) => op);
    expect(ops.filter((op) => op === "gelu")).toHaveLength(1);
    expect(ops.filter((op) => op === "exponential")).toHaveLength(1);
    expect(ops.filter((op) => /greater|less|xor/.test(op))).toEqual([]);
    expect(warnings.map(({ code }) => code)).toEqual(["W0308"]);
  });
});
