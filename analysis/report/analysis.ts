/**
 * `simulate --report`: every node of the secret program three times over, in float, on integers, by the three roles,
 * and where they part.
 */

import type { OwnerValues, SessionResult } from "../../client/owners.js";
import type { ImportedModel } from "../../compiler/imported.js";
import type { LoadedPlan } from "../../formats/plan-file.js";
import type { Graph } from "../../ir/graph.js";
import type { HeldPart, Plan } from "../../ir/plan/types.js";
import type { WordType } from "../../ir/share/index.js";
import { TENSOR, type TensorNode, traitsOf } from "../../ir/tensor/index.js";
import type { TensorType, TensorValue } from "../../ir/tensor/value.js";
import { GUARD } from "../../passes/guard.js";
import { plainModel } from "../data/evaluation.js";
import { layerOf } from "../origins.js";
import { programsOf } from "../secret-program.js";
import { findingOf, holds, isSaturated, type Readings, readingKey } from "./advice.js";
import { type FixedValues, fixedValues, floatValues, inputsOf, roleValues, wantedSteps } from "./collect.js";
import { assembled, type Mapping, mapNodes, type Reals, scaledRows } from "./mapping.js";
import type { RangeReading } from "./ranges.js";
import type { AccuracyReport, Errors, NodeReport, OutputReport } from "./types.js";

type Values = ReadonlyMap<string, TensorValue>;

export interface ReportOptions {
  readonly loaded: LoadedPlan;
  readonly model: ImportedModel;
  /** The model's inputs, and what the owners make of them. */
  readonly inputs: Values;
  readonly values: OwnerValues;
  readonly seed: number | undefined;
  readonly tolerance: number;
  readonly onRound: (done: number, all: number) => void;
}

export interface Reported {
  readonly report: AccuracyReport;
  readonly result: SessionResult;
}

/** Runs the plan in the roles, on integers and in float, and compares. */
export async function reportRun(options: ReportOptions): Promise<Reported> {
  const { loaded, model, inputs, values, seed, tolerance, onRound } = options;
  const { plan, digest } = loaded;
  const { secret } = programsOf(model, plan);
  const mapping = mapNodes(secret.nodes, plan);
  const wanted = wantedSteps(mapping);
  const { reals: roles, result } = await roleValues(loaded, values, wanted, seed, onRound);
  const fixed = fixedValues(plan, values, wanted);
  const floats = floatValues(secret, plan, values);
  const compared = compareNodes(secret, plan, mapping, { floats, fixed, roles });
  const own = ownErrors(secret, compared, inputsOf(plan, values));
  const readings = readingsByOrigin(plan, fixed);
  const nodes = compared.map((each, i) => nodeReport(each, own[i], readings, tolerance));
  const { name, profile, shapes } = plan;
  const computed = secret.nodes.filter(({ op }) => op !== "input" && op !== "constant").length;
  const report: AccuracyReport = {
    schema: "pumac.report/1",
    plan: { digest, model: name, profile, shapes },
    tolerance,
    outputs: outputReports(plan, compared, plainModel(model, plan)(inputs), result.outputs, secret),
    nodes,
    notCompared: computed - nodes.length,
    first: findingOf(nodes, plan.profile, tolerance, readings),
  };
  return { report, result };
}

/** A node's values: float, and the two others unwrapped to the residues next to it. */
interface Compared {
  readonly node: TensorNode;
  readonly type: WordType | undefined;
  /** Which elements of the node's value these are; all where undefined. */
  readonly places: readonly number[] | undefined;
  readonly float: Float64Array | Float32Array;
  readonly fixed: Reals;
  readonly roles: Reals;
}

interface Collected {
  readonly floats: ReadonlyMap<TensorNode, TensorValue>;
  readonly fixed: FixedValues;
  readonly roles: ReadonlyMap<number, Reals>;
}

