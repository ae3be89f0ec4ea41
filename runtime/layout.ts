/**
 * The layout of a party's arena: the plan's values, the plan's tables, the round's two messages, a buffer for dealing,
 * and scratch. The plan says where values lie; the rest is found by running the plan's steps once with kernels that do
 * nothing and counting what they ask for, so that no size is declared twice.
 */

import { definitionOf } from "../ir/graph.js";
import type { Plan } from "../ir/plan/types.js";
import { SHARE } from "../ir/share/index.js";
import { sizeOf } from "../ir/tensor/value.js";
import { recorderOf } from "./kernels/tape.js";
import { ROLES } from "./ops/index.js";
import { isOpening, type RoleContext, type RoleStep, type Roles, type Tables } from "./ops/role.js";
import { FRAME_BYTES } from "./streams.js";
import type { PartyName } from "./transport.js";

/** A step of a plan as one party runs it. */
export interface PartyStep extends RoleStep {
  readonly roles: Roles;
  readonly round: number;
}

/** Bytes that a plan's steps ask for at one party. */
interface Needs {
  readonly scratch: number;
  /** The largest message of a round, in one direction. */
  readonly message: number;
  /** The largest dealt section. */
  readonly section: number;
  /** All that is dealt. */
  readonly dealt: number;
}

export interface Layout {
  readonly tables: Tables;
  /** Tables to copy into the arena before the run. */
  readonly contents: readonly { readonly offset: number; readonly table: Int32Array }[];
  readonly outgoing: number;
  readonly incoming: number;
  readonly dealing: number;
  /** Bytes of dealing that P2 takes at once, at most. */
  readonly dealt: number;
  readonly scratch: number;
  readonly bytes: number;
}

/** A plan's steps as one party runs them, and where everything lies in its arena. */
export interface LaidOut {
  readonly steps: readonly PartyStep[];
  readonly layout: Layout;
}

/** By plan and party: counting takes as long as many a run's own work, and a party that stays runs a plan often. */
const known = new WeakMap<Plan, Map<PartyName, Promise<LaidOut>>>();

/** The layout of a plan at a party; the second time it is there at once. */
export function laidOut(plan: Plan, party: PartyName): Promise<LaidOut> {
  const ofPlan = known.get(plan) ?? new Map<PartyName, Promise<LaidOut>>();
  known.set(plan, ofPlan);
  const found = ofPlan.get(party) ?? layOut(plan, party);
  ofPlan.set(party, found);
  return found;
}

async function layOut(plan: Plan, party: PartyName): Promise<LaidOut> {
  const steps = stepsOf(plan, party);
  return { steps, layout: layoutOf(plan, party, await measure(steps, party)) };
}

const ALIGNMENT = 64;

function aligned(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}

/** The plan's steps with this party's places. */
function stepsOf(plan: Plan, party: PartyName): readonly PartyStep[] {
  const steps: PartyStep[] = [];
  for (const { op, args, attributes, type, round, draws, offsets } of plan.steps) {
    definitionOf(SHARE, op);
    const offset = party === "P0" ? offsets.P0 : offsets.P12;
    const isStreamed = op === "input" && offset < 0 && sizeOf(type.shape) > 0;
    steps.push({
      roles: ROLES[op as keyof typeof ROLES],
      args: args.map((index) => steps[index]),
      attributes,
      type,
      // A value without bytes at this party has no place: 0 is as good as any.
      offset: Math.max(0, offset),
      ...(isStreamed && { streamed: attributes }),
      blocks: draws.map((draw) => draw.block),
      round,
    });
  }
  return steps;
}

/** A bump allocator in the scratch region. */
export class ScratchSpace {
  /** The most that was ever taken. */
  most = 0;
  private used = 0;

  constructor(
    private readonly start: number,
    private readonly limit: number,
  ) {}

