/** Plan files: what was written is read, whatever else is in a file is E0303 and never a crash. */
import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PumacError } from "../../ir/diagnostics.js";
import { Builder } from "../../ir/graph.js";
import { checkPlan } from "../../ir/plan/check.js";
import { decodePlan, digestIn, encodePlan, planDigest } from "../../ir/plan/codec.js";
import type { Plan, Step } from "../../ir/plan/types.js";
import { SHARE, type ShareType } from "../../ir/share/index.js";
import type { TensorValue } from "../../ir/tensor/value.js";
import { planFor, randomProgram } from "./support.js";

const HEADER = 44;
const seeds = fc.integer({ min: 0, max: 2 ** 31 - 1 });

/** What reading says: the plan, or the diagnostic; anything else that is thrown is a failure of the test. */
function read(bytes: Uint8Array): Plan | PumacError {
  try {
    return decodePlan(bytes, "some.pumac");
  } catch (error) {
    if (error instanceof PumacError) {
      return error;
    }
    throw error;
  }
}

function expectRefused(bytes: Uint8Array): void {
  const result = read(bytes);
  expect(result).toBeInstanceOf(PumacError);
  const [{ code, what, where, why, fix }] = (result as PumacError).diagnostics;
  expect(code).toBe("E0303");
  expect(where).toBe("some.pumac");
  expect([what, why, fix].every((text) => text !== undefined && text !== "")).toBe(true);
}

/** The file with the digest that its content has now: what somebody writes who wants to be believed. */
function signed(bytes: Uint8Array): Uint8Array {
  const file = Buffer.from(bytes);
  createHash("sha256")
    .update(file.subarray(HEADER))
    .digest()
    .copy(file, HEADER - 32);
  return file;
}

/** A plan with series, powers and constants. */
function planWithTables(): Plan {
  const builder = new Builder(SHARE);
  const x = builder.emit("input", [], { owner: "data", name: "x", ring: 40, fraction: 6, shape: [3] });
  const value = { dtype: "i64" as const, shape: [3], data: Float64Array.of(-(2 ** 50), 0, 7) };
  const constant = builder.emit("constant", [], { value, ring: 40, fraction: 6 });
  const shared = { publicFraction: 12, secretFraction: 12, ring: 40 };
  const series = builder.emit("series", [builder.emit("add", [x, constant])], {
    ...{ angle: 9, frequencies: [1, 5], cosines: [1, 2 ** 24], sines: [-5, 0], drops: [0, 3], constant: -(2 ** 24) },
    ...{ coefficientFraction: 24 },
    ...shared,
  });
  const powers = builder.emit("exponential", [x], { cut: 9, ...shared });
  const node = builder.emit("reveal", [builder.emit("add", [series, powers])], { name: "answer" });
  return planFor(builder.finish([{ name: "answer", node }]));
}

