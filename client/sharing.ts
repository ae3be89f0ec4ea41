/**
 * From numbers to shares and back, at the owners. A number becomes the integer nearest to value · 2^fraction in the
 * input's ring, and is hidden as m = integer + λ¹ + λ² with both masks from the owner's own seeds. A revealed value
 * comes back as two additive shares.
 *
 * A number that the ring cannot hold is an error of the owner (E0202), never a silent wrap.
 */
import { fail } from "../ir/diagnostics.js";
import { packedBytes } from "../ir/share/rules.js";
import type { TensorValue } from "../ir/tensor/value.js";
import type { Kernels, KernelsFactory } from "../runtime/kernels/interface.js";
import type { RandomSource } from "../runtime/keys.js";
import type { InputLayout } from "../runtime/weight-store.js";

/** Elements that are masked at a time: a multiple of 8, so that every piece ends on a byte and on a stream block. */
const CHUNK = 1 << 15;
/** After so many elements whoever else has work on this thread has a turn: links have pulses and handshakes to send. */
const PAUSE_AFTER = 8 * CHUNK;
/** The arena holds a chunk of words, then its packed form, then a word that says which element was refused. */
const PACKED_AT = CHUNK * 8;
const REFUSED_AT = CHUNK * 16;
const ARENA_BYTES = REFUSED_AT + 8;

export interface Seeds {
  /** For λ¹, known to P0 and P1. */
  readonly first: Uint8Array;
  /** For λ², known to P0 and P2. */
  readonly second: Uint8Array;
}

/** Two fresh seeds, AES-128 keys. */
export function drawSeeds(random: RandomSource): Seeds {
  return { first: random(16), second: random(16) };
}

/** One owner's sharing, on an arena of its own: one call at a time. */
export class Sharer {
  private readonly kernels: Kernels;
  /** Key handles of the seeds seen so far. */
  private readonly handles = new Map<Seeds, readonly [number, number]>();

  constructor(factory: KernelsFactory) {
    this.kernels = factory(ARENA_BYTES);
  }

  /** Throws E0202 for a value of another size than the plan's, or with a number that its ring cannot hold. */
  async check(layout: InputLayout, value: TensorValue): Promise<void> {
    fits(layout, value);
    for (let start = 0; start < layout.elements; start += CHUNK) {
      await this.encode(layout, value, start, Math.min(CHUNK, layout.elements - start));
    }
  }

  /**
   * The packed masked words of an input, or its words in the clear where there are no seeds. `value` has the layout's
   * shape; its numbers must be in the ring's range (`check`).
   */
  async mask(layout: InputLayout, value: TensorValue, seeds: Seeds | undefined): Promise<Uint8Array> {
    const packed = new Uint8Array(layout.packedBytes);
    let at = 0;
    await this.maskInto(layout, value, seeds, (bytes) => {
      packed.set(bytes, at);
      at += bytes.length;
    });
    return packed;
  }

  /** The same, a piece at a time: each holds until `take` returns. E0202 as `check`, when the number's turn comes. */
  async maskInto(
    layout: InputLayout,
    value: TensorValue,
    seeds: Seeds | undefined,
    take: (bytes: Uint8Array) => void,
  ): Promise<void> {
    const { kernels } = this;
    fits(layout, value);
    const handles = seeds === undefined ? [] : this.handlesOf(seeds);
    for (let start = 0; start < layout.elements; start += CHUNK) {
      const count = Math.min(CHUNK, layout.elements - start);
      const block = layout.block + start / 2;
      if (start % PAUSE_AFTER === 0) {
        await new Promise((resolve) => setImmediate(resolve));
      }
      await this.encode(layout, value, start, count);
      for (const handle of handles) {
        await kernels.addStream(handle, block, 0, count);
      }
      await kernels.packWords(0, count, layout.ring, PACKED_AT);
      take(new Uint8Array(kernels.arena, PACKED_AT, packedBytes(count, layout.ring)));
    }
  }

  /** The numbers that two evaluators' packed additive shares stand for. */
  async open(
    one: Uint8Array,
    other: Uint8Array,
    type: { readonly ring: number; readonly fraction: number },
    count: number,
  ): Promise<Float64Array> {
    const { kernels } = this;
    const result = new Float64Array(count);
    for (let start = 0; start < count; start += CHUNK) {
      const some = Math.min(CHUNK, count - start);
      const from = (start * type.ring) / 8;
      kernels.zero(0, some * 8);
      for (const share of [one, other]) {
        const piece = share.subarray(from, from + packedBytes(some, type.ring));
        new Uint8Array(kernels.arena, PACKED_AT, piece.length).set(piece);
        await kernels.unpackAdd(PACKED_AT, some, type.ring, 0, 0);
      }
      const words = new BigInt64Array(kernels.arena, 0, some);
      const scale = 2 ** -type.fraction;
      for (let i = 0; i < some; i++) {
        result[start + i] = Number(BigInt.asIntN(type.ring, words[i])) * scale;
      }
    }
    return result;
  }

  close(): void {
    this.kernels.close();
  }

  private handlesOf(seeds: Seeds): readonly [number, number] {
    const known = this.handles.get(seeds) ?? [this.kernels.key(seeds.first), this.kernels.key(seeds.second)];
    this.handles.set(seeds, known);
    return known;
  }

  /** Writes the integers of a chunk into the arena as words. E0202 where a number is not in the ring's range. */
  private async encode(layout: InputLayout, value: TensorValue, start: number, count: number): Promise<void> {
    const { kernels } = this;
    new Float64Array(kernels.arena, 0, count).set(value.data.subarray(start, start + count));
    await kernels.encode(0, 0, count, layout.fraction, layout.ring, REFUSED_AT);
    const refused = Number(new BigUint64Array(kernels.arena, REFUSED_AT, 1)[0]);
    if (refused < count) {
      throw outOfRange(layout, value.data[start + refused]);
    }
  }
}

function fits({ elements, name }: InputLayout, value: TensorValue): void {
  if (value.data.length !== elements) {
    const what = `a value of ${value.data.length} elements, not ${elements}`;
    throw fail({ code: "E0202", what, where: name, fix: "give a value of the plan's shape" });
  }
}

function outOfRange({ name, owner, ring, fraction }: InputLayout, value: number): Error {
  const what = Number.isFinite(value) ? "a value is larger than the plan allows" : "a value is not finite";
  const bound = 2 ** (ring - 1 - fraction);
  const why = `the plan holds it in ${ring} bits with ${fraction} fractional bits: less than ${bound} in magnitude`;
  const fix =
    owner === "model" ? "compile the plan from these weights" : "compile with calibration inputs like this one";
  return fail({ code: "E0202", what, where: name, why, fix });
}
