/**
 * What a party holds of an owner's values, the weights of a model or the inputs of a request: seeds and masked words.
 * An owner draws two seeds, gives the first to P0 and P1 and the second to P0 and P2, and the words
 * m = value + λ¹ + λ² to P1 and P2, packed to the bits of each ring. λ¹ and λ² are read from the seeds' AES-128-CTR
 * streams where they are used: each input of the plan has its own place there, which follows from the plan alone.
 */
import type { Step } from "../ir/plan/types.js";
import { packedBytes } from "../ir/share/rules.js";
import { heldBytes } from "../ir/share/types.js";
import { sizeOf } from "../ir/tensor/value.js";

export type Owner = "model" | "data";

/** Where an input comes from: an owner, who shares it, or in the clear from the data owner to P1 and P2. */
export type Source = Owner | "public";

/** An input as the plan declares it, and its place in its owner's streams (of no meaning for a public one). */
export interface InputLayout {
  readonly owner: Source;
  readonly name: string;
  /** Bits of the ring, 1 to 64. */
  readonly ring: number;
  readonly fraction: number;
  readonly shape: readonly number[];
  readonly elements: number;
  /**
   * The 16-byte block of both seeds' streams at which its masks begin; 8 bytes an element, the low `ring` bits
   * count.
   */
  readonly block: number;
  /** The length of its packed masked words. */
  readonly packedBytes: number;
}

/** The inputs of a source in the order of the plan's steps; names are unique there. */
export function inputLayouts(steps: readonly Step[], owner: Source): readonly InputLayout[] {
  const layouts: InputLayout[] = [];
  for (const { op, attributes, draws } of steps) {
    if (op === "input" && attributes.owner === owner) {
      const ring = attributes.ring as number;
      const shape = attributes.shape as readonly number[];
      const elements = sizeOf(shape);
      const packed = packedBytes(elements, ring);
      const fraction = attributes.fraction as number;
      const block = draws[0]?.block ?? 0;
      layouts.push({
        owner,
        name: attributes.name as string,
        ring,
        fraction,
        shape,
        elements,
        block,
        packedBytes: packed,
      });
    }
  }
  return layouts;
}

/** Whether a plan keeps values between runs: its sessions run its programs as often as the data owner asks. */
export function hasState({ steps }: { readonly steps: readonly Step[] }): boolean {
  return steps.some(({ op }) => op === "keep");
}

/** Bytes that a party keeps between the runs of a session. */
export function stateBytes({ steps }: { readonly steps: readonly Step[] }, party: "P0" | "P12"): number {
  return steps.filter(({ op }) => op === "keep").reduce((sum, { type }) => sum + heldBytes(type, party), 0);
}

/** One party's part of one owner's sharing. */
export interface OwnerShares {
  /** The first seed (P0 and P1) and the second (P0 and P2): AES-128 keys, 16 bytes. */
  readonly first: Uint8Array | undefined;
  readonly second: Uint8Array | undefined;
  /** Where an input's masks begin in the seeds' streams, in 16-byte blocks. */
  block(name: string): number;
  /** The packed masked words of an input, at P1 and P2. */
  masked(name: string): Uint8Array | Promise<Uint8Array>;
  /** Hears of words of `masked` that were read and may be forgotten: they can be read again, at a price. */
  forget?(words: Uint8Array): void;
  /** Bits of these words where they are more than the plan's ring: only the ring's count, of words and of masks. */
  ring?(name: string): number;
}

/** The inputs of a session as one party holds them. */
export interface InputShares {
  readonly model: OwnerShares;
  readonly data: OwnerShares;
}
