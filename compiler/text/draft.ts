/** A draft: a small public language model, which its user runs in the clear to guess what a larger one writes. */
import { textInputs } from "../../formats/text.js";
import { fail } from "../../ir/diagnostics.js";
import { evaluateGraph, type MultiplyReals } from "../../ir/tensor/index.js";
import { isFloat, sizeOf, type TensorValue } from "../../ir/tensor/value.js";
import { depthFirst } from "../../passes/order.js";
import { importNamed } from "../compile.js";
import { logitsOf } from "../outputs.js";
import { tokensOf } from "./cache.js";
import { branchValues } from "./padding.js";
import { shapesFor } from "./source.js";

/** So many tokens that likely follow a text. */
type Guess = (ids: readonly number[], count: number) => readonly number[];

/**
 * Opens a language model as a draft for texts of up to so many tokens; a model of one length sees the last that it
 * takes. It may have a cache, which stays empty. E0402 where it writes no text, E03xx where it is no model.
 */
export async function openDraft(path: string, length: number, multiply?: MultiplyReals): Promise<Guess> {
  const made = {
    shapesOf: (declared: Parameters<typeof shapesFor>[0]) => shapesFor(declared, {}, length, 0),
    valuesOf: (shapes: ReadonlyMap<string, readonly number[]>) => branchValues(shapes.keys(), false),
  };
  const { graph, weights, inputs } = await importNamed(path, {}, made);
  const past = inputs.filter(({ dtype, shape }) => isFloat(dtype) && sizeOf(shape) > 0);
  if (past.length > 0) {
    const why = `it takes '${past[0].name}' [${past[0].shape}], and a draft takes a text alone`;
    throw fail({
      code: "E0402",
      what: "the model cannot be a draft",
      where: path,
      why,
      fix: "export it for whole texts",
    });
  }
  const logits = logitsOf(graph.outputs);
  const program = depthFirst({ nodes: graph.nodes, outputs: [{ name: "logits", node: logits }] });
  const tokens = tokensOf(graph);
  const [rows, words] = [tokens.type.shape.at(-1)!, logits.type.shape.at(-1)!];
  const types = new Map(inputs.map(({ name, dtype, shape }) => [name, { dtype, shape }]));
  const after = (ids: readonly number[]): number => {
    const given: ReadonlyMap<string, TensorValue> = textInputs(0, [{ ids, closing: 0 }], types);
    const { data } = evaluateGraph(program, given, weights, { multiply }).get("logits")!;
    const row = Array.from(data.subarray((ids.length - 1) * words, ids.length * words));
    return row.reduce((best, x, i) => (x > row[best] ? i : best), 0);
  };
  return (ids, count) => {
    const all = [...ids];
    for (let i = 0; i < count; i++) {
      all.push(after(all.slice(-rows)));
    }
    return all.slice(ids.length);
  };
}
