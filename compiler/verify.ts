/**
 * Whether a plan is this model's: the model is compiled again with the options and measured ranges that the plan
 * carries, and must give the same plan, byte for byte. A forged plan could reveal weights as an answer.
 */
import type { ModelFiles } from "../formats/plan-file.js";
import { fail } from "../ir/diagnostics.js";
import type { Graph } from "../ir/graph.js";
import { planDigest } from "../ir/plan/codec.js";
import { type Plan, programsOf } from "../ir/plan/types.js";
import { evaluateGraph, type MultiplyReals, type WeightStore } from "../ir/tensor/index.js";
import type { TensorType } from "../ir/tensor/value.js";
import { extremes, type Interval } from "../passes/intervals.js";
import { outwardInterval } from "../passes/outward.js";
import type { Calibration } from "./calibrate.js";
import type { CompileOptions } from "./compile.js";
import { withoutScales } from "./owner-scales.js";
import { firstDifference, readRecord } from "./record.js";
import { openForPlan } from "./text/compile.js";
import { weightArguments } from "./weights.js";

/**
 * Compiles the model again as the plan says, and compares. Throws E0801 with the first difference. Where ranges were
 * measured, the weights that are shared must have the extremes that the plan was made for: the ranges say little of
 * weights, and so a plan tells two sets of weights apart only where their largest numbers differ. Gives the weights.
 */
export async function verifyPlan(plan: Plan, files: ModelFiles, multiply?: MultiplyReals): Promise<WeightStore> {
  const options: CompileOptions = readRecord(plan).options;
  const programs = programsOf(plan).map((program) => ({ program, wanted: new Map<string, Interval>() }));
  const [record, ...parts] = programs.map(({ program, wanted }): NonNullable<CompileOptions["record"]> => {
    const { given, calibration } = readRecord(program);
    return {
      text: program.record,
      given,
      calibration(graph) {
        const known = calibration(graph);
        weightRanges(program, graph, known, wanted);
        return known;
      },
    };
  });
  const stated: CompileOptions = {
    ...options,
    ...(files.weights === undefined ? {} : { weightsFile: files.weights }),
    weightArguments: options.weightArguments ?? weightArguments(plan),
    record,
    ...(parts.length > 0 && { records: [record, ...parts] }),
  };
  const { compile } = await openForPlan(files.model, stated);
  const again = await compile(stated);
  if (planDigest(again.plan) !== planDigest(plan)) {
    throw other(files, `compiled again from this model it differs: ${firstDifference(plan, again.plan)}`);
  }
  programs.forEach(({ program, wanted }) => void checkExtremes(program, again.weights, files, wanted, multiply));
  return again.weights;
}

/** The measured range of every output of the owner's program, by its name. */
function weightRanges(plan: Plan, graph: Graph<TensorType>, known: Calibration, into: Map<string, Interval>): void {
  if (known.source.inputs === 0) {
    return;
  }
  const owned = new Set(withoutScales(plan.owners.model).outputs.map(({ name }) => name));
  for (const node of graph.nodes) {
    const name = node.attributes.name as string;
    const range = known.report.ranges.get(node);
    if (node.op === "input" && owned.has(name) && range !== undefined) {
      into.set(name, range);
    }
  }
}

function checkExtremes(
  plan: Plan,
  weights: WeightStore,
  files: ModelFiles,
  wanted: ReadonlyMap<string, Interval>,
  multiply: MultiplyReals | undefined,
): void {
  if (wanted.size === 0) {
    return;
  }
  const values = evaluateGraph(withoutScales(plan.owners.model), new Map(), weights, { multiply });
  for (const [name, [low, high]] of wanted) {
    const value = values.get(name);
    const [least, most] = value === undefined ? [low, high] : outwardInterval(extremes(value));
    if (least !== low || most !== high) {
      throw other(files, `'${name}' does not have the range that the plan was made for`);
    }
  }
}

function other({ model }: ModelFiles, why: string): Error {
  const fix = "give the model that the plan was compiled from, or compile a plan from this one";
  return fail({ code: "E0801", what: "the plan was not compiled from this model", where: model, why, fix });
}
