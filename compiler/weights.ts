/** The model that a plan was compiled from: its weights for the owner's program, its graph to compare with. */

import type { ModelFiles } from "../formats/plan-file.js";
import { fail } from "../ir/diagnostics.js";
import type { Graph, Node } from "../ir/graph.js";
import { type Plan, programsOf } from "../ir/plan/types.js";
import type { WeightStore } from "../ir/tensor/index.js";
import type { TensorType, TensorValue } from "../ir/tensor/value.js";
import { depthFirst } from "../passes/order.js";
import type { CompileOptions } from "./compile.js";
import { withConstants } from "./constants.js";
import { importModel, type ModelSources } from "./import.js";
import type { ImportedModel } from "./imported.js";
import { CHOSEN, topIn, withOutputs } from "./outputs.js";
import { constantWeights } from "./pipeline.js";
import { readRecord } from "./record.js";
import { readText } from "./text/compile.js";

/**
 * Opens the weights of the model that a plan was compiled from, at the plan's shapes. E0801 where the model lacks a
 * weight that the plan's owner program reads, or has it in another shape: then it is another model.
 */
export async function openWeights(files: ModelFiles, plan: Plan): Promise<WeightStore> {
  return (await openModel(files, plan)).weights;
}

/** The same with the model's graph. */
export async function openModel({ model: path, weights }: ModelFiles, plan: Plan): Promise<ImportedModel> {
  if (plan.ranges.method === "structure") {
    throw fail({
      code: "E0405",
      what: "the plan is for cost only: its ranges are assumed, not measured",
      where: plan.name,
      why: "it was compiled without weights, and values of real ones may leave the ranges without a sign",
      fix: "compile it again with the weights at hand, or with --assume-ranges to run it all the same",
    });
  }
  const { model, graphs } = await readAgain(path, plan, {
    weightArguments: weightArguments(plan),
    ...(weights === undefined ? {} : { weightsFile: weights }),
  });
  const shapes = new Map<string, string>();
  for (const { op, attributes, type } of model.graph.nodes) {
    if (op === "parameter") {
      shapes.set(attributes.name as string, type.shape.join());
    }
  }
  const parameters = programsOf(plan).flatMap(({ owners }) =>
    owners.model.nodes.filter(({ op }) => op === "parameter"),
  );
  const made = constantsRead(parameters, shapes, graphs);
  for (const [name, { shape }] of made) {
    shapes.set(name, shape.join());
  }
  for (const { attributes, type } of parameters) {
    const name = attributes.name as string;
    if (shapes.get(name) !== type.shape.join()) {
      const what = "the plan was not compiled from this model";
      const found = shapes.get(name) ?? "none";
      const why = `the plan reads the weight '${name}' of shape [${type.shape}], the model has [${found}]`;
      throw fail({ code: "E0801", what, where: path, why, fix: "give the model that the plan was compiled from" });
    }
  }
  return { ...model, weights: withConstants(model.weights, made) };
}

/** A model as it is read for a plan, and the graphs that the plan's programs are made of. */
async function readAgain(
  path: string,
  plan: Plan,
  more: Pick<ModelSources, "weightArguments" | "weightsFile">,
): Promise<{ model: ImportedModel; graphs: readonly Graph<TensorType>[] }> {
  const options = readRecord(plan).options as CompileOptions;
  if (options.context !== undefined) {
    return readText(path, { ...options, ...more, shapes: {} });
  }
  const values = options.values === undefined ? {} : { values: options.values };
  const model = await importModel(path, { dims: {}, shapes: plan.shapes, ...values, ...more });
  const names = plan.reveals
    .map(({ name }) => name)
    .filter((name) => model.graph.outputs.some((output) => output.name === name));
  const isRevealed = (name: string): boolean => plan.reveals.some((reveal) => reveal.name === name);
  const chosen = CHOSEN.filter((name) => !names.includes(name) && isRevealed(name));
  return { model, graphs: [withOutputs(depthFirst(model.graph), [...names, ...chosen, ...topIn(plan.reveals)])] };
}

/** Constants of the file that are weights under names of the passes: worked out only where the plan reads one. */
function constantsRead(
  parameters: readonly Node<TensorType>[],
  known: ReadonlyMap<string, string>,
  graphs: readonly Graph<TensorType>[],
): ReadonlyMap<string, TensorValue> {
  if (parameters.every(({ attributes }) => known.has(attributes.name as string))) {
    return new Map();
  }
  return new Map(graphs.flatMap((graph) => [...constantWeights(graph)]));
}

/** JAX: which arguments were weights when the plan was made. Those that the plan does not read do not matter. */
export function weightArguments({ owners }: Plan): readonly string[] {
  return owners.model.nodes.filter(({ op }) => op === "parameter").map(({ attributes }) => attributes.name as string);
}
