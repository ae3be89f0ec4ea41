/** The values that a report compares: every node of the secret program in float, its steps on integers, the roles'. */

import { RoleTrace } from "../../client/local/roles.js";
import { simulate } from "../../client/local/simulation.js";
import type { OwnerValues, SessionResult } from "../../client/owners.js";
import { factorsIn, scaledName } from "../../compiler/owner-scales.js";
import type { LoadedPlan } from "../../formats/plan-file.js";
import type { Graph } from "../../ir/graph.js";
import type { Plan } from "../../ir/plan/types.js";
import type { ShareValue } from "../../ir/share/index.js";
import { evaluateGraph, type TensorNode } from "../../ir/tensor/index.js";
import type { TensorType, TensorValue } from "../../ir/tensor/value.js";
import { evaluatePlan } from "./fixed.js";
import type { Mapping, Reals } from "./mapping.js";
import { type RangeReading, readRange, readValue } from "./ranges.js";

/** The numbers that a share value stands for. */
function realsOf({ type, value }: ShareValue): Reals {
  if (type.kind === "masked" || type.kind === "additive") {
    const unit = 2 ** -type.fraction;
    return Float64Array.from(value, (word) => Number(BigInt.asIntN(type.ring, word)) * unit);
  }
  return Float64Array.from(value, Number);
}

export function wantedSteps(mapping: Mapping): ReadonlySet<number> {
  const parts = [...mapping.values()].flatMap((held) => held.parts);
  return new Set(parts.flatMap(({ step, scale }) => (scale === undefined ? [step] : [step, scale])));
}

/** The secret program in double precision on what the owners share. */
export function floatValues(
  secret: Graph<TensorType>,
  plan: Plan,
  values: OwnerValues,
): ReadonlyMap<TensorNode, TensorValue> {
  const floats = new Map<TensorNode, TensorValue>();
  evaluateGraph(secret, inputsOf(plan, values), undefined, { observe: (node, value) => floats.set(node, value) });
  return floats;
}

/** The owners' values by the secret program's input names, as the program declares them. */
export function inputsOf(plan: Plan, values: OwnerValues): (name: string) => TensorValue | undefined {
  const factors = factorsIn(plan.owners.model);
  return (name) => {
    const by = factors.get(name);
    const shared = by === undefined ? name : scaledName(name);
    const bound = plan.bindings.find(({ output }) => output === shared);
    const value = bound && values.value(bound.owner, bound.input);
    return value === undefined || by === undefined ? value : withoutFactors(value, by);
  };
}

/** What an owner scaled along its last axis, as it was. */
function withoutFactors(value: TensorValue, { data: factors }: TensorValue): TensorValue {
  return {
    ...value,
    data: Float64Array.from(value.data, (each, i) => Number(each) / Number(factors[i % factors.length])),
  };
}

export interface FixedValues {
  readonly reals: ReadonlyMap<number, Reals>;
  /** What steps that read a value's range found, by step. */
  readonly readings: ReadonlyMap<number, RangeReading>;
}

/** The plan on integers: the wanted steps' values, and every range that is read. */
export function fixedValues(plan: Plan, values: OwnerValues, wanted: ReadonlySet<number>): FixedValues {
  const readers = new Map<number, number[]>();
  for (const [i, step] of plan.steps.entries()) {
    const read = readValue(plan.steps, step);
    if (read !== undefined) {
      readers.set(read, [...(readers.get(read) ?? []), i]);
    }
  }
  const reals = new Map<number, Reals>();
  const readings = new Map<number, RangeReading>();
  evaluatePlan(plan, values, (index, value) => {
    if (wanted.has(index)) {
      reals.set(index, realsOf(value));
    }
    for (const reader of readers.get(index) ?? []) {
      readings.set(reader, readRange(plan.steps, plan.steps[reader], value));
    }
  });
  return { reals, readings };
}

/** A simulated session, and what the three roles held of the wanted steps. */
export async function roleValues(
  loaded: LoadedPlan,
  values: OwnerValues,
  wanted: ReadonlySet<number>,
  seed: number | undefined,
  onRound: (done: number, all: number) => void,
): Promise<{ readonly reals: ReadonlyMap<number, Reals>; readonly result: SessionResult }> {
  const reals = new Map<number, Reals>();
  const trace = new RoleTrace(
    loaded.plan,
    (step) => wanted.has(step),
    (step, value) => reals.set(step, realsOf(value)),
  );
  const result = await simulate(loaded, values, seed, { onRound, observe: trace.observe, showAlarmed: true });
  return { reals, result };
}
