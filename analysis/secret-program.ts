/**
 * The secret program of a plan over real numbers: the passes are run again on the model, so that what the parties
 * compute in rings can be compared with what it means. A plan holds the owners' programs, which say whether it is the
 * same one.
 */

import type { CompileOptions } from "../compiler/compile.js";
import type { ImportedModel } from "../compiler/imported.js";
import { trades } from "../compiler/network.js";
import { withOutputs } from "../compiler/outputs.js";
import { scaledName } from "../compiler/owner-scales.js";
import { compileTensors } from "../compiler/pipeline.js";
import { readRecord } from "../compiler/record.js";
import { fail } from "../ir/diagnostics.js";
import type { Node } from "../ir/graph.js";
import type { Plan } from "../ir/plan/types.js";
import type { TensorType } from "../ir/tensor/value.js";
import { depthFirst } from "../passes/order.js";
import type { Placed } from "../passes/place.js";

/** The programs that a plan was made of; E0801 where the model gives others. */
export function programsOf({ graph }: Pick<ImportedModel, "graph">, plan: Plan): Placed {
  const names = plan.reveals.map(({ name }) => name);
  const known = publicInputs(plan);
  const { network } = readRecord(plan).options as CompileOptions;
  const placed = compileTensors(withOutputs(depthFirst(graph), names), {
    pays: trades(network),
    profile: plan.profile,
    isPublic: (input) => known.has(input),
    measured: plan.ranges.method === "given inputs",
  });
  for (const { input } of placed.bindings) {
    if (!plan.bindings.some(({ output }) => output === input || output === scaledName(input))) {
      const what = "the plan was not compiled from this model by this pumac";
      const why = `its programs have no '${input}'`;
      throw fail({ code: "E0801", what, where: plan.name, why, fix: "compile the plan again" });
    }
  }
  return placed;
}

/** Inputs of the model that go into what P1 and P2 get in the clear. */
function publicInputs({ owners, bindings }: Plan): ReadonlySet<string> {
  const outputs = new Set(bindings.filter(({ owner }) => owner === "public").map(({ output }) => output));
  const pending: Node<TensorType>[] = owners.data.outputs
    .filter(({ name }) => outputs.has(name))
    .map(({ node }) => node);
  const seen = new Set<Node<TensorType>>();
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    if (!seen.has(node)) {
      seen.add(node);
      pending.push(...node.args);
    }
  }
  return new Set([...seen].filter(({ op }) => op === "input").map(({ attributes }) => attributes.name as string));
}
