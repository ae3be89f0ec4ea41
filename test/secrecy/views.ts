/**
 * What a party sees of a plan, measured: of every bit and every pair of bits of all frames that it receives from the
 * other parties, how often it is one, how often both are alike, over runs with fresh keys. What is hidden by keyed
 * streams, each position once, is uniform whatever the values are: half of the runs have zeros in every input and half
 * ones in every bit, so that a bit that tells them apart stands out too.
 */
import { createHash } from "node:crypto";
import type { Plan } from "../../ir/plan/types.js";
import { elementBytes } from "../../ir/share/index.js";
import { sizeOf } from "../../ir/tensor/value.js";
import type { KernelsFactory } from "../../runtime/kernels/interface.js";
import { recorder, runPlan } from "../share/harness.js";

const RUNS = 64;
/** Of longer views so many bits, spread over all of it: their pairs are all looked at. */
const MOST_BITS = 2048;
/** An even coin is as far from 32 of 64 once in 10^13 times. */
const MOST_OFF = 28;
const ONES = (1n << 64n) - 1n;

function keyOf(run: number): (label: string) => Uint8Array {
  return (label) => createHash("sha256").update(`view ${run} ${label}`).digest().subarray(0, 16);
}

/** The opened words of a plan that uses no place twice, as an evaluator holds them, to the bits of their rings. */
function openedAt({ steps }: Plan, arena: ArrayBuffer): readonly Uint8Array[] {
  const opened = steps.filter(({ op }) => op === "remask" || op === "remaskBits");
  return opened.map(({ type, offsets }) => {
    const bytes = new Uint8Array(arena, offsets.P12, sizeOf(type.shape) * elementBytes(type)).slice();
    if (type.kind === "masked") {
      const words = new BigUint64Array(bytes.buffer);
      words.forEach((word, i) => void words.fill(BigInt.asUintN(type.ring, word), i, i + 1));
    }
    return bytes;
  });
}

/**
 * For every run what an evaluator sees: the frames that it receives from the other parties, one after the other, and
 * what both evaluators' frames open together.
 */
async function viewsOf(
  plan: Plan,
  kernels: KernelsFactory,
  { reusesPlaces = false, cheater }: ViewOptions,
): Promise<ReadonlyMap<string, readonly Uint8Array[]>> {
  const views = new Map<"P1" | "P2", Uint8Array[]>();
  for (const party of ["P1", "P2"] as const) {
    if (cheater === undefined || cheater === party) {
      views.set(party, []);
    }
  }
  for (let run = 0; run < RUNS; run++) {
    const { tap: record, frames } = recorder();
    const tap: typeof record = (from, to, frame) => {
      record(from, to, frame);
      if (from === cheater) {
        frame.fill(CHEATED);
      }
    };
    const word = run % 2 === 0 ? 0n : ONES;
    const values = (_: string, count: number) => new BigUint64Array(count).fill(word);
    const outcome = await runPlan(plan, values, { seed: run, tap, keyOf: keyOf(run), kernels: () => kernels });
    for (const [party, seen] of views) {
      const from = [...frames.keys()].filter((link) => /^P.>/.test(link) && link.endsWith(`>${party}`)).sort();
      const opened = reusesPlaces || cheater !== undefined ? [] : openedAt(plan, outcome.arenas[party]);
      seen.push(Buffer.concat([...from.flatMap((link) => frames.get(link)!), ...opened]));
    }
    outcome.close();
  }
  return views;
}

/** A bit of every run as a number: run i at place i. Bits that never change are the form of frames, and say nothing. */
function columnsOf(views: readonly Uint8Array[]): readonly (readonly [place: number, column: bigint])[] {
  const bits = 8 * views[0].length;
  const step = Math.max(1, Math.floor(bits / MOST_BITS));
  const columns: [number, bigint][] = [];
  for (let bit = 0; bit < bits; bit += step) {
    let column = 0n;
    views.forEach((view, run) => {
      column |= BigInt((view[bit >> 3] >> (bit & 7)) & 1) << BigInt(run);
    });
    if (column !== 0n && column !== ONES) {
      columns.push([bit, column]);
    }
  }
  return columns;
}

function ones(column: bigint): number {
  return onesOf32(Number(column & 0xffffffffn)) + onesOf32(Number(column >> 32n));
}

function onesOf32(word: number): number {
  let x = word - ((word >>> 1) & 0x55555555);
  x = (x & 0x33333333) + ((x >>> 2) & 0x33333333);
  return Math.imul((x + (x >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

export interface ViewOptions {
  /** The plan is a compiler's, whose values lie where others lay before: frames alone are looked at. */
  readonly reusesPlaces?: boolean;
  /** This party fills all that it sends with ones, and its view is looked at, of frames alone. */
  readonly cheater?: "P1" | "P2";
}

/** What a party that cheats sends, in every byte. */
const CHEATED = 0xff;

/**
 * What no uniform view shows: bits, and pairs of bits, that are far too often the same. Also how many were looked at.
 */
export async function unevenIn(plan: Plan, kernels: KernelsFactory, options: ViewOptions = {}) {
  const found: string[] = [];
  let looked = 0;
  for (const [party, views] of await viewsOf(plan, kernels, options)) {
    if (new Set(views.map(({ length }) => length)).size !== 1) {
      found.push(`${party} receives more or less by what the inputs are`);
      continue;
    }
    const columns = columnsOf(views);
    const low = Int32Array.from(columns, ([, column]) => Number(BigInt.asIntN(32, column)));
    const high = Int32Array.from(columns, ([, column]) => Number(column >> 32n) | 0);
    looked += columns.length;
    columns.forEach(([place, column], i) => {
      if (Math.abs(ones(column) - RUNS / 2) > MOST_OFF) {
        found.push(`${party}: bit ${place}`);
      }
      for (let k = 0; k < i; k++) {
        const unlike = onesOf32(low[i] ^ low[k]) + onesOf32(high[i] ^ high[k]);
        if (Math.abs(unlike - RUNS / 2) > MOST_OFF) {
          found.push(`${party}: bits ${columns[k][0]} and ${place}`);
        }
      }
    });
  }
  return { found, looked };
}
