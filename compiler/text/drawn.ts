/**
 * A token that the parties draw in secret, by the Gumbel trick (Gumbel 1954): the largest of all scores, each with
 * noise of its own, is a token as often as its probability. The noise is an input of the data owner, who draws it anew
 * for each token, at the temperature that it wants: 0 takes the likeliest.
 */
import { NOISE, NOISE_RANGE } from "../../formats/text.js";
import { sizeOf, type TensorValue } from "../../ir/tensor/value.js";
import type { Emit, TensorNode } from "../../passes/rewriter.js";
import type { ImportedModel } from "../imported.js";

/** What asks for it instead of `token`. */
export const DRAWN = "draw";

type Values = ReadonlyMap<string, TensorValue>;

/** The scores of tokens with noise. */
export function withNoise(row: TensorNode, emit: Emit): TensorNode {
  const noise = emit("input", [], { name: NOISE, dtype: "f32", shape: row.type.shape });
  const [low, high] = NOISE_RANGE;
  return emit("add", [row, emit("clamp", [noise], { low, high })]);
}

/** Inputs of a model with noise, where it takes some: all that there may be. */
export function noisy(sample: Values, { inputs }: Pick<ImportedModel, "inputs">): Values {
  const noise = inputs.filter(({ name }) => name === NOISE && !sample.has(name));
  return new Map([
    ...sample,
    ...noise.map(({ name, dtype, shape }): [string, TensorValue] => {
      const size = sizeOf(shape);
      return [name, { dtype, shape, data: new Float64Array(size).map((_, i) => noiseAt((i + 1) / size)) }];
    }),
  ]);
}

/** A noise of the range, by a part of it. */
export function noiseAt(part: number): number {
  const [low, high] = NOISE_RANGE;
  return low + (high - low) * part;
}
