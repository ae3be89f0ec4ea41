/**
 * Products of two masked values, and sums of such products. Each party computes one local product of each pair (P1 and
 * P2 two, where the ring leaves no bit for halves); P0's is of the masks, and it deals the sum: k bits for each OUTPUT
 * element, whatever the length of the sums and however many pairs. `drop` fraction bits of the result are dropped
 * before anything is dealt or opened: each party shifts its own half, in the ring of the k bits that are left.
 * (PROTOCOL.md, bilinear; ASTRA.)
 */
import type { Attributes } from "../graph.js";
import { sameShape } from "../shape.js";
import { sizeOf } from "../tensor/value.js";
import {
  additive,
  broadcastShape,
  integerOf,
  integersOf,
  masked,
  packedBytes,
  refuse,
  sameRing,
  smallestRing,
  unbounded,
} from "./rules.js";
import type { Draw, OpSpecification, ShareCost, ShareType, WordType } from "./types.js";

/** The dimensions of a batched matrix product: a is [batch…, rows, inner], b is [batch…, inner, columns]. */
export interface MatrixShape {
  readonly batch: readonly number[];
  readonly rows: number;
  readonly inner: number;
  readonly columns: number;
}

export function matrixShape(a: readonly number[], b: readonly number[]): MatrixShape {
  refuse(a.length < 2 || b.length < 2, "matmul needs arguments of rank 2 or more");
  const [rows, inner] = a.slice(-2);
  const [second, columns] = b.slice(-2);
  refuse(inner !== second, `matmul of [${a.join(",")}] and [${b.join(",")}]: inner dimensions differ`);
  return { batch: broadcastShape(a.slice(0, -2), b.slice(0, -2)), rows, inner, columns };
}

const WORD_BITS = 64;

/** Pairs of factors that one op sums. */
const MOST_PAIRS = 8;

/** The pairs of factors of a sum of products. */
export function pairsOf<T>(args: readonly T[]): readonly (readonly [T, T])[] {
  refuse(args.length % 2 !== 0, "a sum of products needs pairs of factors");
  return Array.from({ length: args.length / 2 }, (_, i) => [args[2 * i], args[2 * i + 1]] as const);
}

/** The type of a sum of products, from the shape of one product. */
function sumOf(
  args: readonly ShareType[],
  attributes: Attributes,
  shapeOf: (x: ShareType, y: ShareType) => readonly number[],
): WordType {
  const drop = integerOf(attributes, "drop", 0, 63);
  const products = pairsOf(args).map(([x, y]) => ({
    fraction: masked(x).fraction + masked(y).fraction,
    shape: shapeOf(x, y),
  }));
  const [{ fraction, shape }] = products;
  refuse(
    products.some((each) => each.fraction !== fraction || !sameShape(each.shape, shape)),
    "the products of a sum differ in fraction or shape",
  );
  const ring = smallestRing(...args.map((type) => masked(type).ring));
  refuse(ring !== 0 && ring <= drop, `dropping ${drop} bits leaves nothing of ring ${ring}`);
  return { kind: "additive", ring: ring === 0 ? 0 : ring - drop, fraction: fraction - drop, shape };
}

/** Whether the evaluators have a bit more than the result's ring and what is dropped of it, for products to halve. */
export function isHalved({ ring }: WordType, attributes: Attributes): boolean {
  return ring + (attributes.drop as number) < WORD_BITS;
}

/** One dealt element for each output element, and the multiply-adds that the parties spend on all pairs. */
function dealt(
  args: readonly ShareType[],
  attributes: Attributes,
  type: ShareType,
  macsOf: (x: ShareType, y: ShareType) => number,
) {
  const offline = packedBytes(sizeOf(type.shape), (type as WordType).ring);
  const P0 = pairsOf(args).reduce((sum, [x, y]) => sum + macsOf(x, y), 0);
  const evaluator = isHalved(type as WordType, attributes) ? P0 : 2 * P0;
  return { offline, macs: { P0, P1: evaluator, P2: evaluator } } satisfies Partial<ShareCost>;
}

/** What the three ops have in common. */
const SUM = {
  arity: [2, 2 * MOST_PAIRS],
  ring: "derived",
  reads: "residues",
  bound: unbounded,
  demand: (args: readonly ShareType[], attributes: Attributes, ring: number) =>
    args.map(() => ring + (attributes.drop as number)),
  draws: (_args: readonly ShareType[], _attributes: Attributes, type: ShareType): readonly Draw[] => [
    { pair: "01", bytes: 8 * sizeOf(type.shape) },
  ],
  /** Three halves are cut, 3/2 of a unit added: within 1.5 of the exact sum, hence within one of the rounded one. */
  ulp: (_args: readonly ShareType[], attributes: Attributes) => (attributes.drop === 0 ? 0 : 1),
} as const;

export const BILINEAR = {
  multiply: {
    ...SUM,
    doc: "The sum of the element-wise products of pairs of masked values, broadcast, without its `drop` lowest bits.",
    attributes: { drop: "integer" },
    infer: (args, attributes) => sumOf(args, attributes, (x, y) => broadcastShape(x.shape, y.shape)),
    cost: (args, attributes, type) => dealt(args, attributes, type, () => sizeOf(type.shape)),
  },
  timesPublic: {
    doc:
      "An additive value times a public input or constant (mask 0), broadcast to the first: local, every " +
      "party's share times m. P0 has nothing to do. If the second argument were not public the result would be " +
      "wrong, but nothing would leak; a plan in which it is not public is refused.",
    arity: [2, 2],
    attributes: {},
    ring: "derived",
    reads: "residues",
    bound: unbounded,
    infer: ([x, y]) => {
      const ring = smallestRing(additive(x).ring, masked(y).ring);
      const shape = broadcastShape(x.shape, y.shape);
      refuse(!sameShape(shape, x.shape), "timesPublic's second argument does not broadcast to the first");
      return { kind: "additive", ring, fraction: additive(x).fraction + masked(y).fraction, shape };
    },
    demand: sameRing,
    publicArguments: [1],
  },
  matmul: {
    ...SUM,
    doc:
      "The sum of the batched matrix products of pairs, numpy's batch broadcast, without its `drop` lowest bits. " +
      "`keep`, if not empty, lists the flat indices of one output matrix that are wanted: only they are dealt, and " +
      "the result is [batch…, count].",
    attributes: { keep: "integers", drop: "integer" },
    infer: (args, attributes) =>
      sumOf(args, attributes, (x, y) => {
        const { batch, rows, columns } = matrixShape(x.shape, y.shape);
        const keep = integersOf(attributes, "keep", 0, rows * columns - 1);
        return keep.length === 0 ? [...batch, rows, columns] : [...batch, keep.length];
      }),
    cost: (args, attributes, type) =>
      dealt(args, attributes, type, (x, y) => {
        const { batch, rows, inner, columns } = matrixShape(x.shape, y.shape);
        return sizeOf(batch) * rows * inner * columns;
      }),
  },
  dot: {
    ...SUM,
    doc:
      "The sum over the last axis of the element-wise products of pairs, broadcast, without its `drop` lowest bits; " +
      "the last axis is dropped.",
    attributes: { drop: "integer" },
    infer: (args, attributes) =>
      sumOf(args, attributes, (x, y) => {
        const shape = broadcastShape(x.shape, y.shape);
        refuse(shape.length === 0, "dot needs an axis");
        return shape.slice(0, -1);
      }),
    cost: (args, attributes, type) => dealt(args, attributes, type, (x, y) => sizeOf(broadcastShape(x.shape, y.shape))),
  },
} as const satisfies Record<string, OpSpecification>;