  take(bytes: number): number {
    const offset = this.start + this.used;
    this.used += aligned(bytes);
    this.most = Math.max(this.most, this.used);
    if (this.used > this.limit) {
      throw new Error("a step takes more scratch than it took when it was measured");
    }
    return offset;
  }

  reset(): void {
    this.used = 0;
  }
}

/** Runs the steps with idle kernels and counts. */
async function measure(steps: readonly PartyStep[], party: PartyName): Promise<Needs> {
  const scratch = new ScratchSpace(0, Number.POSITIVE_INFINITY);
  const messages: number[] = [];
  let [section, dealt] = [0, 0];
  const context: RoleContext = {
    party,
    kernels: recorderOf(() => undefined),
    scratch,
    tables: {
      cosine: (angle) => ({ table: 0, tableAngle: angle }),
      power: (fraction) => ({ table: 0, tableFraction: fraction }),
    },
    inputs: { masks: () => ({ first: 0, second: 0, block: 0 }), open: () => ({ words: new Uint8Array(0), bits: 64 }) },
    dealing: {
      write: async (bytes, write) => {
        section = Math.max(section, bytes);
        await write(0);
      },
      read: async (bytes) => {
        section = Math.max(section, bytes);
        dealt += bytes;
        return 0;
      },
    },
    key: () => 0,
    constant: (value) => scratch.take(8 * value.data.length),
    publicWords: (_place, count) => new BigUint64Array(count),
    load: () => undefined,
    recall: () => undefined,
    keep: () => undefined,
    reveal: () => Promise.resolve(),
  };
  for (const step of steps) {
    scratch.reset();
    if (!isOpening(step.roles)) {
      await step.roles[party]?.(context, step);
    } else if (party === "P0") {
      await step.roles.P0(context, step);
    } else {
      await step.roles[party].prepare(context, step, 0);
      await step.roles[party].complete(context, step, 0);
      messages[step.round] = (messages[step.round] ?? 0) + step.roles.section(step);
    }
  }
  return {
    scratch: scratch.most,
    message: Math.max(0, ...messages.filter((bytes) => bytes !== undefined)),
    section,
    dealt,
  };
}

/** The smallest table that is at least as fine as asked. */
function finest(offsets: ReadonlyMap<number, number>, least: number, what: string): [offset: number, size: number] {
  const sizes = [...offsets.keys()].filter((size) => size >= least);
  if (sizes.length === 0) {
    throw new Error(`the plan has no ${what} table for ${least} bits`);
  }
  const size = Math.min(...sizes);
  return [offsets.get(size)!, size];
}

function layoutOf(plan: Plan, party: PartyName, needs: Needs): Layout {
  const contents: { offset: number; table: Int32Array }[] = [];
  let at = aligned(party === "P0" ? plan.arena.P0 : plan.arena.P12);
  const put = (bytes: number): number => {
    const offset = at;
    at += aligned(bytes);
    return offset;
  };
  const offset = (tables: ReadonlyMap<number, Int32Array>): Map<number, number> =>
    new Map(
      [...tables].map(([size, table]) => {
        contents.push({ offset: put(table.byteLength), table });
        return [size, contents[contents.length - 1].offset];
      }),
    );
  const dealt = Math.max(needs.section, Math.min(FRAME_BYTES, needs.dealt));
  const cosines = offset(plan.tables.cosines);
  const powers = offset(plan.tables.exponentials);
  return {
    tables: {
      cosine: (angle) => {
        const [table, tableAngle] = finest(cosines, angle, "cosine");
        return { table, tableAngle };
      },
      power: (fraction) => {
        const [table, tableFraction] = finest(powers, fraction, "exponential");
        return { table, tableFraction };
      },
    },
    contents,
    outgoing: put(needs.message),
    incoming: put(needs.message),
    dealing: put(party === "P0" ? FRAME_BYTES + needs.section : dealt),
    dealt,
    scratch: put(needs.scratch),
    bytes: at,
  };
}
