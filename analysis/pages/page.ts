/**
 * The page that `inspect --html` writes: what a plan costs and who learns what, one file that works offline. Pictures
 * are drawn by its one script, and its tables say the same without it.
 */
import { knowledgeOf } from "../../client/knowledge.js";
import { DEFAULT_NETWORK, type Network } from "../../compiler/network.js";
import type { Formula, Plan } from "../../ir/plan/types.js";
import { type CostReport, costedSteps } from "../cost.js";
import { type TakenForm, takenForms, timedForm } from "../forms.js";
import { formatBytes, formatSeconds } from "../units.js";
import { chartData, timeline, treemap } from "./charts.js";
import { colourKey } from "./colours.js";
import { element, escapeHtml } from "./element.js";
import { linkFlow } from "./flow.js";
import { cards, contents, frame, muted, section } from "./frame.js";
import { networkSwitch, timeOn } from "./network.js";
import { programGraph } from "./program.js";
import { scriptOf } from "./scripts.js";
import { costTable, nodeTable } from "./table.js";

/** What the pages about costs run. */
export function costScript(): string {
  const packages = ["d3-array", "d3-axis", "d3-format", "d3-hierarchy", "d3-scale", "d3-selection", "d3-zoom"];
  return scriptOf(packages, ["data", "zoom", "network", "treemap", "timeline", "tables", "tips"]);
}

export function renderPage(plan: Plan, report: CostReport, network: Network = DEFAULT_NETWORK): string {
  const learns = section("Who learns what", ASSUMED, knowledge(plan));
  const below = [...pictures(plan, report), ...lists(report)];
  return frame({
    title: `${plan.name}: what the plan costs`,
    parts: [
      heading(plan, report),
      figures(report, network),
      networkSwitch(network),
      contents([learns, ...below]),
      learns,
      ...below,
    ],
    script: costScript(),
    data: chartData([plan]),
  });
}

const ASSUMED =
  "Beyond this plan itself: the architecture, shapes, ranges and the order of operations. Assumed: one party at most " +
  "is curious, none cheats, and no two pool what they have.";

function heading(plan: Plan, report: CostReport): string {
  const isPublic = new Set(plan.disclosed.map(({ name }) => name));
  const inputs = Object.entries(plan.shapes).map(([name, shape]) => {
    const text = escapeHtml(`${name} [${shape.join(",")}]`);
    return isPublic.has(name) ? `${text} ${element("mark", {}, "public")}` : text;
  });
  return [
    element("h1", {}, escapeHtml(plan.name)),
    muted("What a private inference with this plan costs, and what each party learns."),
    element("p", { class: "muted" }, `Profile ${escapeHtml(report.plan.profile)}. Inputs: ${inputs.join(", ")}.`),
    element("p", { class: "muted" }, "Plan ", element("code", {}, report.plan.digest)),
  ].join("\n");
}

/** The numbers of a plan, as its page and a comparison show them. */
export function numbersOf({ cost }: CostReport): readonly (readonly [name: string, value: string])[] {
  const { bytes, memory, macs } = cost;
  const all = Object.values(macs).reduce((sum, n) => sum + n, 0);
  return [
    ["rounds", String(cost.rounds)],
    ["bytes, all parties", formatBytes(bytes.total)],
    ["of which online", formatBytes(bytes.online)],
    ["of which offline", formatBytes(bytes.offline)],
    ["inputs and weights, before", formatBytes(bytes.input)],
    ["memory, each party's process, about", formatBytes(Math.max(memory.P0, memory.P1, memory.P2))],
    ["multiply-adds, all parties", `${(all / 1e9).toFixed(2)} G`],
  ];
}

function figures(report: CostReport, network: Network): string {
  const on = element("span", { id: "on" }, escapeHtml(report.cost.seconds.network));
  return cards(numbersOf(report), element("li", {}, timeOn(report, network), "estimated on ", on));
}

/** How the time is made of rounds and bytes. */
function timeNote({ cost }: CostReport): string {
  const { parts, formula, estimate, network } = cost.seconds;
  const sum = [parts.delay, parts.transfer, parts.compute].map(formatSeconds).join(" + ");
  return (
    `Each round is one message from P1 to P2 and one back. Time = ${formula.replaceAll(" * ", " · ")}; on ${network} ` +
    `${sum} = ${formatSeconds(estimate)}. Bytes and rounds are exact, payload without framing; the time is an estimate.`
  );
}

