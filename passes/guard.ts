/**
 * The overflow guard (PROTOCOL.md, "verdict" and "guard"): one secret bit of the whole run, shown to the data owner
 * alone, that says whether some value left the range that its ring was planned for. Wherever a program reads a value's
 * range and not only its residue (`widen`, comparisons) and the range is measured, not certain, P0 deals one short
 * digit of the value's mask, and a look-up at P1 and P2 says whether the value lies within what was accepted: local, no
 * round, nothing opened.
 *
 * With buckets of W = 2^(k−w), the digit difference q of m and the mask, without the borrow, says
 * (q − 1)W < x < (q + 1)W. |q| ≤ n is accepted: every |x| < nW is, and none with |x| ≥ (n + 1)W. n is as large as the
 * reader's limit allows, so that whatever is quiet was read rightly, and w the smallest for which every |x| ≤ A is
 * accepted.
 */
import { Builder, type Graph, type Node } from "../ir/graph.js";
import type { Origin } from "../ir/plan/types.js";
import { ceilLog2 } from "../ir/real.js";
import { SHARE, type ShareType, type WordType } from "../ir/share/index.js";
import { sizeOf } from "../ir/tensor/value.js";

type ShareNode = Node<ShareType>;

/** Bits of the random combination: a value outside is missed with probability 2^-40 in a whole run. */
export const GUARD_BITS = 40;
/** Where the guard's steps come from, in reports. */
export const GUARD: Origin = { node: "overflow guard", op: "guard" };
/** The same, as a share program has it. */
export const GUARD_ORIGIN = `${GUARD.node} (${GUARD.op})`;

/** The part of a measured range, margin included, that a value may take without alarm: twice what was seen. */
export const ACCEPTED = 0.5;

/** A guard's ring is at most so much larger than the reader's: what wraps in it is far outside. */
const SPARE = 2;
const NARROWEST = 3;
const WIDEST = 8;

/** A value whose range is read: the smallest limit of its readers, in units, and the largest of their rings. */
interface Reading {
  readonly limit: number;
  readonly ring: number;
}

/** From which size on a reader of a ring is wrong, in units; undefined for ops that read residues. */
function limitOf(op: string, ring: number): number | undefined {
  switch (op) {
    case "widen":
    case "widenAdditive":
    case "squares":
      return 2 ** (ring - 2);
    case "topBit":
    case "digits":
    case "coarseCount":
      return 2 ** (ring - 1);
    default:
      return undefined;
  }
}

/** The value that a reader reads, before it was cut to the reader's ring. */
function sourceOf(node: ShareNode): ShareNode {
  let source = node.args[0];
  while (source.op === "reduce") {
    source = source.args[0];
  }
  return source;
}

/** How much further than planned a value that is read itself may go where others rely on its range. */
const ENOUGH = 2;

/** Ops whose result has the elements of their arguments. */
const MOVEMENTS: ReadonlySet<string> = new Set(["concatenate", "view", "reshape", "take", "reduce"]);

/** Ops that make words out of a value's digits, under guards of their own, if they need them. */
const SPLITS: ReadonlySet<string> = new Set(["series", "seriesTimes", "exponential", "coarseCount", "decays"]);

/**
 * What is read, value by value. Of a reading of something else, a difference, a product, the values count of which it
 * is made: it is planned for what it may be when they are in their ranges. So it is with a sum of squares: how much
 * too large it may be is known where what is squared is.
 */
