/**
 * Whole functions out of the ops, as PROTOCOL.md's formulas have them, with the errors, costs and rounds that the
 * suite's reference measures: a sign, a coarse maximum, 2^-t, a function by its Fourier series.
 */
import { describe, expect, test } from "vitest";
import { Builder, type Graph, type Node } from "../../ir/graph.js";
import { seededNumbers } from "../../ir/seeded.js";
import { SHARE, type ShareType, type WordType } from "../../ir/share/index.js";
import type { TensorValue } from "../../ir/tensor/value.js";
import { loadKernels } from "../../runtime/kernels/load.js";
import { planOf, runPlan } from "./harness.js";

type ShareNode = Node<ShareType>;
const { create } = loadKernels();

/** A program under construction, one input x. */
class Program {
  readonly builder = new Builder(SHARE);
  readonly x: ShareNode;

  constructor(ring: number, fraction: number, shape: number[]) {
    this.x = this.emit("input", [], { owner: "data", name: "x", ring, fraction, shape });
  }

  emit(op: string, args: readonly ShareNode[], attributes = {}): ShareNode {
    return this.builder.emit(op, args, attributes);
  }

  /** [x + offset < 0] on the whole ring, as bits. */
  negative(x: ShareNode, hots: readonly { hot: ShareNode; at: number }[], offset: number): ShareNode {
    const less = hots.map(({ hot, at }) => this.emit("less", [hot, x], { at, offset }));
    const equal = hots.map(({ hot, at }) => this.emit("equals", [hot, x], { at, offset, difference: 0 }));
    let borrow = less[less.length - 1];
    for (let i = 0; i + 1 < hots.length; i++) {
      const bits = [less[i], ...equal.slice(i + 1)].map((bit) => this.emit("remaskBits", [bit]));
      borrow = this.emit("exclusiveOr", [borrow, this.emit("conjunction", bits)]);
    }
    return this.emit("exclusiveOr", [borrow, this.emit("topBit", [x], { offset })]);
  }

  digits(x: ShareNode, bits: number, width: number): { hot: ShareNode; at: number }[] {
    const count = Math.ceil(bits / width);
    return Array.from({ length: count }, (_, i) => {
      const at = i * width;
      return { at, hot: this.emit("digits", [x], { at, width: Math.min(width, bits - at) }) };
    });
  }

  finish(node: ShareNode): Graph<ShareType> {
    return this.builder.finish([{ name: "y", node }]);
  }
}

interface Result {
  readonly value: number[];
  /** Bytes per element of x: online counts both directions. */
  readonly online: number;
  readonly offline: number;
  readonly rounds: number;
}

/** Runs a program on real numbers and reads its output as real numbers. */
async function run(graph: Graph<ShareType>, x: readonly number[], seed = 1): Promise<Result> {
  const plan = planOf(graph);
  const { fraction } = plan.steps.find((step) => step.op === "input")!.type as WordType;
  const words = BigInt64Array.from(x, (real) => BigInt(Math.round(real * 2 ** fraction)));
  const outcome = await runPlan(plan, () => new BigUint64Array(words.slice().buffer), { seed, kernels: () => create });
  const output = plan.steps.length - 1;
  const type = plan.steps[output].type;
  const real = (word: bigint) =>
    "ring" in type ? Number(BigInt.asIntN(type.ring, word)) * 2 ** -type.fraction : Number(word);
  const value = Array.from(outcome.valueOf(output).value, real);
  const { P0, P1 } = outcome.reports;
  outcome.close();
  return { value, online: (2 * P1.sent.P2) / x.length, offline: P0.sent.P2 / x.length, rounds: P1.rounds };
}

function spreadOver(least: number, most: number, count: number): number[] {
  const random = seededNumbers(count);
  return Array.from({ length: count }, () => least + random() * (most - least));
}

function scalarOf(value: number): TensorValue {
  return { dtype: "i64", shape: [], data: Float64Array.of(value) };
}

