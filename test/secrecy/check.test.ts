/**
 * Protects: a plan from anywhere makes a party use a mask twice, read or write outside its values, or reveal what is
 * not listed in no case. For every check the nearest forgery that must be refused, and the last plan that must not.
 */
import { describe, expect, it } from "vitest";
import { type Attributes, Builder } from "../../ir/graph.js";
import { checkPlan } from "../../ir/plan/check.js";
import type { DrawPosition, Plan, Step } from "../../ir/plan/types.js";
import { SHARE } from "../../ir/share/index.js";
import { planFor, type ShareNode } from "../plan/support.js";

/** Two inputs of the data's owner, one of the model's, one public; products, a widening, a masked sum; two reveals. */
function example(): Plan {
  const builder = new Builder(SHARE);
  const emit = (op: string, args: readonly ShareNode[], attributes = {}) => builder.emit(op, args, attributes, op);
  const input = (owner: string, name: string, ring = 40, n = 100) =>
    emit("input", [], { owner, name, ring, fraction: 6, shape: [n] });
  const [x, other, w, open] = [input("data", "x"), input("data", "z"), input("model", "w"), input("public", "keep")];
  const first = emit("remask", [emit("multiply", [x, w], { drop: 0 })]);
  const second = emit("remask", [emit("multiply", [first, other], { drop: 0 })]);
  const wide = emit("widen", [second], { ring: 48 });
  const kept = emit("timesPublic", [emit("toAdditive", [second]), emit("negate", [open])]);
  const outputs = [wide, kept].map((node, i) => ({ name: `y${i}`, node: emit("reveal", [node], { name: `y${i}` }) }));
  return planFor(builder.finish(outputs));
}

type Change = (step: Step, plan: Plan) => Partial<Step>;

/** The index of the n-th step with an op, or the input of a name. */
function indexOf({ steps }: Plan, what: string, n = 0): number {
  const found = steps.flatMap(({ op, attributes }, i) => (op === what || attributes.name === what ? [i] : []));
  expect(found.length).toBeGreaterThan(n);
  return found[n];
}

/** The example with one step changed. */
function forged(what: string, change: Change, n = 0): Plan {
  const plan = example();
  const i = indexOf(plan, what, n);
  return { ...plan, steps: plan.steps.with(i, { ...plan.steps[i], ...change(plan.steps[i], plan) }) };
}

/** The draws of a step with one of them moved to a block. */
function moved(draws: readonly DrawPosition[], block: (now: number) => number, which: readonly number[] = [0]) {
  return draws.map((draw, i) => (which.includes(i) ? { ...draw, block: block(draw.block) } : draw));
}

const LAST_BLOCK = Number.MAX_SAFE_INTEGER;
/** A hundred words. */
const BLOCKS = 50;

interface Case {
  readonly plan: () => Plan;
  readonly says: RegExp;
}

function refusedFor(says: RegExp, what: string, change: Change, n = 0): Case {
  return { says, plan: () => forged(what, change, n) };
}

const at =
  (find: (plan: Plan) => Step, shift: number): Change =>
  ({ draws }, plan) => ({ draws: moved(draws, () => find(plan).draws[0].block + shift, [0, 1]) });
const stepOf =
  (what: string, n = 0) =>
  (plan: Plan) =>
    plan.steps[indexOf(plan, what, n)];

