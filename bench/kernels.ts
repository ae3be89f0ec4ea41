/**
 * How fast the kernels are on this machine: multiply-adds, stream bytes and words a second, on one thread and on all,
 * beside their TypeScript twins. `npm run bench:kernels`. Best of several runs, because machines are shared.
 */
import { randomFillSync } from "node:crypto";
import { cosineQuarter } from "../ir/share/tables.js";
import type { Kernels, Work } from "../runtime/kernels/interface.js";
import { type NativeModule, openNative, type Tier } from "../runtime/kernels/native.js";
import { createPortableKernels } from "../runtime/kernels/portable.js";

const ARENA = 2 ** 28;
const [A, B, C, D, TABLE] = [0, 2 ** 26, 2 ** 27, 3 * 2 ** 26, ARENA - 2 ** 20];
/** Real numbers near 1. */
const REALS = TABLE - 2 ** 24;

interface Measurement {
  readonly name: string;
  readonly unit: "GMAC/s" | "GB/s" | "M/s";
  /** Units (multiply-adds, bytes, elements) of one call. */
  readonly amount: number;
  readonly run: (kernels: Kernels) => Work;
  /** A fraction of the work for the twin, which is a hundred times slower. */
  readonly small?: { readonly amount: number; readonly run: (kernels: Kernels) => Work };
}

function matrix(batch: number, rows: number, inner: number, columns: number, ring: number): (kernels: Kernels) => Work {
  const factor = (at: number) => ({ at, other: 0, sign: 0 as const });
  const strides = { aStride: rows * inner, bStride: inner * columns };
  const product = { mode: 0, a: factor(A), b: factor(B), batch, ...strides, rows, inner, columns, ring } as const;
  return (kernels) => kernels.matmul(C, product);
}

function product(batch: number, rows: number, inner: number, columns: number, ring = 64): Measurement {
  const of = ring <= 32 ? ", 32-bit ring" : "";
  const shape = `${batch === 1 ? "" : `${batch} of `}${rows}x${inner}x${columns}`;
  return {
    name: `matmul ${shape}${of}`,
    unit: "GMAC/s",
    amount: batch * rows * inner * columns,
    run: matrix(batch, rows, inner, columns, ring),
    small: { amount: 16 * 256 * 128, run: matrix(1, 16, 256, 128, ring) },
  };
}

/** A kernel over `count` elements that moves `bytes` for each. */
function loop(name: string, count: number, bytes: number, run: (kernels: Kernels, count: number) => Work): Measurement {
  const part = count / 16;
  const small = { amount: part * bytes, run: (kernels: Kernels) => run(kernels, part) };
  return { name, unit: "GB/s", amount: count * bytes, run: (kernels) => run(kernels, count), small };
}

const FREQUENCIES = Int32Array.of(1, 2, 3, 4, 5, 6);
const DROPS = Int32Array.of(0, 1, 2, 3, 4, 5);
const SERIES = { table: TABLE, tableAngle: 16, angle: 20, frequencies: FREQUENCIES, drops: DROPS };
const COEFFICIENTS = Int32Array.of(9_000_000, -300_000, 80_000, -20_000, 5_000, -1_000);

function series(count: number): Measurement[] {
  const secrets = { ...SERIES, fraction: 14 };
  const combine = { ...SERIES, cosines: COEFFICIENTS, sines: COEFFICIENTS, fraction: 14 };
  const per = { name: "", unit: "M/s", amount: count } as const;
  const small = count / 64;
  return [
    {
      ...per,
      name: "series secrets, 6 frequencies",
      run: (kernels) => kernels.seriesSecrets(C, count, A, B, secrets, count),
      small: { amount: small, run: (kernels) => kernels.seriesSecrets(C, small, A, B, secrets, small) },
    },
    {
      ...per,
      name: "series combine, 6 frequencies",
      run: (kernels) => kernels.seriesCombine(D, A, C, count, combine, count),
      small: { amount: small, run: (kernels) => kernels.seriesCombine(D, A, C, small, combine, small) },
    },
  ];
}

function coarse(count: number): Measurement[] {
  const shape = { ring: 18, width: 5, counter: 8 };
  const accumulate = (n: number) => (kernels: Kernels) =>
    kernels.coarseAccumulate(C, A, B, 8, shape, 0, Int32Array.of(128), n);
  const deal = (n: number) => (kernels: Kernels) => kernels.dealCoarse(0, 0, A, B, n, shape, C);
  const small = count / 64;
  const per = { unit: "M/s", amount: count } as const;
  return [
    { ...per, name: "coarse deal, 32 counters", run: deal(count), small: { amount: small, run: deal(small) } },
    {
      ...per,
      name: "coarse count, rows of 128",
      run: accumulate(count),
      small: { amount: small, run: accumulate(small) },
    },
  ];
}

