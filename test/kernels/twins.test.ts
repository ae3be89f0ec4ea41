/**
 * The native kernels and their TypeScript twins are one: for random calls of every kernel, on every tier that this
 * processor has, both leave the same arena, byte for byte, outside the result too.
 */
import { createCipheriv, randomBytes } from "node:crypto";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Kernels } from "../../runtime/kernels/interface.js";
import { type NativeModule, type NativeOptions, openNative } from "../../runtime/kernels/native.js";
import { createPortableKernels } from "../../runtime/kernels/portable.js";
import { CASES, type KernelName } from "./cases.js";
import { type Draw, Layout } from "./layout.js";

const opened = openNative();
const native = typeof opened === "string" ? undefined : opened;
const NAMES = Object.keys(CASES) as KernelName[];
const LARGEST_ARENA = 1 << 24;
const noise = new Uint8Array(randomBytes(LARGEST_ARENA));

function drawWith(generator: fc.GeneratorValue): Draw {
  return (arbitrary) => generator(() => arbitrary);
}

/** Every tier of loops with some tier of streams, and every tier of streams with some tier of loops. */
function tiersOf(module: NativeModule): NativeOptions[] {
  const { tiers, streamTiers } = module;
  const length = Math.max(tiers.length, streamTiers.length);
  return Array.from({ length }, (_, i) => ({
    tier: tiers[Math.min(i, tiers.length - 1)],
    streamTier: streamTiers[Math.min(i, streamTiers.length - 1)],
  }));
}

/** What a call leaves of the arena, with the bits that do not matter cleared. */
async function leftBy(kernels: Kernels, layout: Layout, call: (kernels: Kernels) => unknown): Promise<Buffer> {
  const bytes = new Uint8Array(kernels.arena, 0, layout.size);
  layout.fill(bytes, noise);
  await call(kernels);
  const words = new BigUint64Array(kernels.arena);
  for (const { at, count, ring } of layout.loose) {
    for (let i = at / 8; i < at / 8 + count; i++) {
      words[i] = BigInt.asUintN(ring, words[i]);
    }
  }
  const copy = Buffer.from(bytes);
  kernels.close();
  return copy;
}

/** A failure says which kernel it is, on which tier. */
const NAMED = { includeErrorInReport: true };

/**
 * Random calls of a kernel with these numbers of elements. What a call draws is not shrunk, its numbers of elements
 * are: a kernel that is wrong is found, made small and named in seconds.
 */
function calls(name: KernelName, module: NativeModule, sizes: fc.Arbitrary<number>, least: number, most: number) {
  const cap = fc.noBias(fc.integer({ min: least, max: most }));
  return fc.asyncProperty(fc.noShrink(fc.gen()), cap, (generator, largest) => {
    const capped = sizes.map((size) => Math.min(size, largest));
    return agree(name, module, drawWith(generator), capped);
  });
}

/** One random call of a kernel, on the twin and on the given tiers. */
async function agree(name: KernelName, module: NativeModule, draw: Draw, sizes: fc.Arbitrary<number>): Promise<void> {
  const layout = new Layout(draw, sizes);
  const call = CASES[name](layout);
  const expected = await leftBy(createPortableKernels(layout.size), layout, call);
  for (const options of tiersOf(module)) {
    const found = await leftBy(module.create(layout.size, options), layout, call);
    expect(found.equals(expected), `${name} on ${options.tier}, ${options.streamTier}`).toBe(true);
  }
  const found = await leftBy(module.create(layout.size), layout, (kernels) => played(module, kernels, call));
  expect(found.equals(expected), `${name} from a tape`).toBe(true);
}

/** Makes a call from a tape, on which another one was noted and forgotten. */
async function played(module: NativeModule, kernels: Kernels, call: (kernels: Kernels) => unknown): Promise<void> {
  const tape = module.tape();
  tape.recorder.zero(0, 64);
  tape.recorder.put(0, new Int32Array(6));
  tape.cut(0);
  call({ ...tape.recorder, key: kernels.key });
  await tape.play(kernels, 0, tape.length);
}

