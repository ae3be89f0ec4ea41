/**
 * Many random products, rescales and widens: never a large error. A rescale may be off by one unit; a product and a
 * widen are exact. Ten million of each on the native kernels, fewer on the portable ones.
 */
import { expect, test } from "vitest";
import { Builder, type Graph } from "../../ir/graph.js";
import { componentBytes, SHARE, type ShareType } from "../../ir/share/index.js";
import { openNative } from "../../runtime/kernels/native.js";
import { createPortableKernels } from "../../runtime/kernels/portable.js";
import { seededNumbers } from "../../runtime/local-transport.js";
import { type Outcome, planOf, runPlan } from "./harness.js";

const native = openNative();
const kernels = typeof native === "string" ? createPortableKernels : (bytes: number) => native.create(bytes);
const [COUNT, RUNS] = typeof native === "string" ? [1 << 15, 2] : [1 << 20, 10];
const SHIFT = 12;

/** x * y in ring 64, twelve bits dropped, cut to a ring with just two bits to spare, widened to 64 bits. */
function program(): Graph<ShareType> {
  const builder = new Builder(SHARE);
  const input = (name: string) =>
    builder.emit("input", [], { owner: "data", name, ring: 64, fraction: SHIFT, shape: [COUNT] });
  const product = builder.emit("remask", [builder.emit("multiply", [input("x"), input("y")])]);
  const narrow = builder.emit("reduce", [builder.emit("rescale", [product], { bits: SHIFT })], { ring: 30 });
  return builder.finish([{ name: "z", node: builder.emit("widen", [narrow], { ring: 64 }) }]);
}

/** The opened words of the last step, without a detour over single elements. */
function opened(outcome: Outcome, { type, places }: { type: ShareType; places: { P12: number } }): BigInt64Array {
  const words = (arena: ArrayBuffer, component: number) =>
    new BigUint64Array(arena, places.P12 + component * componentBytes(type), COUNT);
  const [m, mask1, mask2] = [words(outcome.arenas.P1, 0), words(outcome.arenas.P1, 1), words(outcome.arenas.P2, 1)];
  const result = new BigInt64Array(COUNT);
  for (let i = 0; i < COUNT; i++) {
    result[i] = BigInt.asIntN(64, m[i] - mask1[i] - mask2[i]);
  }
  return result;
}

test(`${COUNT * RUNS} products, rescales and widens stay within one unit`, { timeout: 120_000 }, async () => {
  const plan = planOf(program());
  const histogram = new Map<number, number>();
  let sum = 0;
  for (let run = 0; run < RUNS; run++) {
    const random = seededNumbers(run + 1);
    // |x y| < 2^40, so that the rescaled product stays below 2^28 = 2^(30-2).
    const integers = () => Float64Array.from({ length: COUNT }, () => Math.floor((random() - 0.5) * 2 ** 21));
    const values = new Map([
      ["x", integers()],
      ["y", integers()],
    ]);
    const words = (name: string) => new BigUint64Array(BigInt64Array.from(values.get(name)!, BigInt).buffer);
    const outcome = await runPlan(plan, words, { kernels: () => kernels });
    const [x, y] = ["x", "y"].map((name) => values.get(name)!);
    const result = opened(outcome, plan.steps[plan.steps.length - 1]);
    for (let i = 0; i < COUNT; i++) {
      const exact = (x[i] * y[i]) / 2 ** SHIFT;
      const error = Number(result[i]) - Math.floor(exact + 0.5);
      histogram.set(error, (histogram.get(error) ?? 0) + 1);
      sum += Number(result[i]) - exact;
    }
    outcome.close();
  }
  expect([...histogram.keys()].every((error) => Math.abs(error) <= 1)).toBe(true);
  // Zero mean: the error of one rescale has a variance below 1/2.
  expect(Math.abs(sum / (COUNT * RUNS))).toBeLessThan(8 * Math.sqrt(0.5 / (COUNT * RUNS)));
});
