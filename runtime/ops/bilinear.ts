/**
 * Roles of the products of two masked values, and of sums of such products. With x = m_x - mask1_x - mask2_x,
 *   xy = (s1 + s2) / 2 - (mask1_x - mask2_x)(mask1_y - mask2_y),   si = (m_x - 2 maski_x)(m_y - 2 maski_y)
 * so that each party multiplies once: P1 s1, P2 s2, and P0, which knows both masks in full, the last product. It deals
 * it: P1 takes its half from the k01 stream, P2 receives the difference. s1 and s2 are computed modulo 2^(k + 1), from
 * m modulo 2^k as both know it, and are both odd or both even, as m_x m_y is: P1 takes its s1 / 2 rounded up, P2 its
 * s2 / 2 rounded down, which together are exact. In a ring of all 64 bits there is no bit to halve:
 *   P1: m_x (m_y - mask1_y) - mask1_x m_y + half1        P2: -m_x mask2_y - mask2_x m_y + half2
 * and P0 deals the product of the masks.
 *
 * Of a result in a ring of k bits `drop` = s more are computed and dropped: P1 shifts its share by s, P2 shifts its own
 * products and receives the half already shifted, k bits. The shares' sum wraps at 2^(k + s), which is nothing modulo
 * 2^k after the shift; three roundings down are centred by 3/2 of a unit, at P1.
 * Safe: what P2 receives is masked by a stream that it does not have, or is the high bits of that; P0 receives nothing.
 * (PROTOCOL.md, bilinear.)
 */
import type { Attributes } from "../../ir/graph.js";
import { sameShape } from "../../ir/shape.js";
import { isHalved, matrixShape, pairsOf } from "../../ir/share/bilinear.js";
import { broadcastShape } from "../../ir/share/rules.js";
import type { WordType } from "../../ir/share/types.js";
import { sizeOf } from "../../ir/tensor/value.js";
import type { Factor, MatrixProduct, ProductMode, Work } from "../kernels/interface.js";
import type { PartyName } from "../transport.js";
import { openInput, openMatrix } from "./inputs.js";
import {
  addDealtWords,
  broadcastTo,
  centreOf,
  countOf,
  dealWords,
  factorAt,
  type LocalRoles,
  type Phase,
  type Placed,
  type RoleContext,
  type RoleStep,
  ringOf,
  second,
  shorten,
} from "./role.js";

/** An argument's two components, ready for the kernel. */
interface Operand {
  readonly first: number;
  readonly second: number;
}

/** A product as the kernel takes it: its arguments made fit, and the kernel. */
interface Part {
  readonly x: Operand;
  readonly y: Operand;
  readonly apply: (to: number, mode: ProductMode, a: Factor, b: Factor) => Work;
  /** The same for the party's own factor of y, where that is a matrix whose words are made as they are multiplied. */
  readonly applyMasked?: (to: number, mode: ProductMode, a: Factor) => Work;
}

/** One product as the roles use it. */
interface Product {
  /** Words of the product before a selection of outputs. */
  readonly count: number;
  /** What is summed: one part, or, where a matrix is read as it is multiplied, one for each block of its rows. */
  readonly parts: readonly (() => Part | Promise<Part>)[];
}

type Prepare = (context: RoleContext, step: RoleStep, pair: readonly [Placed, Placed]) => Promise<Product>;

async function operand(context: RoleContext, value: Placed, shape: readonly number[]): Promise<Operand> {
  return {
    first: await broadcastTo(context, value.offset, value.type.shape, shape, 8),
    second: await broadcastTo(context, second(value), value.type.shape, shape, 8),
  };
}

const multiply: Prepare = async (context, step, pair) => {
  const x = await operand(context, pair[0], step.type.shape);
  const y = await operand(context, pair[1], step.type.shape);
  const apply: Part["apply"] = (to, mode, a, b) => context.kernels.multiply(to, mode, a, b, countOf(step));
  return { count: countOf(step), parts: [() => ({ x, y, apply })] };
};

const dot: Prepare = async (context, step, pair) => {
  const shape = broadcastShape(pair[0].type.shape, pair[1].type.shape);
  const [x, y] = [await operand(context, pair[0], shape), await operand(context, pair[1], shape)];
  const apply: Part["apply"] = (to, mode, a, b) =>
    context.kernels.dot(to, mode, a, b, countOf(step), shape[shape.length - 1]);
  return { count: countOf(step), parts: [() => ({ x, y, apply })] };
};

/** The matrices of an argument: one for the whole batch, or one for each product, copied out if it must be. */
async function matrices(context: RoleContext, value: Placed, batch: readonly number[]): Promise<Operand> {
  const { shape } = value.type;
  const single = sizeOf(shape.slice(0, -2)) === 1;
  const target = single ? shape : [...batch, ...shape.slice(-2)];
  const same = single || sameShape(shape.slice(0, -2), batch);
  return operand(context, value, same ? shape : target);
}

