/**
 * Protects: what parties keep between runs. No two runs of a session share a stream position; a later run reads what an
 * earlier one kept, each party its own components; a plan whose programs read otherwise than they keep is refused.
 */
import { describe, expect, it } from "vitest";
import { Builder, type Graph } from "../../ir/graph.js";
import { checkPlan } from "../../ir/plan/check.js";
import { decodePlan, encodePlan } from "../../ir/plan/codec.js";
import type { Plan } from "../../ir/plan/types.js";
import { printShareType, SHARE, type ShareType } from "../../ir/share/index.js";
import { createPortableKernels } from "../../runtime/kernels/portable.js";
import { ONLY_RUN, type RunName, runKeys } from "../../runtime/keys.js";
import { SecretState } from "../../runtime/state.js";
import { planFor } from "../plan/support.js";
import { runPlan } from "../share/harness.js";

const SHAPE = [3, 4];
const RING = 40;

interface Kept {
  readonly name?: string;
  readonly ring?: number;
  readonly fraction?: number;
  readonly shape?: readonly number[];
}

/** s += x, or s = x where nothing is read; s·x is revealed, in a plan of its own. */
function adding(read: Kept | undefined, keeps: readonly string[] = ["sum"]): Graph<ShareType> {
  const builder = new Builder(SHARE);
  const emit = (op: string, args: Parameters<typeof builder.emit>[1], attributes = {}) =>
    builder.emit(op, args, attributes, "node");
  const given = (owner: string, { name = "sum", ring = RING, fraction = 0, shape = SHAPE }: Kept) =>
    emit("input", [], { owner, name, ring, fraction, shape });
  const x = given("data", { name: "x" });
  const state = read && given("state", read);
  const same = given("state", {});
  const isUsual = state?.type !== undefined && printShareType(state.type) === printShareType(same.type);
  const sum = isUsual ? emit("add", [state!, x]) : x;
  const product = emit("remask", [emit("multiply", [sum, x], { drop: 0 })]);
  const outputs = keeps.map((name) => ({ name: `keep ${name}`, node: emit("keep", [sum], { name, ring: 0 }) }));
  const unused =
    state === undefined || isUsual ? [] : [{ name: "reveal s", node: emit("reveal", [state], { name: "s" }) }];
  return builder.finish([{ name: "reveal y", node: emit("reveal", [product], { name: "y" }) }, ...unused, ...outputs]);
}

const withParts = (first: Graph<ShareType>, ...parts: readonly Graph<ShareType>[]): Plan => ({
  ...planFor(first),
  parts: parts.map(planFor),
});

const states = () => ({ P0: new SecretState(), P1: new SecretState(), P2: new SecretState() });
const words = (value: bigint) => (_: string, count: number) => new BigUint64Array(count).fill(value);

describe("runs of a session", () => {
  const keys = { "01": new Uint8Array(16).fill(1), "02": new Uint8Array(16).fill(2), "12": new Uint8Array(16).fill(1) };

  it("have keys of their own, by number, program and pair, and none is the session's", () => {
    const runs: readonly RunName[] = [0, 1, 11, 111].flatMap((number) =>
      [0, 1, 11].map((program) => ({ number, program })),
    );
    const made = [keys, ...runs.map((run) => runKeys(keys, run))].flatMap((each) =>
      Object.entries(each).map(([pair, key]) => `${pair} ${Buffer.from(key!).toString("hex")}`),
    );
    const ofRuns = made.slice(3).map((each) => each.slice(3));
    expect(new Set(ofRuns).size).toBe(ofRuns.length);
    expect(ofRuns.some((key) => made.slice(0, 3).some((each) => each.endsWith(key)))).toBe(false);
    expect(runKeys(keys, ONLY_RUN)).toEqual(runKeys(keys, { number: 0, program: 0 }));
    for (const number of [-1, 0.5, Number.NaN, 2 ** 53]) {
      expect(() => runKeys(keys, { number, program: 0 })).toThrow();
      expect(() => runKeys(keys, { number: 0, program: number })).toThrow();
    }
  });

  it("use no stream position twice, whatever the program", async () => {
    const used = new Map<string, string>();
    const twice: string[] = [];
    const kept = states();
    const session = (label: string) => new Uint8Array(16).fill(label.length + label.charCodeAt(1));
    const programs = [planFor(adding(undefined)), planFor(adding({}))];
    for (const [number, program] of [0, 1, 1, 0, 1].entries()) {
      const watch = () => (bytes: number) => {
        const inner = createPortableKernels(bytes);
        const names = new Map<number, string>();
        const note = (key: number, block: number, size: number) => {
          for (let i = block; i < block + Math.ceil(size / 16); i++) {
            const position = `${names.get(key)} ${i}`;
            const by = used.get(position);
            by !== undefined && by !== `run ${number}` && twice.push(position);
            used.set(position, `run ${number}`);
          }
        };
        const key = (material: Uint8Array) => {
          const handle = inner.key(material);
          names.set(handle, Buffer.from(material).toString("hex"));
          return handle;
        };
        const fillWords: typeof inner.fillWords = (handle, block, to, count) => {
          note(handle, block, 8 * count);
          return inner.fillWords(handle, block, to, count);
        };
        return { ...inner, key, fillWords };
      };
      const keyOf = (label: string) => (/^\d\d$/.test(label) ? session(label) : new Uint8Array(16).fill(90 + number));
      const run = { number, program };
      (await runPlan(programs[program], words(3n), { kernels: watch, keyOf, run, states: kept })).close();
    }
    expect(used.size).toBeGreaterThan(50);
    expect(twice).toEqual([]);
  });

  it("read what earlier ones kept, and zeros before any did", async () => {
    const plan = planFor(adding({}));
    const kept = states();
    const found: bigint[] = [];
    for (const [number, x] of [5n, 7n, 11n].entries()) {
      const outcome = await runPlan(plan, words(x), { run: { number, program: 0 }, states: kept });
      const at = plan.steps.findIndex(({ op }) => op === "keep");
      found.push(outcome.valueOf(at).value[0]);
      outcome.close();
    }
    expect(found).toEqual([5n, 12n, 23n]);
  });
});