describe.skipIf(native === undefined)("native kernels equal their twins", () => {
  const module = native as NativeModule;
  const threads = native?.threads() ?? 1;
  beforeAll(() => {
    module.threads(3); // also where there is one core: the cuts are what is tested
  });
  afterAll(() => {
    module.threads(threads);
  });

  it.each(NAMES)("%s", async (name) => {
    const sizes = fc.oneof(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 0, max: 700 }));
    await fc.assert(calls(name, module, sizes, 0, 700), { numRuns: 60, ...NAMED });
  });

  it.each(NAMES)("%s, long enough to be cut over threads", async (name) => {
    const small: readonly KernelName[] = ["matmul", "dealCoarse", "coarseAccumulate", "seriesTimes"];
    const [least, most] = small.includes(name) ? [1875, 2500] : [30_000, 40_000];
    await fc.assert(calls(name, module, fc.integer({ min: least, max: most }), least, most), { numRuns: 2, ...NAMED });
  });

  it.each(["matmul", "dealCoarse", "add"] as const)("%s that is wrong is named within ten seconds", async (name) => {
    const wrong = (bytes: number, options?: NativeOptions): Kernels => {
      const inner = module.create(bytes, options);
      const call = async (...args: unknown[]) => {
        await (inner[name] as (...all: unknown[]) => unknown)(...args);
        new Uint8Array(inner.arena)[0] ^= 1;
      };
      return { ...inner, arena: inner.arena, [name]: call };
    };
    const started = performance.now();
    const sizes = fc.integer({ min: 0, max: 700 });
    const checked = fc.assert(calls(name, { ...module, create: wrong }, sizes, 0, 700), { numRuns: 60, ...NAMED });
    await expect(checked).rejects.toThrow(new RegExp(`${name} on `));
    expect(performance.now() - started).toBeLessThan(10_000);
  });
});

describe.skipIf(native === undefined)("the native door", () => {
  const module = native as NativeModule;

  it("makes the stream of AES-128-CTR on every tier", () => {
    const [key, block, bytes] = [randomBytes(16), 2 ** 33 + 5, 5000];
    const counter = Buffer.alloc(16);
    counter.writeBigUInt64BE(BigInt(block), 8);
    const expected = createCipheriv("aes-128-ctr", key, counter).update(Buffer.alloc(bytes));
    for (const streamTier of module.streamTiers) {
      const kernels = module.create(8192, { streamTier });
      kernels.fillBytes(kernels.key(key), block, 64, bytes);
      expect(Buffer.from(kernels.arena, 64, bytes).equals(expected), streamTier).toBe(true);
      kernels.close();
    }
  });

  it("refuses places outside the arena, unaligned words and broken numbers", () => {
    const kernels = module.create(1024);
    expect(kernels.arena.byteLength).toBe(1024);
    expect(() => kernels.add(0, 0, 0, 128)).not.toThrow();
    expect(() => kernels.add(0, 0, 0, 129)).toThrow(RangeError);
    expect(() => kernels.add(0, 0, 8, 128)).toThrow(RangeError);
    expect(() => kernels.add(4, 0, 0, 1)).toThrow(RangeError);
    expect(() => kernels.add(-8, 0, 0, 1)).toThrow(RangeError);
    expect(() => kernels.add(0, 0, 0, Number.NaN)).toThrow(RangeError);
    expect(() => kernels.add(0, 0, 0, 0.5)).toThrow(RangeError);
    expect(() => kernels.view(0, 0, 8, [2, 2], [-1, 1], 0)).toThrow(RangeError);
    expect(() => kernels.view(0, 0, 8, [2], [200], 0)).toThrow(RangeError);
    expect(() => kernels.view(0, 0, 8, [1], [2 ** 32], 0)).toThrow(RangeError);
    expect(() => kernels.take(0, 0, 8, Int32Array.of(127))).not.toThrow();
    expect(() => kernels.take(0, 0, 8, Int32Array.of(128))).toThrow(RangeError);
    expect(() => kernels.take(0, 0, 8, Int32Array.of(-2))).toThrow(RangeError);
    expect(() => kernels.packWords(0, 8, 65, 512)).toThrow(RangeError);
    expect(() => kernels.fillWords(0, 0, 0, 1)).toThrow(RangeError);
    expect(() => kernels.key(new Uint8Array(15))).toThrow(RangeError);
    kernels.close();
  });

  it("works on another thread where a kernel is long, and reports errors from there", async () => {
    const kernels = module.create(3 * 8 * 300 * 300);
    const place = (i: number) => ({ at: 8 * 300 * 300 * i, other: 0, sign: 0 as const });
    const product = {
      mode: 0,
      batch: 1,
      aStride: 0,
      bStride: 0,
      rows: 300,
      inner: 300,
      columns: 300,
      ring: 64,
    } as const;
    const work = kernels.matmul(8 * 300 * 300 * 2, { ...product, a: place(0), b: place(1) });
    expect(work).toBeInstanceOf(Promise);
    await work;
    await expect(kernels.matmul(0, { ...product, a: place(0), b: place(3) })).rejects.toThrow(RangeError);
    await expect(kernels.add(0, 0, 0, 2 ** 61)).rejects.toThrow(RangeError);
    kernels.close();
  });

  it("forgets everything when closed", () => {
    const kernels = module.create(4096);
    const key = kernels.key(new Uint8Array(16));
    kernels.close();
    expect(kernels.arena.byteLength).toBe(0);
    expect(() => kernels.fillWords(key, 0, 0, 1)).toThrow(RangeError);
    expect(() => kernels.zero(0, 1)).toThrow(RangeError);
    kernels.close();
  });
});
