/** The first node of a program that is wrong, why, and what to change. */
import type { Plan } from "../../ir/plan/types.js";
import type { RangeReading } from "./ranges.js";
import type { Finding, NodeReport } from "./types.js";

/** Whether an error is within a tolerance, relative for values above 1. */
export function holds(error: number, tolerance: number, value: number): boolean {
  return error <= tolerance * Math.max(1, Math.abs(value));
}

/** Ops that profile `puma` computes by the paper's formulas. */
const PUMA_FORMULAS: ReadonlySet<string> = new Set(["gelu", "silu", "softmax"]);

const CALIBRATE =
  "compile with --calibrate on inputs like this one, so that the plan's ranges are those of real values";

/**
 * Whether values outside a range or a window do harm: a formula may compute nonsense where a comparison then selects
 * something else.
 */
export function isSaturated(
  { own, drift }: NodeReport["error"],
  { range, window }: NodeReport["saturations"],
  largest: number,
  tolerance: number,
): boolean {
  const isOff = [own, drift].some(({ maximum }) => !holds(maximum, tolerance, largest));
  return window > 0 || (range > 0 && isOff);
}

/** What steps that read ranges found, by the node and op that they are of. */
export type Readings = ReadonlyMap<string, readonly RangeReading[]>;

export function readingKey(node: string, op: string): string {
  return `${node} (${op})`;
}

type Advice = Pick<Finding, "what" | "why" | "fix">;

/** The first node that adds an error of its own, else the first that is off; null where all are good. */
export function findingOf(
  nodes: readonly NodeReport[],
  profile: Plan["profile"],
  tolerance: number,
  readings: Readings,
): Finding | null {
  const isSource = ({ saturations, error, largest }: NodeReport): boolean =>
    isSaturated(error, saturations, largest, tolerance) || !holds(error.own.maximum, tolerance, largest);
  const source = nodes.findIndex((node) => node.bad && isSource(node));
  const place = source >= 0 ? source : nodes.findIndex(({ bad }) => bad);
  if (place < 0) {
    return null;
  }
  const advice =
    source >= 0
      ? explainSource(nodes[place], profile, tolerance, readings)
      : explainSum(nodes[place], nodes.slice(0, place + 1), profile);
  return { node: place, name: nodes[place].name, ...advice };
}

const ANOTHER_PROFILE = "compile with --profile fourier, or allow a larger --tolerance";
const MORE_BITS = "compile with more fractional bits (--fraction 15), or allow a larger --tolerance";

function isPumaFormula(op: string, profile: Plan["profile"]): boolean {
  return profile === "puma" && PUMA_FORMULAS.has(op);
}

function explainSource(
  { op, name, saturations, error, largest }: NodeReport,
  profile: Plan["profile"],
  tolerance: number,
  readings: Readings,
): Advice {
  const off = `the roles are off by ${number(error.roles.maximum)} there`;
  const isFormula = isPumaFormula(op, profile) && holds(error.drift.maximum, tolerance, largest);
  if (saturations.range > 0 && !isFormula && isSaturated(error, saturations, largest, tolerance)) {
    const read = [...readings.get(readingKey(name, op))!].sort((a, b) => a.headroom - b.headroom)[0];
    const what = `${saturations.range} values of '${op}' are outside the range that the plan holds`;
    const why = `they reach ${number(read.largest)}, the plan holds ${number(read.limit)}; ${off}`;
    return { what, why, fix: CALIBRATE };
  }
  const own = `its own error is ${number(error.own.maximum)}, the tolerance ${tolerance}`;
  if (isPumaFormula(op, profile)) {
    const what = `PUMA's formula for '${op}' is not accurate enough`;
    return { what, why: `${own}; ${off}`, fix: ANOTHER_PROFILE };
  }
  if (saturations.window > 0) {
    const what = `for ${saturations.window} values the formula of '${op}' does not hold`;
    return { what, why: `its arguments are outside the interval that the plan made it for; ${off}`, fix: CALIBRATE };
  }
  return { what: `'${op}' loses precision`, why: `${own}; ${off}`, fix: MORE_BITS };
}

/** Where no node is bad by itself: what adds most of those before. */
function explainSum(node: NodeReport, before: readonly NodeReport[], profile: Plan["profile"]): Advice {
  const [most] = before.toSorted((a, b) => b.error.own.maximum - a.error.own.maximum);
  const where = `'${most.op}' at ${most.name}, adds ${number(most.error.own.maximum)}`;
  return {
    what: `the errors of the nodes before it add up to ${number(node.error.roles.maximum)}`,
    why: `no node is off by more than the tolerance by itself; the one that adds most, ${where}`,
    fix: isPumaFormula(most.op, profile) ? ANOTHER_PROFILE : MORE_BITS,
  };
}

/** Three digits. */
export function number(x: number): string {
  return String(Number(x.toPrecision(3)));
}