describe("a plan file", () => {
  test("gives the plan back, and the same bytes for it", () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const plan = planFor(randomProgram(seed, 12));
        const bytes = encodePlan(plan);
        const back = decodePlan(bytes);
        expect(back).toEqual(plan);
        expect(encodePlan(back)).toEqual(bytes);
        expect(planDigest(back)).toBe(digestIn(bytes));
      }),
      { numRuns: 30 },
    );
    expect(decodePlan(encodePlan(planWithTables()))).toEqual(planWithTables());
  });

  test("has a digest that the model's file name does not change, and a name that shows no control characters", () => {
    const plan = planWithTables();
    const renamed = { ...plan, name: "a\u001b[2Jb\u202Ec.onnx" };
    expect(planDigest(renamed)).toBe(planDigest(plan));
    expect(digestIn(encodePlan(renamed))).toBe(digestIn(encodePlan(plan)));
    expect(decodePlan(encodePlan(renamed)).name).toBe("a[2Jbc.onnx");
    expect(decodePlan(encodePlan({ ...plan, name: "x".repeat(300) })).name).toBe("x".repeat(255));
  });

  test("with any bit flipped is E0303", () => {
    const bytes = encodePlan(planWithTables());
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.nat(7), (at, bit) => {
        const file = Uint8Array.from(bytes);
        file[at] ^= 1 << bit;
        expectRefused(file);
      }),
      { numRuns: 300 },
    );
  });

  test("cut anywhere, or with bytes after its end, is E0303", () => {
    const bytes = encodePlan(planWithTables());
    fc.assert(fc.property(fc.nat(bytes.length - 1), (length) => expectRefused(bytes.subarray(0, length))));
    expectRefused(Buffer.concat([bytes, Buffer.of(0)]));
    expectRefused(new Uint8Array());
    expectRefused(Buffer.from("not a plan at all, but a text that is long enough to hold a whole header"));
  });

  test("of another version is E0303 and says so", () => {
    const bytes = encodePlan(planWithTables());
    bytes[8] = 9;
    const result = read(bytes);
    expect((result as PumacError).message).toMatch(/it has version 9, this pumac reads version 5/);
    expectRefused(bytes);
  });

  test("changed by somebody who also writes the digest anew is a sound plan or E0303", () => {
    const bytes = encodePlan(planFor(randomProgram(7, 8)));
    let refused = 0;
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: HEADER, max: bytes.length - 1 }), fc.nat(255)), {
          minLength: 1,
          maxLength: 4,
        }),
        (changes) => {
          const file = Uint8Array.from(bytes);
          for (const [at, byte] of changes) {
            file[at] = byte;
          }
          const result = read(signed(file));
          if (result instanceof PumacError) {
            refused++;
            expect(result.diagnostics[0].code).toBe("E0303");
          } else {
            checkPlan(result);
          }
        },
      ),
      { numRuns: 1500, endOnFailure: true },
    );
    expect(refused).toBeGreaterThan(500);
  });

  test("whose bytes are not the canonical ones is E0303", () => {
    const unknownField = Buffer.from([0xa8, 0x1f, 0x01]);
    expectRefused(signed(Buffer.concat([encodePlan(planWithTables()), unknownField])));
  });
});

/** The plan with one step changed. */
function withStep(plan: Plan, op: string, change: (step: Step) => Partial<Step>): Plan {
  const at = plan.steps.findLastIndex((step) => step.op === op);
  return { ...plan, steps: plan.steps.with(at, { ...plan.steps[at], ...change(plan.steps[at]) }) };
}

/** x · w, opened; the product with itself, opened and revealed. */
function smallPlan(): Plan {
  const builder = new Builder(SHARE);
  const input = (owner: string, name: string) =>
    builder.emit("input", [], { owner, name, ring: 40, fraction: 6, shape: [100] });
  const first = builder.emit("remask", [
    builder.emit("multiply", [input("data", "x"), input("model", "w")], { drop: 0 }),
  ]);
  const second = builder.emit("remask", [builder.emit("multiply", [first, first], { drop: 0 })]);
  const node = builder.emit("reveal", [second], { name: "y" });
  return planFor(builder.finish([{ name: "y", node }]));
}

