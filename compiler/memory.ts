/**
 * Places in the arena: first fit by lifetime, once for P0 and once for P1 and P2 (who hold the same kinds of shares).
 * A value lives from its step to its last use. The openings of a round count as one moment, because all their messages
 * are made before the first of them is complete. Steps whose words are their argument's words (`alias`) share its
 * place: nothing ever writes into a value again. Large inputs that can be read where they are multiplied have no place.
 */

import { streamable } from "../ir/plan/streamed.js";
import type { Offsets } from "../ir/plan/types.js";
import { heldBytes, SHARE } from "../ir/share/index.js";
import { sizeOf } from "../ir/tensor/value.js";
import type { Scheduled } from "./schedule.js";

export interface MemoryPlan {
  /** By step. */
  readonly offsets: readonly Offsets[];
  readonly arena: { readonly P0: number; readonly P12: number };
}

interface Life {
  readonly owner: number;
  bytes: number;
  readonly from: number;
  to: number;
}

/** Elements from which on an input is read where it is multiplied: what is smaller is quicker read at once. */
const LEAST_STREAMED = 1 << 16;

export function planMemory(steps: readonly Scheduled[], args: readonly (readonly number[])[]): MemoryPlan {
  const roots = aliasRoots(steps, args);
  const moments = momentsOf(steps);
  const can = streamable(steps.map(({ node }, i) => ({ ...node, args: args[i] })));
  const held = steps.map(({ node }, i) => !can[i] || sizeOf(node.type.shape) < LEAST_STREAMED);
  const P0 = offsetsFor({ steps, args, roots, moments, held }, "P0");
  const P12 = offsetsFor({ steps, args, roots, moments, held }, "P12");
  return {
    offsets: steps.map((_, i) => ({ P0: P0.offsets[i], P12: P12.offsets[i] })),
    arena: { P0: P0.size, P12: P12.size },
  };
}

/** The step in whose place a step's value lies. */
function aliasRoots(steps: readonly Scheduled[], args: readonly (readonly number[])[]): number[] {
  const roots: number[] = [];
  steps.forEach(({ node }, i) => {
    roots.push(SHARE.ops[node.op].alias ? roots[args[i][0]] : i);
  });
  return roots;
}

/** A clock in which all openings of a round tick together. */
function momentsOf(steps: readonly Scheduled[]): number[] {
  const moments: number[] = [];
  steps.forEach((step, i) => {
    const joined = i > 0 && step.opening && steps[i - 1].opening && steps[i - 1].round === step.round;
    moments.push(i === 0 ? 0 : moments[i - 1] + (joined ? 0 : 1));
  });
  return moments;
}

interface Lifetimes {
  readonly steps: readonly Scheduled[];
  readonly args: readonly (readonly number[])[];
  readonly roots: readonly number[];
  readonly moments: readonly number[];
  /** Whether a step's value has a place. */
  readonly held: readonly boolean[];
}

function offsetsFor(
  { steps, args, roots, moments, held }: Lifetimes,
  party: "P0" | "P12",
): { offsets: number[]; size: number } {
  const lives = new Map<number, Life>();
  steps.forEach(({ node }, i) => {
    const life = lives.get(roots[i]) ?? { owner: i, bytes: 0, from: moments[i], to: moments[i] };
    life.bytes = Math.max(life.bytes, held[i] ? heldBytes(node.type, party) : 0);
    life.to = Math.max(life.to, moments[i]);
    lives.set(roots[i], life);
    for (const argument of args[i]) {
      const used = lives.get(roots[argument])!;
      used.to = Math.max(used.to, moments[i]);
    }
  });
  const placed = firstFit([...lives.values()].filter((life) => life.bytes > 0));
  const offsets = roots.map((root) => placed.offsets.get(root) ?? -1);
  return { offsets, size: placed.size };
}

/** Lives in order of their start, each at the lowest offset that is free for its whole life. */
function firstFit(lives: readonly Life[]): { offsets: Map<number, number>; size: number } {
  const offsets = new Map<number, number>();
  let active: { at: number; end: number; to: number }[] = [];
  let size = 0;
  for (const life of lives) {
    active = active.filter((other) => other.to >= life.from);
    let at = 0;
    let index = 0;
    for (; index < active.length && at + life.bytes > active[index].at; index++) {
      at = Math.max(at, active[index].end);
    }
    active.splice(index, 0, { at, end: at + life.bytes, to: life.to });
    active.sort((a, b) => a.at - b.at);
    offsets.set(life.owner, at);
    size = Math.max(size, at + life.bytes);
  }
  return { offsets, size };
}
