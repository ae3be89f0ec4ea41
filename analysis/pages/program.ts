/**
 * The secret program as a graph: the model's nodes in the order in which they run, a part for each layer, each node as
 * dark as it is dear, with arcs on the left from a node to those that use it. Nodes that cost nothing (reshapes, sums)
 * are left out and arcs lead through them.
 */

import type { Plan } from "../../ir/plan/types.js";
import { type CostedStep, type CostLine, GROUPS, groupBy } from "../cost.js";
import { nameInLayer } from "../origins.js";
import { formatBytes } from "../units.js";
import { colourOf } from "./colours.js";
import { element, escapeHtml, hint, label, percent, picture, rect, short } from "./element.js";

const ROW = 34;
const GUTTER = 56;

export function programGraph(plan: Plan, steps: readonly CostedStep[]): string {
  const nodes = groupBy(steps, GROUPS.node).filter(({ total, rounds }) => total > 0 || rounds > 0);
  const sources = sourcesOf(plan, steps, new Set(nodes.map(({ name }) => name)));
  const layers = new Map<string, CostLine[]>();
  for (const node of nodes) {
    layers.set(node.layer, [...(layers.get(node.layer) ?? []), node]);
  }
  const most = Math.max(1, ...nodes.map(({ total }) => total));
  const dearest = [...layers].toSorted((a, b) => sum(b[1]) - sum(a[1]))[0]?.[0];
  return [...layers]
    .map(([layer, members]) => {
      const rounds = members.reduce((total, node) => total + node.rounds, 0);
      const about = `${count(members.length, "node")}, ${count(rounds, "round")}, ${formatBytes(sum(members))}`;
      const summary = element("b", {}, escapeHtml(layer)) + element("span", {}, ` ${about}`);
      const body = element("div", {}, drawNodes(members, sources, most));
      return element("details", layer === dearest ? { open: "" } : {}, element("summary", {}, summary), body);
    })
    .join("");
}

function count(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? "" : "s"}`;
}

function sum(lines: readonly CostLine[]): number {
  return lines.reduce((total, line) => total + line.total, 0);
}

/** For each shown node the shown nodes whose values it reads, directly or through nodes that cost nothing. */
function sourcesOf(
  plan: Plan,
  steps: readonly CostedStep[],
  shown: ReadonlySet<string>,
): ReadonlyMap<string, ReadonlySet<string>> {
  const origins: ReadonlySet<string>[] = [];
  const sources = new Map<string, Set<string>>();
  plan.steps.forEach((step, i) => {
    const { name } = steps[i];
    const read = new Set(step.args.flatMap((argument) => [...origins[argument]]));
    if (!shown.has(name)) {
      origins.push(read);
      return;
    }
    const known = sources.get(name) ?? new Set();
    for (const source of read) {
      if (source !== name) {
        known.add(source);
      }
    }
    sources.set(name, known);
    origins.push(new Set([name]));
  });
  return sources;
}

function drawNodes(
  nodes: readonly CostLine[],
  sources: ReadonlyMap<string, ReadonlySet<string>>,
  most: number,
): string {
  const place = new Map(nodes.map(({ name }, i) => [name, i]));
  const arcs = nodes.flatMap(({ name }, to) =>
    [...(sources.get(name) ?? [])].map((source) => {
      const from = place.get(source);
      return from === undefined ? stub(to) : arc(from, to);
    }),
  );
  const rows = nodes.flatMap((node, i) => row(node, i, Math.sqrt(node.total / most)));
  return picture("nodes", "nodes of the layer", { height: nodes.length * ROW }, ...arcs, ...rows);
}

function middle(row: number): number {
  return row * ROW + ROW / 2;
}

/** A value from another layer. */
function stub(to: number): string {
  const y = middle(to);
  return element("path", { d: `M${GUTTER} ${y}h-8` }) + element("circle", { cx: GUTTER - 9, cy: y, r: 2 });
}

function arc(from: number, to: number): string {
  const reach = Math.min(GUTTER - 4, 8 + 9 * Math.abs(to - from));
  const x = short(GUTTER - reach * 1.3);
  return element("path", {
    d: `M${GUTTER} ${middle(from)}C${x} ${middle(from)} ${x} ${middle(to)} ${GUTTER} ${middle(to)}`,
  });
}

/** A node's box reaches from the gutter to the right edge: op and cost above, its name in the layer below. */
function row({ name, op, rounds, total }: CostLine, i: number, heat: number): string[] {
  const inLayer = nameInLayer(name);
  const cost = `${formatBytes(total)}${rounds === 0 ? "" : `, ${count(rounds, "round")}`}`;
  const fill = rect(`heat ${colourOf(op)}`, {
    width: "100%",
    height: "100%",
    rx: 5,
    "fill-opacity": short(0.12 + 0.88 * heat),
  });
  const words = [label(op === "" ? inLayer : op, 8, 13, "bold"), label(inLayer, 8, 26, "small")];
  const place = { class: "node", x: GUTTER, y: i * ROW + 1, height: ROW - 2 };
  return [
    element("svg", place, hint(`${name}: ${cost}`), fill, ...words),
    label(cost, percent(0.99), i * ROW + 14, "end"),
  ];
}
