/**
 * What must never happen: a stream position used twice in a run, anything sent to P0, the same bytes on a wire in two
 * runs, or an additive share that shows its value to the data owner.
 */
import { describe, expect, test } from "vitest";
import { Builder, definitionOf } from "../../ir/graph.js";
import { seededNumbers } from "../../ir/seeded.js";
import { SHARE } from "../../ir/share/index.js";
import type { Kernels } from "../../runtime/kernels/interface.js";
import { createPortableKernels } from "../../runtime/kernels/portable.js";
import { ONLY_RUN, runKeys } from "../../runtime/keys.js";
import type { PartyName } from "../../runtime/transport.js";
import { planOf, recorder, runPlan } from "./harness.js";
import { Maker, programOfAll } from "./programs.js";

const everything = (seed: number) => programOfAll(seededNumbers(seed));

const zeros = (_name: string, count: number) => new BigUint64Array(count);

/** Kernels that note every block of every stream that is read. */
function watched(blocks: Map<string, number>, problems: string[]): (bytes: number) => Kernels {
  return (bytes) => {
    const inner = createPortableKernels(bytes);
    const names = new Map<number, string>();
    const note = (key: number, block: number, size: number) => {
      for (let i = block; i < block + Math.ceil(size / 16); i++) {
        const position = `${names.get(key)} ${i}`;
        blocks.set(position, (blocks.get(position) ?? 0) + 1);
        if (blocks.get(position) === 2) {
          problems.push(position);
        }
      }
    };
    return {
      ...inner,
      key: (material) => {
        const handle = inner.key(material);
        names.set(handle, Buffer.from(material).toString("hex"));
        return handle;
      },
      fillWords: (key, block, to, count) => {
        note(key, block, 8 * count);
        return inner.fillWords(key, block, to, count);
      },
      matmulMasked: (to, product, b) => {
        const size = 8 * product.inner * product.columns;
        (b.fields === undefined ? [b.key, b.other] : [b.key]).forEach((key) => void note(key, b.block, size));
        return inner.matmulMasked(to, product, b);
      },
      addStream: (key, block, to, count) => {
        note(key, block, 8 * count);
        return inner.addStream(key, block, to, count);
      },
      fillBytes: (key, block, to, count) => {
        note(key, block, count);
        return inner.fillBytes(key, block, to, count);
      },
      fillBits: (key, block, to, count) => {
        note(key, block, count / 8);
        return inner.fillBits(key, block, to, count);
      },
      fillHot: (key, block, to, count, width) => {
        note(key, block, (count * 2 ** width) / 8);
        return inner.fillHot(key, block, to, count, width);
      },
      dealWords: (key, block, from, count, bits, drop, to) => {
        note(key, block, 8 * count);
        return inner.dealWords(key, block, from, count, bits, drop, to);
      },
      dealBits: (key, block, from, count, to) => {
        note(key, block, count / 8);
        return inner.dealBits(key, block, from, count, to);
      },
      dealHot: (key, block, mask1, mask2, count, at, width, to) => {
        note(key, block, (count * 2 ** width) / 8);
        return inner.dealHot(key, block, mask1, mask2, count, at, width, to);
      },
      dealCoarse: (key, block, mask1, mask2, count, shape, to) => {
        note(key, block, count * 2 ** shape.width * (shape.counter <= 8 ? 1 : 2));
        return inner.dealCoarse(key, block, mask1, mask2, count, shape, to);
      },
    };
  };
}

describe("streams", () => {
  test("no party reads a position twice, and both ends of a pair read the same positions", async () => {
    for (let seed = 1; seed <= 5; seed++) {
      const plan = planOf(everything(seed));
      const used = { P0: new Map<string, number>(), P1: new Map<string, number>(), P2: new Map<string, number>() };
      const problems: string[] = [];
      await runPlan(plan, zeros, { seed, kernels: (party: PartyName) => watched(used[party], problems) });
      expect(problems).toEqual([]);
      const together = new Map<string, number>();
      for (const position of [...used.P0.keys(), ...used.P1.keys(), ...used.P2.keys()]) {
        together.set(position, (together.get(position) ?? 0) + 1);
      }
      // The owners' first and second seeds go to two parties each, and every pair's stream has two ends.
      expect([...together].filter(([, count]) => count !== 2)).toEqual([]);
    }
  });

  test("every draw that an op declares is read to its last block and not beyond", async () => {
    const plan = planOf(everything(7));
    const used = new Map<string, number>();
    const keyOf = (label: string) => Buffer.from(label.padEnd(16, "."));
    await runPlan(plan, zeros, { keyOf, kernels: () => watched(used, []) });
    const declared = new Set<string>();
    const pairs = Object.fromEntries(["01", "02", "12"].map((pair) => [pair, keyOf(pair)]));
    const keys: Readonly<Record<string, Uint8Array>> = runKeys(pairs, ONLY_RUN);
    for (const step of plan.steps) {
      const args = step.args.map((index) => plan.steps[index].type);
      const draws = definitionOf(SHARE, step.op).draws(args, step.attributes, step.type);
      const owner = step.op === "input" ? `${step.attributes.owner} ` : "";
      draws.forEach(({ pair, bytes }, i) => {
        const key = owner === "" ? keys[pair] : keyOf(`${owner}${pair === "01" ? "first" : "second"}`);
        for (let block = 0; block < Math.ceil(bytes / 16); block++) {
          declared.add(`${Buffer.from(key).toString("hex")} ${step.draws[i].block + block}`);
        }
      });
    }
    expect([...used.keys()].sort()).toEqual([...declared].sort());
  });
});

