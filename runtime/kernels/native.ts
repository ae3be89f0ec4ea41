/**
 * The native kernels: interface.ts on top of the C++ addon that `npm run build:native` makes. The arena lives outside
 * the JavaScript heap and is registered once; a call passes offsets as numbers. Every range is checked against the
 * arena in the addon: a wrong offset throws a RangeError, it never reaches memory.
 *
 * Kernels that would hold the event loop for longer than about a millisecond run on another thread and return a
 * promise, so that sockets keep moving. Long ones of either kind use every thread of the pool (env PUMAC_THREADS,
 * default: one
 * for each core; waiting threads sleep, so several parties on one machine share its cores).
 */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { MultiplyReals, RealProduct } from "../../ir/tensor/index.js";
import type {
  BitKernels,
  CoarseShape,
  DecaySecrets,
  DecayTerms,
  DigitLookUp,
  Factor,
  FusedKernels,
  Kernels,
  PowerTable,
  SeriesCombine,
  SeriesSecrets,
  StreamKernels,
  Tape,
  WireKernels,
  WordKernels,
  Work,
} from "./interface.js";

/** Instruction sets of the loops and matrix products, slowest first, as the addon numbers them. */
const TIERS = ["scalar", "avx2", "avx512"] as const;
/** Ways to compute AES, slowest first. */
const STREAM_TIERS = ["bitsliced", "aesni", "vaes256", "vaes512"] as const;
export type Tier = (typeof TIERS)[number];
export type StreamTier = (typeof STREAM_TIERS)[number];

type Argument = number | bigint | Int32Array;
type KernelName = Exclude<keyof Kernels, "name" | "arena" | "close" | "key">;
/** The addon's view of an arena; opaque here. */
type ArenaHandle = { readonly opaque: unique symbol };
type TapeHandle = { readonly tape: unique symbol };

interface Addon {
  readonly now: Readonly<Record<KernelName, (arena: ArenaHandle, ...args: Argument[]) => undefined>>;
  readonly later: Readonly<Record<KernelName, (arena: ArenaHandle, ...args: Argument[]) => Promise<void>>>;
  readonly note: Readonly<Record<KernelName, (tape: TapeHandle, ...args: Argument[]) => undefined>>;
  createTape(): TapeHandle;
  cutTape(tape: TapeHandle, length: number): void;
  playTape(arena: ArenaHandle, tape: TapeHandle, from: number, to: number, later: boolean): Promise<void> | undefined;
  readonly bestTier: number;
  readonly bestStreamTier: number;
  createArena(bytes: number, tier: number, streamTier: number): { handle: ArenaHandle; buffer: ArrayBuffer };
  closeArena(handle: ArenaHandle, buffer: ArrayBuffer): void;
  addKey(handle: ArenaHandle, key: Uint8Array): number;
  threads(count?: number): number;
  mapFile(path: string): ArrayBuffer | undefined;
  forgetPages(mapped: ArrayBuffer, at: number, length: number): boolean;
  leaveNoCore(): boolean;
  multiplyReals(tier: number, c: Float64Array, cAt: number, a: Float64Array, aAt: number, ...rest: RealArguments): void;
}

type RealArguments = [b: RealProduct["b"], bAt: number, rows: number, inner: number, columns: number];

export interface NativeOptions {
  /** Slower tiers than the processor's best, for tests and measurements. A tier it lacks throws a RangeError. */
  readonly tier?: Tier;
  readonly streamTier?: StreamTier;
}

/** The loaded addon and what the processor offers. */
export interface NativeModule {
  readonly tiers: readonly Tier[];
  readonly streamTiers: readonly StreamTier[];
  /** Sets the number of threads of the process's pool, if given; returns it. */
  threads(count?: number): number;
  create(arenaBytes: number, options?: NativeOptions): Kernels;
  /** A tape of calls, for arenas of any tier. */
  tape(): Tape;
  /** Matrix products over doubles (native/reals.hpp), on a tier; default: the best. */
  multiplyReals(tier?: Tier): MultiplyReals;
  /** See runtime/system.ts. */
  mapFile(path: string): ArrayBuffer | undefined;
  forgetPages(mapped: ArrayBuffer, at: number, length: number): boolean;
  leaveNoCore(): boolean;
}

/** Starts a kernel: its name, its estimated time on one core in nanoseconds, its arguments. */
type Run = (name: KernelName, nanoseconds: number, ...args: Argument[]) => Work;

/** From here on a kernel works on another thread: well above the cost of a promise. */
const LONG = 1_000_000;

/** The package's root, seen from this module or from its translation in dist/: node-gyp-build looks below it. */
function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, "package.json")) && folder !== dirname(folder)) {
    folder = dirname(folder);
  }
  return folder;
}

