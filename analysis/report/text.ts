/** A report as text for people: the outputs, the nodes that are furthest off, the first bad node. */
import { modelOp } from "../origins.js";
import { number } from "./advice.js";
import type { AccuracyReport, NodeReport } from "./types.js";

const MOST_SHOWN = 8;

/** The lines of a report. */
export function describeReport({ outputs, nodes, first, notCompared, tolerance }: AccuracyReport): readonly string[] {
  const row = (name: string, ...cells: readonly string[]): string =>
    `${shortened(name).padEnd(NAME_WIDTH)}${cells.map((cell) => cell.padStart(11)).join("")}`;
  const rowOf = ({ name, op, error, headroom }: NodeReport): string => {
    const errors = [error.fixed, error.roles, error.own].map(({ maximum }) => number(maximum));
    return row(`${name} (${modelOp(name, op)})`, ...errors, headroom === null ? "" : `${headroom.toFixed(1)} bits`);
  };
  const bad = nodes.filter((node) => node.bad).length;
  return [
    row("output, error against the model", "fixed", "roles", "mean"),
    ...outputs.map(({ name, error }) =>
      row(name, ...[error.fixed.maximum, error.roles.maximum, error.roles.mean].map(number)),
    ),
    row("node, largest error", "fixed", "roles", "own", "headroom"),
    ...worstOf(nodes).map(rowOf),
    `${nodes.length} nodes compared, ${bad} bad at tolerance ${tolerance}; ${notCompared} have no value of their own`,
    ...(first === null
      ? []
      : [`first bad node: ${first.name}\n  ${first.what}\n  why: ${first.why}\n  fix: ${first.fix}`]),
  ];
}

const NAME_WIDTH = 56;

function shortened(name: string): string {
  return name.length < NAME_WIDTH ? name : `…${name.slice(name.length - NAME_WIDTH + 2)}`;
}

/** Saturated nodes first, then by the roles' error. */
function worstOf(nodes: readonly NodeReport[]): readonly NodeReport[] {
  const saturated = ({ saturations }: NodeReport): number => saturations.range + saturations.window;
  return nodes
    .toSorted((a, b) => saturated(b) - saturated(a) || b.error.roles.maximum - a.error.roles.maximum)
    .slice(0, MOST_SHOWN);
}