const DRAWS: Readonly<Record<string, Case>> = {
  "one block behind the other's beginning": refusedFor(/used twice/, "z", at(stepOf("x"), 1)),
  "on the other's last block": refusedFor(/used twice/, "z", at(stepOf("x"), BLOCKS - 1)),
  "one block before the other's beginning": refusedFor(/used twice/, "x", at(stepOf("z"), -BLOCKS + 1)),
  "of two inputs of an owner at one position": refusedFor(/used twice/, "z", at(stepOf("x"), 0)),
  "of two owners that are one": refusedFor(/used twice/, "w", at(stepOf("x"), 0)),
  "of two owners that overlap by a block": refusedFor(/used twice/, "w", at(stepOf("x"), BLOCKS - 1)),
  "of a remask that overlaps a product's by a block": {
    says: /used twice/,
    plan: () =>
      forged("remask", ({ draws }, plan) => ({
        draws: moved(draws, () => stepOf("multiply")(plan).draws[0].block + BLOCKS - 1),
      })),
  },
  "of one step that overlap by a block": refusedFor(/used twice/, "widen", ({ draws }) => ({
    draws: moved(draws, () => draws[0].block + BLOCKS - 1, [1]),
  })),
  "of an input at two positions": refusedFor(/two positions/, "z", ({ draws }) => ({
    draws: moved(draws, (block) => block + 1000, [1]),
  })),
  "of another pair": refusedFor(/another stream/, "reveal", ({ draws }) => ({ draws: [{ ...draws[0], pair: "01" }] })),
  "one too few": refusedFor(/stream positions/, "remask", ({ draws }) => ({ draws: draws.slice(1) })),
  "one too many": refusedFor(/stream positions/, "reveal", ({ draws }) => ({ draws: [...draws, ...draws] })),
  "before the first block": refusedFor(/no position/, "reveal", ({ draws }) => ({ draws: moved(draws, () => -1) })),
  "between two blocks": refusedFor(/no position/, "reveal", ({ draws }) => ({ draws: moved(draws, () => 1e6 + 0.5) })),
  "at no number": refusedFor(/no position/, "reveal", ({ draws }) => ({ draws: moved(draws, () => Number.NaN) })),
  "one block beyond what a counter holds": refusedFor(/no position/, "reveal", ({ draws }) => ({
    draws: moved(draws, () => LAST_BLOCK - BLOCKS + 1),
  })),
};

/** Rounds of all steps from one on, each one less. */
function earlier(plan: Plan, from: number): Plan {
  const steps = plan.steps.map((step, i) => (i < from ? step : { ...step, round: step.round - 1 }));
  return { ...plan, steps, rounds: plan.rounds - 1 };
}

const ORDER: Readonly<Record<string, Case>> = {
  "reads itself": refusedFor(/does not stand before it/, "negate", (_, plan) => ({ args: [indexOf(plan, "negate")] })),
  "reads a step before the first": refusedFor(/does not stand before it/, "negate", () => ({ args: [-1] })),
  "reads between two steps": refusedFor(/does not stand before it/, "negate", () => ({ args: [0.5] })),
  "has an origin after the last": refusedFor(/no origin/, "negate", (_, { origins }) => ({ origin: origins.length })),
  "has an origin before the first": refusedFor(/no origin/, "negate", () => ({ origin: -1 })),
  "has an unplanned ring": refusedFor(/no ring/, "x", ({ type, attributes }) => ({
    type: { ...type, ring: 0 } as Step["type"],
    attributes: { ...attributes, ring: 0 },
  })),
  "is of a round too early": refusedFor(/of round 1 follows 1/, "remask", () => ({ round: 1 }), 1),
  "is of a round too late": refusedFor(/of round 3 follows 1/, "remask", () => ({ round: 3 }), 1),
  "is local and of the next round": refusedFor(/follows/, "multiply", ({ round }) => ({ round: round + 1 }), 1),
  "opens what its own round opens": {
    says: /opens what its own round opens/,
    plan: () => {
      const builder = new Builder(SHARE);
      const x = builder.emit("input", [], { owner: "data", name: "x", ring: 40, fraction: 6, shape: [100] });
      const opened = builder.emit("remask", [builder.emit("toAdditive", [x])]);
      const wide = builder.emit("widen", [opened], { ring: 48 });
      const plan = planFor(builder.finish([{ name: "y", node: builder.emit("reveal", [wide], { name: "y" }) }]));
      checkPlan(plan);
      expect(indexOf(plan, "widen")).toBe(indexOf(plan, "remask") + 1);
      return earlier(plan, indexOf(plan, "widen"));
    },
  },
  "is the last of a round that the plan does not count": {
    says: /3 rounds, not 2/,
    plan: () => ({ ...example(), rounds: 2 }),
  },
  "is followed by a round that no step is of": {
    says: /3 rounds, not 4/,
    plan: () => ({ ...example(), rounds: 4 }),
  },
};

