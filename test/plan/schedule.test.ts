/** The schedule: as many rounds as the depth, arguments first, sources late, and the same whatever the nodes' order. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { schedule } from "../../compiler/schedule.js";
import { Builder } from "../../ir/graph.js";
import { encodePlan } from "../../ir/plan/codec.js";
import { SHARE } from "../../ir/share/index.js";
import { isOpening } from "../../ir/share/rounds.js";
import { depthsOf } from "../share/harness.js";
import { planFor, randomProgram, shuffled } from "./support.js";

const seeds = fc.integer({ min: 0, max: 2 ** 31 - 1 });

describe("the schedule", () => {
  test("has a round for each opening of the longest chain, and one message a round", () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const graph = randomProgram(seed);
        const { steps, rounds } = schedule(graph);
        const depths = depthsOf(graph);
        expect(rounds).toBe(Math.max(...depths.values()));
        const messages = steps.filter((step, i) => step.opening && !(steps[i - 1]?.opening && sameRound(steps, i)));
        expect(messages.map(({ round }) => round)).toEqual(Array.from({ length: rounds }, (_, i) => i + 1));
      }),
    );
  });

  test("lists every node once, after its arguments, openings in the round of their depth", () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const graph = randomProgram(seed);
        const { steps } = schedule(graph);
        const depths = depthsOf(graph);
        const seen = new Set<unknown>();
        for (const { node, round, opening } of steps) {
          expect(node.args.every((argument) => seen.has(argument))).toBe(true);
          expect(opening).toBe(isOpening(node));
          expect(opening ? round === depths.get(node) : round >= depths.get(node)!).toBe(true);
          seen.add(node);
        }
        const needed = graph.nodes.filter((node) => node.op !== "input" || seen.has(node));
        expect(seen).toEqual(new Set(needed));
        expect(steps.length).toBe(seen.size);
      }),
    );
  });

  test("brings a weight, and what is made of it alone, just before its first use", () => {
    const builder = new Builder(SHARE);
    const input = (name: string) =>
      builder.emit("input", [], { owner: "model", name, ring: 40, fraction: 4, shape: [2, 3] });
    const early = input("early");
    const late = builder.emit("reshape", [builder.emit("negate", [input("late")])], { shape: [2, 3] });
    const first = builder.emit("remask", [builder.emit("multiply", [early, early], { drop: 0 })]);
    const second = builder.emit("remask", [builder.emit("multiply", [first, late], { drop: 0 })]);
    const { steps } = schedule(builder.finish([{ name: "y", node: second }]));
    expect(steps.map(({ node }) => node.op)).toEqual(
      "input multiply remask input negate reshape multiply remask".split(" "),
    );
    expect(steps.map(({ round }) => round)).toEqual([0, 0, 1, 1, 1, 1, 1, 2]);
  });

  test("and the whole plan are the same for every order of the nodes", () => {
    fc.assert(
      fc.property(seeds, seeds, (seed, order) => {
        const graph = randomProgram(seed);
        expect(encodePlan(planFor(shuffled(graph, order)))).toEqual(encodePlan(planFor(graph)));
      }),
      { numRuns: 40 },
    );
  });
});

function sameRound(steps: readonly { readonly round: number }[], i: number): boolean {
  return steps[i - 1].round === steps[i].round;
}
