/** A language model as it was exported, over whole texts in the clear: what its plans are held to. */
import { importNamed } from "../../compiler/compile.js";
import type { Graph } from "../../ir/graph.js";
import { evaluateGraph, type WeightStore } from "../../ir/tensor/index.js";
import { isFloat, sizeOf, type TensorType, type TensorValue } from "../../ir/tensor/value.js";

export function typesOf({ nodes }: Graph<TensorType>): ReadonlyMap<string, TensorType> {
  return new Map(
    nodes.filter(({ op }) => op === "input").map(({ attributes, type }) => [String(attributes.name), type]),
  );
}

/** The logits after each of so many tokens, of the model as it was exported. */
export async function logitsAfter(path: string, ids: readonly number[]): Promise<readonly Float64Array[]> {
  const lengthOf = (name: string): number => (/past/.test(name) ? 0 : ids.length);
  const plain = await importNamed(
    path,
    {},
    {
      shapesOf: ({ shapes = new Map<string, readonly (number | string)[]>() }) =>
        Object.fromEntries(
          [...shapes].map(([name, dims]) => [
            name,
            dims.map((each, i) => (typeof each === "number" ? each : i === 0 ? 1 : lengthOf(name))),
          ]),
        ),
    },
  );
  const given = (name: string, i: number): number => (/mask/.test(name) ? 1 : /position/.test(name) ? i : ids[i]);
  const inputs = new Map(
    [...typesOf(plain.graph)].map(([name, type]) => [
      name,
      { ...type, data: new Float64Array(sizeOf(type.shape)).map((_, i) => given(name, i)) },
    ]),
  );
  const logits = evaluateGraph(plain.graph, inputs, plain.weights).get("logits")!;
  const words = logits.shape.at(-1)!;
  return ids.map((_, i) => Float64Array.from(logits.data.subarray(i * words, (i + 1) * words)));
}

type Values = ReadonlyMap<string, TensorValue>;

/** A program's inputs, and what it chooses the next token from. */
export function runProgram(
  graph: Graph<TensorType>,
  weights: WeightStore,
  inputs: Values,
): { logits: Float64Array; outputs: Values } {
  const token = graph.outputs.find(({ name }) => name === "token")!.node;
  let logits = new Float64Array(0);
  const observe = (node: typeof token, _: TensorValue, [x]: readonly TensorValue[]) => {
    logits = node === token ? Float64Array.from(x.data) : logits;
  };
  return { outputs: evaluateGraph(graph, inputs, weights, { observe }), logits };
}

/** Past values in the order of the window: zeros at first. */
export function stateOf(graph: Graph<TensorType>, before: Values): Values {
  const state = [...typesOf(graph)].filter(([, { dtype }]) => isFloat(dtype));
  return new Map(
    state.map(([name, type]) => [name, before.get(name) ?? { ...type, data: new Float64Array(sizeOf(type.shape)) }]),
  );
}