type Party = "P0" | "P12";
const placed = (party: Party, offset: (now: number) => number): Change => {
  return ({ offsets }) => ({ offsets: { ...offsets, [party]: offset(offsets[party]) } });
};

function arena(party: Party, bytes: (now: number) => number): Plan {
  const plan = example();
  return { ...plan, arena: { ...plan.arena, [party]: bytes(plan.arena[party]) } };
}

const PLACES: Readonly<Record<string, Case>> = Object.fromEntries(
  (["P0", "P12"] as const).flatMap((party): [string, Case][] => [
    [`${party}'s arena one line shorter`, { says: /outside the arena/, plan: () => arena(party, (n) => n - 64) }],
    [`${party}'s arena one byte shorter`, { says: /outside the arena/, plan: () => arena(party, (n) => n - 1) }],
    [`${party}'s arena less than nothing`, { says: /too large/, plan: () => arena(party, () => -1) }],
    [`${party}'s arena no number`, { says: /too large/, plan: () => arena(party, () => Number.NaN) }],
    [
      `${party}'s arena larger than doubles count in lines`,
      { says: /too large/, plan: () => arena(party, () => 2 ** 46 + 1) },
    ],
    [
      `${party}: a value before the arena`,
      refusedFor(
        /has no offset/,
        "x",
        placed(party, () => -64),
      ),
    ],
    [
      `${party}: a value between two lines`,
      refusedFor(
        /has no offset/,
        "x",
        placed(party, (at) => at + 32),
      ),
    ],
    [
      `${party}: a value at no number`,
      refusedFor(
        /has no offset/,
        "x",
        placed(party, () => Number.NaN),
      ),
    ],
    [
      `${party}: a value that reaches one line out`,
      refusedFor(/outside the arena/, "x", ({ offsets }, plan) => ({
        offsets: { ...offsets, [party]: Math.floor(plan.arena[party] / 64) * 64 - 1600 },
      })),
    ],
    [
      `${party}: two values that overlap by a line`,
      refusedFor(/needed at the same time/, "z", ({ offsets }, plan) => ({
        offsets: { ...offsets, [party]: stepOf("x")(plan).offsets[party] + 2 * 832 - 64 },
      })),
    ],
    [
      `${party}: a result over its argument, in the moment in which that is read`,
      refusedFor(/needed at the same time/, "negate", ({ offsets }, plan) => ({
        offsets: { ...offsets, [party]: stepOf("keep")(plan).offsets[party] },
      })),
    ],
  ]),
);

const REVEALS: Readonly<Record<string, Case>> = {
  "is not listed": {
    says: /reveals "y0" \[100\], "y1" \[100\] but lists $/,
    plan: () => ({ ...example(), reveals: [] }),
  },
  "is listed in another order": {
    says: /but lists "y1" \[100\], "y0" \[100\]$/,
    plan: () => ({ ...example(), reveals: example().reveals.toReversed() }),
  },
  "is listed in another shape": {
    says: /\[100\] but lists .*\[1,100\]/,
    plan: () => ({ ...example(), reveals: example().reveals.map((each) => ({ ...each, shape: [1, 100] })) }),
  },
  "has a name that reads like two": {
    says: /but lists/,
    plan: () => {
      const builder = new Builder(SHARE);
      const x = builder.emit("input", [], { owner: "data", name: "x", ring: 9, fraction: 0, shape: [2] });
      const name = 'a" [2], "b';
      const plan = planFor(builder.finish([{ name, node: builder.emit("reveal", [x], { name }) }]));
      const listed = { ...plan.reveals[0] };
      return {
        ...plan,
        reveals: [
          { ...listed, name: "a" },
          { ...listed, name: "b" },
        ],
      };
    },
  },
};

