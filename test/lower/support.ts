/** What the tests of lowering share: a tensor graph as text becomes a plan and runs in the three roles. */

import { simulate } from "../../client/local/simulation.js";
import { runOwners } from "../../client/owners.js";
import { type Compiled, type CompileOptions, compileImported } from "../../compiler/compile.js";
import type { PumacError } from "../../ir/diagnostics.js";
import { planDigest } from "../../ir/plan/codec.js";
import { evaluateGraph, TENSOR } from "../../ir/tensor/index.js";
import type { TensorValue } from "../../ir/tensor/value.js";
import { parse } from "../../ir/text.js";

type Values = ReadonlyMap<string, TensorValue>;

export interface TextModel {
  /** A tensor graph; its parameters are weights. */
  readonly text: string;
  readonly weights?: Values;
  /** Also the calibration, unless the options have one. */
  readonly inputs: Values;
}

export function compileText({ text, weights, inputs }: TextModel, options: CompileOptions = {}): Compiled {
  const graph = parse(text, TENSOR);
  const model = {
    graph,
    weights: { read: (name: string) => weights!.get(name)! },
    warnings: [],
    name: "text",
    inputs: [...inputs].map(([name, { dtype, shape }]) => ({ name, dtype, shape })),
  };
  return compileImported(model, { calibration: [inputs], ...options });
}

/** Every output by the three roles, and in the clear. */
export async function runText(model: TextModel, options: CompileOptions = {}, seed = 1) {
  const compiled = compileText(model, options);
  const { plan, weights } = compiled;
  const owners = runOwners(plan, model.inputs, weights);
  const { outputs } = await simulate({ plan, digest: planDigest(plan) }, owners, seed);
  const expected = evaluateGraph(parse(model.text, TENSOR), model.inputs, weights);
  return { ...compiled, outputs, expected, error: largestError(outputs, expected) };
}

function largestError(outputs: Values, expected: Values): number {
  const errors = [...expected].flatMap(([name, { data }]) =>
    Array.from(data, (value, i) => Math.abs(value - outputs.get(name)!.data[i])),
  );
  return errors.reduce((most, error) => (error <= most ? most : error), 0);
}

/** The codes and places of what compiling refuses. */
export function refusals(model: TextModel, options: CompileOptions = {}): readonly string[] {
  try {
    compileText(model, options);
    return [];
  } catch (error) {
    return (error as PumacError).diagnostics.map(({ code, where, fix }) => `${code} ${where} ${fix !== undefined}`);
  }
}

export function floats(shape: readonly number[], at: (i: number) => number): TensorValue {
  const size = shape.reduce((product, n) => product * n, 1);
  return { dtype: "f32", shape, data: Float64Array.from({ length: size }, (_, i) => at(i)) };
}

/** A fixed sequence of about normal numbers. */
export function normal(shape: readonly number[], scale = 1, seed = 1): TensorValue {
  const noise = (i: number) => {
    const value = Math.sin(i * 12.9898 + seed * 78.233) * 43758.5453;
    return value - Math.floor(value);
  };
  return floats(shape, (i) => {
    const radius = Math.sqrt(-2 * Math.log(noise(2 * i) + 1e-9));
    return scale * radius * Math.cos(2 * Math.PI * noise(2 * i + 1));
  });
}
