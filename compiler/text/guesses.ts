/**
 * Guesses of a draft, which a plan checks in one pass: a program takes the newest token and so many guesses of what
 * follows it, and reveals what follows each. Rows of guesses that were wrong are in the cache then, and one of the
 * programs that forget so many takes them out again: they move what is kept, and send nothing.
 */
import { Builder } from "../../ir/graph.js";
import { TENSOR } from "../../ir/tensor/index.js";
import { sizeOf, type TensorType, type TensorValue } from "../../ir/tensor/value.js";
import type { ImportedModel } from "../imported.js";
import type { Program } from "./source.js";

/** The program that takes the newest rows out of what a program keeps. */
export function forgettingModel({ model, kept }: Program, rows: number): ImportedModel {
  const builder = new Builder<TensorType>(TENSOR);
  const outputs = model.graph.outputs.flatMap(({ name, node: { type } }) => {
    const own = kept.find((each) => each.name === name);
    if (own === undefined) {
      return [];
    }
    const { dtype, shape } = type;
    const { axis } = own;
    const whole = builder.emit("input", [], { name, dtype, shape }, name);
    const empty = shape.with(axis, rows);
    const value: TensorValue = { dtype, shape: empty, data: new Float64Array(sizeOf(empty)) };
    const zeros = builder.emit("constant", [], { value }, name);
    const ends = shape.with(axis, shape[axis] - rows);
    const cut = { starts: shape.map(() => 0), ends, steps: shape.map(() => 1) };
    const rest = builder.emit("slice", [whole], cut, name);
    return [{ name, node: builder.emit("concatenate", [zeros, rest], { axis }, name) }];
  });
  return { ...model, graph: builder.finish(outputs), inputs: [] };
}

/** What it is measured with: values as large as they are kept. */
export function forgettingSample(
  { graph }: ImportedModel,
  bounds: ReadonlyMap<string, number>,
): ReadonlyMap<string, TensorValue> {
  return new Map(
    graph.outputs.map(({ name, node: { type } }) => [
      name,
      { ...type, data: new Float64Array(sizeOf(type.shape)).fill(bounds.get(name)!) },
    ]),
  );
}
