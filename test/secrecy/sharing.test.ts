/**
 * Protects: what an owner gives to P1 and P2 is hidden. Every word is its number plus a mask of either seed, whatever
 * the value's length; no two words have one mask; and a number that the ring cannot hold is an error of the owner's,
 * not another number.
 */
import { describe, expect, it } from "vitest";
import { receiveOutputs, shareInputs } from "../../client/client.js";
import { type Seeds, Sharer } from "../../client/sharing.js";
import { PumacError } from "../../ir/diagnostics.js";
import { encodeControl } from "../../runtime/control.js";
import { loadKernels } from "../../runtime/kernels/load.js";
import { MeteredTransport } from "../../runtime/measurement.js";
import type { PeerName, Transport } from "../../runtime/transport.js";
import type { InputLayout } from "../../runtime/weight-store.js";

/** More than the words that are masked at a time, twice, and not a whole number of those. */
const LONG = 2 * 2 ** 15 + 40;

const seedsOf = (first: number, second: number): Seeds => ({
  first: new Uint8Array(16).fill(first),
  second: new Uint8Array(16).fill(second),
});

function layoutOf(elements: number, more: Partial<InputLayout> = {}): InputLayout {
  const { ring = 64 } = more;
  const packedBytes = Math.ceil((elements * ring) / 8);
  return { owner: "data", name: "x", ring, fraction: 4, shape: [elements], elements, block: 8, packedBytes, ...more };
}

const numbers = (count: number): Float64Array => Float64Array.from({ length: count }, (_, i) => (i % 2001) - 1000);
const value = (data: Float64Array) => ({ dtype: "f32" as const, shape: [data.length], data });
const words = (bytes: Uint8Array): BigInt64Array => new BigInt64Array(bytes.slice().buffer);

async function sharing<T>(use: (sharer: Sharer) => Promise<T>): Promise<T> {
  const sharer = new Sharer(loadKernels().create);
  try {
    return await use(sharer);
  } finally {
    sharer.close();
  }
}

/** The masks of a value's words: what is given, less the number. */
async function masks(layout: InputLayout, seeds: Seeds): Promise<bigint[]> {
  const data = numbers(layout.elements);
  const masked = words(await sharing((sharer) => sharer.mask(layout, value(data), seeds)));
  return [...masked].map((word, i) => BigInt.asIntN(64, word - BigInt(data[i] * 16)));
}

describe("an owner's masks", () => {
  it("are on every word, and on no two words the same", async () => {
    const all = await masks(layoutOf(LONG), seedsOf(1, 2));
    expect(all.length).toBe(LONG);
    expect(all).not.toContain(0n);
    expect(new Set(all).size).toBe(LONG);
  });

  it("are of both seeds: neither P1, which has one, nor P2 can take them away", async () => {
    const [both, first, second, none] = await Promise.all(
      [seedsOf(1, 2), seedsOf(1, 9), seedsOf(9, 2), seedsOf(9, 9)].map((seeds) => masks(layoutOf(16), seeds)),
    );
    both.forEach((mask, i) => {
      // Each seed has its own part, once: (1, 2) = (1, 9) + (9, 2) − (9, 9).
      expect(BigInt.asIntN(64, first[i] + second[i] - none[i])).toBe(mask);
      expect([first[i], second[i]]).not.toContain(mask);
    });
  });

  it("stand at the positions that the plan gives them, as far as the value goes", async () => {
    const all = await masks(layoutOf(LONG), seedsOf(1, 2));
    const start = LONG - 40;
    const last = await masks(layoutOf(40, { block: 8 + start / 2 }), seedsOf(1, 2));
    expect(last).toEqual(all.slice(start));
    expect(await masks(layoutOf(40, { block: 9 }), seedsOf(1, 2))).toEqual(all.slice(2, 42));
  });

  it("are not on what is public", async () => {
    const data = numbers(LONG);
    const plain = await sharing((sharer) => sharer.mask(layoutOf(LONG), value(data), undefined));
    expect(words(plain)).toEqual(BigInt64Array.from(data, (x) => BigInt(x * 16)));
  });
});

describe("what comes back", () => {
  it("is the sum of two shares, of any length", async () => {
    const data = numbers(LONG);
    const type = { ring: 40, fraction: 4 };
    const packed = (all: readonly bigint[]): Uint8Array => {
      const bytes = new Uint8Array(all.length * 5 + 3);
      const view = new DataView(bytes.buffer);
      all.forEach((word, i) => {
        view.setUint32(i * 5, Number(word & 0xffffffffn), true);
        view.setUint8(i * 5 + 4, Number((word >> 32n) & 0xffn));
      });
      return bytes.slice(0, all.length * 5);
    };
    const one = Array.from(data, (_, i) => BigInt.asUintN(40, BigInt(i) * 987654321987n));
    const other = one.map((word, i) => BigInt.asUintN(40, BigInt(data[i] * 16) - word));
    const opened = await sharing((sharer) => sharer.open(packed(one), packed(other), type, LONG));
    expect(opened).toEqual(data);
  });
});

