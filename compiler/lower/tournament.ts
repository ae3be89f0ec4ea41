/**
 * How many elements a step of a tournament compares with each other, all pairs at once: more of them are fewer steps
 * and more comparisons. The network that the plan is for decides, step by step, by the bytes that reach P2.
 */
import { ceilLog2 } from "../../ir/real.js";
import { MOST_JOINED, subsetsOf } from "../../ir/share/bits.js";
import type { Lowering, ShareNode } from "./context.js";
import { comparisonBits } from "./thresholds.js";

const LARGEST_GROUP = 12;

/** Bits: the AND of masked bits; of more than six, of the ANDs of parts, one round later. */
export function conjunctionOf(lowering: Lowering, bits: readonly ShareNode[]): ShareNode {
  if (bits.length <= MOST_JOINED) {
    return lowering.emit("conjunction", bits);
  }
  const [first] = halved(bits.length);
  const parts = [bits.slice(0, first), bits.slice(first)];
  return lowering.emit(
    "conjunction",
    parts.map((part) => lowering.emit("remaskBits", [lowering.emit("conjunction", part)])),
  );
}

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

/** Rounds of one step: comparisons are two, a winner among more than two is one or two more, its value another. */
function stepRounds(group: number): number {
  return group === 2 ? 3 : group - 1 <= MOST_JOINED ? 4 : 5;
}

/** Bits to P2 of the AND of so many bits: a dealt bit for every subset of two or more. */
function joinedBits(count: number): number {
  if (count <= MOST_JOINED) {
    return subsetsOf(count);
  }
  const parts = halved(count);
  return subsetsOf(parts.length) + parts.reduce((sum, part) => sum + joinedBits(part) + 1, 0);
}

/** A winner for each whole group is left, and who had none. */
export function withRest(n: number, group: number): number {
  return Math.floor(n / group) + (n % group);
}

export interface TournamentPlan {
  readonly seconds: number;
  /** The groups of each step, the first step first. */
  readonly groups: readonly number[];
}

/** The fastest tournament of n elements in each of `rows` rows. */
export function tournamentPlan(lowering: Lowering, n: number, rows: number, compared: Compared): TournamentPlan {
  const known = new Map<number, TournamentPlan>([[1, { seconds: 0, groups: [] }]]);
  const best = (left: number): TournamentPlan => {
    const done = known.get(left);
    if (done !== undefined) {
      return done;
    }
    const sizes = Array.from({ length: LARGEST_GROUP - 1 }, (_, i) => i + 2).filter((group) => group <= left);
    const plans = sizes.map((group) => {
      const rest = best(compared.leaves(left, group));
      const bytes = rows * Math.ceil(left / group) * groupBytes(group, compared);
      return { seconds: rest.seconds + lowering.seconds(stepRounds(group), bytes), groups: [group, ...rest.groups] };
    });
    const least = plans.reduce((a, b) => (b.seconds < a.seconds ? b : a));
    known.set(left, least);
    return least;
  };
  return best(n);
}

/** Bytes to P2 of one group: its comparisons, its winners' bits, and the winner's value times them. */
function groupBytes(group: number, { bound, fraction, values }: Compared): number {
  const pairs = (group * (group - 1)) / 2;
  const opponents = group - 1;
  const winners = group === 2 ? 0 : opponents * (joinedBits(opponents) + 1);
  const ring = fraction + ceilLog2(Math.max(bound, 1)) + 2;
  return (pairs * comparisonBits(bound, fraction) + winners + values * (2 * opponents + 1) * ring) / 8;
}
