/**
 * Protects: every message of every share op is hidden by stream bytes that its receiver cannot make, at least as many
 * as it has. An op's table that draws a byte too few, nothing, or from a stream of the receiver is found, for every op
 * that sends anything; a whole plan is looked at in well under a second.
 */
import { describe, expect, it } from "vitest";
import { leaksOf, type Masking } from "../../ir/plan/leakage.js";
import type { Plan } from "../../ir/plan/types.js";
import { seededNumbers } from "../../ir/seeded.js";
import { SHARE, SHARE_OPS, type ShareOpName } from "../../ir/share/index.js";
import type { Draw, Pair } from "../../ir/share/types.js";
import { planFor } from "../plan/support.js";
import { planOf } from "../share/harness.js";
import { programOf } from "../share/programs.js";

const OPS: Masking = SHARE.ops;
const NAMES = Object.keys(SHARE_OPS) as ShareOpName[];

/** The table with what one op draws changed. */
function drawing(op: string, change: (draws: readonly Draw[]) => readonly Draw[]): Masking {
  return { ...OPS, [op]: { ...OPS[op], draws: (...given) => change(OPS[op].draws(...given)) } };
}

/** Draws of a pair that are so many bytes together, beside those of the others. */
const as = (pair: Pair, bytes: number) => (draws: readonly Draw[]) => [
  ...draws.filter((draw) => draw.pair !== pair),
  { pair, bytes },
];

/** What each pair hides at the receiver that lacks it, in this plan's first step of the op, in bytes. */
function hiddenIn(plan: Plan, op: string): readonly (readonly [Pair, number])[] {
  const { args, attributes, type } = plan.steps.find((step) => step.op === op)!;
  const types = args.map((k) => plan.steps[k].type);
  const { online, offline, output } = OPS[op].cost(types, attributes, type);
  const found: readonly (readonly [Pair, number])[] = [
    ["02", online],
    ["01", online + offline],
    ["12", output],
  ];
  return found.filter(([, bytes]) => bytes > 0);
}

/** Ops that send something besides an owner's words. */
const SENDING = NAMES.filter((op) =>
  [1, 2, 3].some((seed) => hiddenIn(planOf(programOf(op, seededNumbers(seed))), op).length > 0),
);

describe("a share op", () => {
  it.each(NAMES)("%s hides all that it sends", (op) => {
    for (let seed = 1; seed <= 20; seed++) {
      expect(leaksOf(planOf(programOf(op, seededNumbers(seed))), OPS)).toEqual([]);
    }
  });

  it("of those that send is one of these", () => {
    expect(SENDING.length).toBeGreaterThan(15);
    expect(SENDING).toContain("remask" satisfies ShareOpName);
  });

  it.each(SENDING)("%s that hides less is found", (op) => {
    for (let seed = 1; seed <= 20; seed++) {
      const plan = planOf(programOf(op, seededNumbers(seed)));
      for (const [pair, bytes] of hiddenIn(plan, op)) {
        const others: readonly Pair[] = (["01", "02", "12"] as const).filter((each) => each !== pair);
        const forgeries = [
          as(pair, bytes - 1),
          as(pair, 0),
          ...others.map(
            (other) => (draws: readonly Draw[]) =>
              draws.map((draw) => (draw.pair === pair ? { ...draw, pair: other } : draw)),
          ),
        ];
        for (const forge of forgeries) {
          expect(leaksOf(plan, drawing(op, forge)).join()).toContain(`(${op}) sends`);
        }
        expect(leaksOf(plan, drawing(op, as(pair, bytes)))).toEqual([]);
      }
    }
  });
});

it("an owner's words are hidden at both who get them", () => {
  const { steps } = planFor(programOf("multiply", seededNumbers(1)));
  for (const pair of ["01", "02"] as const) {
    expect(leaksOf({ steps }, drawing("input", as(pair, 0))).join()).toMatch(/\(input\) sends P[12]/);
  }
});

it("looks at ten thousand steps in a moment", () => {
  const { steps } = planOf(programOf("remask", seededNumbers(1)));
  const began = performance.now();
  for (let i = 0; i < 10_000; i += steps.length) {
    leaksOf({ steps }, OPS);
  }
  expect(performance.now() - began).toBeLessThan(1000);
});