/** Opens what is built for this system below a folder's prebuilds/; throws where there is nothing. */
const require = createRequire(import.meta.url);
const openPrebuilt = require("node-gyp-build") as (folder: string) => Addon;

let opened: NativeModule | undefined;

/** The native kernels of this installation, or the reason why there are none. */
export function openNative(): NativeModule | string {
  try {
    opened ??= moduleOf(openPrebuilt(packageRoot()));
    return opened;
  } catch (error) {
    const [reason] = (error instanceof Error ? error.message : String(error)).split("\n");
    return `the TypeScript kernels run, many times slower than the native ones would: ${reason.trim()}`;
  }
}

function moduleOf(addon: Addon): NativeModule {
  return {
    tiers: TIERS.slice(0, addon.bestTier + 1),
    streamTiers: STREAM_TIERS.slice(0, addon.bestStreamTier + 1),
    threads: (count) => (count === undefined ? addon.threads() : addon.threads(count)),
    create: (arenaBytes, options = {}) => createKernels(addon, arenaBytes, options),
    tape: () => createTape(addon),
    mapFile: (path) => addon.mapFile(path),
    forgetPages: (mapped, at, length) => addon.forgetPages(mapped, at, length),
    leaveNoCore: () => addon.leaveNoCore(),
    multiplyReals:
      (tier = TIERS[addon.bestTier]) =>
      ({ c, cAt, a, aAt, b, bAt, rows, inner, columns }) => {
        if (rows * inner * columns > 0) {
          addon.multiplyReals(TIERS.indexOf(tier), c, cAt, a, aAt, b, bAt, rows, inner, columns);
        } else {
          c.fill(0, cAt, cAt + rows * columns);
        }
      },
  };
}

function createKernels(addon: Addon, arenaBytes: number, options: NativeOptions): Kernels {
  const tier = options.tier ?? TIERS[addon.bestTier];
  const streamTier = options.streamTier ?? STREAM_TIERS[addon.bestStreamTier];
  const { handle, buffer } = addon.createArena(arenaBytes, TIERS.indexOf(tier), STREAM_TIERS.indexOf(streamTier));
  const run: Run = (name, nanoseconds, ...args) =>
    nanoseconds > LONG ? addon.later[name](handle, ...args) : addon.now[name](handle, ...args);
  HANDLES.set(buffer, handle);
  return {
    name: `native ${tier} ${streamTier}`,
    arena: buffer,
    ...allKernels(run, (bytes) => addon.addKey(handle, bytes)),
    close: () => addon.closeArena(handle, buffer),
  };
}

/** The addon's handles of arenas. */
const HANDLES = new WeakMap<ArrayBuffer, ArenaHandle>();

function allKernels(run: Run, key: StreamKernels["key"]): Omit<Kernels, "name" | "arena" | "close"> {
  return {
    ...streamKernels(run, key),
    ...wireKernels(run),
    ...wordKernels(run),
    ...bitKernels(run),
    ...fusedKernels(run),
  };
}

function createTape(addon: Addon): Tape {
  const tape = addon.createTape();
  /** Nanoseconds that all calls up to one take together. */
  const times = [0];
  const run: Run = (name, nanoseconds, ...args) => {
    addon.note[name](tape, ...args);
    times.push(times[times.length - 1] + nanoseconds);
  };
  const noKey = (): never => {
    throw new Error("a tape has no keys");
  };
  return {
    recorder: { name: "tape", arena: new ArrayBuffer(0), ...allKernels(run, noKey), close: () => undefined },
    get length() {
      return times.length - 1;
    },
    cut: (length) => {
      addon.cutTape(tape, length);
      times.length = length + 1;
    },
    play: ({ arena }, from, to) => {
      const handle = HANDLES.get(arena);
      if (handle === undefined) {
        throw new Error("a tape is played on native kernels");
      }
      return addon.playTape(handle, tape, from, to, times[to] - times[from] > LONG);
    },
  };
}

function streamKernels(run: Run, key: (bytes: Uint8Array) => number): StreamKernels {
  return {
    key,
    fillWords: (key, block, to, count) => run("fillWords", count, key, block, to, count),
    addStream: (key, block, to, count) => run("addStream", count, key, block, to, count),
    fillBytes: (key, block, to, bytes) => run("fillBytes", bytes / 8, key, block, to, bytes),
    fillBits: (key, block, to, count) => run("fillBits", count / 8, key, block, to, count),
    fillHot: (key, block, to, count, width) => run("fillHot", count * 2 ** (width - 6), key, block, to, count, width),
    dealWords: (key, block, from, count, bits, drop, to) =>
      run("dealWords", 2 * count, key, block, from, count, bits, drop, to),
    borrow: (key, block, to, from, count) => run("borrow", 2 * count, key, block, to, from, count),
    dealBits: (key, block, from, count, to) => run("dealBits", count / 4, key, block, from, count, to),
    dealHot: (key, block, mask1, mask2, count, at, width, to) =>
      run("dealHot", 2 * count + count * 2 ** (width - 6), key, block, mask1, mask2, count, at, width, to),
    dealCoarse: (key, block, mask1, mask2, count, { ring, width, counter }, to) =>
      run("dealCoarse", count * 2 ** width, key, block, mask1, mask2, count, ring, width, counter, to),
  };
}

