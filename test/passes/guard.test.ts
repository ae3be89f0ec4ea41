/**
 * The overflow guard on values of every size: what was accepted never alarms, and whatever is quiet lies where its
 * reader is right. Runs by the three roles; the guard adds no round and nothing between P1 and P2.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Builder, type Graph, type Node } from "../../ir/graph.js";
import { SHARE, type ShareType } from "../../ir/share/index.js";
import { verify } from "../../ir/verify.js";
import { guardRanges } from "../../passes/guard.js";
import { costOf, depthsOf, planOf, recorder, runPlan } from "../share/harness.js";

type ShareNode = Node<ShareType>;

/** x, opened, with a reader of its range in a ring of `ring` bits, and a guard that accepts |x| ≤ `bound` units. */
function programOf(held: number, ring: number, reader: string, bound?: number): Graph<ShareType> {
  const builder = new Builder(SHARE);
  const emit = (op: string, args: readonly ShareNode[], attributes: ShareNode["attributes"] = {}) =>
    builder.emit(op, args, attributes, op);
  const x = emit("input", [], { owner: "data", name: "x", ring: held, fraction: 0, shape: [64] });
  const opened = emit("remask", [emit("toAdditive", [x])]);
  const read = ring < held ? emit("reduce", [opened], { ring }) : opened;
  const attributes =
    reader === "widen" ? { ring: ring + 5 } : reader === "topBit" ? { offset: 0 } : { at: 0, width: 2 };
  const node = emit(reader, [read], attributes);
  const graph = builder.finish([{ name: "y", node }]);
  return bound === undefined ? graph : guardRanges(graph, new Map([[opened, bound]]));
}

/** Whether a run on these integers alarms. */
async function alarms(graph: Graph<ShareType>, x: number): Promise<boolean> {
  const { tap, frames } = recorder();
  const words = (_: string, count: number) =>
    BigUint64Array.from({ length: count }, (__, i) => BigInt.asUintN(64, BigInt(i === 17 ? x : 0)));
  await runPlan(planOf(graph), words, { tap });
  return !Buffer.from(frames.get("P1>data")![0]).equals(frames.get("P2>data")![0]);
}

describe("the guard", () => {
  const limits = { widen: 2, topBit: 1, digits: 1 } as const;

  test.each(Object.entries(limits))("of what %s reads", async (reader, below) => {
    const cases = fc.record({
      ring: fc.integer({ min: 12, max: 30 }),
      more: fc.integer({ min: 0, max: 9 }),
      part: fc.double({ min: 0.2, max: 0.49, noNaN: true }),
      sign: fc.constantFrom(1, -1),
      far: fc.double({ min: 0, max: 1, noNaN: true }),
    });
    await fc.assert(
      fc.asyncProperty(cases, async ({ ring, more, part, sign, far }) => {
        const limit = 2 ** (ring - below);
        const bound = Math.floor(part * limit);
        const graph = programOf(ring + more, ring, reader, bound);
        expect(verify(graph, SHARE)).toEqual([]);
        expect(await alarms(graph, sign * bound)).toBe(false);
        expect(await alarms(graph, sign * Math.floor(far * bound))).toBe(false);
        // From the limit on to what the guard's ring, at most two bits larger, takes for another value.
        const end = 2 ** (Math.min(ring + more, ring + 2) - 1) * 1.2;
        const outside = Math.ceil(limit + far * Math.max(0, end - limit));
        expect(await alarms(graph, sign * outside)).toBe(true);
      }),
      { numRuns: 25 },
    );
  });

  test("adds no round, nothing between P1 and P2, and eight dealt bits a value", () => {
    const plain = programOf(20, 20, "widen");
    const graph = programOf(20, 20, "widen", 2 ** 16);
    const depth = Math.max(...depthsOf(graph).values());
    const online = (of: Graph<ShareType>) => of.nodes.reduce((sum, node) => sum + costOf(node).online, 0);
    const offline = (of: Graph<ShareType>) => of.nodes.reduce((sum, node) => sum + costOf(node).offline, 0);
    expect(depth).toBe(Math.max(...depthsOf(plain).values()));
    expect(online(graph)).toBe(online(plain));
    const digit = graph.nodes.find(({ op }) => op === "digits")!;
    expect(digit.attributes.width).toBe(3);
    expect(offline(graph)).toBe(offline(plain) + 64);
  });

  test("leaves certain values alone", () => {
    const builder = new Builder(SHARE);
    const x = builder.emit("input", [], { owner: "data", name: "x", ring: 9, fraction: 0, shape: [4] });
    const graph = builder.finish([{ name: "y", node: builder.emit("widen", [x], { ring: 12 }) }]);
    expect(guardRanges(graph, new Map())).toBe(graph);
  });
});
