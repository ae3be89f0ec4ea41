/**
 * What a plan costs, exactly, before anything runs: the document `pumac.inspect/1`. Every byte is an op's declared
 * cost, which the law tests hold to the wire; so sums over nodes, layers, ops, rounds and links agree.
 */

import { promptOf, promptsOf } from "../client/generate.js";
import { checkingOf } from "../client/guesses.js";
import { type Estimate, estimateSeconds, type Network } from "../compiler/network.js";
import { planDigest } from "../ir/plan/codec.js";
import { type Plan, revealsOf, type Step } from "../ir/plan/types.js";
import { SHARE, type ShareCost } from "../ir/share/index.js";
import { isOpening } from "../ir/share/rounds.js";
import { sizeOf } from "../ir/tensor/value.js";
import { sealedBytes } from "../runtime/material.js";
import { hasState, stateBytes } from "../runtime/weight-store.js";
import { assessmentOf, type Statements } from "./assessment.js";
import { inputBytes, type ProcessMemory, processMemory } from "./memory.js";
import { layerOf, modelOp } from "./origins.js";
import { type Paper, papersOf } from "./papers.js";

export interface Bytes {
  readonly online: number;
  readonly offline: number;
  readonly total: number;
}

export interface CostLine extends Bytes {
  readonly name: string;
  readonly op: string;
  readonly layer: string;
  readonly rounds: number;
  readonly macs: number;
}

/** The overflow guard of a plan: what it looks at, what it adds, and how likely a value outside goes unnoticed. */
export interface GuardLine {
  /** Values that are guarded, over all elements. */
  readonly values: number;
  readonly rounds: number;
  readonly bytes: number;
  /** log2 of the probability that a run with a value outside says nothing. */
  readonly missLog2: number;
}

/** What one run of a program costs: bytes over all parties, seconds as estimated. */
export interface RunCost {
  readonly rounds: number;
  readonly bytes: number;
  readonly seconds: number;
}

/** A plan that keeps its cache: the next token, and prompts of up to so many tokens, shortest first. */
export interface WritingCost {
  /** `perSecond`: tokens. */
  readonly token: RunCost & { readonly perSecond: number };
  /** None: a prompt costs what so many tokens do. */
  readonly prompts: readonly (RunCost & { readonly length: number })[];
  /** Of a plan that checks guesses of a draft: a pass, and tokens a second with all guesses wrong, and all right. */
  readonly check?: RunCost & { readonly guesses: number; readonly perSecond: readonly [number, number] };
  /** Bytes that each party keeps of a conversation until it ends. */
  readonly kept: Readonly<Record<"P0" | "P1" | "P2", number>>;
}

export interface CostReport {
  readonly schema: "pumac.inspect/1";
  /** What an assessment of data protection asks (`inspect --dpia`). */
  readonly assessment: readonly Statements[];
  readonly plan: {
    readonly digest: string;
    readonly model: string;
    readonly profile: string;
    readonly shapes: Plan["shapes"];
    readonly reveals: readonly { readonly value: string; readonly to: string }[];
    /** What of the model's file everybody who has the plan can read, and why it is no weight. */
    readonly published: Plan["published"];
    readonly disclosed: Plan["disclosed"];
    readonly ranges: Plan["ranges"];
    /** The overflow guard; null where the plan has none. */
    readonly guard: GuardLine | null;
  };
  readonly cost: {
    readonly rounds: number;
    readonly bytes: Bytes & {
      readonly input: number;
      readonly output: number;
      readonly links: Readonly<Record<string, number>>;
    };
    readonly macs: Readonly<Record<"P0" | "P1" | "P2", number>>;
    /** The peak of every process: each party's, and of each owner. */
    readonly memory: ProcessMemory;
    /** Bytes on P2's disk of one prepared question; null where a plan's questions cannot be prepared. */
    readonly prepared: number | null;
    readonly seconds: Estimate;
  };
  /** What a plan that writes token by token costs for each; null for any other. */
  readonly writing: WritingCost | null;
  /** The model's nodes; `op` is what the model calls it. The groups below are the same steps, summed. */
  readonly nodes: readonly ReportedLine[];
  readonly layers: readonly ReportedLine[];
  readonly ops: readonly ReportedLine[];
  readonly shares: readonly ReportedLine[];
  readonly perRound: readonly ReportedLine[];
  readonly rings: readonly ReportedLine[];
  readonly formulas: Plan["formulas"];
  readonly choices: Plan["choices"];
  readonly papers: readonly Paper[];
}

export type ReportedLine = Omit<CostLine, keyof Bytes> & { readonly bytes: Bytes };

