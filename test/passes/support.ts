/** What the tests of the passes share: seeded numbers, inputs, running what `place` made, comparing outputs. */
import { expect } from "vitest";
import type { Graph } from "../../ir/graph.js";
import { seededNumbers } from "../../ir/seeded.js";
import { evaluateGraph, TENSOR, type WeightStore } from "../../ir/tensor/index.js";
import type { TensorType, TensorValue } from "../../ir/tensor/value.js";
import { sizeOf } from "../../ir/tensor/value.js";
import { print } from "../../ir/text.js";
import { verify } from "../../ir/verify.js";
import type { Placed } from "../../passes/place.js";

export type Values = ReadonlyMap<string, TensorValue>;

/** Values for the inputs and parameters of a graph: masks of ones and zeros, small indices, floats around zero. */
export function randomValues(
  graph: Graph<TensorType>,
  op: "input" | "parameter",
  seed: number,
): Map<string, TensorValue> {
  const random = seededNumbers(seed);
  const values = new Map<string, TensorValue>();
  for (const node of graph.nodes.filter((each) => each.op === op)) {
    const { dtype, shape } = node.type;
    const name = node.attributes.name as string;
    const last = shape.at(-1) ?? 1;
    const element = (i: number) => {
      if (/mask/.test(name)) {
        return i % last === last - 1 && i >= last ? 0 : 1; // every row but the first is padded
      }
      return dtype === "f32" ? 2 * random() - 1 : Math.floor(2 * random());
    };
    values.set(name, { dtype, shape, data: Float64Array.from({ length: sizeOf(shape) }, (_, i) => element(i)) });
  }
  return values;
}

export function storeOf(values: Values): WeightStore {
  return {
    read(name) {
      return values.get(name)!;
    },
  };
}

/** The outputs of the secret program, after the owners ran theirs. */
export function evaluatePlaced(placed: Placed, inputs: Values, weights: WeightStore): Map<string, TensorValue> {
  const model = evaluateGraph(placed.model, new Map(), weights);
  const data = evaluateGraph(placed.data, inputs);
  const owners = new Map(
    placed.bindings.map(({ input, owner, output }) => [input, (owner === "model" ? model : data).get(output)!]),
  );
  return evaluateGraph(placed.secret, owners);
}

/** Every element within the tolerance, relative to the larger of one and its size. */
export function expectClose(actual: Values, expected: Values, tolerance: number, what: string): void {
  expect([...actual.keys()]).toEqual([...expected.keys()]);
  for (const [name, { shape, data }] of expected) {
    const other = actual.get(name)!;
    expect(other.shape, `${what}: ${name}`).toEqual(shape);
    const bad = data.findIndex(
      (each, i) => !(Math.abs(each - other.data[i]) <= tolerance * Math.max(1, Math.abs(each))),
    );
    expect(bad < 0 ? "" : `[${bad}]: ${other.data[bad]}, not ${data[bad]}`, `${what}: ${name}`).toBe("");
  }
}

export function expectValid(graph: Graph<TensorType>, what: string): void {
  expect(verify(graph, TENSOR).map(String), what).toEqual([]);
}

/** The text without the names of inputs and of source nodes, and with constants to five digits. */
export function anonymous(graph: Graph<TensorType>): string {
  const names = new Map<string, string>();
  return print(graph, TENSOR)
    .replace(/ @ ".*"$/gm, "")
    .replace(/^output ".*" =/gm, "output =")
    .replace(/name = ("(?:[^"\\]|\\.)*")/g, (_, name: string) => {
      names.set(name, names.get(name) ?? `i${names.size}`);
      return `name = ${names.get(name)}`;
    })
    .replace(/\] "[A-Za-z0-9+/]+=*"/g, "] …")
    .replace(/-?\d+\.\d{6,}(?:e-?\d+)?/g, (number) => Number(number).toPrecision(5));
}
