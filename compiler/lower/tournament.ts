/**
 * How many elements a step of a tournament compares with each other, all pairs at once: more of them are fewer steps
 * and more comparisons. The network that the plan is for decides, step by step, by the bytes that reach P2.
 */
import { ceilLog2 } from "../../ir/real.js";
import { MOST_JOINED, maskProducts, subsetsOf } from "../../ir/share/bits.js";
import type { Lowering, ShareNode } from "./context.js";
import { comparisonBits } from "./thresholds.js";

const LARGEST_GROUP = 12;

function halved(count: number): readonly [number, number] {
  return [Math.ceil(count / 2), Math.floor(count / 2)];
}

/** What is compared: differences within ±bound, at `fraction` bits. */
export interface Compared {
  readonly bound: number;
  readonly fraction: number;
  /** Elements that are left of n after a step. */
  readonly leaves: (n: number, group: number) => number;
  /** Values of an element that move on with it: itself, and perhaps its index. */
  readonly values: number;
}

/** Rounds of a step: comparisons are two, the winner's value is another. */
const LEAST_ROUNDS = 3;

/** A step of a tournament. */
export interface Step {
  /** Elements that are compared with each other. */
  readonly group: number;
  /** Whether a winner's bits are joined where they multiply its values; otherwise they are opened before, as one. */
  readonly isJoined: boolean;
}

/**
 * Masked bits that must all be set for an element to win, from those of its comparisons; all elements have as many. No
 * round, or one or two, in which `open` opens conjunctions.
 */
export function winningBits(
  lowering: Lowering,
  elements: readonly (readonly ShareNode[])[],
  isJoined: boolean,
  open: (bits: readonly ShareNode[]) => readonly ShareNode[],
): readonly (readonly ShareNode[])[] {
  const [{ length }] = elements;
  if (length <= (isJoined ? MOST_JOINED : 1)) {
    return elements;
  }
  const parts = elements.flatMap((bits) => (length <= MOST_JOINED ? [bits] : inHalves(bits)));
  const opened = open(parts.map((part) => lowering.emit("conjunction", part)));
  const each = parts.length / elements.length;
  const left = elements.map((_, i) => opened.slice(i * each, (i + 1) * each));
  return winningBits(lowering, left, isJoined, open);
}

function inHalves<T>(all: readonly T[]): readonly (readonly T[])[] {
  const [first] = halved(all.length);
  return [all.slice(0, first), all.slice(first)];
}

/** A value where all bits are set, 0 elsewhere: additive. */
export function whereAll(lowering: Lowering, bits: readonly ShareNode[], x: ShareNode): ShareNode {
  return lowering.emit(bits.length === 1 ? "timesBit" : "timesBits", [...bits, x]);
}

/** A winner for each whole group is left, and who had none. */
export function withRest(n: number, group: number): number {
  return Math.floor(n / group) + (n % group);
}

export interface TournamentPlan {
  readonly seconds: number;
  /** The first step first. */
  readonly steps: readonly Step[];
}

/** The fastest tournament of n elements in each of `rows` rows. */
export function tournamentPlan(lowering: Lowering, n: number, rows: number, compared: Compared): TournamentPlan {
  const known = new Map<number, TournamentPlan>([[1, { seconds: 0, steps: [] }]]);
  const best = (left: number): TournamentPlan => {
    const done = known.get(left);
    if (done !== undefined) {
      return done;
    }
    const sizes = Array.from({ length: LARGEST_GROUP - 1 }, (_, i) => i + 2).filter((group) => group <= left);
    const steps = sizes.flatMap((group) => [false, true].map((isJoined): Step => ({ group, isJoined })));
    const plans = steps.map((step) => {
      const rest = best(compared.leaves(left, step.group));
      const bytes = rows * Math.ceil(left / step.group) * groupBytes(step, compared);
      return {
        seconds:
          rest.seconds + lowering.seconds(LEAST_ROUNDS + winnerForm(step.group - 1, step.isJoined).rounds, bytes),
        steps: [step, ...rest.steps],
      };
    });
    const least = plans.reduce((a, b) => (b.seconds < a.seconds ? b : a));
    known.set(left, least);
    return least;
  };
  return best(n);
}

/** Bytes to P2 of one group: its comparisons, its winners' bits, and the winner's value times them. */
function groupBytes({ group, isJoined }: Step, { bound, fraction, values }: Compared): number {
  const pairs = (group * (group - 1)) / 2;
  const opponents = group - 1;
  const ring = fraction + ceilLog2(Math.max(bound, 1)) + 2;
  const { opened, left } = winnerForm(opponents, isJoined);
  const times = 2 * maskProducts(left) * values * ring;
  return (pairs * comparisonBits(bound, fraction) + opponents * (opened + times) + values * ring) / 8;
}

interface WinnerForm {
  readonly rounds: number;
  /** Bits that are opened, and dealt for that. */
  readonly opened: number;
  /** Bits that are left to multiply the winner's values. */
  readonly left: number;
}

/** What `winningBits` makes of the bits of so many comparisons. */
function winnerForm(count: number, isJoined: boolean): WinnerForm {
  if (count <= (isJoined ? MOST_JOINED : 1)) {
    return { rounds: 0, opened: 0, left: count };
  }
  const parts = count <= MOST_JOINED ? [count] : halved(count);
  const { rounds, opened, left } = winnerForm(parts.length, isJoined);
  return { rounds: rounds + 1, opened: parts.reduce((sum, part) => sum + subsetsOf(part) + 1, opened), left };
}