describe("the suite's functions", () => {
  test("x < 0 on 16 bits: exact, one round", async () => {
    const x = spreadOver(-30, 30, 4096);
    const program = new Program(16, 10, [x.length]);
    const sign = program.negative(program.x, program.digits(program.x, 15, 5), 0);
    const { value, online, offline, rounds } = await run(program.finish(sign), x);
    expect(value).toEqual(x.map((real) => (Math.round(real * 1024) < 0 ? 1 : 0)));
    // 2 + 3 masked bits go out each way: less and equal of the lower digits, and one equal twice.
    expect({ online, offline, rounds }).toEqual({ online: 10 / 8, offline: (96 + 1 + 1 + 4) / 8, rounds: 1 });
  });

  test("2^-t on [0, 24): error 5e-4, two rounds, 26 + 48 bytes", async () => {
    const t = [...spreadOver(0, 20, 2000), ...spreadOver(0, 247, 2000)];
    const program = new Program(20, 12, [t.length]);
    const { x } = program;
    const options = { cut: 15, publicFraction: 18, secretFraction: 14, ring: 50 };
    const a = program.emit("remask", [program.emit("exponential", [x], options)]);
    const hot = program.emit("digits", [x], { at: 15, width: 5 });
    const terms = [0, 1, 2].map((j) => {
      const isJ = program.emit("equals", [hot, x], { at: 15, offset: 0, difference: j });
      const term = program.emit("timesBit", [program.emit("remaskBits", [isJ]), a]);
      return program.emit(
        "reduce",
        [program.emit("shiftLeft", [program.emit("relabel", [term], { fraction: 32 + 8 * j })], { bits: 16 - 8 * j })],
        { ring: 50 },
      );
    });
    const sum = terms.reduce((left, right) => program.emit("add", [left, right]));
    const { value, online, offline, rounds } = await run(program.finish(program.emit("remask", [sum])), t);
    const error = Math.max(...value.map((real, i) => Math.abs(real - 2 ** -t[i])));
    expect(error).toBeLessThan(5e-4);
    expect(rounds).toBe(2);
    expect(online).toBeLessThan(26);
    expect(offline).toBeLessThan(48);
  });

  test.each([
    { name: "short words", octaves: 1, words: 2, ring: 16, bytes: 16 },
    { name: "long words", octaves: 1.3, words: 2, ring: 40, bytes: 25 },
    { name: "four long words", octaves: 2.5, words: 4, ring: 40, bytes: 50 },
  ])("2^-ct over a window of 64 in one opening, $name: error 4e-4", async ({ octaves, words, ring, bytes }) => {
    const [fraction, kept, bits] = [11, 12, 6];
    const window = 2 ** bits - 2 ** bits / words;
    const t = [...spreadOver(0, 12, 2000), ...spreadOver(0, window - 2 ** -fraction, 2000)];
    const program = new Program(20, fraction, [t.length]);
    const publicFraction = kept + 3 + Math.ceil((octaves * 2 ** bits) / words);
    const attributes = {
      bits: bits + fraction,
      rates: [Math.round(octaves * 2 ** (48 - fraction))],
      coefficients: [2 ** 30],
      buckets: [bits + fraction - Math.log2(words)],
      publicFraction,
      secretFraction: 12,
      drop: publicFraction + 12 - kept,
      ring,
    };
    const power = program.emit("remask", [program.emit("decays", [program.x], attributes)]);
    const { value, online, offline, rounds } = await run(program.finish(power), t);
    const units = t.map((each) => Math.round(each * 2 ** fraction) / 2 ** fraction);
    const errors = value.map((real, i) => Math.abs(real - 2 ** (-octaves * units[i])));
    expect(Math.max(...errors)).toBeLessThan(4e-4);
    expect(rounds).toBe(1);
    expect(online).toBe((2 * ring) / 8);
    expect(offline).toBe((words * (ring + attributes.drop)) / 8);
    expect(offline).toBeLessThan(bytes);
  });

  test("a coarse maximum of 128: above the maximum by less than two widths, three rounds", async () => {
    const [rows, length, width] = [40, 128, 5];
    const x = spreadOver(-27, 27, rows * length);
    const program = new Program(18, 12, [rows, length]);
    const emit = program.emit.bind(program);
    const counts = emit("remask", [emit("coarseCount", [program.x], { width, ring: 8, segments: [length] })]);
    const zero = emit("equals", [emit("digits", [counts], { at: 0, width: 8 }), counts], {
      at: 0,
      offset: 0,
      difference: 0,
    });
    const some = emit("remaskBits", [emit("complement", [zero])]);
    const reach = emit("sum", [emit("toArithmetic", [some], { ring: 18, fraction: 0 })], { axis: 2 });
    const scaled = emit("relabel", [emit("multiplyConstant", [reach], { value: scalarOf(2 ** 13), fraction: 0 })], {
      fraction: 12,
    });
    const top = emit("remask", [emit("addConstant", [scaled], { value: scalarOf(-(2 ** 17)) })]);
    const { value, online, offline, rounds } = await run(program.finish(top), x);
    value.forEach((top, row) => {
      const gap = top - Math.max(...x.slice(row * length, (row + 1) * length));
      expect(gap).toBeGreaterThan(-1e-3);
      expect(gap).toBeLessThanOrEqual(4);
    });
    expect(rounds).toBe(3);
    expect(online).toBeLessThan(0.7);
    expect(offline).toBeLessThan(41.5);
  });

  test("a function by its Fourier series, and its product with a masked value: no round", async () => {
    const angle = 16;
    const theta = spreadOver(-1, 1, 3000);
    const [cosines, sines] = [
      [1.5, -0.25, 0.125],
      [0.5, 0.75, -2],
    ];
    const attributes = {
      angle,
      cosines: cosines.map((c) => Math.round(c * 2 ** 24)),
      sines: sines.map((s) => Math.round(s * 2 ** 24)),
      constant: Math.round(0.3 * 2 ** 24),
      ...{ frequencies: [1, 2, 3], drops: [0, 0, 0], coefficientFraction: 24 },
      publicFraction: 14,
      secretFraction: 14,
      ring: 50,
    };
    // x is in half turns: one turn is 2^angle units, so the fraction is angle - 1.
    const expected = theta.map((t) =>
      cosines.reduce((sum, c, i) => {
        const at = Math.PI * (i + 1) * (Math.round(t * 2 ** (angle - 1)) / 2 ** (angle - 1));
        return sum + c * Math.cos(at) + sines[i] * Math.sin(at);
      }, 0.3),
    );
    const alone = new Program(50, angle - 1, [theta.length]);
    const first = await run(alone.finish(alone.emit("series", [alone.x], attributes)), theta);
    expect(first.rounds).toBe(0);
    expect(first.offline).toBe((6 * 50) / 8);
    expect(Math.max(...first.value.map((real, i) => Math.abs(real - expected[i])))).toBeLessThan(5e-4);
    const times = new Program(50, angle - 1, [theta.length]);
    const second = await run(times.finish(times.emit("seriesTimes", [times.x, times.x], attributes)), theta);
    expect(second.offline).toBe((12 * 50) / 8);
    const error = Math.max(...second.value.map((real, i) => Math.abs(real - expected[i] * theta[i])));
    expect(error).toBeLessThan(5e-4);
  });
});
