/**
 * The planner's search beside the exact optimum (docs/cost-model.md, "The search and the optimum"): on small programs
 * and random ones here, on models of two layers in optimum.long.ts.
 */
import { describe, expect, it } from "vitest";
import { DEFAULT_NETWORK, linkCost } from "../../compiler/network.js";
import { seededNumbers } from "../../ir/seeded.js";
import { searchRings } from "../../passes/plan-rings.js";
import { gapOf, SOLVED } from "./optimum.js";
import { type LooseProgram, looseProgram } from "./random-rings.js";
import { PROGRAMS } from "./small-programs.js";

const LINK = linkCost(DEFAULT_NETWORK);

function gap({ graph, bounds }: LooseProgram): number {
  const { found, optimum } = gapOf(searchRings(graph, bounds, LINK), LINK);
  expect(found).toBeGreaterThan(optimum * (1 - 2 * SOLVED));
  return found / optimum - 1;
}

describe("no search beats the optimum, and the planner's is near", () => {
  // A chain of six products takes eight rounds, and seven would do: two widens, each for a part of it.
  it.each([
    ["short-chain", 1e-3],
    ["long-chain", 0.15],
    ["branches", 1e-3],
  ])("%s: within %d", (name, most) => {
    expect(gap(PROGRAMS[name]())).toBeLessThan(most);
  });

  it("random programs are at the optimum", () => {
    for (let seed = 0; seed < 20; seed++) {
      expect(gap(looseProgram(seededNumbers(seed), 30)), `seed ${seed}`).toBeLessThan(1e-3);
    }
  });
});
