/** A session that a machine has no memory for is refused before it starts, with both numbers; what fits is not. */
import { expect, test } from "vitest";
import { checkMemory, memoryLeft, partyMemory } from "../../analysis/memory.js";
import { PumacError } from "../../ir/diagnostics.js";
import { planFor, randomProgram } from "../plan/support.js";

const plan = planFor(randomProgram(1));
const needed = Object.values(partyMemory(plan)).reduce((sum, bytes) => sum + bytes, 0);

test("each party's memory is whole bytes, whatever P2 is dealt ahead", () => {
  for (let seed = 1; seed <= 20; seed++) {
    const { P0, P1, P2 } = partyMemory(planFor(randomProgram(seed)));
    expect([P0, P1, P2].every(Number.isSafeInteger), `seed ${seed}`).toBe(true);
    expect(P2).toBeGreaterThanOrEqual(P1);
  }
});

test("what fits to the last byte is run", () => {
  expect(() => checkMemory(plan, needed)).not.toThrow();
  expect(memoryLeft()).toBeGreaterThan(0);
});

test("a byte less is E1001, with what is needed, what is left and what each party takes", () => {
  try {
    checkMemory(plan, needed - 1);
    expect.unreachable();
  } catch (error) {
    const [{ code, what, why, fix }] = (error as PumacError).diagnostics;
    expect(error).toBeInstanceOf(PumacError);
    expect(code).toBe("E1001");
    expect(what).toMatch(/need \S+ MB of memory, this machine has \S+ MB left/);
    expect(why).toMatch(/P0 \S+ MB, P1 \S+ MB, P2 \S+ MB/);
    expect(fix).toBeDefined();
  }
});