/** How steps are grouped, by what `--by` says. Every grouping sums to the whole. */
export const GROUPS = {
  node: ({ name }) => name,
  layer: ({ layer }) => layer,
  op: ({ op }) => op,
  share: ({ step }) => step.op,
  round: ({ step }) => `round ${step.round}`,
  ring: ({ step }) => `${step.op} ${widthOf(step)}`,
} as const satisfies Record<string, (step: CostedStep) => string>;

/** The bits of what a step sends: of the ring, of `widen` the new ones. */
function widthOf({ op, type }: Step): string {
  if ("ring" in type) {
    return op === "widen" ? `to ${type.ring} bits` : `at ${type.ring} bits`;
  }
  return type.kind === "hot" ? `of ${type.width} bits` : "of bits";
}

/** A step with its cost and where it belongs. */
export interface CostedStep {
  readonly step: Step;
  readonly cost: ShareCost;
  readonly name: string;
  readonly op: string;
  readonly layer: string;
  /** 1 for the opening that stands for its round on the critical path, else 0. */
  readonly critical: 0 | 1;
}

/** The exact cost, and an estimate of the time on a network. */
export function costOf(plan: Plan, network: Network | undefined = undefined): CostReport["cost"] {
  return sumOf(plan, costedSteps(plan), network);
}

/** The whole document; `digest` is the plan's, for those who know it already. */
export function costReport(
  plan: Plan,
  network: Network | undefined = undefined,
  digest = planDigest(plan),
): CostReport {
  const steps = costedSteps(plan);
  const by = (keyOf: (step: CostedStep) => string) =>
    groupBy(steps, keyOf).map(({ online, offline, total, ...line }) => ({
      ...line,
      bytes: { online, offline, total },
    }));
  return {
    schema: "pumac.inspect/1",
    assessment: assessmentOf(plan, digest),
    plan: {
      digest,
      model: plan.name,
      profile: plan.profile,
      shapes: plan.shapes,
      reveals: revealsOf(plan).map(({ name, to }) => ({ value: name, to })),
      published: plan.published,
      disclosed: plan.disclosed,
      ranges: plan.ranges,
      guard: guardOf(plan, steps),
    },
    cost: sumOf(plan, steps, network),
    writing: writingCost(plan, network),
    nodes: by(GROUPS.node),
    layers: by(GROUPS.layer),
    ops: by(GROUPS.op),
    shares: by(GROUPS.share),
    perRound: by(GROUPS.round),
    rings: by(GROUPS.ring),
    formulas: plan.formulas,
    choices: plan.choices,
    papers: papersOf(plan.steps),
  };
}

/** What a run of one program costs. */
export function runCost(program: Plan, network: Network | undefined = undefined): RunCost {
  const { rounds, bytes, seconds } = costOf(program, network);
  return { rounds, bytes: bytes.total, seconds: seconds.estimate };
}

/** Null for a plan that keeps nothing between its runs. */
export function writingCost(plan: Plan, network: Network | undefined = undefined): WritingCost | null {
  if (!hasState(plan)) {
    return null;
  }
  const run = (program: Plan): RunCost => runCost(program, network);
  const token = run(plan);
  const prompts = promptsOf(plan).map((part) => ({ length: promptOf(part), ...run(part) }));
  const kept = stateBytes(plan, "P12");
  const checking = checkingOf(plan);
  const check = checking && { guesses: checking.guesses, ...run(plan.parts[checking.place - 1]) };
  return {
    token: { ...token, perSecond: 1 / token.seconds },
    prompts: prompts.sort((a, b) => a.length - b.length),
    ...(check && { check: { ...check, perSecond: [1 / check.seconds, (check.guesses + 1) / check.seconds] } }),
    kept: { P0: stateBytes(plan, "P0"), P1: kept, P2: kept },
  };
}

function guardOf({ steps }: Plan, costed: readonly CostedStep[]): GuardLine | null {
  const verdict = steps.find(({ op }) => op === "verdict");
  if (verdict === undefined) {
    return null;
  }
  const line = groupBy(costed, GROUPS.op).find(({ name }) => name === "Guard");
  const combined = verdict.args.map((i) => steps[i]).map(({ args }) => sizeOf(steps[args[0]].type.shape));
  return {
    values: combined.reduce((sum, count) => sum + count, 0),
    rounds: line?.rounds ?? 0,
    bytes: line?.total ?? 0,
    missLog2: -sizeOf(verdict.type.shape),
  };
}