describe("a number that its ring cannot hold", () => {
  const refused = (data: Float64Array, more: Partial<InputLayout> = {}): Promise<string> =>
    sharing((sharer) => sharer.check(layoutOf(LONG, { ring: 12, fraction: 4, ...more }), value(data))).then(
      () => "",
      (error: unknown) => {
        const [{ code, what, where, why, fix }] = (error as PumacError).diagnostics;
        expect(error).toBeInstanceOf(PumacError);
        return [code, where, what, why, fix].join("; ");
      },
    );
  const last = (x: number): Float64Array => Float64Array.from({ length: LONG }, (_, i) => (i === LONG - 1 ? x : 1));

  it("is refused with the bound, the last one that it holds is not", async () => {
    expect(await refused(last(127.9))).toBe("");
    expect(await refused(last(-128))).toBe("");
    expect(await refused(last(128))).toBe(
      "E0202; x; a value is larger than the plan allows; the plan holds it in 12 bits with 4 fractional bits: " +
        "less than 128 in magnitude; compile with calibration inputs like this one",
    );
    expect(await refused(last(-128.1), { owner: "model" })).toMatch(/compile the plan from these weights$/);
  });

  it("is refused where it is none, and a value of another size", async () => {
    expect(await refused(last(Number.NaN))).toMatch(/a value is not finite/);
    expect(await refused(last(Number.POSITIVE_INFINITY))).toMatch(/a value is not finite/);
    expect(await refused(new Float64Array(LONG - 1))).toMatch(
      new RegExp(`^E0202; x; a value of ${LONG - 1} elements, not ${LONG}; .*give a value of the plan's shape$`),
    );
  });
});

/** A link whose other ends say what is given, in turn, and note what they hear. */
function scripted(said: Partial<Record<PeerName, readonly Uint8Array[]>>) {
  const heard: Partial<Record<PeerName, Uint8Array[]>> = {};
  const left = new Map(Object.entries(said).map(([peer, frames]) => [peer, [...frames]]));
  const transport: Transport = {
    self: "data",
    send: async (to, frame) => {
      heard[to] = [...(heard[to] ?? []), Uint8Array.from(frame)];
    },
    receive: async (from) => left.get(from)!.shift()!,
  };
  return { heard, transport };
}

describe("what a data owner sends", () => {
  it("is a seed to each evaluator, both to P0; words that are masked, but for public ones", async () => {
    const accepted = encodeControl({ accepted: true });
    const { heard, transport } = scripted({ P0: [accepted], P1: [accepted], P2: [accepted] });
    const data = numbers(16);
    const random = (count: number): Uint8Array => new Uint8Array(count).fill(seed++);
    let seed = 1;
    const shown = layoutOf(16, { owner: "public", name: "mask" });
    const report = await sharing((sharer) =>
      shareInputs(new MeteredTransport(transport), {
        ...{ owner: "data", plan: "00", weights: "aa", layouts: [layoutOf(16)], publicLayouts: [shown] },
        ...{ values: () => value(data), sharer, random },
      }),
    );
    const [offer, both] = heard.P0!;
    expect(heard.P0!.length).toBe(2);
    expect(JSON.parse(Buffer.from(offer).toString())).toMatchObject({ plan: "00", weights: "aa" });
    expect([heard.P1![1], heard.P2![1]]).toEqual([both.slice(0, 16), both.slice(16)]);
    expect(both.slice(0, 16)).not.toEqual(both.slice(16));
    const seeds = { first: both.slice(0, 16), second: both.slice(16) };
    const masked = await sharing((sharer) => sharer.mask(layoutOf(16), value(data), seeds));
    const plain = new Uint8Array(BigInt64Array.from(data, (x) => BigInt(x * 16)).buffer);
    for (const evaluator of [heard.P1!, heard.P2!]) {
      expect(evaluator.slice(2).map((frame) => [...frame])).toEqual([[...masked], [...plain]]);
    }
    expect(masked).not.toEqual(plain);
    expect(report.sent).toEqual({ P0: 32, P1: 16 + 256, P2: 16 + 256 });
  });
});

describe("an answer", () => {
  const y = { name: "y", ring: 8, fraction: 4, shape: [2], elements: 2 };
  const verdict = { name: undefined, ring: 1, fraction: 0, shape: [40], elements: 40 };
  const bits = (last: number) => Uint8Array.of(1, 2, 3, 4, last);
  /** Words of 8 bits, as if P2's were zero, and a verdict of 40 bits. */
  const received = (of: readonly number[], reveals: readonly (typeof y | typeof verdict)[], other = 5) => {
    const guard = reveals.length > 1;
    const one = [Uint8Array.from(of), ...(guard ? [bits(5)] : [])];
    const { transport } = scripted({ P1: one, P2: [new Uint8Array(of.length), ...(guard ? [bits(other)] : [])] });
    return sharing((sharer) => receiveOutputs(transport, reveals, sharer));
  };

  it("is one where both evaluators' verdicts are one, and none where a bit differs", async () => {
    const { alarm, outputs } = await received([16, -16], [y, verdict]);
    expect(alarm).toBe(false);
    expect([...outputs.keys()]).toEqual(["y"]);
    expect(outputs.get("y")!.data).toEqual(Float64Array.of(1, -1));
    expect((await received([16, -16], [y, verdict], 4)).alarm).toBe(true);
  });

  it("is none beyond three eighths of its ring, where the plan has a guard", async () => {
    expect((await received([96, -96], [y, verdict])).alarm).toBe(false);
    expect((await received([16, 97], [y, verdict])).alarm).toBe(true);
    expect((await received([-97, 16], [y, verdict])).alarm).toBe(true);
    expect((await received([16, 97], [y])).alarm).toBe(false);
  });

  it("is refused in another length", async () => {
    for (const of of [[1], [1, 2, 3]]) {
      await expect(received(of, [y])).rejects.toThrow(/a share of 'y' has the wrong length/);
    }
  });
});
