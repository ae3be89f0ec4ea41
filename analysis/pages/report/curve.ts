/** The error along the program: what `scripts/errors.js` draws of roles, fixed point, and each node itself. */
import type { AccuracyReport } from "../../report/types.js";
import { element, escapeHtml } from "../element.js";
import { opOf } from "./nodes.js";

const CURVES = {
  roles: "the three roles",
  fixed: "fixed point, without parties",
  own: "what the node itself adds",
} as const;

/** Errors below this are drawn on the bottom line. */
const SMALLEST = 1e-6;

/** What the curves are drawn from. */
export function errorData({ nodes, tolerance }: AccuracyReport): object {
  const drawn = nodes.map((node) => {
    const { name, bad, error } = node;
    const [roles, fixed, own] = [error.roles, error.fixed, error.own].map(({ maximum }) => maximum);
    return { name, op: opOf(node), bad, roles, fixed, own };
  });
  return { nodes: drawn, tolerance, curves: Object.keys(CURVES), smallest: SMALLEST };
}

export function errorCurve(): string {
  const key = Object.entries(CURVES).map(([kind, words]) => {
    const line = element("line", { class: kind, x1: 0, x2: 12, y1: 6, y2: 6 });
    return element("li", {}, element("svg", { viewBox: "0 0 12 12" }, line), escapeHtml(words));
  });
  const more = ["dashed: the tolerance", "dots: bad nodes"].map((text) => element("li", {}, text));
  return element("div", { class: "errors" }) + element("ul", { class: "key" }, ...key, ...more);
}