function pictures(plan: Plan, report: CostReport): string[] {
  const ops = report.ops.filter(({ bytes }) => bytes.total > 0).map(({ name }) => name);
  const key = colourKey(ops);
  return [
    section("Where the bytes go", "Area: bytes over all parties. Press a box to look into it.", treemap(0), key),
    section(
      "Round by round",
      "Bytes of every round, by op of the model: what P1 and P2 open in it, and what P0 deals for what follows.",
      timeline(0),
      key,
      muted(`Drag, pinch or Ctrl + wheel to zoom. ${timeNote(report)}`),
    ),
    section(
      "Who sends what",
      "P0 prepares and streams to P2 alone; only P1 and P2 wait for each other.",
      linkFlow(report),
    ),
    section(
      "The program",
      "The model's nodes that cost anything, as dark as they are dear. Arcs lead from a value to its uses; " +
        "a dot is a value from another layer.",
      programGraph(plan, costedSteps(plan)),
    ),
  ];
}

function lists(report: CostReport): string[] {
  const { cost, ops, layers, shares, rings, formulas, choices } = report;
  const ringNote = "Bits of what is opened or dealt: elements are packed to their ring.";
  const papers = report.papers.map((paper) => {
    const use = element("span", { class: "muted" }, escapeHtml(`For ${paper.for}.`));
    const title = element("i", {}, escapeHtml(paper.title));
    return element("li", {}, escapeHtml(`${paper.cite}: `), title, escapeHtml(`, ${paper.where}. `), use);
  });
  return [
    section("By op of the model", "", costTable("op", ops, cost, true)),
    section("By layer", "", costTable("layer", layers, cost)),
    section("By node of the model", "Every byte belongs to the node that needs it.", nodeTable(report)),
    section("By op of the protocol suite", "", costTable("op", shares, cost)),
    section("By ring", ringNote, costTable("ring", rings, cost)),
    formulas.length === 0 ? "" : section("Formulas", FORMULA_NOTE, formulaTable(formulas)),
    choices.length === 0 ? "" : section("Forms", FORM_NOTE, formTable(takenForms(choices))),
    section("Papers", "", element("ul", {}, ...papers)),
  ];
}

const FORMULA_NOTE = "Errors are those of the formulas in exact arithmetic; rounding comes on top.";
const FORMULA_COLUMNS = ["function", "profile", "window", "form", "largest error", "outside", "coefficients"];

function formulaTable(formulas: readonly Formula[]): string {
  const rows = formulas.map(({ function: name, profile, window, form, maxError, distance, outside, digest }) => {
    const error = maxError === 0 ? "0" : `${maxError} ${distance}`;
    return [name, profile, window, form, error, outside, digest];
  });
  return textTable(FORMULA_COLUMNS, rows);
}

function textTable(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const head = columns.map((name) => element("th", { class: "text" }, name));
  const body = rows.map((cells) =>
    element("tr", {}, ...cells.map((text) => element("td", { class: "text" }, escapeHtml(text)))),
  );
  return element("div", { class: "scroll" }, element("table", {}, element("tr", {}, ...head), ...body));
}

const FORM_NOTE =
  "Between which forms the compiler chose, and what each takes at these nodes together on the network that the plan " +
  "is for: rounds that wait, and bytes that reach P2.";

function formTable(taken: readonly TakenForm[]): string {
  const rows = taken.map(({ what, nodes, forms: [first, ...others] }) => {
    return [what, String(nodes.length), timedForm(first), others.map(timedForm).join("; ")];
  });
  return textTable(["function", "nodes", "taken", "possible too"], rows);
}

/** A row for each party and owner; what is public is marked. */
function knowledge(plan: Plan): string {
  const rows = knowledgeOf(plan).map(({ who, learns }) => {
    const says = escapeHtml(learns).replace(/^in the clear/, element("mark", {}, "in the clear"));
    return element("tr", {}, element("td", {}, escapeHtml(who)), element("td", { class: "text" }, says));
  });
  return element("div", { class: "scroll" }, element("table", {}, ...rows));
}