const WORDS = 2 ** 20;
const LOOK = { ring: 46, at: 10, width: 5, offset: 12345 };
const MEASUREMENTS: readonly Measurement[] = [
  product(1, 128, 768, 768),
  product(1, 128, 768, 3072),
  product(1, 128, 3072, 768),
  product(12, 128, 64, 128),
  product(1, 128, 768, 768, 32),
  product(1, 8, 768, 768),
  product(1, 1, 2048, 2048),
  loop("AES stream, 1 MB", 2 ** 20, 1, (kernels, n) => kernels.fillBytes(0, 0, C, n)),
  loop("AES stream, 16 MB", 2 ** 24, 1, (kernels, n) => kernels.fillBytes(0, 0, C, n)),
  loop("add stream", WORDS, 8, (kernels, n) => kernels.addStream(0, 0, C, n)),
  loop("deal, 46 bits", WORDS, 8, (kernels, n) => kernels.dealWords(0, 0, A, n, 46, 0, C)),
  loop("add", WORDS, 24, (kernels, n) => kernels.add(C, A, B, n)),
  loop("rescale", WORDS, 16, (kernels, n) => kernels.rescale(C, A, 64, 18, -(2n ** 17n), n)),
  loop("encode, 18 of 46 bits", WORDS, 16, (kernels, n) => kernels.encode(C, REALS, n, 18, 46, D)),
  loop("pack 46 bits", WORDS, 8, (kernels, n) => kernels.packWords(A, n, 46, C)),
  loop("unpack 46 bits", WORDS, 8, (kernels, n) => kernels.unpackWords(C, n, 46, D)),
  loop("pack bits", 8 * WORDS, 1, (kernels, n) => kernels.packBits(A, n, C)),
  loop("unpack bits", 8 * WORDS, 1, (kernels, n) => kernels.unpackBits(A, n, C)),
  loop("less, 5-bit digit", WORDS, 13, (kernels, n) => kernels.hotLess(C, A, B, LOOK, n)),
  loop("times bit", WORDS, 41, (kernels, n) => kernels.timesBit(C, TABLE - 2 ** 20, A, B, A, D, true, n)),
  loop("transpose 1024 x 1024", WORDS, 16, (kernels, n) => kernels.view(C, A, 8, [1024, n / 1024], [1, 1024], 0)),
  ...series(2 ** 17),
  ...coarse(2 ** 17),
];

/** Seconds of the best of several runs, at least 0.3 seconds together. */
async function seconds(kernels: Kernels, run: (kernels: Kernels) => Work): Promise<number> {
  let [best, total] = [Number.POSITIVE_INFINITY, 0];
  for (let i = 0; i < 5 || total < 0.3; i++) {
    const start = process.hrtime.bigint();
    await run(kernels);
    const time = Number(process.hrtime.bigint() - start) / 1e9;
    best = Math.min(best, time);
    total += time;
  }
  return best;
}

async function rate(kernels: Kernels, what: Pick<Measurement, "amount" | "run">, unit: string): Promise<number> {
  return what.amount / (await seconds(kernels, what.run)) / (unit === "M/s" ? 1e6 : 1e9);
}

function prepare(kernels: Kernels): Kernels {
  kernels.key(new Uint8Array(16));
  for (let at = 0; at < ARENA; at += 2 ** 26) {
    randomFillSync(new Uint8Array(kernels.arena, at, 2 ** 26));
  }
  new Uint8Array(kernels.arena, TABLE - 2 ** 20, 2 ** 20).fill(1);
  new Int32Array(kernels.arena, TABLE).set(cosineQuarter(18));
  new Float64Array(kernels.arena, REALS, WORDS).forEach((_, i, reals) => {
    reals[i] = Math.sin(i);
  });
  return kernels;
}

async function compare(module: NativeModule, tier: Tier | undefined): Promise<void> {
  const native = prepare(module.create(ARENA, tier === undefined ? {} : { tier }));
  const portable = prepare(createPortableKernels(ARENA));
  const threads = module.threads();
  const columns = ["1 thread", `${threads} threads`, "TypeScript", "ratio"].map((title) => title.padStart(12)).join("");
  process.stdout.write(`${`${native.name}`.padEnd(36)}${columns}\n`);
  for (const { name, unit, amount, run, small } of MEASUREMENTS) {
    module.threads(1);
    const single = await rate(native, { amount, run }, unit);
    module.threads(threads);
    const all = await rate(native, { amount, run }, unit);
    const twin = await rate(portable, small ?? { amount, run }, unit);
    const numbers = [single, all, twin].map((value) => value.toPrecision(3).padStart(12)).join("");
    process.stdout.write(
      `${`${name} (${unit})`.padEnd(36)}${numbers}${`${(single / twin).toFixed(0)}x`.padStart(12)}\n`,
    );
  }
  native.close();
}

const opened = openNative();
if (typeof opened === "string") {
  process.stderr.write(`${opened}\n`);
  process.exitCode = 1;
} else {
  await compare(
    opened,
    opened.tiers.find((tier) => tier === process.argv[2]),
  );
}
