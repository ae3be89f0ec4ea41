/**
 * Many random products, rescales and widens: never a large error. A rescale may be off by one unit, before the opening
 * or after it, and so may a product that drops its lowest bits; a whole product and a widen are exact. Four million of
 * each on the native kernels, fewer on the portable ones.
 */
import { describe, expect, test } from "vitest";
import { Builder, type Graph } from "../../ir/graph.js";
import { seededNumbers } from "../../ir/seeded.js";
import { componentBytes, SHARE, type ShareType } from "../../ir/share/index.js";
import { openNative } from "../../runtime/kernels/native.js";
import { createPortableKernels } from "../../runtime/kernels/portable.js";
import { type Outcome, planOf, runPlan } from "./harness.js";

const native = openNative();
const kernels = typeof native === "string" ? createPortableKernels : (bytes: number) => native.create(bytes);
const [ROWS, COLUMNS, RUNS] = typeof native === "string" ? [4, 1 << 13, 2] : [16, 1 << 16, 4];
const COUNT = ROWS * COLUMNS;
const SHIFT = 12;

/** Where the twelve bits are dropped: of the opened product, of its shares, or before P0's half is dealt. */
const PLACES = ["after the opening", "before the opening", "before the dealing"] as const;

/** All x * y in ring 64, twelve bits dropped, cut to a ring with just two bits to spare, widened to 64 bits. */
function program(offset: (typeof PLACES)[number]): Graph<ShareType> {
  const builder = new Builder(SHARE);
  const input = (name: string, shape: number[]) =>
    builder.emit("input", [], { owner: "data", name, ring: 64, fraction: SHIFT, shape });
  const drop = offset === PLACES[2] ? SHIFT : 0;
  const whole = builder.emit("multiply", [input("x", [ROWS, 1]), input("y", [COLUMNS])], { drop });
  const shares = offset === PLACES[1] ? builder.emit("rescale", [whole], { bits: SHIFT }) : whole;
  const product = builder.emit("remask", [shares]);
  const opened = offset === PLACES[0] ? builder.emit("rescale", [product], { bits: SHIFT }) : product;
  const narrow = builder.emit("reduce", [opened], { ring: 30 });
  return builder.finish([{ name: "z", node: builder.emit("widen", [narrow], { ring: 64 }) }]);
}

/** The opened words of the last step, in 32-bit halves: they fit one, and the other must be their sign. */
function opened(outcome: Outcome, { type, offsets }: { type: ShareType; offsets: { P12: number } }): Int32Array {
  const halves = (arena: ArrayBuffer, component: number) =>
    new Uint32Array(arena, offsets.P12 + component * componentBytes(type), 2 * COUNT);
  const [m, mask1, mask2] = [halves(outcome.arenas.P1, 0), halves(outcome.arenas.P1, 1), halves(outcome.arenas.P2, 1)];
  const result = new Int32Array(COUNT);
  for (let i = 0; i < COUNT; i++) {
    const low = m[2 * i] - mask1[2 * i] - mask2[2 * i];
    const high = m[2 * i + 1] - mask1[2 * i + 1] - mask2[2 * i + 1] + Math.floor(low / 2 ** 32);
    result[i] = low | 0;
    if ((high | 0) !== result[i] >> 31) {
      throw new Error(`word ${i} is far away`);
    }
  }
  return result;
}

describe.each(PLACES)("twelve bits dropped %s", (offset) => {
  test(`${COUNT * RUNS} products, rescales and widens stay within one unit`, { timeout: 240_000 }, async () => {
    const plan = planOf(program(offset));
    const histogram = new Map<number, number>();
    let sum = 0;
    for (let run = 0; run < RUNS; run++) {
      const random = seededNumbers(run + 1);
      // |x y| < 2^40, so that the rescaled product stays below 2^28 = 2^(30-2).
      const integers = (count: number) =>
        Float64Array.from({ length: count }, () => Math.floor((random() - 0.5) * 2 ** 21));
      const [x, y] = [integers(ROWS), integers(COLUMNS)];
      const words = (name: string) => new BigUint64Array(BigInt64Array.from(name === "x" ? x : y, BigInt).buffer);
      const outcome = await runPlan(plan, words, { kernels: () => kernels });
      const result = opened(outcome, plan.steps[plan.steps.length - 1]);
      for (let i = 0; i < COUNT; i++) {
        const exact = (x[Math.floor(i / COLUMNS)] * y[i % COLUMNS]) / 2 ** SHIFT;
        const error = result[i] - Math.floor(exact + 0.5);
        histogram.set(error, (histogram.get(error) ?? 0) + 1);
        sum += result[i] - exact;
      }
      outcome.close();
    }
    expect([...histogram.keys()].sort()).toEqual([-1, 0, 1]);
    // Zero mean: the error of one rescale has a variance below 1/2.
    expect(Math.abs(sum / (COUNT * RUNS))).toBeLessThan(8 * Math.sqrt(0.5 / (COUNT * RUNS)));
  });
});
