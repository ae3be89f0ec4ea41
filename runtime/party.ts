/** What a party that stays does to a plan before it runs it, and to its memory afterwards. */
import { definitionOf } from "../ir/graph.js";
import { type Plan, programsOf } from "../ir/plan/types.js";
import { SHARE } from "../ir/share/index.js";
import type { Kernels, KernelsFactory } from "./kernels/interface.js";
import { inputLayouts } from "./weight-store.js";

/** Kernels that leave nothing in their memory: a process that goes on may be given it again. */
export function wiping(factory: KernelsFactory): KernelsFactory {
  const create = (bytes: number): Kernels => {
    const kernels = factory(bytes);
    const close = (): void => {
      new Uint8Array(kernels.arena).fill(0);
      kernels.close();
    };
    return { ...kernels, close };
  };
  return Object.assign(create, { tape: factory.tape });
}

/** What a party runs of a plan: the rest, as large again, would be looked through by every garbage collection. */
export function withoutNotes(plan: Plan): Plan {
  const none = { nodes: [], outputs: [] };
  const parts = plan.parts.map(withoutNotes);
  return { ...plan, origins: [], values: [], formulas: [], choices: [], owners: { model: none, data: none }, parts };
}

/** The longest frame that a plan foresees, in bytes: an input, a round's openings, or all that P0 deals. */
export function longestFrame(plan: Plan): number {
  return Math.max(...programsOf(plan).map(longestFrameOf));
}

/** Bytes that P0 deals to P2 in one run of a plan's own program. */
export function dealtBytes(plan: Plan): number {
  return costsOf(plan).reduce((sum, { offline }) => sum + offline, 0);
}

/** Bytes of the longest message of a round, one way. */
export function largestMessage(plan: Plan): number {
  const openings = new Array<number>(plan.rounds + 1).fill(0);
  costsOf(plan).forEach(({ online }, i) => {
    openings[plan.steps[i].round] += online;
  });
  return openings.reduce((most, each) => Math.max(most, each), 0);
}

function costsOf({ steps }: Plan) {
  return steps.map(({ op, args, attributes, type }) => {
    const types = args.map((index) => steps[index].type);
    return definitionOf(SHARE, op).cost(types, attributes, type);
  });
}

function longestFrameOf(plan: Plan): number {
  const outputs = costsOf(plan).map(({ output }) => output);
  const inputs = (["model", "data", "public"] as const).flatMap((source) => inputLayouts(plan.steps, source));
  const packed = inputs.map(({ packedBytes }) => packedBytes);
  return [...outputs, ...packed, dealtBytes(plan)].reduce((most, each) => Math.max(most, each), largestMessage(plan));
}