describe("what a party keeps", () => {
  const bytes = (value: number) => new Uint8Array(8).fill(value);
  const read = (state: SecretState) => {
    const to = bytes(9);
    state.recall("a", to);
    return to[0];
  };

  it("counts from the end of its run, and is wiped", () => {
    const state = new SecretState();
    const [first, second] = [bytes(1), bytes(2)];
    expect(read(state)).toBe(0);
    state.keep("a", first);
    expect(read(state)).toBe(0);
    state.commit();
    expect(read(state)).toBe(1);
    state.keep("a", second);
    expect(read(state)).toBe(1);
    state.commit();
    expect([read(state), first[0]]).toEqual([2, 0]);
    state.keep("a", first.fill(3));
    state.wipe();
    expect([read(state), first[0], second[0]]).toEqual([0, 0, 0]);
  });

  it("is read as long as it was kept", () => {
    const state = new SecretState();
    state.keep("a", bytes(1));
    state.commit();
    expect(() => state.recall("a", new Uint8Array(16))).toThrow(/8 bytes/);
  });
});

describe("a plan of several programs", () => {
  it("is written and read whole, and is another one with other parts", () => {
    const plan = withParts(adding({}), adding(undefined));
    const read = decodePlan(encodePlan(plan));
    expect(read.parts.map(({ steps }) => steps.length)).toEqual(plan.parts.map(({ steps }) => steps.length));
    expect(encodePlan(read)).toEqual(encodePlan(plan));
    expect(encodePlan(withParts(adding({})))).not.toEqual(encodePlan(plan));
  });

  const refused: Readonly<Record<string, { plan: () => Plan; says: RegExp }>> = {
    "reads what nobody keeps": { plan: () => withParts(adding({ name: "other" })), says: /'other' otherwise/ },
    "reads more bits than one of its programs keeps": {
      plan: () => withParts(adding({ ring: RING + 1 }), adding(undefined)),
      says: /'sum' otherwise/,
    },
    "reads at another fraction": { plan: () => withParts(adding({ fraction: 1 })), says: /'sum' otherwise/ },
    "reads in another shape": { plan: () => withParts(adding({ shape: [4, 3] })), says: /'sum' otherwise/ },
    "keeps in its parts alone": {
      plan: () => withParts(adding(undefined, []), adding(undefined)),
      says: /its programs keep {2}and sum$/,
    },
    "has a program that keeps more": {
      plan: () => withParts(adding({}), adding(undefined, ["sum", "more"])),
      says: /keep sum and more, sum/,
    },
    "keeps two values under one name": {
      plan: () => withParts(adding({}, ["sum", "sum"])),
      says: /second output/,
    },
    "has parts of parts": {
      plan: () => ({ ...planFor(adding({})), parts: [withParts(adding({}), adding({}))] }),
      says: /parts have parts/,
    },
    "has an unsound part": {
      plan: () => {
        const plan = withParts(adding({}), adding(undefined));
        return { ...plan, parts: [{ ...plan.parts[0], reveals: [] }] };
      },
      says: /reveals "y"/,
    },
  };

  it.each(Object.entries(refused))("that %s is refused", (_, { plan, says }) => {
    expect(() => checkPlan(plan())).toThrow(says);
  });

  it("that has a program which keeps nothing is sound: what the others kept stays", () => {
    expect(() => checkPlan(withParts(adding({}), adding({}, [])))).not.toThrow();
    const state = new SecretState();
    state.keep("a", new Uint8Array(8).fill(3));
    state.commit();
    state.commit();
    const kept = new Uint8Array(8);
    state.recall("a", kept);
    expect([...kept]).toEqual(new Array(8).fill(3));
  });

  it("that reads fewer bits than are kept is sound", () => {
    expect(() => checkPlan(withParts(adding({ ring: RING - 1 }), adding({})))).not.toThrow();
  });
});
