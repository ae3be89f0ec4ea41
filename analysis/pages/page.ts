/**
 * The page that `inspect --html` writes: one file that works offline. It has no script and no style attribute, only one
 * style sheet named by its hash, so the strictest content security policy holds; pictures are SVG made here.
 */
import { createHash } from "node:crypto";
import { knowledgeOf } from "../../client/knowledge.js";
import type { Formula, Plan } from "../../ir/plan/types.js";
import { type CostReport, costedSteps, GROUPS, groupBy } from "../cost.js";
import { formatBytes, formatSeconds } from "../units.js";
import { element, escapeHtml } from "./element.js";
import { linkFlow } from "./flow.js";
import { programGraph } from "./program.js";
import { STYLE } from "./style.js";
import { costTable } from "./table.js";
import { roundTimeline } from "./timeline.js";
import { colourKey, coloursOf, treemap } from "./treemap.js";

/** The policy that the page carries: nothing is loaded, nothing runs, one style sheet. */
export function policy(): string {
  const hash = createHash("sha256").update(STYLE).digest("base64");
  return `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'`;
}

export function renderPage(plan: Plan, report: CostReport): string {
  const top = [heading(plan, report), figures(report), timeNote(report)];
  const parts = [...top, ...pictures(plan, report), ...lists(report)];
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy()}">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(plan.name)}: what the plan costs</title>
<style>${STYLE}</style></head><body><main>
${parts.join("\n")}
</main></body></html>
`;
}

export function section(title: string, about: string, ...body: readonly string[]): string {
  const note = about === "" ? "" : muted(about);
  return element("section", {}, element("h2", {}, title), note, ...body);
}

export function muted(text: string): string {
  return element("p", { class: "muted" }, escapeHtml(text));
}

function heading(plan: Plan, report: CostReport): string {
  const inputs = Object.entries(plan.shapes).map(([name, shape]) => `${name} [${shape.join(",")}]`);
  return [
    element("h1", {}, escapeHtml(plan.name)),
    muted("What a private inference with this plan costs, and what each party learns."),
    muted(`Profile ${report.plan.profile}. Inputs: ${inputs.join(", ")}.`),
    element("p", { class: "muted" }, "Plan ", element("code", {}, report.plan.digest)),
  ].join("\n");
}

function figures({ cost }: CostReport): string {
  const { bytes, memory, seconds, macs } = cost;
  const all = Object.values(macs).reduce((sum, n) => sum + n, 0);
  const items: [string, string][] = [
    ["rounds", String(cost.rounds)],
    ["bytes, all parties", formatBytes(bytes.total)],
    ["of which online", formatBytes(bytes.online)],
    ["of which offline", formatBytes(bytes.offline)],
    ["inputs and weights, before", formatBytes(bytes.input)],
    ["memory, each party's process, about", formatBytes(Math.max(...Object.values(memory)))],
    ["multiply-adds, all parties", `${(all / 1e9).toFixed(2)} G`],
    [`estimated on ${seconds.network}`, formatSeconds(seconds.estimate)],
  ];
  const cards = items.map(([name, value]) => element("li", {}, element("b", {}, value), escapeHtml(name)));
  return element("ul", { class: "figures" }, ...cards);
}

function timeNote({ cost }: CostReport): string {
  const { parts, formula, estimate } = cost.seconds;
  const sum = [parts.delay, parts.transfer, parts.compute].map(formatSeconds).join(" + ");
  const note = "Bytes and rounds are exact, payload without framing; the time is an estimate.";
  return muted(`Time = ${formula.replaceAll(" * ", " · ")} = ${sum} = ${formatSeconds(estimate)}. ${note}`);
}

function pictures(plan: Plan, report: CostReport): string[] {
  const steps = costedSteps(plan);
  const ops = groupBy(steps, GROUPS.op).filter(({ total }) => total > 0);
  const colours = coloursOf(ops);
  const groups = ops.map(({ name }) => ({
    name,
    parts: groupBy(
      steps.filter((step) => GROUPS.op(step) === name),
      GROUPS.share,
    ),
  }));
  const rounds = groupBy(steps, GROUPS.round);
  return [
    section(
      "Where the bytes go",
      "Area: bytes over all parties. Ops of the model, each in a colour, cut into the ops of the protocol suite.",
      treemap(groups, colours),
      colourKey(colours),
    ),
    section(
      "Round by round",
      "Each round is one message from P1 to P2 and one back.",
      roundTimeline(rounds, plan.rounds),
    ),
    section(
      "Who sends what",
      "P0 prepares and streams to P2 alone; only P1 and P2 wait for each other.",
      linkFlow(report),
    ),
    section(
      "Who learns what",
      "Beyond this plan itself: the architecture, shapes, ranges and the order of operations.",
      knowledge(plan),
    ),
    section(
      "The program",
      "The model's nodes that cost anything, as dark as they are dear. Arcs lead from a value to its uses; " +
        "a dot is a value from another layer.",
      programGraph(plan, steps),
    ),
  ];
}

/** Rows of the longest table. */
const MOST_RINGS = 24;

function lists(report: CostReport): string[] {
  const { ops, shares, rings, formulas } = report;
  const ringNote = "Bits of what is opened or dealt: elements are packed to their ring.";
  const papers = report.papers.map((paper) => {
    const use = element("span", { class: "muted" }, escapeHtml(`For ${paper.for}.`));
    const title = element("i", {}, escapeHtml(paper.title));
    return element("li", {}, escapeHtml(`${paper.cite}: `), title, escapeHtml(`, ${paper.where}. `), use);
  });
  return [
    section("By op of the model", "", costTable(ops, report.cost)),
    section("By op of the protocol suite", "", costTable(shares, report.cost)),
    section("By ring", ringNote, costTable(rings, report.cost, MOST_RINGS)),
    formulas.length === 0 ? "" : section("Formulas", FORMULA_NOTE, formulaTable(formulas)),
    section("Papers", "", element("ul", {}, ...papers)),
  ];
}

const FORMULA_NOTE = "Errors are those of the formulas in exact arithmetic; rounding comes on top.";
const FORMULA_COLUMNS = ["function", "profile", "window", "form", "largest error", "outside", "coefficients"];

function formulaTable(formulas: readonly Formula[]): string {
  const head = FORMULA_COLUMNS.map((name) => element("th", { class: "text" }, name));
  const rows = formulas.map(({ function: name, profile, window, form, maxError, distance, outside, digest }) => {
    const error = maxError === 0 ? "0" : `${maxError} ${distance}`;
    const cells = [name, profile, window, form, error, outside, digest];
    return element("tr", {}, ...cells.map((text) => element("td", { class: "text" }, escapeHtml(text))));
  });
  return element("div", { class: "scroll" }, element("table", {}, element("tr", {}, ...head), ...rows));
}

function knowledge(plan: Plan): string {
  const rows = knowledgeOf(plan).map(({ who, learns }) =>
    element("tr", {}, element("td", {}, escapeHtml(who)), element("td", { class: "text" }, escapeHtml(learns))),
  );
  return element("div", { class: "scroll" }, element("table", {}, ...rows));
}