const BINDINGS: Readonly<Record<string, Case>> = {
  "another size": {
    says: /another size/,
    plan: () => withBindings((each) => (each.input === "x" ? { ...each, output: "short" } : each)),
  },
  "an output that is not there": {
    says: /no output of its owner's program/,
    plan: () => withBindings((each) => (each.input === "x" ? { ...each, output: "y" } : each)),
  },
  "the other owner's output": {
    says: /no output of its owner's program/,
    plan: () => withBindings((each) => (each.input === "w" ? { ...each, output: "x" } : each)),
  },
  "another owner": {
    says: /nobody gives the input 'keep'/,
    plan: () => withBindings((each) => (each.input === "keep" ? { ...each, owner: "data" } : each)),
  },
  "two givers": {
    says: /given twice/,
    plan: () => ({ ...example(), bindings: [...example().bindings, example().bindings[0]] }),
  },
};

/** The example with changed bindings; the data owner's program has an output "short" of one element less. */
function withBindings(change: (binding: Plan["bindings"][number]) => Plan["bindings"][number]): Plan {
  const plan = example();
  const { data } = plan.owners;
  const x = data.nodes.find(({ attributes }) => attributes.name === "x")!;
  const slice = { starts: [0], ends: [99], steps: [1] };
  const short = { op: "slice", args: [x], attributes: slice, type: { ...x.type, shape: [99] }, origin: "" };
  const outputs = [...data.outputs, { name: "short", node: short }];
  const owners = { ...plan.owners, data: { nodes: [...data.nodes, short], outputs } };
  return { ...plan, owners, bindings: plan.bindings.map(change) };
}

const IN_CLEAR = ["timesPublic", "coarseCount", "andPublic"] as const;

/** A plan of which such an op reads this in the clear. */
function readingInClear(op: (typeof IN_CLEAR)[number], make: (emit: Emit) => ShareNode): Plan {
  const builder = new Builder(SHARE);
  const emit: Emit = (name, args, attributes = {}) => builder.emit(name, args, attributes, name);
  const x = emit("input", [], { owner: "data", name: "x", ring: 40, fraction: 6, shape: [8] });
  const factor = make(emit);
  const nodes = {
    timesPublic: () => emit("timesPublic", [emit("toAdditive", [x]), factor]),
    coarseCount: () => emit("coarseCount", [x, factor], { width: 4, ring: 8, segments: [8] }),
    andPublic: () => emit("toArithmetic", [emit("remaskBits", [kept(factor)])], { ring: 40, fraction: 0 }),
  } as const;
  const kept = (keep: ShareNode) => emit("andPublic", [emit("topBit", [x], { offset: 0 }), keep]);
  const node = nodes[op]();
  return planFor(builder.finish([{ name: "y", node: emit("reveal", [node], { name: "y" }) }]));
}

type Emit = (op: string, args: readonly ShareNode[], attributes?: Attributes) => ShareNode;

const source = (owner: string, name: string) => ({ owner, name, ring: 40, fraction: 0, shape: [8] });