describe("wires", () => {
  test("P0 receives nothing, and P1 receives nothing from P0", async () => {
    const { tap, frames } = recorder();
    const plan = planOf(everything(3));
    await runPlan(plan, zeros, { tap });
    // The data owner is shown the verdict, a few bytes from each evaluator.
    expect([...frames.keys()].sort()).toEqual(["P0>P2", "P1>P2", "P1>data", "P2>P1", "P2>data"]);
    const verdicts = plan.steps.filter(({ op }) => op === "verdict").map(({ type }) => type.shape[0] / 8);
    expect(frames.get("P1>data")!.map(({ length }) => length)).toEqual(verdicts);
  });

  test("no 16-byte block is sent twice, in one run or in two with fresh keys", async () => {
    const seen = new Set<string>();
    const plan = planOf(everything(4));
    let blocks = 0;
    for (let run = 0; run < 2; run++) {
      const { tap, frames } = recorder();
      await runPlan(plan, zeros, { tap });
      for (const frame of [...frames.values()].flat()) {
        for (let at = 0; at + 16 <= frame.length; at += 16) {
          const block = Buffer.from(frame.subarray(at, at + 16)).toString("hex");
          expect(seen.has(block)).toBe(false);
          seen.add(block);
          blocks++;
        }
      }
    }
    expect(blocks).toBeGreaterThan(100);
  });

  test("bytes on every wire look uniform although all values are zero", async () => {
    const make = new Maker(seededNumbers(9));
    const x = make.masked([4096], 64, 0);
    const y = make.emit("remask", [make.emit("multiply", [x, x], { drop: 0 })]);
    const { tap, frames } = recorder();
    await runPlan(planOf(make.builder.finish([{ name: "y", node: make.emit("reveal", [y], { name: "y" }) }])), zeros, {
      tap,
    });
    expect([...frames.keys()].sort()).toEqual(["P0>P2", "P1>P2", "P1>data", "P2>P1", "P2>data"]);
    for (const [link, [frame]] of frames) {
      const counts = new Float64Array(256);
      for (const byte of frame) {
        counts[byte]++;
      }
      const expected = frame.length / 256;
      const chiSquare = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
      // 255 degrees of freedom: mean 255, standard deviation 22.6; eight of them.
      expect(chiSquare, link).toBeLessThan(255 + 8 * 22.6);
    }
  });

  test("a verdict shows nothing but whether a bit is set: zero, or other bits every time", async () => {
    const verdictOf = async (set: boolean, seed: number) => {
      const make = new Maker(seededNumbers(seed));
      const bits = make.bits([3000]);
      const none = make.emit("exclusiveOr", [bits, bits]);
      const one = make.emit("take", [make.emit("complement", [none])], { indices: [0], shape: [1] });
      const rest = make.emit("take", [none], { indices: Array.from({ length: 2999 }, (_, i) => i), shape: [2999] });
      const all = make.emit("concatenate", [rest, set ? one : make.emit("exclusiveOr", [one, one])], { axis: 0 });
      const node = make.emit("verdict", [make.emit("randomCombination", [all], { bits: 64 })]);
      const { tap, frames } = recorder();
      await runPlan(planOf(make.builder.finish([{ name: "y", node }])), zeros, { tap });
      const [first, second] = [frames.get("P1>data")![0], frames.get("P2>data")![0]].map(
        (frame) => new BigUint64Array(frame.slice().buffer)[0],
      );
      return { first, sum: first ^ second };
    };
    const seen = new Set<bigint>();
    for (let seed = 1; seed <= 8; seed++) {
      const [clean, alarm] = [await verdictOf(false, seed), await verdictOf(true, seed)];
      expect(clean.sum).toBe(0n);
      for (const word of [clean.first, alarm.first, alarm.sum]) {
        expect(seen.has(word)).toBe(false);
        seen.add(word);
      }
    }
    expect(seen.has(0n)).toBe(false);
  });

  test("a reveal of the same value twice shows different shares", async () => {
    const builder = new Builder(SHARE);
    const attributes = { owner: "data", name: "x", ring: 64, fraction: 0, shape: [64] };
    const x = builder.emit("input", [], attributes);
    const outputs = ["a", "b"].map((name) => ({ name, node: builder.emit("reveal", [x], { name }) }));
    const { tap, frames } = recorder();
    await runPlan(planOf(builder.finish(outputs)), zeros, { tap });
    const [first, second] = frames.get("P1>data")!;
    const [other] = frames.get("P2>data")!;
    expect(first).not.toEqual(second);
    const sums = new BigUint64Array(first.slice().buffer).map(
      (word, i) => word + new BigUint64Array(other.slice().buffer)[i],
    );
    expect([...sums]).toEqual(new Array(64).fill(0n));
  });
});
