/** What the scripts `treemap.js` and `timeline.js` draw, and where. */
import type { Plan } from "../../ir/plan/types.js";
import { type CostedStep, type CostLine, costedSteps, GROUPS, groupBy } from "../cost.js";
import { nameInLayer } from "../origins.js";
import { colourOf } from "./colours.js";
import { element } from "./element.js";

/** Bytes of a part: its name, online, offline. */
type Part = readonly [name: string, online: number, offline: number];

export interface Charted {
  readonly name: string;
  readonly nodes: readonly {
    readonly name: string;
    /** Its name in its layer. */
    readonly label: string;
    readonly op: string;
    readonly layer: string;
    readonly rounds: number;
    /** By op of the protocol suite. */
    readonly shares: readonly Part[];
  }[];
  /** For each round, the first of which is before any opening, its bytes by op of the model. */
  readonly rounds: readonly (readonly Part[])[];
  /** The layers that the rounds belong to, in order: name, first and last round. */
  readonly layers: readonly (readonly [name: string, from: number, to: number])[];
}

/** The page's data for these plans. */
export function chartData(plans: readonly Plan[]): { readonly plans: readonly Charted[]; readonly colours: object } {
  const charted = plans.map(chartOf);
  const ops = new Set(charted.flatMap(({ nodes }) => nodes.map(({ op }) => op)));
  return { plans: charted, colours: Object.fromEntries([...ops].map((op) => [op, colourOf(op)])) };
}

function chartOf(plan: Plan): Charted {
  const steps = costedSteps(plan);
  const costly = steps.filter(({ cost }) => cost.online > 0 || cost.offline > 0);
  const nodes = grouped(costly, GROUPS.node).map(([name, own]) => {
    const [line] = groupBy(own, GROUPS.node);
    return {
      name,
      label: nameInLayer(name),
      op: line.op,
      layer: line.layer,
      rounds: line.rounds,
      shares: partsOf(own, GROUPS.share),
    };
  });
  const ofRound = new Map(grouped(costly, ({ step }) => String(step.round)));
  const rounds = Array.from({ length: plan.rounds + 1 }, (_, round) =>
    partsOf(ofRound.get(String(round)) ?? [], GROUPS.op),
  );
  return { name: plan.name, nodes, rounds, layers: layersOf(steps) };
}

function grouped(
  steps: readonly CostedStep[],
  keyOf: (step: CostedStep) => string,
): readonly (readonly [string, readonly CostedStep[]])[] {
  const groups = new Map<string, CostedStep[]>();
  for (const step of steps) {
    const group = groups.get(keyOf(step)) ?? [];
    group.push(step);
    groups.set(keyOf(step), group);
  }
  return [...groups];
}

function partsOf(steps: readonly CostedStep[], keyOf: (step: CostedStep) => string): readonly Part[] {
  return groupBy(steps, keyOf)
    .toSorted((a: CostLine, b: CostLine) => b.total - a.total)
    .map(({ name, online, offline }): Part => [name, online, offline]);
}

/** Runs of rounds whose critical opening is of the same layer. */
function layersOf(steps: readonly CostedStep[]): Charted["layers"] {
  const critical = steps.filter((step) => step.critical === 1).toSorted((a, b) => a.step.round - b.step.round);
  const runs: [string, number, number][] = [];
  for (const { layer, step } of critical) {
    const last = runs.at(-1);
    if (last?.[0] === layer) {
      last[2] = step.round;
    } else {
      runs.push([layer, step.round, step.round]);
    }
  }
  return runs;
}

/** Bytes as areas, of the plan of this number. */
export function treemap(plan: number): string {
  return element("div", { class: "treemap", "data-plan": plan });
}

/** Bytes by round. */
export function timeline(plan: number): string {
  return element("div", { class: "timeline", "data-plan": plan });
}
