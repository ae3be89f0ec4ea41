/** A report for people: the outputs, the first bad node, the nodes that are furthest off. */

import { number } from "../analysis/report/advice.js";
import type { AccuracyReport, NodeReport } from "../analysis/report/types.js";
import { printNote } from "./terminal.js";

const MOST_SHOWN = 8;

export function printReport({ outputs, nodes, first, notCompared, tolerance }: AccuracyReport, path: string): void {
  const row = (name: string, ...cells: readonly string[]): string =>
    `${shortened(name).padEnd(NAME_WIDTH)}${cells.map((cell) => cell.padStart(11)).join("")}`;
  printNote(row("output, error against the model", "fixed", "roles", "mean"));
  for (const { name, error } of outputs) {
    printNote(row(name, ...[error.fixed.maximum, error.roles.maximum, error.roles.mean].map(number)));
  }
  printNote(row("node, largest error", "fixed", "roles", "own", "headroom"));
  for (const node of worstOf(nodes)) {
    const { fixed, roles, own } = node.error;
    const errors = [fixed, roles, own].map(({ maximum }) => number(maximum));
    printNote(
      row(`${node.name} (${node.op})`, ...errors, node.headroom === null ? "" : `${node.headroom.toFixed(1)} bits`),
    );
  }
  const bad = nodes.filter((node) => node.bad).length;
  printNote(
    `${nodes.length} nodes compared, ${bad} bad at tolerance ${tolerance}; ${notCompared} have no value of their own`,
  );
  if (first !== null) {
    printNote(`first bad node: ${first.name}\n  ${first.what}\n  why: ${first.why}\n  fix: ${first.fix}`);
  }
  printNote(`report: ${path}`);
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