function compareNodes(secret: Graph<TensorType>, plan: Plan, mapping: Mapping, values: Collected): Compared[] {
  const { floats, fixed, roles } = values;
  return secret.nodes.flatMap((node, index): Compared[] => {
    const held = mapping.get(index);
    if (held === undefined || node.op === "input" || node.op === "constant") {
      return [];
    }
    const { parts, places } = held;
    const float = picked(floats.get(node)!.data, places);
    const [{ step, scale }] = parts;
    const type = parts.length > 1 || scale !== undefined ? undefined : wordType(plan, step);
    const of = (reals: ReadonlyMap<number, Reals>) =>
      unwrapped(
        assembled(held, node.type.shape, (part) => partOf(part, reals)),
        float,
        type,
      );
    return [{ node, type, places, float, fixed: of(fixed.reals), roles: of(roles) }];
  });
}

function partOf({ step, scale }: HeldPart, reals: ReadonlyMap<number, Reals>): Reals {
  const rows = reals.get(step)!;
  return scale === undefined ? rows : scaledRows(rows, reals.get(scale)!);
}

function wordType(plan: Plan, step: number): WordType | undefined {
  const { type } = plan.steps[step];
  return type.kind === "masked" || type.kind === "additive" ? type : undefined;
}

function picked(data: Compared["float"], places: readonly number[] | undefined): Compared["float"] {
  return places === undefined ? data : Float64Array.from(places, (place) => data[place]);
}

/** A node's value with what the plan computes of it in its places. */
function replaced(expected: TensorValue["data"], { places, fixed }: Compared): TensorValue["data"] {
  if (places === undefined) {
    return fixed;
  }
  const data = Float64Array.from(expected);
  for (const [i, place] of places.entries()) {
    data[place] = fixed[i];
  }
  return data;
}

/** Where users need residues only, a ring may be smaller than its values: the representative nearest to float. */
function unwrapped(reals: Reals, float: Compared["float"], type: WordType | undefined): Reals {
  if (type === undefined) {
    return reals;
  }
  const period = 2 ** (type.ring - type.fraction);
  return reals.map((x, i) => x - period * Math.round((x - float[i]) / period));
}

/**
 * What each node adds: its fixed-point value against its op in float on the fixed-point values of its arguments.
 * Arguments without a value of their own are computed from theirs.
 */
function ownErrors(
  secret: Graph<TensorType>,
  compared: readonly Compared[],
  inputs: (name: string) => TensorValue | undefined,
): { readonly errors: Errors; readonly window: number }[] {
  const known = new Map(compared.map((each) => [each.node, each]));
  const values = new Map<TensorNode, TensorValue>();
  const results = new Map<TensorNode, { readonly errors: Errors; readonly window: number }>();
  const lastUse = new Map(secret.nodes.flatMap(({ args }, i) => args.map((argument) => [argument, i] as const)));
  for (const [i, node] of secret.nodes.entries()) {
    const args = node.args.map((argument) => values.get(argument)!);
    const expected =
      node.op === "input"
        ? inputs(node.attributes.name as string)!
        : TENSOR.ops[node.op].evaluate(args, node.attributes, node.type);
    const has = known.get(node);
    values.set(node, has === undefined ? expected : { ...node.type, data: replaced(expected.data, has) });
    if (has !== undefined) {
      const wanted = picked(expected.data, has.places);
      const window = traitsOf(node).precision === "formula" ? outsideWindow(has.fixed, wanted) : 0;
      results.set(node, { errors: errorsOf(has.fixed, wanted), window });
    }
    for (const argument of node.args) {
      if (lastUse.get(argument) === i) {
        values.delete(argument);
      }
    }
  }
  return compared.map(({ node }) => results.get(node)!);
}

/** A formula inside its window is nowhere near this far off, in either profile. */
const OUTSIDE = 0.1;

function outsideWindow(got: Reals, expected: TensorValue["data"]): number {
  return got.reduce((count, x, i) => count + (holds(Math.abs(x - expected[i]), OUTSIDE, expected[i]) ? 0 : 1), 0);
}