function sumOf(plan: Plan, steps: readonly CostedStep[], network: Network | undefined): CostReport["cost"] {
  const total = (pick: (cost: ShareCost) => number) => steps.reduce((sum, { cost }) => sum + pick(cost), 0);
  const online = total((cost) => cost.online);
  const offline = total((cost) => cost.offline);
  const output = total((cost) => cost.output);
  const shared = inputBytes(plan);
  const links = {
    "P0>P1": 0,
    "P0>P2": offline,
    "P1>P2": online,
    "P2>P1": online,
    "owner>P0": shared.P0,
    "owner>P1": shared.P12,
    "owner>P2": shared.P12,
    "P1>owner": output,
    "P2>owner": output,
  };
  const macs = { P0: total(({ macs }) => macs.P0), P1: total(({ macs }) => macs.P1), P2: total(({ macs }) => macs.P2) };
  const bytes = { online: 2 * online, offline, input: shared.P0 + 2 * shared.P12, output: 2 * output };
  const cost = {
    rounds: plan.rounds,
    bytes: { ...bytes, total: bytes.online + bytes.offline, links },
    macs,
    memory: processMemory(plan),
    prepared: hasState(plan) ? null : sealedBytes(offline),
  };
  return { ...cost, seconds: estimateSeconds({ ...cost, steps: steps.length }, network) };
}

/**
 * The steps with their costs. Every byte belongs to one node of the model, and a node is one op, the dearest of what it
 * is made of: so the nodes of an op add up to the op.
 */
export function costedSteps(plan: Plan): readonly CostedStep[] {
  const critical = criticalOpenings(plan);
  const steps = plan.steps.map((step, i) => {
    const types = step.args.map((argument) => plan.steps[argument].type);
    const { node: name, op } = plan.origins[step.origin];
    return {
      step,
      cost: SHARE.ops[step.op].cost(types, step.attributes, step.type),
      name,
      op: modelOp(name, op === "" ? step.op : op),
      layer: layerOf(name),
      critical: critical.has(i) ? (1 as const) : (0 as const),
    };
  });
  const ofNode = new Map<string, CostedStep[]>();
  for (const step of steps) {
    const others = ofNode.get(step.name) ?? [];
    others.push(step);
    ofNode.set(step.name, others);
  }
  const opOf = new Map([...ofNode].map(([name, each]) => [name, dearest(each, ({ op }) => op)]));
  return steps.map((step) => ({ ...step, op: opOf.get(step.name)! }));
}

/**
 * Sums of steps that share a key, in the order of their first step. Bytes count both directions of an opening. A line's
 * `op` and `layer` are those of the steps that cost most in it.
 */
export function groupBy(steps: readonly CostedStep[], keyOf: (step: CostedStep) => string): CostLine[] {
  const groups = new Map<string, CostedStep[]>();
  for (const step of steps) {
    const key = keyOf(step);
    const group = groups.get(key);
    if (group === undefined) {
      groups.set(key, [step]);
    } else {
      group.push(step);
    }
  }
  return [...groups].map(([name, group]) => {
    const sum = (pick: (step: CostedStep) => number) => group.reduce((total, step) => total + pick(step), 0);
    const online = sum(({ cost }) => 2 * cost.online);
    const offline = sum(({ cost }) => cost.offline);
    return {
      name,
      op: dearest(group, ({ op }) => op),
      layer: dearest(group, ({ layer }) => layer),
      rounds: sum(({ critical }) => critical),
      online,
      offline,
      total: online + offline,
      macs: sum(({ cost }) => cost.macs.P0 + cost.macs.P1 + cost.macs.P2),
    };
  });
}

/** The label whose steps take most bytes, then most multiply-adds; the first of equals. */
function dearest(steps: readonly CostedStep[], labelOf: (step: CostedStep) => string): string {
  const weights = new Map<string, number>();
  for (const step of steps) {
    const { online, offline, macs } = step.cost;
    const weight = 2 * online + offline + (macs.P0 + macs.P1 + macs.P2) * 1e-9;
    weights.set(labelOf(step), (weights.get(labelOf(step)) ?? 0) + weight);
  }
  return [...weights].reduce((best, each) => (each[1] > best[1] ? each : best))[0];
}

/** One opening for every round, each of which waits for the one before: a longest chain. */
function criticalOpenings(plan: Plan): ReadonlySet<number> {
  const chain = new Set<number>();
  let next = plan.steps.findLastIndex((step) => step.round === plan.rounds && isOpening(step));
  while (next >= 0) {
    chain.add(next);
    next = openingBefore(plan, next);
  }
  return chain;
}

function openingBefore(plan: Plan, opening: number): number {
  const wanted = plan.steps[opening].round - 1;
  const pending = [...plan.steps[opening].args];
  const seen = new Set<number>();
  while (pending.length > 0) {
    const i = pending.pop()!;
    const step = plan.steps[i];
    if (seen.has(i) || step.round < wanted) {
      continue;
    }
    seen.add(i);
    if (step.round === wanted && isOpening(step)) {
      return i;
    }
    pending.push(...step.args);
  }
  return -1;
}