function readingsOf(
  graph: Graph<ShareType>,
  accepted: ReadonlyMap<ShareNode, number>,
): ReadonlyMap<ShareNode, Reading> {
  const direct = new Map<ShareNode, Reading>();
  const others = new Map<ShareNode, Reading>();
  const note = (readings: Map<ShareNode, Reading>, source: ShareNode, { limit, ring }: Reading): void => {
    if (source.op === "rescale" && accepted.has(source.args[0])) {
      // One guard for what is the same value, with all the bits that it was opened with.
      const bits = source.attributes.bits as number;
      note(readings, source.args[0], { limit: (limit - 1) * 2 ** bits, ring: ring + bits });
      return;
    }
    const known = readings.get(source) ?? { limit, ring };
    readings.set(source, { limit: Math.min(limit, known.limit), ring: Math.max(ring, known.ring) });
  };
  const seen = new Set<ShareNode>();
  const noteMakings = (node: ShareNode) => {
    const isNew = !seen.has(node);
    seen.add(node);
    const bound = node.type.kind === "masked" ? accepted.get(node) : undefined;
    if (bound !== undefined) {
      const { ring: held, fraction } = node.type as WordType;
      const limit = (bound / ACCEPTED) * 2 ** fraction;
      const ring = ceilLog2(limit) + 1;
      // A value that is used by its residue alone may wrap.
      if (ring <= held) {
        note(others, node, { limit, ring: Math.max(NARROWEST, ring) - SPARE });
      }
    } else if (isNew && !SPLITS.has(node.op)) {
      node.args.filter(({ type }) => "ring" in type).forEach(noteMakings);
    }
  };
  /** What a kept value is made of, without what was kept before: that was looked at when it was new. */
  const noteKept = (node: ShareNode, bound: number): void => {
    const { fraction, ring } = node.type as WordType;
    if (MOVEMENTS.has(node.op)) {
      node.args.forEach((argument) => void noteKept(argument, bound));
    } else if (accepted.has(node)) {
      const limit = (bound / ACCEPTED) * 2 ** fraction;
      note(direct, node, { limit, ring: Math.min(ring, ceilLog2(limit) + 1) });
    }
  };
  for (const node of graph.nodes.filter(({ origin }) => origin !== GUARD_ORIGIN)) {
    const ring = node.args.length > 0 && "ring" in node.args[0].type ? node.args[0].type.ring : 0;
    const limit = limitOf(node.op, ring);
    if (node.op === "keep" && accepted.has(node)) {
      noteKept(node.args[0], accepted.get(node)!);
    } else if (limit !== undefined) {
      const source = sourceOf(node);
      accepted.has(source) ? note(direct, source, { limit, ring }) : noteMakings(source);
    } else if (node.op === "dot" && node.args[0] === node.args[1]) {
      noteMakings(node.args[0]);
    }
  }
  // A guard of what is read itself is enough, unless it lets much more pass.
  const needed = [...others].filter(
    ([node, { limit }]) => (direct.get(node)?.limit ?? Number.POSITIVE_INFINITY) > ENOUGH * limit,
  );
  return new Map([...direct, ...needed]);
}

/**
 * The planned program with a guard on every value of which a range is read; `accepted` says how large values may
 * become without alarm, in reals, of those whose range is not certain. A `verdict` that is there already takes part.
 */
export function guardRanges(graph: Graph<ShareType>, accepted: ReadonlyMap<ShareNode, number>): Graph<ShareType> {
  const readings = readingsOf(graph, accepted);
  const builder = new Builder(SHARE);
  const combined: ShareNode[] = [];
  for (const node of graph.nodes) {
    if (node.op !== "verdict") {
      builder.append(node);
    }
    const reading = readings.get(node);
    if (reading !== undefined) {
      combined.push(combination(builder, outside(builder, node, reading, accepted.get(node)!)));
    }
  }
  const others = graph.outputs.filter(({ node }) => node.op !== "verdict");
  const verdicts = graph.outputs.filter(({ node }) => node.op === "verdict").flatMap(({ node }) => node.args);
  const all = [...verdicts, ...combined];
  if (all.length === 0) {
    return graph;
  }
  const verdict = builder.emit("verdict", all, {}, GUARD_ORIGIN);
  return builder.finish([...others, { name: "verdict", node: verdict }]);
}

/** Bits that are set where a value is not accepted. */
function outside(builder: Builder<ShareType>, source: ShareNode, { limit, ring }: Reading, bound: number): ShareNode {
  const { ring: held, fraction } = source.type as WordType;
  const size = Math.min(held, ring + SPARE);
  // Half of the ring is negative: where no spare bit tells far values apart, a quarter of it must refuse.
  const most = Math.min(limit, 2 ** (size - 1) * 0.75);
  const value = size < held ? builder.emit("reduce", [source], { ring: size }, GUARD_ORIGIN) : source;
  let width = Math.min(NARROWEST, size);
  const largest = (w: number) => Math.floor((bound * 2 ** fraction) / 2 ** (size - w)) + 1;
  while (width < Math.min(WIDEST, size) && (largest(width) + 1) * 2 ** (size - width) > most) {
    width++;
  }
  const buckets = Math.max(1, Math.floor(most / 2 ** (size - width)) - 1);
  const at = size - width;
  const hot = builder.emit("digits", [value], { at, width }, GUARD_ORIGIN);
  const from = 2 ** width - buckets;
  const count = Math.min(2 ** width, 2 * buckets + 1);
  const inside = builder.emit("within", [hot, value], { at, offset: 0, from, count }, GUARD_ORIGIN);
  return builder.emit("complement", [inside], {}, GUARD_ORIGIN);
}

/** The random combination of all bits of a value. */
function combination(builder: Builder<ShareType>, bits: ShareNode): ShareNode {
  const flat = builder.emit("reshape", [bits], { shape: [sizeOf(bits.type.shape)] }, GUARD_ORIGIN);
  return builder.emit("randomCombination", [flat], { bits: GUARD_BITS }, GUARD_ORIGIN);
}
