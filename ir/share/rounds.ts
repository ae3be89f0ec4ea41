/**
 * The openings: the only messages between P1 and P2, one of each opening's kind per round, all openings of a round in
 * one message each way. What is opened is always masked by a fresh draw of both k01 and k02.
 */
import type { Attributes } from "../graph.js";
import { sizeOf } from "../tensor/value.js";
import { additive, bitsOf, integerOf, masked, packedBytes, refuse, sameBound, sameRing, unbounded } from "./rules.js";
import type { OpSpecification, WordType } from "./types.js";

/** New high bits of a value in a larger ring; 0 while rings are unplanned. */
export function gainedBits(from: WordType, to: WordType): number {
  return from.ring === 0 || to.ring === 0 ? 0 : Math.max(0, to.ring - from.ring);
}

/** Bits of x that its square needs beyond x's own ring: a square is right modulo 2^r where x is modulo 2^(r - 1). */
export function squaredBits(x: WordType, result: WordType, attributes: Attributes): number {
  const ring = result.ring === 0 ? 0 : result.ring + (attributes.drop as number);
  return x.ring === 0 ? 0 : Math.max(0, ring - 1 - x.ring);
}

/** Not openings, but made like one: what `widen` would open stays in the shares. */
export const WIDENED = {
  widenAdditive: {
    doc:
      "A masked value as an additive one in a larger ring, for |x| < 2^(k-2) as an integer: exact, without a " +
      "round. P0 " +
      "deals what `widen` does. In a ring that is not larger it is toAdditive. (PROTOCOL.md, widen.)",
    arity: [1, 1],
    attributes: { ring: "integer" },
    ring: "planned",
    reads: "range",
    bound: sameBound,
    infer: ([x], attributes) => {
      refuse(masked(x).ring === 1, "widenAdditive needs a ring of two bits or more");
      return { ...masked(x), kind: "additive", ring: integerOf(attributes, "ring", 0, 64) };
    },
    demand: ([x]) => [masked(x).ring],
    cost: ([x], _attributes, type) => ({
      offline: 2 * packedBytes(sizeOf(x.shape), gainedBits(masked(x), additive(type))),
    }),
    draws: ([x], _attributes, type) =>
      Array.from({ length: gainedBits(masked(x), additive(type)) === 0 ? 0 : 2 }, () => ({
        pair: "01" as const,
        bytes: 8 * sizeOf(x.shape),
      })),
  },
  squares: {
    doc:
      "The sum over the last axis of a masked value's squares, in any ring, without its `drop` lowest bits, for |x| " +
      "< 2^(k-2) as an integer: the ring need hold x, not its square, and no round goes by. P0 deals what `widen` " +
      "does, and the product of the mask with its top bit, k + 1 bits less than the square's each. (PROTOCOL.md, " +
      "squares.)",
    arity: [1, 1],
    attributes: { ring: "integer", drop: "integer" },
    ring: "planned",
    reads: "range",
    bound: unbounded,
    infer: ([x], attributes) => {
      const { ring, fraction, shape } = masked(x);
      refuse(ring === 1, "squares needs a ring of two bits or more");
      refuse(shape.length === 0, "squares needs an axis");
      const drop = integerOf(attributes, "drop", 0, 63);
      const result = integerOf(attributes, "ring", 0, 64 - drop);
      return { kind: "additive", ring: result, fraction: 2 * fraction - drop, shape: shape.slice(0, -1) };
    },
    demand: ([x]) => [masked(x).ring],
    cost: ([x], attributes, type) => {
      const n = sizeOf(x.shape);
      const each = packedBytes(n, squaredBits(masked(x), additive(type), attributes));
      return {
        offline: 3 * each + packedBytes(sizeOf(type.shape), additive(type).ring),
        macs: { P0: 2 * n, P1: 2 * n, P2: 2 * n },
      };
    },
    draws: ([x], attributes, type) => {
      const more = squaredBits(masked(x), additive(type), attributes);
      const each = Array.from({ length: more === 0 ? 0 : 3 }, () => 8 * sizeOf(x.shape));
      return [...each, 8 * sizeOf(type.shape)].map((bytes) => ({ pair: "01" as const, bytes }));
    },
    /** Three halves are cut, as of a product. */
    ulp: (_args, attributes) => (attributes.drop === 0 ? 0 : 1),
  },
} as const satisfies Record<string, OpSpecification>;

export const ROUNDS = {
  remask: {
    doc: "An additive value as a masked one with fresh masks: P1 and P2 exchange a_j + mask_j. One round.",
    arity: [1, 1],
    attributes: {},
    ring: "derived",
    reads: "residues",
    bound: sameBound,
    infer: ([x]) => ({ ...additive(x), kind: "masked" }),
    demand: sameRing,
    cost: ([x]) => ({ online: packedBytes(sizeOf(x.shape), additive(x).ring), depth: 1 }),
    draws: ([x]) => [
      { pair: "01", bytes: 8 * sizeOf(x.shape) },
      { pair: "02", bytes: 8 * sizeOf(x.shape) },
    ],
  },
  remaskBits: {
    doc: "XOR-shared bits as masked bits with fresh masks. One round, one bit each way.",
    arity: [1, 1],
    attributes: {},
    ring: "none",
    reads: "residues",
    bound: unbounded,
    infer: ([x]) => ({ kind: "maskedBits", shape: bitsOf(x, "bits").shape }),
    demand: () => [0],
    cost: ([x]) => ({ online: packedBytes(sizeOf(x.shape), 1), depth: 1 }),
    draws: ([x]) => [
      { pair: "01", bytes: packedBytes(sizeOf(x.shape), 1) },
      { pair: "02", bytes: packedBytes(sizeOf(x.shape), 1) },
    ],
  },
  widen: {
    doc:
      "The same value in a larger ring, for |x| < 2^(k-2) as an integer: opens only the new high bits. One " +
      "round. (PROTOCOL.md, widen.)",
    arity: [1, 1],
    attributes: { ring: "integer" },
    ring: "fixed",
    reads: "declared",
    bound: sameBound,
    infer: ([x], attributes) => {
      const ring = integerOf(attributes, "ring", 1, 64);
      const from = masked(x).ring;
      refuse(from !== 0 && (ring <= from || from < 2), `widen from ring ${from} to ${ring}`);
      return { ...masked(x), ring };
    },
    demand: ([x]) => [masked(x).ring],
    cost: ([x], _attributes, type) => {
      const section = packedBytes(sizeOf(x.shape), gainedBits(masked(x), masked(type)));
      return { offline: 2 * section, online: section, depth: 1 };
    },
    draws: ([x]) => {
      const bytes = 8 * sizeOf(x.shape);
      return [
        { pair: "01", bytes },
        { pair: "01", bytes },
        { pair: "01", bytes },
        { pair: "02", bytes },
      ];
    },
  },
} as const satisfies Record<string, OpSpecification>;

/** Whether an op opens something between P1 and P2, and so adds a round: the ops of this file. */
export function isOpening({ op }: { readonly op: string }): boolean {
  return Object.hasOwn(ROUNDS, op);
}
