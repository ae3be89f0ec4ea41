/**
 * Where a test case puts its operands: a growing arena image of random bytes in which a case reserves places, some with
 * required content. Two implementations get the same image, run the same call, and must leave the same arena.
 */
import fc from "fast-check";

/** A function that draws a value of an arbitrary; fast-check shrinks what it drew. */
export type Draw = <T>(arbitrary: fc.Arbitrary<T>) => T;

interface Write {
  readonly at: number;
  readonly bytes: Uint8Array;
}

export class Layout {
  private end = 0;
  private readonly writes: Write[] = [];
  private readonly bitPlaces: { readonly at: number; readonly count: number }[] = [];
  /** Places of words of which only the low `ring` bits are compared. */
  readonly loose: { readonly at: number; readonly count: number; readonly ring: number }[] = [];

  constructor(
    readonly draw: Draw,
    /** Element counts that the cases draw. */
    readonly sizes: fc.Arbitrary<number>,
  ) {}

  integer(min: number, max: number): number {
    return this.draw(fc.integer({ min, max }));
  }

  count(): number {
    return this.draw(this.sizes);
  }

  /** A place of packed bytes, on any byte. */
  bytes(count: number): number {
    const at = this.end + this.integer(0, 9);
    this.end = at + count + this.integer(0, 3);
    return at;
  }

  /** A place of words, on a multiple of 8. */
  words(count: number): number {
    return this.aligned(8 * count);
  }

  /** A place of bits, each a byte 0 or 1. */
  bits(count: number): number {
    const at = this.bytes(count);
    this.bitPlaces.push({ at, count });
    return at;
  }

  /** A place for the result of an element-wise kernel: fresh, or exactly one of the inputs. */
  result(kind: "words" | "bits", count: number, ...inputs: readonly number[]): number {
    const choice = this.integer(0, 2 * inputs.length - 1);
    return inputs[choice] ?? (kind === "words" ? this.words(count) : this.bytes(count));
  }

  /** A place that holds a table. */
  table(values: Int32Array): number {
    const at = this.aligned(values.byteLength);
    this.writes.push({ at, bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength) });
    return at;
  }

  /** A place that holds real numbers, in words. */
  reals(values: Float64Array): number {
    const at = this.words(values.length);
    this.writes.push({ at, bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength) });
    return at;
  }

  /** Bytes of the arena that the case needs. */
  get size(): number {
    return this.end + 64;
  }

  /** Fills an arena of that size: noise, then the required content. */
  fill(arena: Uint8Array, noise: Uint8Array): void {
    arena.set(noise.subarray(0, arena.length));
    for (const { at, count } of this.bitPlaces) {
      for (let i = at; i < at + count; i++) {
        arena[i] &= 1;
      }
    }
    for (const { at, bytes } of this.writes) {
      arena.set(bytes, at);
    }
  }

  private aligned(bytes: number): number {
    const at = Math.ceil(this.end / 8) * 8 + 8 * this.integer(0, 2);
    this.end = at + bytes;
    return at;
  }
}
