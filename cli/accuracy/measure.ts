/**
 * How accurate one function is inside the protocol: a tensor graph of that one op is lowered, planned and run in the
 * three roles on a dense grid of its domain, and compared with the op in double precision. The points are fixed-point
 * numbers, so that what is measured is the function and not the rounding of its argument.
 */

import { DEFAULT_PRECISION } from "../../compiler/compile.js";
import { emit } from "../../compiler/emit.js";
import { lower, type Profile } from "../../compiler/lower/index.js";
import { DEFAULT_NETWORK, linkCost } from "../../compiler/network.js";
import { Builder, definitionOf, type Node } from "../../ir/graph.js";
import { planDigest } from "../../ir/plan/codec.js";
import type { Plan } from "../../ir/plan/types.js";
import { SHARE } from "../../ir/share/index.js";
import { TENSOR } from "../../ir/tensor/index.js";
import { scalar, sizeOf, type TensorType, type TensorValue } from "../../ir/tensor/value.js";
import { levels } from "../../passes/levels.js";
import { simulate } from "../simulation.js";
import type { Distance, FunctionCase } from "./cases.js";

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

/** Runs a case in a profile; the seed makes shares and masks repeatable. */
export async function measureFunction(given: FunctionCase, profile: Profile, seed = 1): Promise<Measurement> {
  const values = given.inputs.map((input) => input.values(FRACTION));
  const { graph, nodes } = graphOf(given, values);
  const expected = TENSOR.ops[given.op].evaluate(
    [...values, ...(given.constants ?? []).map((c) => scalar(c, "f64"))],
    given.attributes ?? {},
    nodes.result.type,
  );
  const plan = planOf(given, profile, { graph, nodes, values, expected });
  const names = new Map(values.map((value, i) => [`x${i}`, value]));
  const shared = { value: (_: string, name: string) => names.get(name.replace(/@\d+$/, ""))! };
  const { outputs } = await simulate({ plan, digest: planDigest(plan) }, shared, seed);
  return { ...compare(values[0], expected, outputs.get("y")!, given.distance), ...costOf(plan, values[0]) };
}

interface Nodes {
  readonly inputs: readonly Node<TensorType>[];
  readonly result: Node<TensorType>;
}

function graphOf(given: FunctionCase, values: readonly TensorValue[]) {
  const builder = new Builder<TensorType>(TENSOR);
  const inputs = values.map(({ shape }, i) => builder.emit("input", [], { name: `x${i}`, dtype: "f64", shape }, "x"));
  const constants = (given.constants ?? []).map((value) =>
    builder.emit("constant", [], { value: scalar(value, "f64") }, "c"),
  );
  const result = builder.emit(given.op, [...inputs, ...constants], given.attributes ?? {}, given.name);
  const graph = builder.finish([{ name: "y", node: result }]);
  return { graph, nodes: { inputs, result } };
}

interface Prepared {
  readonly graph: ReturnType<typeof graphOf>["graph"];
  readonly nodes: Nodes;
  readonly values: readonly TensorValue[];
  readonly expected: TensorValue;
}

function planOf(given: FunctionCase, profile: Profile, { graph, nodes, values, expected }: Prepared): Plan {
  const ranges = new Map<Node<TensorType>, readonly [number, number]>();
  for (const node of graph.nodes) {
    if (node.op === "constant") {
      ranges.set(node, rangeOf(node.attributes.value as TensorValue));
    }
  }
  nodes.inputs.forEach((node, i) => {
    ranges.set(node, padded(rangeOf(values[i])));
  });
  ranges.set(nodes.result, padded(rangeOf(expected)));
  const names = nodes.inputs.map((_, i) => `x${i}`);
  const lowered = lower(graph, {
    profile,
    precision: DEFAULT_PRECISION,
    ranges,
    variances: new Map([[nodes.result, given.variance ?? { low: 1, high: 1 }]]),
    inputs: new Map(names.map((name) => [name, { owner: "data" as const, integral: false }])),
  });
  return emit(levels(lowered.graph, lowered.bounds, linkCost(DEFAULT_NETWORK)), {
    name: given.name,
    profile,
    modelDigest: "",
    shapes: {},
    owners: { model: EMPTY, data: EMPTY },
    bindings: names.map((name) => ({ input: name, owner: "data" as const, output: name })),
    formulas: [],
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
