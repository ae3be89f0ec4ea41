/**
 * The page that `simulate --report FILE.html` writes: one file that works offline. Its content security policy names
 * the one style sheet and the one script (which sorts the table) by their hashes; nothing else is loaded or runs.
 */
import { createHash } from "node:crypto";
import { number } from "../../report/advice.js";
import type { AccuracyReport } from "../../report/types.js";
import { element, escapeHtml } from "../element.js";
import { muted, section } from "../page.js";
import { errorCurve } from "./curve.js";
import { headroomBars, nodeTable, scatterPlots } from "./nodes.js";
import { REPORT_STYLE, SORT_SCRIPT } from "./style.js";

/** The policy that the page carries. */
export function reportPolicy(): string {
  const [style, script] = [REPORT_STYLE, SORT_SCRIPT].map((text) => createHash("sha256").update(text).digest("base64"));
  const sources = `style-src 'sha256-${style}'; script-src 'sha256-${script}'`;
  return `default-src 'none'; ${sources}; base-uri 'none'; form-action 'none'`;
}

export function renderReport(report: AccuracyReport): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${reportPolicy()}">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(report.plan.model)}: how accurate the private answer is</title>
<style>${REPORT_STYLE}</style></head><body><main>
${[heading(report), figures(report), finding(report), ...sections(report)].join("\n")}
</main><script>${SORT_SCRIPT}</script></body></html>
`;
}

function heading({ plan }: AccuracyReport): string {
  const inputs = Object.entries(plan.shapes).map(([name, shape]) => `${name} [${shape.join(",")}]`);
  return [
    element("h1", {}, escapeHtml(plan.model)),
    muted("Every node of the secret program three times: in floating point, on integers, by the three roles."),
    muted(`Profile ${plan.profile}. Inputs: ${inputs.join(", ")}. Contains values computed from the input: keep it.`),
    element("p", { class: "muted" }, "Plan ", element("code", {}, escapeHtml(plan.digest))),
  ].join("\n");
}

function figures({ outputs, nodes, tolerance }: AccuracyReport): string {
  const rooms = nodes.flatMap(({ headroom }) => (headroom === null ? [] : [headroom]));
  const outside = nodes.reduce((sum, { saturations }) => sum + saturations.range + saturations.window, 0);
  const items: readonly (readonly [string, string])[] = [
    ...outputs.map(({ name, error }) => [`error of '${name}', the roles`, number(error.roles.maximum)] as const),
    ...outputs.map(({ name, error }) => [`error of '${name}', fixed point`, number(error.fixed.maximum)] as const),
    ["nodes compared", String(nodes.length)],
    [`bad at tolerance ${tolerance}`, String(nodes.filter(({ bad }) => bad).length)],
    ["least headroom, bits", rooms.length === 0 ? "none read" : Math.min(...rooms).toFixed(1)],
    ["values outside range or window", String(outside)],
  ];
  const cards = items.map(([name, value]) => element("li", {}, element("b", {}, value), escapeHtml(name)));
  return element("ul", { class: "figures" }, ...cards);
}

function finding({ first }: AccuracyReport): string {
  if (first === null) {
    return element("p", {}, "No node is bad: nothing to change.");
  }
  const line = (what: string, text: string) => element("p", {}, element("b", {}, what), escapeHtml(text));
  return element(
    "div",
    { class: "finding" },
    line("First bad node: ", first.name),
    line("", first.what),
    line("Why: ", first.why),
    line("Fix: ", first.fix),
  );
}

function sections(report: AccuracyReport): readonly string[] {
  const { nodes, notCompared } = report;
  const own =
    "Largest absolute error of every node, in the order of the program. What a node itself adds is measured " +
    "on its arguments as they are in fixed point.";
  const outside =
    "Outside: values beyond what the plan holds, or a formula's window. They do harm only where the node is bad too: " +
    "a formula may compute nonsense where a comparison selects something else.";
  const rest = notCompared === 0 ? "" : ` ${notCompared} nodes have no value of their own in the plan.`;
  return [
    section("Error along the program", own, errorCurve(report)),
    section(
      "Least headroom",
      "Bits between the largest value and what the ring, or a comparison that reads it, can hold. 0: too large.",
      headroomBars(nodes),
    ),
    section("All nodes", `${outside}${rest} Press a heading to sort.`, nodeTable(nodes)),
    section("Float against private", "Some elements of each node, the worst among them.", scatterPlots(nodes)),
  ];
}
