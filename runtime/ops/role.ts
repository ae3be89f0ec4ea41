/**
 * What a role is: one party's part of one share op, written against the party's arena, its stream keys and two byte
 * streams (P0's dealing, the round's opening). A family file holds the three roles of an op side by side.
 *
 * An op that opens something has two phases: `prepare` writes the party's contribution into the round's message,
 * `complete` adds the peer's. Whatever `prepare` reads may be gone by `complete`; the result's place belongs to the op
 * from `prepare` on. Work on many elements goes in chunks whose size follows from the step alone, because all parties
 * must cut the dealing alike.
 */
import type { Attributes } from "../../ir/graph.js";
import { broadcastStrides, sameShape } from "../../ir/shape.js";
import { componentBytes, type Pair, type ShareType, type WordType } from "../../ir/share/index.js";
import { packedBytes } from "../../ir/share/rules.js";
import { sizeOf, type TensorValue } from "../../ir/tensor/value.js";
import type { Factor, Kernels } from "../kernels/interface.js";
import type { PartyName } from "../transport.js";

/** A value of the plan as a step sees it: its type and where its first component lies in this party's arena. */
export interface Placed {
  readonly type: ShareType;
  readonly offset: number;
  /** Of an input that has no place, its attributes: it is read where it is multiplied (ir/plan/streamed.ts). */
  readonly streamed?: Attributes;
}

export interface RoleStep extends Placed {
  readonly args: readonly Placed[];
  readonly attributes: Attributes;
  /** The stream block at which each draw of the op starts, in the order of the op's `draws`. */
  readonly blocks: readonly number[];
}

/** Where a section goes to (P0) or comes from (P2). The writer or reader uses the place before it returns. */
export interface Dealing {
  /** P0: appends a section of this many bytes; `write` fills it at the place it is given. */
  write(bytes: number, write: (offset: number) => void | Promise<void>): Promise<void>;
  /** P2: the next section, at a place that holds until the next call. */
  read(bytes: number): Promise<number>;
}

/** The inputs of the owners at this party. Blocks are places in the owner's own streams. */
export interface InputPort {
  /** Key handles of the owner's seeds that this party has, and where the input's masks begin. */
  masks(owner: string, name: string): { readonly first: number; readonly second: number; readonly block: number };
  /** P1, P2: m, packed to the ring's bits or to more, of which the lowest count. For public inputs the value itself. */
  open(owner: string, name: string, elements: number, ring: number): OpenWords | Promise<OpenWords>;
}

/** Packed words, and how many bits each has. */
export interface OpenWords {
  readonly words: Uint8Array;
  readonly bits: number;
  /** Hears which of them were read. */
  readonly forget?: ((words: Uint8Array) => void) | undefined;
}

export interface Scratch {
  /** A place of this many bytes, on a 64-byte boundary, until the step ends. */
  take(bytes: number): number;
}

/** Where the plan's tables lie in the arena: the smallest one that is fine enough. */
export interface Tables {
  cosine(angle: number): { readonly table: number; readonly tableAngle: number };
  power(fraction: number): { readonly table: number; readonly tableFraction: number };
}

export interface RoleContext {
  readonly party: PartyName;
  readonly kernels: Kernels;
  readonly scratch: Scratch;
  readonly dealing: Dealing;
  readonly inputs: InputPort;
  readonly tables: Tables;
  /** The handle of the stream key of a pair that this party belongs to. */
  key(pair: Pair): number;
  /** Writes public integers into the arena as words. */
  constant(value: TensorValue): number;
  /** Words of the arena that are public, to decide by. */
  publicWords(offset: number, count: number): BigUint64Array;
  /** Copies bytes from outside into the arena. */
  load(bytes: Uint8Array, offset: number): void;
  /** Copies what an earlier run kept under this name into the arena; zeros where none did. */
  recall(name: string, offset: number, bytes: number): void;
  /** Keeps bytes of the arena for later runs, once this one has ended well. */
  keep(name: string, offset: number, bytes: number): void;
  /** Sends bytes of the arena to the data owner, in one frame. */
  reveal(offset: number, bytes: number): Promise<void>;
}

export type Phase = (context: RoleContext, step: RoleStep) => void | Promise<void>;

/** An op without a message between P1 and P2. A party without a part has no entry. */
export interface LocalRoles {
  readonly P0?: Phase;
  readonly P1?: Phase;
  readonly P2?: Phase;
}

export type Opening = (context: RoleContext, step: RoleStep, section: number) => void | Promise<void>;

/** An op that opens something: P1 and P2 write a section of the round's message each, and read the other's. */
export interface OpeningRoles {
  /** Bytes of the section. */
  readonly section: (step: RoleStep) => number;
  readonly P0: Phase;
  readonly P1: { readonly prepare: Opening; readonly complete: Opening };
  readonly P2: { readonly prepare: Opening; readonly complete: Opening };
}

