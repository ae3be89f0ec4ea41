/**
 * Protects: what a party receives looks the same whatever the inputs are, bit by bit, pair by pair, for every op; and
 * a position of a stream that is used twice is found by this measurement.
 */
import { describe, expect, it } from "vitest";
import type { Plan } from "../../ir/plan/types.js";
import { seededNumbers } from "../../ir/seeded.js";
import { MOST_JOINED } from "../../ir/share/bits.js";
import { SHARE_OPS, type ShareOpName } from "../../ir/share/index.js";
import { loadKernels } from "../../runtime/kernels/load.js";
import { planOf } from "../share/harness.js";
import { Maker, PROGRAMS, programOf } from "../share/programs.js";
import { unevenIn } from "./views.js";

const { create } = loadKernels();
const NAMES = Object.keys(SHARE_OPS) as ShareOpName[];
/** Programs of this seed send something for all ops that send. */
const SEED = 3;
const planFor = (op: ShareOpName): Plan => planOf(programOf(op, seededNumbers(SEED)));

/** Ops whose frames, or openings, show what they hide when both are hidden alike; products of masks do not. */
const SHOWING = [
  ...["remask", "remaskBits", "widen", "series", "seriesTimes"],
  ...["coarseCount", "decays", "timesBit", "timesBits", "toArithmetic"],
] as const satisfies readonly ShareOpName[];

describe("all that a party receives is even", () => {
  it.each(NAMES)("of %s", async (op) => {
    expect((await unevenIn(planFor(op), create)).found).toEqual([]);
  });

  it.each(["timesBits", "toArithmetic"] as const)("of %s, however many bits it joins", async (op) => {
    for (let count = 2; count <= MOST_JOINED; count++) {
      const make = new Maker(seededNumbers(count));
      const bits = Array.from({ length: count }, () => make.maskedBits([2]));
      const node =
        op === "timesBits"
          ? make.emit(op, [...bits, make.masked([2])])
          : make.emit(op, bits, { ring: 40, fraction: 0 });
      const plan = planOf(make.builder.finish([{ name: "y", node }]));
      expect((await unevenIn(plan, create)).found, `${count} bits`).toEqual([]);
    }
  });

  it("where something is sent at all", async () => {
    expect((await unevenIn(planFor("remask"), create)).looked).toBeGreaterThan(50);
  });
});

/** Two of the same op, the second of which draws what the first has drawn. */
function reused(op: ShareOpName): Plan {
  const make = new Maker(seededNumbers(SEED));
  const twice = [0, 1].map((i) => ({ name: `y${i}`, node: PROGRAMS[op](make) }));
  const plan = planOf(make.builder.finish(twice));
  const places = plan.steps.flatMap((step, i) => (step.op === op ? [i] : []));
  const [first, last] = [places[0], places[places.length - 1]];
  expect(last).toBeGreaterThan(first);
  // The second may be of more bits, and draw more than there is to draw again.
  const draws = plan.steps[last].draws.map((draw, i) => plan.steps[first].draws[i] ?? draw);
  return { ...plan, steps: plan.steps.with(last, { ...plan.steps[last], draws }) };
}

describe("a position that is used twice is found", () => {
  it.each(SHOWING)("by %s", async (op) => {
    expect((await unevenIn(reused(op), create)).found.length).toBeGreaterThan(0);
  });
});
