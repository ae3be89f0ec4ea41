/** The error along the program: a logarithmic curve for the roles, for fixed point, and for what each node adds. */

import { number } from "../../report/advice.js";
import type { AccuracyReport, NodeReport } from "../../report/types.js";
import { element, escapeHtml, hint, label, percent, picture, rect } from "../element.js";

const CURVES = [
  { kind: "own", words: "what the node itself adds", pick: ({ error }: NodeReport) => error.own.maximum },
  { kind: "fixed", words: "fixed point, without parties", pick: ({ error }: NodeReport) => error.fixed.maximum },
  { kind: "roles", words: "the three roles", pick: ({ error }: NodeReport) => error.roles.maximum },
] as const;

/** Errors below this are drawn on the bottom line. */
const SMALLEST = 1e-6;
/** Where the drawing begins and ends, in parts of the height. */
const [TOP, BASE] = [0.06, 0.9];

export function errorCurve({ nodes, tolerance }: AccuracyReport): string {
  const most = Math.max(tolerance, ...nodes.map(({ error }) => Math.max(error.roles.maximum, error.fixed.maximum)));
  const [low, high] = [Math.log10(SMALLEST), Math.ceil(Math.log10(most))];
  /** Height of an error in parts, from above. */
  const y = (error: number): number => {
    const part = (Math.log10(Math.max(error, SMALLEST)) - low) / (high - low);
    return BASE - part * (BASE - TOP);
  };
  const decades = Array.from({ length: high - low + 1 }, (_, i) => low + i).flatMap((power) => {
    const at = percent(y(10 ** power));
    const line = element("line", { class: "axis", x1: 0, x2: "100%", y1: at, y2: at });
    return [line, label(`1e${power}`, 2, at, "small")];
  });
  const at = percent(y(tolerance));
  const limit = element("line", { class: "limit", x1: 0, x2: "100%", y1: at, y2: at });
  const curves = CURVES.map(({ kind, pick }) =>
    curve(
      kind,
      nodes.map((node) => y(pick(node))),
    ),
  );
  const inner = element(
    "svg",
    { viewBox: `0 0 ${Math.max(1, nodes.length)} 1`, preserveAspectRatio: "none", width: "100%", height: "100%" },
    ...curves,
    ...nodes.map((node, i) => element("g", {}, hint(describe(node)), rect("hit", { x: i, y: 0, width: 1, height: 1 }))),
  );
  const key = CURVES.map(({ kind, words }) => {
    const line = element("line", { class: kind, x1: 0, x2: 12, y1: 6, y2: 6 });
    return element("li", {}, element("svg", { viewBox: "0 0 12 12" }, line), escapeHtml(words));
  });
  const drawn = picture("curve", "largest error of every node", {}, ...decades, limit, inner);
  return drawn + element("ul", { class: "key" }, ...key, element("li", {}, "dashed: the tolerance"));
}

/** A line through the middles of the nodes' columns. */
function curve(kind: string, heights: readonly number[]): string {
  const points = heights.map((height, i) => `${i + 0.5} ${height.toFixed(4)}`);
  return element("path", { class: kind, d: `M${points.join("L")}` });
}

function describe({ name, op, error }: NodeReport): string {
  const [roles, fixed, own] = [error.roles, error.fixed, error.own].map(({ maximum }) => number(maximum));
  return `${name} (${op}): roles ${roles}, fixed point ${fixed}, own ${own}`;
}
