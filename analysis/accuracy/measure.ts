/**
 * How accurate one function is inside the protocol: a tensor graph of that one op is lowered, planned and run in the
 * three roles on a dense grid of its domain, and compared with the op in double precision. The points are fixed-point
 * numbers, so that what is measured is the function and not the rounding of its argument.
 */

import { simulate } from "../../client/local/simulation.js";
import { DEFAULT_PRECISION } from "../../compiler/compile.js";
import { emit, NO_MEANING } from "../../compiler/emit.js";
import { lower, type Profile } from "../../compiler/lower/index.js";
import { DEFAULT_NETWORK, linkCost, type Network } from "../../compiler/network.js";
import { Builder, definitionOf, type Graph } from "../../ir/graph.js";
import { planDigest } from "../../ir/plan/codec.js";
import type { Plan } from "../../ir/plan/types.js";
import { SHARE } from "../../ir/share/index.js";
import { TENSOR, type TensorNode } from "../../ir/tensor/index.js";
import { scalar, sizeOf, type TensorType, type TensorValue } from "../../ir/tensor/value.js";
import { approximate } from "../../passes/approximate.js";
import { dropEarly } from "../../passes/early.js";
import { planRings } from "../../passes/plan-rings.js";
import type { Distance, Emit, FunctionCase } from "./cases.js";

export interface Measurement {
  /** The largest and the mean error, by the case's distance. */
  readonly maximum: number;
  readonly mean: number;
  /** Rounds from a masked argument to the opened result; bytes per element of the argument, over all links. */
  readonly rounds: number;
  readonly onlineBytes: number;
  readonly offlineBytes: number;
  readonly points: readonly { readonly x: number; readonly expected: number; readonly got: number }[];
}

const FRACTION = DEFAULT_PRECISION.activation;
const EMPTY = { nodes: [], outputs: [] };

/** Runs a case in a profile, planned for a network; the seed makes shares and masks repeatable. */
export async function measureFunction(
  given: FunctionCase,
  profile: Profile,
  seed = 1,
  network: Network = DEFAULT_NETWORK,
): Promise<Measurement> {
  const inputs = given.inputs.map((input) => input.values(FRACTION));
  const graph = approximate(graphOf(given, inputs), profile);
  const values = evaluateAll(graph, inputs);
  const plan = planOf(given, profile, graph, values, network);
  const shared = { value: (_: string, name: string) => inputs[indexOf(name)] };
  const { outputs } = await simulate({ plan, digest: planDigest(plan) }, shared, seed);
  const expected = values.get(graph.outputs[0].node)!;
  return { ...compare(inputs[0], expected, outputs.get("y")!, given.distance), ...costOf(plan, inputs[0]) };
}

/** Input x0, x1, …; one that is read at another fraction too has it behind an @. */
function indexOf(name: string): number {
  return Number(name.slice(1).replace(/@\d+$/, ""));
}

function graphOf(given: FunctionCase, values: readonly TensorValue[]): Graph<TensorType> {
  const builder = new Builder<TensorType>(TENSOR);
  const emit: Emit = (op, args, attributes = {}) => builder.emit(op, args, attributes, given.name);
  const inputs = values.map(({ shape }, i) => emit("input", [], { name: `x${i}`, dtype: "f64", shape }));
  const constants = (given.constants ?? []).map((value) => emit("constant", [], { value: scalar(value, "f64") }));
  const result = given.build?.(emit, inputs) ?? emit(given.op!, [...inputs, ...constants], given.attributes);
  return builder.finish([{ name: "y", node: result }]);
}

/** The value of every node, in doubles. */
function evaluateAll(graph: Graph<TensorType>, inputs: readonly TensorValue[]): ReadonlyMap<TensorNode, TensorValue> {
  const values = new Map<TensorNode, TensorValue>();
  for (const node of graph.nodes) {
    const args = node.args.map((argument) => values.get(argument)!);
    const value =
      node.op === "input"
        ? inputs[indexOf(node.attributes.name as string)]
        : TENSOR.ops[node.op].evaluate(args, node.attributes, node.type);
    values.set(node, value);
  }
  return values;
}

function planOf(
  given: FunctionCase,
  profile: Profile,
  graph: Graph<TensorType>,
  values: ReadonlyMap<TensorNode, TensorValue>,
  network: Network,
): Plan {
  const ranges = new Map([...values].map(([node, value]) => [node, padded(rangeOf(value))] as const));
  const names = given.inputs.map((_, i) => `x${i}`);
  const link = linkCost(network);
  const lowered = lower(graph, {
    profile,
    precision: DEFAULT_PRECISION,
    ranges,
    variances: new Map([[graph.outputs[0].node, given.variance ?? { low: 1, high: 1 }]]),
    inputs: new Map(names.map((name) => [name, { owner: "data" as const, integral: false }])),
    link,
  });
  const early = dropEarly(lowered);
  return emit(planRings(early.graph, early.bounds, link), NO_MEANING, {
    name: given.name,
    profile,
    modelDigest: "",
    shapes: {},
    owners: { model: EMPTY, data: EMPTY },
    bindings: names.map((name) => ({ input: name, owner: "data" as const, output: name })),
    formulas: [],
    choices: [],
    published: [],
    disclosed: [],
    record: "{}",
    ranges: { method: "structure by choice", inputs: 0, margin: 1 },
  });
}

function rangeOf({ data }: TensorValue): readonly [number, number] {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const x of data) {
    low = Math.min(low, x);
    high = Math.max(high, x);
  }
  return [low, high];
}

/** A range that its ends lie inside of, as ranges of real values do. */
function padded([low, high]: readonly [number, number]): readonly [number, number] {
  return [low < 0 ? low * 1.01 : low, high > 0 ? high * 1.01 : high];
}

function costOf(plan: Plan, argument: TensorValue) {
  let [online, offline] = [0, 0];
  for (const { op, args, attributes, type } of plan.steps) {
    const types = args.map((i) => plan.steps[i].type);
    const cost = definitionOf(SHARE, op).cost(types, attributes, type);
    online += 2 * cost.online;
    offline += cost.offline;
  }
  const elements = sizeOf(argument.shape);
  return { rounds: plan.rounds, onlineBytes: online / elements, offlineBytes: offline / elements };
}

/** The error's unit: 1, the value itself, or the largest value of the domain. */
function unitOf(distance: Distance, expected: number, largest: number): number {
  return distance === "absolute" ? 1 : distance === "relative" ? Math.abs(expected) : largest;
}

function compare(argument: TensorValue, expected: TensorValue, got: TensorValue, distance: Distance) {
  const largest = Math.max(...rangeOf(expected).map(Math.abs));
  const points = Array.from(expected.data, (value, i) => ({
    x: argument.data[Math.min(i, argument.data.length - 1)],
    expected: value,
    got: got.data[i],
  }));
  const errors = points.map((p) => Math.abs(p.got - p.expected) / unitOf(distance, p.expected, largest));
  const mean = errors.reduce((sum, error) => sum + error, 0) / errors.length;
  return { maximum: errors.reduce((a, b) => Math.max(a, b), 0), mean, points };
}
