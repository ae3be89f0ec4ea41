/**
 * Products of two masked values. P1 and P2 compute two local products each; P0 computes one, the product of the masks,
 * and deals it: k bits for each OUTPUT element, whatever the length of the sums. (PROTOCOL.md, bilinear; ASTRA.)
 */
import type { Attributes } from "../graph.js";
import { sameShape } from "../shape.js";
import { sizeOf } from "../tensor/value.js";
import { additive, broadcastShape, integersOf, masked, packedBytes, refuse, sameRing, smallestRing } from "./rules.js";
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

function product(args: readonly ShareType[], shape: readonly number[]): WordType {
  const [x, y] = args.map(masked);
  return { kind: "additive", ring: smallestRing(x.ring, y.ring), fraction: x.fraction + y.fraction, shape };
}

/** One dealt element for each output element, and the multiply-adds that the parties spend on it. */
function dealt(type: ShareType, macs: number): Partial<ShareCost> {
  const offline = packedBytes(sizeOf(type.shape), (type as WordType).ring);
  return { offline, macs: { P0: macs, P1: 2 * macs, P2: 2 * macs } };
}

function draws(_args: readonly ShareType[], _attributes: Attributes, type: ShareType): readonly Draw[] {
  return [{ pair: "01", bytes: 8 * sizeOf(type.shape) }];
}

export const BILINEAR = {
  multiply: {
    doc: "The element-wise product of two masked values, broadcast.",
    arity: [2, 2],
    attributes: {},
    infer: ([x, y]) => product([x, y], broadcastShape(x.shape, y.shape)),
    demand: sameRing,
    cost: (_args, _attributes, type) => dealt(type, sizeOf(type.shape)),
    draws,
  },
  timesPublic: {
    doc:
      "An additive value times a public input or constant (mask 0), broadcast to the first: local, every " +
      "party's share times m. P0 has nothing to do. If the second argument were not public the result would be " +
      "wrong, but nothing would leak; a plan in which it is not public is refused.",
    arity: [2, 2],
    attributes: {},
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
    doc:
      "The batched matrix product, numpy's batch broadcast. `keep`, if not empty, lists the flat indices of one " +
      "output matrix that are wanted: only they are dealt, and the result is [batch…, count].",
    arity: [2, 2],
    attributes: { keep: "integers" },
    infer: ([x, y], attributes) => {
      const { batch, rows, columns } = matrixShape(x.shape, y.shape);
      const keep = integersOf(attributes, "keep", 0, rows * columns - 1);
      return product([x, y], keep.length === 0 ? [...batch, rows, columns] : [...batch, keep.length]);
    },
    demand: sameRing,
    cost: ([x, y], _attributes, type) => {
      const { batch, rows, inner, columns } = matrixShape(x.shape, y.shape);
      return dealt(type, sizeOf(batch) * rows * inner * columns);
    },
    draws,
  },
  dot: {
    doc: "The sum over the last axis of the element-wise product, broadcast; the last axis is dropped.",
    arity: [2, 2],
    attributes: {},
    infer: ([x, y]) => {
      const shape = broadcastShape(x.shape, y.shape);
      refuse(shape.length === 0, "dot needs an axis");
      return product([x, y], shape.slice(0, -1));
    },
    demand: sameRing,
    cost: ([x, y], _attributes, type) => dealt(type, sizeOf(broadcastShape(x.shape, y.shape))),
    draws,
  },
} as const satisfies Record<string, OpSpecification>;
