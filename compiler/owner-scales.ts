/**
 * Factors that an owner puts into a value before it is shared (`lower/scaled.ts`): the owner's program has another
 * output for it, the value times the factors of its last axis.
 */
import { Builder, type Graph } from "../ir/graph.js";
import { TENSOR } from "../ir/tensor/index.js";
import type { TensorType, TensorValue } from "../ir/tensor/value.js";

const SUFFIX = " · scale";

/** What an output is called that is an output of this name times factors. */
export function scaledName(output: string): string {
  return output + SUFFIX;
}

/** The owner's program with the scaled outputs in the place of those that they are made of. */
export function withScales(program: Graph<TensorType>, scales: ReadonlyMap<string, Float64Array>): Graph<TensorType> {
  if (scales.size === 0) {
    return program;
  }
  const builder = new Builder<TensorType>(TENSOR);
  const made = new Map<Graph<TensorType>["nodes"][number], Graph<TensorType>["nodes"][number]>();
  for (const node of program.nodes) {
    const args = node.args.map((argument) => made.get(argument)!);
    made.set(node, builder.emit(node.op, args, node.attributes, node.origin));
  }
  const outputs = program.outputs.map(({ name, node }) => {
    const [columns, value] = [scales.get(name), made.get(node)!];
    if (columns === undefined) {
      return { name, node: value };
    }
    const { dtype } = value.type;
    const factors = { value: { dtype, shape: [columns.length], data: Float64Array.from(columns, Math.fround) } };
    const scaled = builder.emit("multiply", [value, builder.emit("constant", [], factors)], {}, node.origin);
    return { name: scaledName(name), node: scaled };
  });
  return builder.finish(outputs);
}

/** The factors in the outputs of an owner's program, by what an output is called without them. */
export function factorsIn({ outputs }: Graph<TensorType>): ReadonlyMap<string, TensorValue> {
  return new Map(
    outputs
      .filter(({ name }) => name.endsWith(SUFFIX))
      .map(({ name, node }) => [name.slice(0, -SUFFIX.length), node.args[1].attributes.value as TensorValue]),
  );
}

/** The same program with the outputs as they were: each without its factors. */
export function withoutScales({ nodes, outputs }: Graph<TensorType>): Graph<TensorType> {
  const unscaled = outputs.map((output) =>
    output.name.endsWith(SUFFIX) ? { name: output.name.slice(0, -SUFFIX.length), node: output.node.args[0] } : output,
  );
  return { nodes, outputs: unscaled };
}
