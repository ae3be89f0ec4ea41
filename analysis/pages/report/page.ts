/** The page that `simulate --report FILE.html` writes: where float, fixed point and the roles part, node by node. */
import { number } from "../../report/advice.js";
import type { AccuracyReport } from "../../report/types.js";
import { element, escapeHtml } from "../element.js";
import { cards, contents, frame, muted, section } from "../frame.js";
import { scriptOf } from "../scripts.js";
import { errorCurve, errorData } from "./curve.js";
import { headroomBars, nodeTable, scatterPlots } from "./nodes.js";

export function renderReport(report: AccuracyReport): string {
  const below = sections(report);
  const packages = ["d3-array", "d3-axis", "d3-format", "d3-scale", "d3-selection", "d3-shape", "d3-zoom"];
  return frame({
    title: `${report.plan.model}: how accurate the private answer is`,
    parts: [heading(report), figures(report), finding(report), contents(below), ...below],
    script: scriptOf(packages, ["data", "zoom", "errors", "tables", "tips"]),
    data: { errors: errorData(report) },
  });
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
  return cards(items);
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
  const rest =
    notCompared === 0
      ? ""
      : ` ${notCompared} more ${notCompared === 1 ? "has" : "have"} no value of their own in the plan.`;
  return [
    section("Error along the program", own, errorCurve()),
    section(
      "Least headroom",
      "Bits between the largest value and what the ring, or a comparison that reads it, can hold. 0: too large.",
      headroomBars(nodes),
    ),
    section("All nodes", `${outside}${rest}`, nodeTable(nodes)),
    section("Float against private", "Some elements of each node, the worst among them.", scatterPlots(nodes)),
  ];
}
