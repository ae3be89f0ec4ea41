/**
 * What a plan remembers of its making: the options that it was compiled with and the ranges that were measured. With
 * them the same model gives the same plan again, so that whoever shares weights can see that a plan is this model's,
 * and not one that somebody made to be shown the weights (`verify`).
 */
import { fail } from "../ir/diagnostics.js";
import type { Graph } from "../ir/graph.js";
import type { Plan } from "../ir/plan/types.js";
import type { TensorType } from "../ir/tensor/value.js";
import type { RangeReport } from "../passes/range.js";
import type { Calibration } from "./calibrate.js";

type TensorNode = Graph<TensorType>["nodes"][number];

/** Options that say where things come from or go to, or that the plan states elsewhere. */
const ELSEWHERE: ReadonlySet<string> = new Set([
  ...[
    "dims",
    "shapes",
    "profile",
    "weights",
    "weightsFile",
    "calibration",
    "calibrationRun",
    "dump",
    "record",
    "records",
  ],
]);

/** The record of a compile, as JSON. */
export function recordOf(options: object, calibration: Calibration, graph: Graph<TensorType>): string {
  const kept = Object.entries(options).filter(([name, value]) => value !== undefined && !ELSEWHERE.has(name));
  const stated = kept.sort(([a], [b]) => (a < b ? -1 : 1));
  const places = new Map(graph.nodes.map((node, i) => [node, i]));
  const measured = Object.fromEntries(
    Object.entries(calibration.report).map(([name, map]) => [name, entriesOf(map, places)]),
  );
  const record = { options: Object.fromEntries(stated), source: calibration.source, measured };
  return JSON.stringify(record, (_, value) => encoded(value));
}

function entriesOf(map: ReadonlyMap<TensorNode, unknown>, places: ReadonlyMap<TensorNode, number>): unknown[] {
  return [...map].map(([node, value]) => [places.get(node), value]).sort(([a], [b]) => Number(a) - Number(b));
}

/** JSON has no infinities and no typed arrays. */
function encoded(value: unknown): unknown {
  if (typeof value === "number" && !Number.isFinite(value)) {
    return { number: String(value) };
  }
  return ArrayBuffer.isView(value) ? { numbers: Array.from(value as Float64Array) } : value;
}

function decoded(value: unknown): unknown {
  const { number, numbers } = (value ?? {}) as { number?: string; numbers?: number[] };
  if (typeof number === "string") {
    return Number(number);
  }
  return Array.isArray(numbers) ? Float64Array.from(numbers) : value;
}

/** A record as it was read: the options, and the ranges once the graph is there. */
export interface PlanRecord {
  readonly options: Readonly<Record<string, unknown>>;
  /** Whether its ranges were measured on inputs that were given. */
  readonly given: boolean;
  readonly calibration: (graph: Graph<TensorType>) => Calibration;
}

/** Reads a plan's record. E0303 where it is none of this pumac. */
export function readRecord({ record, shapes, profile, name }: Plan): PlanRecord {
  try {
    const { options, source, measured } = JSON.parse(record, (_, value) => decoded(value)) as {
      options: Record<string, unknown>;
      source: Calibration["source"];
      measured: Record<keyof RangeReport, [number, never][]>;
    };
    const calibration = (graph: Graph<TensorType>): Calibration => {
      const maps = Object.entries(measured).map(([key, entries]) => [
        key,
        new Map(entries.map(([place, value]) => [graph.nodes[place], value])),
      ]);
      return { report: Object.fromEntries(maps) as unknown as RangeReport, source };
    };
    // What shapes a plan of many programs has follows from its context.
    const bound = options.context === undefined ? shapes : {};
    return {
      options: { ...options, shapes: bound, profile, dims: {} },
      given: source.method === "given inputs",
      calibration,
    };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw fail({ code: "E0303", what: "the plan does not say how it was compiled", where: name, why });
  }
}

/** Where two plans first differ, in words; undefined where they do not. */
export function firstDifference(plan: Plan, again: Plan): string | undefined {
  const keys = Object.keys(plan) as (keyof Plan)[];
  const differs = keys.filter((key) => key !== "name" && text(plan[key]) !== text(again[key]));
  if (differs.length === 0) {
    return undefined;
  }
  const step = plan.steps.findIndex((each, i) => text(each) !== text(again.steps[i]));
  if (step < 0) {
    return `its ${differs.join(", ")}`;
  }
  const [has, should] = [plan.steps[step], again.steps[step]].map((each) => each?.op ?? "none");
  return `step ${step} ('${plan.origins[plan.steps[step].origin].node}'): ${has}, where the model gives ${should}`;
}

function text(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) => (each instanceof Map ? [...each] : encoded(each)));
}
