/**
 * A plan over a data set: every batch is a whole session of the three simulated roles, beside the plain model, which
 * the tensor language evaluates in doubles. The model owner's program is run once.
 */

import { simulate } from "../../client/local/simulation.js";
import { KeptSharing, runDataOwner, type SessionResult } from "../../client/owners.js";
import type { ImportedModel } from "../../compiler/imported.js";
import { CHOSEN, withOutputs } from "../../compiler/outputs.js";
import type { LoadedPlan } from "../../formats/plan-file.js";
import { TOP_IDS, TOP_LOGITS } from "../../formats/text.js";
import { fail } from "../../ir/diagnostics.js";
import type { Plan } from "../../ir/plan/types.js";
import { evaluateGraph, type WeightStore } from "../../ir/tensor/index.js";
import type { TensorValue } from "../../ir/tensor/value.js";
import { loadKernels } from "../../runtime/kernels/load.js";
import type { Examples } from "./examples.js";
import type { Scored } from "./summary.js";

export type Values = ReadonlyMap<string, TensorValue>;

/** The three roles on one input after the other; `seed` makes a session reproducible. */
export type Roles = (inputs: Values, seed: number | undefined) => Promise<SessionResult>;

/** The sessions share the weights once, in the first. `model`: the outputs of the model owner's program. */
export function rolesOf(loaded: LoadedPlan, model: Values): Roles {
  const kept = new KeptSharing();
  return (inputs, seed) =>
    simulate(loaded, runDataOwner(loaded.plan, inputs, model), seed, { kept, showAlarmed: true });
}

/** The plain model, with the outputs that the plan reveals. */
export function plainModel({ graph, weights }: ImportedModel, plan: Plan): (inputs: Values) => Values {
  const names = plan.reveals.map(({ name }) => name);
  const pruned = withOutputs(graph, names);
  const known = remembered(weights);
  const { multiplyReals: multiply } = loadKernels();
  return (inputs) => evaluateGraph(pruned, inputs, known, { multiply });
}

/** Weights that are read once: a data set asks for them again and again. */
function remembered(weights: WeightStore): WeightStore {
  const known = new Map<string, TensorValue>();
  return {
    read: (name) => {
      const value = known.get(name) ?? weights.read(name);
      known.set(name, value);
      return value;
    },
  };
}

export interface EvaluationOptions {
  readonly examples: Examples;
  readonly roles: Roles;
  readonly plain: (inputs: Values) => Values;
  /** The output with a row of scores for each example; without one nothing is scored. */
  readonly output: string | undefined;
  /** How many of the examples, from the first. */
  readonly count: number;
  readonly seed: number | undefined;
  /** Hears of every batch that is done. */
  readonly onScored?: (scored: readonly Scored[], result: SessionResult) => void;
  /** Is given every batch's outputs: of these examples, which had these inputs. */
  readonly onResult?: (indices: readonly number[], result: SessionResult, inputs: Values) => Promise<void>;
}

/** Scores examples, a batch a session; the last batch is filled up with the last example. */
export async function evaluateExamples(options: EvaluationOptions): Promise<readonly Scored[]> {
  const { examples, roles, plain, output, count, seed } = options;
  const all: Scored[] = [];
  for (let from = 0; from < count; from += examples.batch) {
    const indices = Array.from({ length: examples.batch }, (_, i) => Math.min(from + i, count - 1));
    const inputs = examples.inputs(indices);
    const result = await roles(inputs, seed === undefined ? undefined : seed + from);
    const own = indices.slice(0, count - from);
    await options.onResult?.(own, result, inputs);
    if (output === undefined) {
      continue;
    }
    const [privately, plainly] = [result.outputs, plain(inputs)].map((outputs) =>
      rowsOf(outputs.get(output)!, examples.batch),
    );
    const scored = own.map((index, i) => ({
      index,
      label: examples.labels[index],
      privately: privately[i],
      plainly: plainly[i],
      alarm: result.alarm,
    }));
    all.push(...scored);
    options.onScored?.(scored, result);
  }
  return all;
}

/** The scores of each example. */
export function rowsOf({ data }: TensorValue, batch: number): readonly (readonly number[])[] {
  const length = data.length / batch;
  return Array.from({ length: batch }, (_, i) => [...data.subarray(i * length, (i + 1) * length)]);
}

/** The output of a plan that has one row of scores for each example; E0202 where there is none. */
export function scoresOf(plan: Plan, batch: number): string {
  const fits = (shape: readonly number[]): boolean =>
    shape.length <= 2 && (batch === 1 ? shape.length < 2 || shape[0] === 1 : shape[0] === batch);
  const candidates = plan.reveals.filter(
    ({ shape, name }) => ![...CHOSEN, TOP_LOGITS, TOP_IDS].includes(name) && fits(shape),
  );
  const chosen = candidates.find(({ name }) => /logit|score|prob/i.test(name)) ?? candidates[0];
  if (chosen === undefined) {
    const revealed = plan.reveals.map(({ name, shape }) => `${name} [${shape}]`).join(", ");
    throw fail({
      code: "E0202",
      what: "no output of the plan has a row of scores for each example",
      why: `it reveals ${revealed}; the set goes through ${batch} at a time`,
      fix: "compile a classifier, and reveal its logits",
    });
  }
  return chosen.name;
}

/** The same, and undefined where there is none. */
export function scoresIfAny(plan: Plan, batch: number): string | undefined {
  try {
    return scoresOf(plan, batch);
  } catch {
    return undefined;
  }
}
