/**
 * What a plan costs, exactly, before anything runs: the schema `pumac.inspect/1` of docs/user-guide.md. Every byte is an
 * op's declared cost, which the law tests hold to the wire; so sums over nodes, layers, ops, rounds and links agree.
 */
import { planDigest } from "../ir/plan/codec.js";
import type { Plan, Step } from "../ir/plan/types.js";
import { SHARE, type ShareCost, type WordType } from "../ir/share/index.js";
import { sizeOf } from "../ir/tensor/value.js";
import { estimateSeconds, type Network } from "./network.js";

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

export interface CostReport {
  readonly schema: "pumac.inspect/1";
  readonly plan: {
    readonly digest: string;
    readonly model: string;
    readonly profile: string;
    readonly shapes: Plan["shapes"];
    readonly reveals: readonly { readonly value: string; readonly to: string }[];
  };
  readonly cost: {
    readonly rounds: number;
    readonly bytes: Bytes & {
      readonly input: number;
      readonly output: number;
      readonly links: Readonly<Record<string, number>>;
    };
    readonly macs: Readonly<Record<"P0" | "P1" | "P2", number>>;
    readonly memory: Readonly<Record<"P0" | "P1" | "P2", number>>;
    readonly seconds: { readonly network: string; readonly estimate: number };
  };
  readonly nodes: readonly (Omit<CostLine, keyof Bytes> & { readonly bytes: Bytes })[];
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

/** Two seeds go to P0, one to each of P1 and P2, from every owner that shares anything. */
const SEED_BYTES = 16;

export function costReport(plan: Plan, network: Network | undefined = undefined): CostReport {
  const steps = costedSteps(plan);
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
    memory: { P0: plan.arena.P0, P1: plan.arena.P12, P2: plan.arena.P12 },
  };
  const nodes = groupBy(steps, ({ name }) => name).map(({ online, offline, total, ...line }) => ({
    ...line,
    bytes: { online, offline, total },
  }));
  return {
    schema: "pumac.inspect/1",
    plan: {
      digest: planDigest(plan),
      model: plan.name,
      profile: plan.profile,
      shapes: plan.shapes,
      reveals: plan.reveals.map(({ name, to }) => ({ value: name, to })),
    },
    cost: { ...cost, seconds: estimateSeconds(cost, network) },
    nodes,
  };
}

export function costedSteps(plan: Plan): readonly CostedStep[] {
  const critical = criticalOpenings(plan);
  return plan.steps.map((step, i) => {
    const types = step.args.map((argument) => plan.steps[argument].type);
    const { name, op } = originOf(plan.origins[step.origin]);
    return {
      step,
      cost: SHARE.ops[step.op].cost(types, step.attributes, step.type),
      name,
      op,
      layer: layerOf(name),
      critical: critical.has(i) ? 1 : 0,
    };
  });
}

/** Sums of steps that share a key, in the order of their first step. Bytes count both directions of an opening. */
export function groupBy(steps: readonly CostedStep[], keyOf: (step: CostedStep) => string): CostLine[] {
  const lines = new Map<string, { -readonly [K in keyof CostLine]: CostLine[K] }>();
  for (const each of steps) {
    const { cost, op, layer, critical } = each;
    const key = keyOf(each);
    const line = lines.get(key) ?? { name: key, op, layer, rounds: 0, online: 0, offline: 0, total: 0, macs: 0 };
    line.rounds += critical;
    line.online += 2 * cost.online;
    line.offline += cost.offline;
    line.total = line.online + line.offline;
    line.macs += cost.macs.P0 + cost.macs.P1 + cost.macs.P2;
    lines.set(key, line);
  }
  return [...lines.values()];
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

function isOpening(step: Step): boolean {
  return step.op === "remask" || step.op === "remaskBits" || step.op === "widen";
}

/** Bytes that the owners send: seeds to all, masked words to P1 and P2. */
function inputBytes(plan: Plan): { P0: number; P12: number } {
  const owners = new Set<string>();
  let words = 0;
  for (const { op, attributes, type } of plan.steps) {
    if (op === "input") {
      words += Math.ceil((sizeOf(type.shape) * (type as WordType).ring) / 8);
      if (attributes.owner !== "public") {
        owners.add(String(attributes.owner));
      }
    }
  }
  return { P0: 2 * SEED_BYTES * owners.size, P12: SEED_BYTES * owners.size + words };
}

/** An origin is the model's node name with the tensor op that was lowered: `name (op)`. */
export function originOf(origin: string): { name: string; op: string } {
  const match = /^(.*) \((\w+)\)$/.exec(origin);
  return match === null ? { name: origin, op: "" } : { name: match[1], op: match[2] };
}

/** `encoder.0`, `h.3`, `layers.7`: the part of a node's name that tells its layer, else `head`. */
export function layerOf(name: string): string {
  const match = /(?:^|[./_])(layers?|h|blocks?|encoder|decoder)[._/](?:layer[._/])?(\d+)(?=[./_]|$)/.exec(name);
  return match === null ? "other" : `${match[1]}.${match[2]}`;
}
