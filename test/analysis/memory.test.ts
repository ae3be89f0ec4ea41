/** A session that a machine has no memory for is refused before it starts, with both numbers; what fits is not. */
import { expect, test } from "vitest";
import { checkMemory, memoryLeft, partyMemory, processMemory } from "../../analysis/memory.js";
import { PumacError } from "../../ir/diagnostics.js";
import { roomsOf } from "../../ir/tensor/index.js";
import { planFor, randomProgram } from "../plan/support.js";

const plan = planFor(randomProgram(1));
/** What the owners' process of `run` takes of a plan with next to no weights. */
const OWNERS = 155e6;
const parties = Object.values(partyMemory(plan)).reduce((sum, bytes) => sum + bytes, 0);

test("each party's memory is whole bytes, whatever P2 is dealt ahead", () => {
  for (let seed = 1; seed <= 20; seed++) {
    const { P0, P1, P2 } = partyMemory(planFor(randomProgram(seed)));
    expect([P0, P1, P2].every(Number.isSafeInteger), `seed ${seed}`).toBe(true);
    expect(P2).toBeGreaterThanOrEqual(P1);
  }
});

test("the owners' processes are priced with their weights and inputs", () => {
  const { model, data, ...rest } = processMemory(plan);
  expect(rest).toEqual(partyMemory(plan));
  const { owners } = plan;
  const large = { nodes: owners.model.nodes, outputs: owners.model.outputs };
  const weights = roomsOf(large).inTurn;
  expect(model).toBeGreaterThan(100e6 + weights);
  expect(data).toBeGreaterThan(100e6);
});

/** The least that is not refused. */
function least(held: number): number {
  let [low, high] = [0, 1e10];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    try {
      checkMemory(plan, middle, held);
      high = middle;
    } catch {
      low = middle;
    }
  }
  return high;
}

test("what this process holds already is not needed again, and it gives nothing back", () => {
  expect(memoryLeft()).toBeGreaterThan(0);
  expect(least(0)).toBeGreaterThanOrEqual(parties + OWNERS);
  expect(least(0)).toBeLessThan(parties + OWNERS + 1e6);
  expect(least(100e6)).toBe(least(0) - 100e6);
  expect(least(1e9)).toBe(parties);
});

test("a byte less is E1001, with what is needed, what is left and what each party takes", () => {
  try {
    checkMemory(plan, least(0) - 1, 0);
    expect.unreachable();
  } catch (error) {
    const [{ code, what, why, fix }] = (error as PumacError).diagnostics;
    expect(error).toBeInstanceOf(PumacError);
    expect(code).toBe("E1001");
    expect(what).toMatch(/need \S+ MB more of memory, this machine has \S+ MB left/);
    expect(why).toMatch(/P0 \S+ MB, P1 \S+ MB, P2 \S+ MB, owners \S+ MB/);
    expect(fix).toBeDefined();
  }
});