function wireKernels(run: Run): WireKernels {
  return {
    packWords: (from, count, bits, to) => run("packWords", count, from, count, bits, to),
    unpackWords: (from, count, bits, to) => run("unpackWords", count, from, count, bits, to),
    unpackAdd: (from, count, bits, to, shift) => run("unpackAdd", count, from, count, bits, to, shift),
    packBits: (from, count, to) => run("packBits", count / 8, from, count, to),
    unpackBits: (from, count, to) => run("unpackBits", count / 8, from, count, to),
    unpackXor: (from, count, to) => run("unpackXor", count / 8, from, count, to),
    unpackHot: (from, count, width, to) => run("unpackHot", count * 2 ** (width - 6), from, count, width, to),
  };
}

function factor({ at, other, sign, ring = 64 }: Factor): [number, number, number, number] {
  return [at, other, sign, ring];
}

/** Sizes or strides as the addon takes them. */
function axes(values: readonly number[]): Int32Array {
  const list = Int32Array.from(values);
  if (!values.every((value, i) => value === list[i])) {
    throw new RangeError("view: a size or stride is not a 32-bit integer");
  }
  return list;
}

function wordKernels(run: Run): WordKernels {
  return {
    add: (to, a, b, count) => run("add", count, to, a, b, count),
    subtract: (to, a, b, count) => run("subtract", count, to, a, b, count),
    addWord: (to, a, word, count) => run("addWord", count, to, a, word, count),
    multiplyWord: (to, a, word, count) => run("multiplyWord", count, to, a, word, count),
    shiftLeft: (to, a, bits, count) => run("shiftLeft", count, to, a, bits, count),
    rescale: (to, a, ring, bits, offset, count) => run("rescale", count, to, a, ring, bits, offset, count),
    multiply: (to, mode, a, b, count) => run("multiply", 2 * count, to, mode, ...factor(a), ...factor(b), count),
    dot: (to, mode, a, b, rows, length) =>
      run("dot", 2 * rows * length, to, mode, ...factor(a), ...factor(b), rows, length),
    matmul(to, { mode, a, b, batch, aStride, bStride, rows, inner, columns, ring, aRow = inner }) {
      const time = (batch * rows * inner * columns) / 8;
      const sizes = [batch, aStride, bStride, rows, inner, columns, ring, aRow];
      return run("matmul", time, to, mode, ...factor(a), ...factor(b), ...sizes);
    },
    sumAxis: (to, from, outer, length, inner) => run("sumAxis", outer * length * inner, to, from, outer, length, inner),
    view(to, from, elementBytes, shape, strides, offset) {
      const count = shape.reduce((product, size) => product * size, 1);
      return run("view", 2 * count, to, from, elementBytes, offset, axes(shape), axes(strides));
    },
    take: (to, from, elementBytes, indices) => run("take", 2 * indices.length, to, from, elementBytes, indices),
    encode: (to, from, count, fraction, ring, refused) =>
      run("encode", 3 * count, to, from, count, fraction, ring, refused),
    put: (to, halves) => run("put", halves.length, to, halves),
    copy: (to, from, bytes) => run("copy", bytes / 8, to, from, bytes),
    zero: (to, bytes) => run("zero", bytes / 16, to, bytes),
  };
}

function look({ ring, at, width, offset }: DigitLookUp): [number, number, number, number] {
  return [ring, at, width, offset];
}

function bitKernels(run: Run): BitKernels {
  return {
    exclusiveOr: (to, a, b, count) => run("exclusiveOr", count / 8, to, a, b, count),
    and: (to, a, b, count) => run("and", count / 8, to, a, b, count),
    complement: (to, a, count) => run("complement", count / 8, to, a, count),
    sumBit: (to, a, b, bit, count) => run("sumBit", count, to, a, b, bit, count),
    wordBit: (to, from, offset, bit, count) => run("wordBit", count, to, from, offset, bit, count),
    bitWords: (to, a, b, count) => run("bitWords", count, to, a, b, count),
    combineBits: (to, from, words, first, length, bits, count) =>
      run("combineBits", count, to, from, words, first, length, bits, count),
    hotLess: (to, hot, m, digit, count) => run("hotLess", 3 * count, to, hot, m, ...look(digit), count),
    hotWithin: (to, hot, m, digit, from, span, count) =>
      run("hotWithin", 3 * count, to, hot, m, ...look(digit), from, span, count),
  };
}

