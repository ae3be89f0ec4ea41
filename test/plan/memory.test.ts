/** Places: nothing that is still needed is overwritten, at any party; aliases cost nothing; a run tells the truth. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Builder } from "../../ir/graph.js";
import { checkPlan } from "../../ir/plan/check.js";
import { seededNumbers } from "../../ir/seeded.js";
import { heldBytes, SHARE } from "../../ir/share/index.js";
import { planOf, runPlan, type Values } from "../share/harness.js";
import { planFor, randomProgram } from "./support.js";

const seeds = fc.integer({ min: 0, max: 2 ** 31 - 1 });

/** Words that depend on the seed and the input's name only. */
function knownValues(seed: number): Values {
  return (name, count) => {
    const random = seededNumbers([...name].reduce((sum, letter) => sum * 31 + letter.charCodeAt(0), seed) % 2 ** 31);
    return BigUint64Array.from({ length: count }, () => BigInt(Math.floor(random() * 2 ** 40)));
  };
}

describe("the memory plan", () => {
  test("gives the values of a run in which nothing shares a place", async () => {
    await fc.assert(
      fc.asyncProperty(seeds, async (seed) => {
        const graph = randomProgram(seed);
        const plan = planFor(graph);
        checkPlan(plan);
        const roomy = planOf(graph);
        const name = plan.steps.at(-1)!.attributes.name;
        const [tight, loose] = await Promise.all(
          [plan, roomy].map(async (each) => {
            const outcome = await runPlan(each, knownValues(seed), { seed });
            const final = each.steps.findIndex(({ op, attributes }) => op === "reveal" && attributes.name === name);
            const { value } = outcome.valueOf(final);
            outcome.close();
            return value;
          }),
        );
        expect(tight).toEqual(loose);
        expect(plan.arena.P0).toBeLessThanOrEqual(roomy.arena.P0);
        expect(plan.arena.P12).toBeLessThan(roomy.arena.P12);
      }),
      { numRuns: 30 },
    );
  });

  test("a chain of products needs a bounded arena, however long", () => {
    const arenaOf = (length: number) => {
      const builder = new Builder(SHARE);
      let x = builder.emit("input", [], { owner: "data", name: "x", ring: 60, fraction: 0, shape: [100] });
      for (let i = 0; i < length; i++) {
        x = builder.emit("remask", [builder.emit("multiply", [x, x], { drop: 0 })]);
      }
      const node = builder.emit("reveal", [x], { name: "y" });
      return planFor(builder.finish([{ name: "y", node }])).arena;
    };
    expect(arenaOf(50)).toEqual(arenaOf(3));
  });

  test("reshape, relabel and reduce lie where their argument lies, at both layouts", () => {
    const builder = new Builder(SHARE);
    const x = builder.emit("input", [], { owner: "data", name: "x", ring: 60, fraction: 8, shape: [4, 5] });
    const moved = builder.emit("reshape", [x], { shape: [20] });
    const smaller = builder.emit("reduce", [builder.emit("relabel", [moved], { fraction: 3 })], { ring: 30 });
    const sum = builder.emit("add", [smaller, smaller]);
    const plan = planFor(builder.finish([{ name: "y", node: builder.emit("reveal", [sum], { name: "y" }) }]));
    const offsets = plan.steps.map((step) => step.offsets);
    expect(offsets.slice(1, 4)).toEqual([offsets[0], offsets[0], offsets[0]]);
    expect(offsets[4]).not.toEqual(offsets[0]);
    expect(plan.arena.P12).toBe(2 * heldBytes(x.type, "P12"));
  });

  test("a large right factor has no place: it is read where it is multiplied, to the same sums", async () => {
    const builder = new Builder(SHARE);
    const [inner, columns] = [700, 101];
    const ofOwner = (owner: string, name: string, shape: readonly number[]) =>
      builder.emit("input", [], { owner, name, ring: 40, fraction: 0, shape });
    const [x, small] = [ofOwner("data", "x", [2, 3, inner]), ofOwner("data", "s", [2, 3, 5])];
    const [table, other] = [ofOwner("model", "table", [inner, columns]), ofOwner("model", "other", [5, columns])];
    const product = builder.emit("matmul", [small, other, x, table], { keep: [], drop: 0 });
    const graph = builder.finish([{ name: "y", node: builder.emit("reveal", [product], { name: "y" }) }]);
    const plan = planFor(graph);
    checkPlan(plan);
    const placeOf = (each: typeof plan, name: string) =>
      each.steps.find(({ attributes }) => attributes.name === name)!.offsets;
    expect(placeOf(plan, "table")).toEqual({ P0: -1, P12: -1 });
    expect(plan.arena.P12).toBeLessThan(heldBytes(table.type, "P12"));
    const roomy = planOf(graph);
    expect(placeOf(roomy, "table").P12).toBeGreaterThanOrEqual(0);
    const [streamed, held] = await Promise.all(
      [plan, roomy].map(async (each) => {
        const outcome = await runPlan(each, knownValues(7), { seed: 7 });
        const { value } = outcome.valueOf(each.steps.findIndex(({ op }) => op === "reveal"));
        outcome.close();
        return value;
      }),
    );
    expect(streamed).toEqual(held);
  });

  test("what is read otherwise than in a product needs a place", () => {
    const builder = new Builder(SHARE);
    const shape = [256, 256];
    const table = builder.emit("input", [], { owner: "model", name: "t", ring: 40, fraction: 0, shape });
    const left = builder.emit("matmul", [table, table], { keep: [], drop: 0 });
    const plan = planFor(builder.finish([{ name: "y", node: builder.emit("reveal", [left], { name: "y" }) }]));
    const [first, ...rest] = plan.steps;
    expect(first.offsets.P12).toBeGreaterThanOrEqual(0);
    const forged = { ...plan, steps: [{ ...first, offsets: { P0: -1, P12: -1 } }, ...rest] };
    expect(() => checkPlan(forged)).toThrow("has no offset");
  });

  test("P0 keeps masks only", () => {
    const builder = new Builder(SHARE);
    const x = builder.emit("input", [], { owner: "data", name: "x", ring: 60, fraction: 8, shape: [8] });
    const product = builder.emit("multiply", [x, x], { drop: 0 });
    const plan = planFor(builder.finish([{ name: "y", node: builder.emit("reveal", [product], { name: "y" }) }]));
    expect(plan.steps.map(({ offsets }) => offsets.P0)).toEqual([0, -1, -1]);
    expect(plan.arena).toEqual({ P0: 2 * 64, P12: 3 * 64 });
  });
});
