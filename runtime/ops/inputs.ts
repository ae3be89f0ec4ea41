/**
 * What an owner gave, as a party reads it: m, unpacked from the words that came before the run, and masks, made again
 * from the owner's seeds where they are used. P0 knows both seeds, P1 the first, P2 the second; a party learns
 * m = value + fresh masks.
 */
import type { Attributes } from "../../ir/graph.js";
import { packedBytes } from "../../ir/share/rules.js";
import type { MaskedMatrix } from "../kernels/interface.js";
import { chunkOf, inChunks, type RoleContext } from "./role.js";

/** Consecutive elements of an input, from a multiple of eight on. */
interface Some {
  readonly from: number;
  readonly count: number;
}

/** Where a party's two components go to. */
interface Places {
  readonly first: number;
  readonly second: number;
}

type Reader = (some: Some, to: Places) => Promise<void>;

/** Opens an input of so many elements; reads parts of it, as often as is wanted, in the step that opened it. */
export async function openInput(context: RoleContext, attributes: Attributes, elements: number): Promise<Reader> {
  const mask = maskReader(context, attributes);
  if (context.party === "P0") {
    return async (some, to) => {
      await mask("first", some, to.first);
      await mask("second", some, to.second);
    };
  }
  const own = context.party === "P1" ? "first" : "second";
  const open = await openReader(context, attributes, elements);
  return async (some, to) => {
    await open(some, to.first);
    await mask(own, some, to.second);
  };
}

/** Rows of a matrix that is an input, as a product takes them. */
type MatrixReader = (some: Some) => MaskedMatrix;

/**
 * Opens a matrix of so many words for products that are halved (bilinear.ts), `most` of them at a time: the words that
 * came stay packed, and masks are made where they are multiplied. `ring`: bits of m that both evaluators know.
 */
export async function openMatrix(
  context: RoleContext,
  attributes: Attributes,
  { elements, most, ring }: { readonly elements: number; readonly most: number; readonly ring: number },
): Promise<MatrixReader> {
  const { inputs, scratch, party } = context;
  const { owner, name, ring: declared } = attributes as { owner: string; name: string; ring: number };
  const { first, second, block } = inputs.masks(owner, name);
  if (party === "P0") {
    return ({ from }) => ({ fields: undefined, bits: 1, ring, key: first, other: second, block: block + from / 2 });
  }
  const { words, bits, forget } = await inputs.open(owner, name, elements, declared);
  const [fields, key] = [scratch.take(8 * most), party === "P1" ? first : second];
  return ({ from, count }) => {
    const start = (from * bits) / 8;
    const piece = words.subarray(start, start + packedBytes(count, bits));
    context.load(piece, fields);
    forget?.(piece);
    return { fields, bits, ring, key, other: key, block: block + from / 2 };
  };
}

/** Unpacks m, a chunk at a time. */
async function openReader(context: RoleContext, attributes: Attributes, elements: number) {
  const { kernels, scratch, inputs } = context;
  const { owner, name, ring } = attributes as { owner: string; name: string; ring: number };
  const { words, bits, forget } = await inputs.open(owner, name, elements, ring);
  const chunk = Math.min(chunkOf(8), elements);
  const buffer = scratch.take(8 * chunk);
  return ({ from, count }: Some, to: number): Promise<void> =>
    inChunks(count, chunk, async (at, some) => {
      const start = ((from + at) * bits) / 8;
      const piece = words.subarray(start, start + packedBytes(some, bits));
      context.load(piece, buffer);
      forget?.(piece);
      await kernels.unpackWords(buffer, some, bits, to + 8 * at);
    });
}

/** A mask from an owner's seed, or 0 for a public input. */
function maskReader({ kernels, inputs }: RoleContext, attributes: Attributes) {
  const { owner, name } = attributes as { owner: string; name: string };
  if (owner === "public") {
    return async (_which: string, { count }: Some, to: number) => kernels.zero(to, 8 * count);
  }
  const masks = inputs.masks(owner, name);
  return async (which: "first" | "second", { from, count }: Some, to: number) =>
    kernels.fillWords(masks[which], masks.block + from / 2, to, count);
}