export type Roles = LocalRoles | OpeningRoles;

export function isOpening(roles: Roles): roles is OpeningRoles {
  return "section" in roles;
}

/** Number of elements of a value. */
export function countOf(value: { readonly type: ShareType }): number {
  return sizeOf(value.type.shape);
}

/** The ring of a word value. */
export function ringOf(value: { readonly type: ShareType }): number {
  return (value.type as WordType).ring;
}

/** The place of a value's second component: mask2 at P0, the party's mask at P1 and P2. */
export function second(value: Placed): number {
  return value.offset + componentBytes(value.type);
}

/** Chunks hold a multiple of this many elements: a draw's chunk starts on a stream block, a section's on a byte. */
const GRAIN = 128;
const CHUNK_BYTES = 1 << 20;

/** The chunk size for ops that need so many bytes of dealt material per element. */
export function chunkOf(bytesPerElement: number): number {
  return Math.max(GRAIN, Math.floor(CHUNK_BYTES / bytesPerElement / GRAIN) * GRAIN);
}

/** Calls `work` for consecutive runs of at most `size` elements. */
export async function inChunks(
  count: number,
  size: number,
  work: (from: number, count: number) => void | Promise<void>,
): Promise<void> {
  for (let from = 0; from < count; from += size) {
    await work(from, Math.min(size, count - from));
  }
}

/** The words of a place, as a factor of a product. */
export function factorAt(at: number): Factor {
  return { at, other: 0, sign: 0 };
}

/** A place of so many of the same word. */
export async function filled({ kernels, scratch }: RoleContext, word: bigint, count: number): Promise<number> {
  const offset = scratch.take(8 * count);
  await kernels.zero(offset, 8 * count);
  await kernels.addWord(offset, offset, word, count);
  return offset;
}

/** An evaluator's halves of dealt words: so many words of so many bits for each of the draws. */
export async function halvesOf(
  context: RoleContext,
  blocks: readonly number[],
  count: number,
  bits: number,
): Promise<readonly number[]> {
  const { kernels, scratch, key, party } = context;
  const offsets: number[] = [];
  for (const block of blocks) {
    const offset = scratch.take(8 * count);
    await (party === "P1"
      ? kernels.fillWords(key("01"), block, offset, count)
      : readWords(context, offset, count, bits));
    offsets.push(offset);
  }
  return offsets;
}

/** Drops the lowest bits of a party's share of `ring` bits, `offset` being added first. */
export async function shorten(
  { kernels }: RoleContext,
  step: RoleStep,
  ring: number,
  bits: number,
  offset: bigint,
): Promise<void> {
  if (bits > 0) {
    await kernels.rescale(step.offset, step.offset, ring, bits, offset, countOf(step));
  }
}

/** What P1 adds before `drop` bits are dropped of a dealt sum: three roundings down are centred by 3/2 of a unit. */
export function centreOf(drop: number): bigint {
  return drop > 0 ? 3n << BigInt(drop - 1) : 0n;
}

/** The words of a place as if its tensor had been broadcast to `to`: the place itself or a scratch copy. */
export function broadcastTo(
  { kernels, scratch }: RoleContext,
  offset: number,
  from: readonly number[],
  to: readonly number[],
  elementBytes: 1 | 8,
): number | Promise<number> {
  if (sameShape(from, to)) {
    return offset;
  }
  const target = scratch.take(sizeOf(to) * elementBytes);
  const done = kernels.view(target, offset, elementBytes, to, broadcastStrides(from, to), 0);
  return done === undefined ? target : done.then(() => target);
}

/** P0 deals words of its arena: their difference with the k01 stream, without its `drop` lowest bits, goes to P2. */
export function dealWords(
  { kernels, dealing, key }: RoleContext,
  block: number,
  words: number,
  count: number,
  ring: number,
  drop = 0,
): Promise<void> {
  return inChunks(count, chunkOf(8), (from, some) =>
    dealing.write(packedBytes(some, ring), (offset) =>
      kernels.dealWords(key("01"), block + from / 2, words + 8 * from, some, ring, drop, offset),
    ),
  );
}

/** P2's half of dealt words. */
export function readWords({ kernels, dealing }: RoleContext, to: number, count: number, ring: number): Promise<void> {
  return inChunks(count, chunkOf(8), async (from, some) =>
    kernels.unpackWords(await dealing.read(packedBytes(some, ring)), some, ring, to + 8 * from),
  );
}

/** Adds P2's half of dealt words to words. */
export function addDealtWords(
  { kernels, dealing }: RoleContext,
  to: number,
  count: number,
  ring: number,
): Promise<void> {
  return inChunks(count, chunkOf(8), async (from, some) =>
    kernels.unpackAdd(await dealing.read(packedBytes(some, ring)), some, ring, to + 8 * from, 0),
  );
}
