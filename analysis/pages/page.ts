/**
 * The page that `inspect --html` writes: one file that works offline. It has one style sheet and one script, named by
 * their hashes in its content security policy, and no style attribute; pictures are SVG made here.
 */
import { createHash } from "node:crypto";
import { knowledgeOf } from "../../client/knowledge.js";
import { DEFAULT_NETWORK, type Network } from "../../compiler/network.js";
import type { Formula, Plan } from "../../ir/plan/types.js";
import { type CostReport, costedSteps, GROUPS, groupBy } from "../cost.js";
import { formatBytes, formatSeconds } from "../units.js";
import { networkSwitch, nodeTable, SCRIPT } from "./behaviour.js";
import { element, escapeHtml } from "./element.js";
import { linkFlow } from "./flow.js";
import { programGraph } from "./program.js";
import { STYLE } from "./style.js";
import { costTable } from "./table.js";
import { roundTimeline } from "./timeline.js";
import { colourKey, coloursOf, treemap } from "./treemap.js";

/** The policy that a page carries: nothing is loaded, and nothing runs but the script, if any; one style sheet. */
export function policy(script?: string): string {
  const hash = (text: string): string => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
  const runs = script === undefined ? "" : ` script-src ${hash(script)};`;
  return `default-src 'none'; style-src ${hash(STYLE)};${runs} base-uri 'none'; form-action 'none'`;
}

export function renderPage(plan: Plan, report: CostReport, network: Network = DEFAULT_NETWORK): string {
  const learns = section(
    "Who learns what",
    "Beyond this plan itself: the architecture, shapes, ranges and the order of operations. Assumed: one party at " +
      "most is curious, none cheats, and no two pool what they have.",
    knowledge(plan),
  );
  const top = [heading(plan, report), figures(report), networkSwitch(report, network), timeNote(report), learns];
  const below = [...pictures(plan, report), ...lists(report)];
  const parts = [...top, contents([learns, ...below]), ...below];
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy(SCRIPT)}">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(plan.name)}: what the plan costs</title>
<style>${STYLE}</style></head><body><main>
${parts.join("\n")}
</main><script>${SCRIPT}</script></body></html>
`;
}

export function section(title: string, about: string, ...body: readonly string[]): string {
  const note = about === "" ? "" : muted(about);
  return element("section", { id: anchorOf(title) }, element("h2", {}, title), note, ...body);
}

function anchorOf(title: string): string {
  return title.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-");
}

/** Links to the sections; beside them where the window is wide enough. */
function contents(sections: readonly string[]): string {
  const titles = sections.flatMap((text) => /<h2>(.*?)<\/h2>/.exec(text)?.[1] ?? []);
  const links = titles.map((title) => element("li", {}, element("a", { href: `#${anchorOf(title)}` }, title)));
  return element("nav", { "aria-label": "contents" }, element("ul", {}, ...links));
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
  ];
  const cards = items.map(([name, value]) => element("li", {}, element("b", {}, value), escapeHtml(name)));
  const on = element("span", { id: "on" }, escapeHtml(seconds.network));
  const time = element("li", {}, element("b", { id: "time" }, formatSeconds(seconds.estimate)), "estimated on ", on);
  return element("ul", { class: "figures" }, ...cards, time);
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
    section("By node of the model", "Every byte belongs to the node that needs it.", nodeTable(report)),
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