const matmul: Prepare = async (context, step, pair) => {
  const [left, right] = pair.map((value) => value.type.shape);
  const { batch, rows, inner, columns } = matrixShape(left, right);
  const count = sizeOf(batch);
  const x = await matrices(context, pair[0], batch);
  const repeatsLeft = sizeOf(left.slice(0, -2)) === 1;
  const repeatsRight = sizeOf(right.slice(0, -2)) === 1;
  // One right matrix for all: the batch's rows are the rows of one product.
  const merged = repeatsRight && !repeatsLeft;
  // Where products are halved they are one bit longer.
  const ring = ringOf(step) + dropOf(step) + (halves(step) ? 1 : 0);
  const shape: MatrixShape = {
    batch: merged ? 1 : count,
    aStride: merged || repeatsLeft ? 0 : rows * inner,
    bStride: repeatsRight ? 0 : inner * columns,
    ...{ rows: merged ? count * rows : rows, inner, columns, ring, aRow: inner },
  };
  const { streamed } = pair[1];
  if (streamed !== undefined) {
    const parts = halves(step) ? madeInBlocks : readInBlocks;
    return { count: count * rows * columns, parts: await parts(context, step, x, shape, streamed) };
  }
  const y = await matrices(context, pair[1], batch);
  const apply: Part["apply"] = (to, mode, a, b) => context.kernels.matmul(to, { ...shape, mode, a, b });
  return { count: count * rows * columns, parts: [() => ({ x, y, apply })] };
};

type MatrixShape = Omit<MatrixProduct, "mode" | "a" | "b">;

/** The parts of a product for an input's matrix that has no place, in blocks of its rows. */
type InBlocks = (
  context: RoleContext,
  step: RoleStep,
  x: Operand,
  shape: MatrixShape,
  streamed: Attributes,
) => Promise<Product["parts"]>;

/** x from a column on. */
function columnsFrom(x: Operand, from: number): Operand {
  return { first: x.first + 8 * from, second: x.second + 8 * from };
}

function noPlace(): never {
  throw new Error("this matrix has no place: its words are made where they are multiplied");
}

function blocksOf(inner: number, depth: number, block: (from: number, some: number) => Part | Promise<Part>) {
  const blocks = Array.from({ length: Math.ceil(inner / depth) }, (_, i) => i * depth);
  return blocks.map((from) => () => block(from, Math.min(depth, inner - from)));
}

/** The words stay packed, and are unpacked and masked where they are multiplied. */
const madeInBlocks: InBlocks = async (context, step, x, { inner, columns, ...shape }, streamed) => {
  const depth = Math.min(inner, depthOf(columns, WORDS_MADE, MOST_MADE));
  const size = { elements: inner * columns, most: depth * columns, ring: ringOf(step) + dropOf(step) };
  const read = await openMatrix(context, streamed, size);
  return blocksOf(inner, depth, (from, some) => {
    const b = read({ from: from * columns, count: some * columns });
    const applyMasked: Part["applyMasked"] = (to, mode, a) =>
      context.kernels.matmulMasked(to, { ...shape, columns, mode, a, inner: some }, b);
    const left = columnsFrom(x, from);
    return { x: left, y: left, apply: noPlace, applyMasked };
  });
};

const readInBlocks: InBlocks = async (context, _step, x, { inner, ...shape }, streamed) => {
  const { columns } = shape;
  const depth = Math.min(inner, depthOf(columns, WORDS_READ, MOST_READ));
  const y = { first: context.scratch.take(8 * depth * columns), second: context.scratch.take(8 * depth * columns) };
  const read = await openInput(context, streamed, inner * columns);
  return blocksOf(inner, depth, async (from, some) => {
    await read({ from: from * columns, count: some * columns }, y);
    const apply: Part["apply"] = (to, mode, a, b) => context.kernels.matmul(to, { ...shape, mode, a, b, inner: some });
    return { x: columnsFrom(x, from), y, apply };
  });
};

/** Words of a matrix that are read at once: they stay in a cache until they are multiplied. */
const WORDS_READ = 1 << 19;
/** And those that stay packed. */
const WORDS_MADE = 1 << 20;
/** Rows that are read at once, at least and at most. Multiples of eight end on whole bytes. */
const LEAST_DEPTH = 32;
const MOST_READ = 256;
const MOST_MADE = 1024;

/** The rows of a block, for a matrix of so many columns: what the kernel packs at once, or several times that. */
function depthOf(columns: number, words: number, most: number): number {
  const rows = words / Math.max(1, columns);
  const whole = rows >= MOST_READ ? MOST_READ * Math.floor(rows / MOST_READ) : 8 * Math.floor(rows / 8);
  return Math.max(LEAST_DEPTH, Math.min(most, whole));
}

function dropOf({ attributes }: RoleStep): number {
  return attributes.drop as number;
}

function halves({ type, attributes }: RoleStep): boolean {
  return isHalved(type as WordType, attributes);
}