function errorsOf(values: Reals, wanted: TensorValue["data"]): Errors {
  let [maximum, sum] = [0, 0];
  for (let i = 0; i < values.length; i++) {
    const error = Math.abs(values[i] - wanted[i]);
    maximum = Math.max(maximum, error);
    sum += error;
  }
  return { maximum, mean: values.length === 0 ? 0 : sum / values.length };
}

function largestOf(values: TensorValue["data"]): number {
  let largest = 0;
  for (const x of values) {
    largest = Math.max(largest, Math.abs(x));
  }
  return largest;
}

/** What reading steps found, by the node and op that they are of; the guard reads what it watches, whatever it is. */
function readingsByOrigin(plan: Plan, { readings }: FixedValues): Readings {
  const grouped = new Map<string, RangeReading[]>();
  for (const [step, reading] of readings) {
    const { node, op } = plan.origins[plan.steps[step].origin];
    if (op !== GUARD.op) {
      grouped.set(readingKey(node, op), [...(grouped.get(readingKey(node, op)) ?? []), reading]);
    }
  }
  return grouped;
}

function nodeReport(
  { node, type, float, fixed, roles }: Compared,
  own: { readonly errors: Errors; readonly window: number },
  readings: Readings,
  tolerance: number,
): NodeReport {
  const largest = largestOf(float);
  const { origin: name, op } = node;
  const read = readings.get(readingKey(name, op)) ?? [];
  const range = read.reduce((most, { outside }) => Math.max(most, outside), 0);
  const error = {
    fixed: errorsOf(fixed, float),
    roles: errorsOf(roles, float),
    drift: errorsOf(roles, fixed),
    own: own.errors,
  };
  const saturations = { range, window: own.window };
  return {
    name,
    op,
    layer: layerOf(name),
    shape: node.type.shape,
    ring: type?.ring ?? null,
    fraction: type?.fraction ?? null,
    largest,
    error,
    headroom: headroomOf(type, largest, read),
    saturations,
    samples: samplesOf(float, roles),
    bad: isSaturated(error, saturations, largest, tolerance) || !holds(error.roles.maximum, tolerance, largest),
  };
}

/** The least of what the steps that read ranges leave, and of what the ring leaves where it is not meant to wrap. */
function headroomOf(type: WordType | undefined, largest: number, read: readonly RangeReading[]): number | null {
  const ring = type === undefined || largest === 0 ? Number.NaN : type.ring - 1 - type.fraction - Math.log2(largest);
  const rooms = [...read.map(({ headroom }) => headroom), ...(ring > 0 ? [ring] : [])];
  return rooms.length === 0 ? null : Math.min(...rooms);
}

const SAMPLES = 48;

/** Elements at even distances, and the worst one. */
function samplesOf(float: Compared["float"], roles: Reals): readonly (readonly [number, number])[] {
  const count = Math.min(SAMPLES, roles.length);
  const places = Array.from({ length: count }, (_, i) => Math.floor((i * roles.length) / count));
  let worst = 0;
  for (let i = 0; i < roles.length; i++) {
    worst = Math.abs(roles[i] - float[i]) > Math.abs(roles[worst] - float[worst]) ? i : worst;
  }
  return [...new Set([...places, ...(roles.length > 0 ? [worst] : [])])].map((i) => [float[i], roles[i]] as const);
}

/** The outputs against the imported model's. */
function outputReports(
  plan: Plan,
  compared: readonly Compared[],
  plain: Values,
  outputs: Values,
  secret: Graph<TensorType>,
): readonly OutputReport[] {
  return plan.reveals.map(({ name, shape }) => {
    const wanted = plain.get(name)!.data;
    const node = secret.outputs.find((output) => output.name === name)!.node;
    const fixed = compared.find((each) => each.node === node)?.fixed;
    const roles = errorsOf(Float64Array.from(outputs.get(name)!.data), wanted);
    return { name, shape, error: { fixed: fixed === undefined ? roles : errorsOf(fixed, wanted), roles } };
  });
}