describe("a plan's check", () => {
  it("accepts the example, and all that stands at the edges", () => {
    const plan = example();
    checkPlan(plan);
    // The compiler packs positions and places: the streams of the owners have no gap, and the arenas end with a value.
    const blocks = plan.steps.filter(({ op, draws }) => op === "input" && draws.length > 0).map(({ draws }) => draws);
    const positions = blocks.map(([{ block }]) => block).sort((a, b) => a - b);
    expect(positions).toEqual([0, BLOCKS, 2 * BLOCKS]);
    const last: Change = ({ draws }) => ({ draws: moved(draws, () => LAST_BLOCK - BLOCKS) });
    checkPlan(forged("reveal", last));
    checkPlan(arena("P0", () => 2 ** 46));
    checkPlan(arena("P12", () => 2 ** 46));
    checkPlan(withBindings((binding) => binding));
  });

  it.each(Object.entries(DRAWS))("refuses draws %s", (_, { plan, says }) => {
    expect(() => checkPlan(plan())).toThrow(says);
  });

  it.each(Object.entries(ORDER))("refuses a step that %s", (_, { plan, says }) => {
    expect(() => checkPlan(plan())).toThrow(says);
  });

  it.each(Object.entries(PLACES))("refuses %s", (_, { plan, says }) => {
    expect(() => checkPlan(plan())).toThrow(says);
  });

  it.each(Object.entries(REVEALS))("refuses a reveal that %s", (_, { plan, says }) => {
    expect(() => checkPlan(plan())).toThrow(says);
  });

  it.each(Object.entries(BINDINGS))("refuses an input that has %s", (_, { plan, says }) => {
    expect(() => checkPlan(plan())).toThrow(says);
  });

  it("takes two values that touch, and not two that overlap by a line, whichever lies first", () => {
    const pair = (party: Party, x: number, z: number) => {
      const builder = new Builder(SHARE);
      const inputs = ["x", "z"].map((name) =>
        builder.emit("input", [], { owner: "data", name, ring: 40, fraction: 6, shape: [100] }),
      );
      const node = builder.emit("reveal", [builder.emit("add", inputs)], { name: "y" });
      const plan = planFor(builder.finish([{ name: "y", node }]));
      const offsets = [x, z, 8192, 8192].map((at, i) => ({ ...plan.steps[i].offsets, [party]: at }));
      const steps = plan.steps.map((step, i) => ({ ...step, offsets: offsets[i] }));
      checkPlan({ ...plan, steps, arena: { ...plan.arena, [party]: 16384 } });
    };
    const bytes = 2 * 832;
    for (const party of ["P0", "P12"] as const) {
      pair(party, 0, bytes);
      pair(party, bytes, 0);
      expect(() => pair(party, 0, bytes - 64)).toThrow(/needed at the same time/);
      expect(() => pair(party, bytes - 64, 0)).toThrow(/needed at the same time/);
    }
  });

  it("lets a result lie where its argument lay, for ops that may, and not for one that may not", () => {
    const make = (op: string, attributes: Attributes) => {
      const builder = new Builder(SHARE);
      const x = builder.emit("input", [], { owner: "data", name: "x", ring: 40, fraction: 6, shape: [8] });
      const y = builder.emit(op, [x], attributes);
      const plan = planFor(builder.finish([{ name: "y", node: builder.emit("reveal", [y], { name: "y" }) }]));
      const steps = plan.steps.map((step) => ({ ...step, offsets: { P0: 0, P12: 0 } }));
      return { ...plan, steps };
    };
    checkPlan(make("relabel", { fraction: 3 }));
    checkPlan(make("reduce", { ring: 40 }));
    expect(() => checkPlan(make("shiftLeft", { bits: 0 }))).toThrow(/needed at the same time/);
    expect(() => checkPlan(make("negate", {}))).toThrow(/needed at the same time/);
  });
});

describe("what is read in the clear", () => {
  it.each(IN_CLEAR)("by %s may be a public input, a constant, and what local ops make of them", (op) => {
    const value = { dtype: "i64" as const, shape: [8], data: new Float64Array(8).fill(1) };
    checkPlan(readingInClear(op, (emit) => emit("input", [], source("public", "k"))));
    checkPlan(readingInClear(op, (emit) => emit("constant", [], { value, ring: 40, fraction: 0 })));
    const mixed = (emit: Emit) => {
      const open = emit("negate", [emit("input", [], source("public", "k"))]);
      return emit("add", [open, emit("constant", [], { value, ring: 40, fraction: 0 })]);
    };
    checkPlan(readingInClear(op, mixed));
  });

  it.each(IN_CLEAR)("by %s may be no owner's input, nothing that one is part of, and nothing opened", (op) => {
    const open = (emit: Emit) => emit("input", [], source("public", "k"));
    const makers: ((emit: Emit) => ShareNode)[] = [
      (emit) => emit("input", [], source("data", "k")),
      (emit) => emit("input", [], source("model", "k")),
      (emit) => emit("add", [open(emit), emit("input", [], source("data", "s"))]),
      (emit) => emit("remask", [emit("toAdditive", [open(emit)])]),
      (emit) => emit("reduce", [emit("widen", [open(emit)], { ring: 41 })], { ring: 40 }),
    ];
    for (const make of makers) {
      expect(() => checkPlan(readingInClear(op, make))).toThrow(/reads in the clear what is not public/);
    }
  });
});