function power({ table, tableFraction, fraction, cut, factorFraction }: PowerTable): number[] {
  return [table, tableFraction, fraction, cut, factorFraction];
}

function series({ table, tableAngle, angle, fraction }: SeriesSecrets): number[] {
  return [table, tableAngle, angle, fraction];
}

function seriesLists({ frequencies, drops, cosines, sines }: SeriesCombine): Int32Array[] {
  return [frequencies, drops, cosines, sines];
}

function decays({ table, tableFraction, bits, fraction, lanes }: DecaySecrets): number[] {
  return [table, tableFraction, bits, fraction, lanes];
}

/** Integers of 64 bits as two of 32, the low one first. */
function lists({ rates, coefficients, buckets }: DecayTerms): Int32Array[] {
  return [new Int32Array(rates.buffer), new Int32Array(coefficients.buffer), buckets];
}

function wordsOf({ bits, buckets }: DecayTerms): number {
  return buckets.reduce((sum, bucket) => sum + 2 ** (bits - bucket), 0);
}

function coarse({ ring, width, counter }: CoarseShape): [number, number, number] {
  return [ring, width, counter];
}

function fusedKernels(run: Run): FusedKernels {
  return {
    matmulMasked(to, { mode, a, rows, inner, columns, ring, aRow = inner }, b) {
      const time = (rows * inner * columns) / 8 + 2 * inner * columns;
      const place = [b.fields ?? 0, b.bits, Number(b.fields !== undefined), b.key, b.other, b.ring, b.block];
      return run("matmulMasked", time, to, mode, ...factor(a), rows, inner, columns, ring, aRow, ...place);
    },
    widenSecrets: (carry, top, mask1, mask2, ring, count) =>
      run("widenSecrets", 2 * count, carry, top, mask1, mask2, ring, count),
    widenShare: (to, m, carry, top, random, ring, count) =>
      run("widenShare", 2 * count, to, m, carry, top, random, ring, count),
    widenJoin: (to, a, high, ring, biased, count) => run("widenJoin", count, to, a, high, ring, Number(biased), count),
    seriesSecrets(to, stride, mask1, mask2, waves, count) {
      const { frequencies, drops } = waves;
      const time = 6 * frequencies.length * count;
      return run("seriesSecrets", time, to, stride, mask1, mask2, ...series(waves), count, frequencies, drops);
    },
    seriesCombine(to, m, shares, stride, waves, count) {
      const time = 10 * waves.frequencies.length * count;
      return run("seriesCombine", time, to, m, shares, stride, ...series(waves), count, ...seriesLists(waves));
    },
    seriesTimes(to, m, factor, shares, products, stride, waves, count) {
      const time = 12 * waves.frequencies.length * count;
      const offsets = [to, m, factor, shares, products, stride];
      return run("seriesTimes", time, ...offsets, ...series(waves), count, ...seriesLists(waves));
    },
    powerSecrets: (to, mask1, mask2, table, count) =>
      run("powerSecrets", 4 * count, to, mask1, mask2, ...power(table), count),
    powerCombine: (to, m, share, table, count) => run("powerCombine", 4 * count, to, m, share, ...power(table), count),
    decaysSecrets: (to, stride, mask1, mask2, terms, count) =>
      run(
        "decaysSecrets",
        8 * wordsOf(terms) * count,
        to,
        stride,
        mask1,
        mask2,
        ...decays(terms),
        count,
        ...lists(terms),
      ),
    decaysCombine(to, m, words, stride, { ring, drop, ...terms }, count) {
      const offsets = [to, m, words, stride];
      const time = 10 * wordsOf(terms) * count;
      return run("decaysCombine", time, ...offsets, ...decays(terms), ring, drop, count, ...lists(terms));
    },
    coarseAccumulate(to, m, fields, bits, shape, first, segments, count) {
      const time = count * 2 ** shape.width;
      return run("coarseAccumulate", time, to, m, fields, bits, ...coarse(shape), first, count, segments);
    },
    suffixSum: (to, rows, length) => run("suffixSum", rows * length, to, rows, length),
    timesBit: (to, b, x, mask, share, product, first, count) =>
      run("timesBit", 3 * count, to, b, x, mask, share, product, Number(first), count),
    toArithmetic: (to, b, share, first, count) => run("toArithmetic", count, to, b, share, Number(first), count),
  };
}