/** Runs `fill` on the result's place, or, where only some outputs are kept, on scratch and copies those. */
async function selected(
  { kernels, scratch }: RoleContext,
  step: RoleStep,
  count: number,
  to: number,
  fill: (to: number) => Promise<void>,
): Promise<void> {
  const keep = (step.attributes.keep ?? []) as readonly number[];
  if (keep.length === 0) {
    return fill(to);
  }
  const [left, right] = step.args.map((value) => value.type.shape);
  const size = left[left.length - 2] * right[right.length - 1];
  const all = scratch.take(8 * count);
  await fill(all);
  const indices = new Int32Array(countOf(step));
  for (let i = 0; i < indices.length; i++) {
    indices[i] = Math.floor(i / keep.length) * size + keep[i % keep.length];
  }
  await kernels.take(to, all, 8, indices);
}

/**
 * What a party computes of a part of a product, of `ring` bits. It overwrites a place (`mode` 0) or is added to it;
 * P2's of products that are not halved is always added.
 */
type Term = (part: Part, to: number, mode: 0 | 1, ring: number) => Promise<void>;

/** m less twice the party's mask, on both sides. */
const evaluated: Term = async ({ x, y, apply, applyMasked }, to, mode, ring) => {
  const [a, b] = [x, y].map((each): Factor => ({ at: each.first, other: each.second, sign: -2, ring }));
  await (applyMasked === undefined ? apply(to, mode, a, b) : applyMasked(to, mode, a));
};

const HALVED: Readonly<Record<PartyName, Term>> = {
  P0: async ({ x, y, apply, applyMasked }, to, mode) => {
    const a: Factor = { at: x.second, other: x.first, sign: -1 };
    const b: Factor = { at: y.first, other: y.second, sign: -1 };
    await (applyMasked === undefined ? apply(to, mode, a, b) : applyMasked(to, mode, a));
  },
  P1: evaluated,
  P2: evaluated,
};

const WHOLE: Readonly<Record<PartyName, Term>> = {
  P0: async ({ x, y, apply }, to, mode) => {
    const [a, b] = [x, y].map((each): Factor => ({ at: each.first, other: each.second, sign: 1 }));
    await apply(to, mode, a, b);
  },
  P1: async ({ x, y, apply }, to, mode) => {
    await apply(to, mode, factorAt(x.first), { at: y.first, other: y.second, sign: -1 });
    await apply(to, -1, factorAt(x.second), factorAt(y.first));
  },
  P2: async ({ x, y, apply }, to) => {
    await apply(to, -1, factorAt(x.first), factorAt(y.second));
    await apply(to, -1, factorAt(x.second), factorAt(y.first));
  },
};

function bilinear(prepare: Prepare): LocalRoles {
  /** The party's part of all products, at a place. */
  const sum = async (context: RoleContext, step: RoleStep, offset: number) => {
    const products: Product[] = [];
    for (const pair of pairsOf(step.args)) {
      products.push(await prepare(context, step, pair));
    }
    const { count } = products[0];
    await selected(context, step, count, offset, async (to) => {
      const terms = halves(step) ? HALVED : WHOLE;
      if (context.party === "P2" && terms === WHOLE) {
        await context.kernels.zero(to, 8 * count);
      }
      const parts = products.flatMap((product) => product.parts);
      for (const [i, part] of parts.entries()) {
        await terms[context.party](await part(), to, i === 0 ? 0 : 1, ringOf(step) + dropOf(step));
      }
    });
  };
  return {
    P0: async (context, step) => {
      const words = context.scratch.take(8 * countOf(step));
      await sum(context, step, words);
      await dealWords(context, step.blocks[0], words, countOf(step), ringOf(step), dropOf(step));
    },
    P1: async (context, step) => {
      const [drop, ring, half] = [dropOf(step), ringOf(step) + dropOf(step), halves(step) ? 1 : 0];
      await sum(context, step, step.offset);
      await shorten(context, step, ring + half, half, 1n);
      await context.kernels.addStream(context.key("01"), step.blocks[0], step.offset, countOf(step));
      await shorten(context, step, ring, drop, centreOf(drop));
    },
    P2: async (context, step) => {
      const [drop, ring, half] = [dropOf(step), ringOf(step) + dropOf(step), halves(step) ? 1 : 0];
      await sum(context, step, step.offset);
      await shorten(context, step, ring + half, drop + half, 0n);
      await addDealtWords(context, step.offset, countOf(step), ringOf(step));
    },
  };
}

/** Each evaluator multiplies its share by the public m. Local; P0 holds nothing of an additive value. */
const timesPublic: Phase = async (context, step) => {
  const [x, y] = step.args;
  const factor = await broadcastTo(context, y.offset, y.type.shape, step.type.shape, 8);
  await context.kernels.multiply(step.offset, 0, factorAt(x.offset), factorAt(factor), countOf(step));
};

export const BILINEAR_ROLES = {
  multiply: bilinear(multiply),
  timesPublic: { P1: timesPublic, P2: timesPublic },
  matmul: bilinear(matmul),
  dot: bilinear(dot),
} as const satisfies Record<string, LocalRoles>;