const FORGERIES: Readonly<Record<string, { readonly forge: (plan: Plan) => Plan; readonly says: RegExp }>> = {
  "a step that reads a later one": {
    forge: (plan) => withStep(plan, "remask", () => ({ args: [plan.steps.length - 1] })),
    says: /does not stand before it/,
  },
  "a type that the op does not give": {
    forge: (plan) => withStep(plan, "multiply", ({ type }) => ({ type: { ...type, ring: 39 } as Step["type"] })),
    says: /is of type/,
  },
  "a stream position that is used twice": {
    forge: (plan) => {
      const [first] = plan.steps.filter(({ op }) => op === "remask");
      return withStep(plan, "remask", () => ({ draws: first.draws }));
    },
    says: /position of stream 01 is used twice/,
  },
  "a draw from another pair's stream": {
    forge: (plan) => withStep(plan, "multiply", ({ draws }) => ({ draws: [{ ...draws[0], pair: "02" }] })),
    says: /another stream/,
  },
  "a draw that is missing": {
    forge: (plan) => withStep(plan, "remask", ({ draws }) => ({ draws: draws.slice(1) })),
    says: /stream positions/,
  },
  "a value outside the arena": {
    forge: (plan) => ({ ...plan, arena: { ...plan.arena, P12: plan.arena.P12 - 64 } }),
    says: /outside the arena/,
  },
  "a place that is not aligned": {
    forge: (plan) => withStep(plan, "multiply", ({ offsets }) => ({ offsets: { ...offsets, P12: offsets.P12 + 8 } })),
    says: /has no offset/,
  },
  "two values in one place": {
    forge: (plan) => {
      const [x] = plan.steps;
      return withStep(plan, "input", () => ({ offsets: x.offsets }));
    },
    says: /needed at the same time/,
  },
  "a round too many": { forge: (plan) => ({ ...plan, rounds: plan.rounds + 1 }), says: /2 rounds, not 3/ },
  "an opening of the round before": {
    forge: (plan) => withStep(plan, "remask", () => ({ round: 1 })),
    says: /of round 1 follows 1/,
  },
  "a reveal that is not listed": { forge: (plan) => ({ ...plan, reveals: [] }), says: /reveals "y" \[100\] but lists/ },
  "an input that nobody gives": {
    forge: (plan) => ({ ...plan, bindings: plan.bindings.filter(({ input }) => input !== "x") }),
    says: /nobody gives the input 'x'/,
  },
  "an input of another owner than the binding says": {
    forge: (plan) => ({ ...plan, bindings: plan.bindings.map((each) => ({ ...each, owner: "data" as const })) }),
    says: /nobody gives the input 'w'/,
  },
  "a cosine table that no step reads": {
    forge: (plan) => ({ ...plan, tables: { ...plan.tables, cosines: new Map([[9, new Int32Array(3)]]) } }),
    says: /other cosine tables/,
  },
};

describe("the static check", () => {
  test("accepts what the compiler emits", () => {
    fc.assert(fc.property(seeds, (seed) => checkPlan(planFor(randomProgram(seed)))));
  });

  test.each(Object.entries(FORGERIES))("refuses %s", (_name, { forge, says }) => {
    const plan = smallPlan();
    checkPlan(plan);
    expect(() => checkPlan(forge(plan))).toThrow(says);
    expectRefused(encodePlan(forge(plan)));
  });

  test("refuses a table with one entry changed", () => {
    const plan = planWithTables();
    for (const table of [plan.tables.cosines.get(9)!, plan.tables.exponentials.get(6)!]) {
      table[5]++;
      expect(() => checkPlan(plan)).toThrow(/table of \d bits is wrong/);
      table[5]--;
    }
    checkPlan(plan);
  });
});

describe("a plan's tensors", () => {
  test("stand in the file once, however many steps use them", () => {
    const value = { dtype: "i64" as const, shape: [512], data: Float64Array.from({ length: 512 }, (_, i) => i) };
    const sizeWith = (count: number, made: (i: number) => TensorValue) => {
      const builder = new Builder<ShareType>(SHARE);
      const attributes = { owner: "data", name: "x", ring: 30, fraction: 0, shape: [512] };
      let x = builder.emit("input", [], attributes);
      for (let i = 0; i < count; i++) {
        x = builder.emit("addConstant", [x], { value: made(i) });
      }
      return encodePlan(planFor(builder.finish([{ name: "y", node: builder.emit("reveal", [x], { name: "y" }) }])))
        .length;
    };
    const copies = (_: number) => ({ ...value, data: Float64Array.from(value.data) });
    const others = (i: number) => ({ ...value, data: value.data.map((each) => each + i) });
    expect(sizeWith(40, copies) - sizeWith(1, copies)).toBeLessThan(4096);
    expect(sizeWith(40, others) - sizeWith(1, others)).toBeGreaterThan(39 * 4096);
  });
});
