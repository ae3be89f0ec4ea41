/** The page that `inspect A B --html` writes: two plans side by side, in the same colours and on the same scales. */
import type { Network } from "../../compiler/network.js";
import type { Plan } from "../../ir/plan/types.js";
import type { CostReport } from "../cost.js";
import { differenceOf } from "../difference.js";
import { chartData, timeline, treemap } from "./charts.js";
import { colourKey } from "./colours.js";
import { element, escapeHtml } from "./element.js";
import { contents, frame, muted, section } from "./frame.js";
import { networkSwitch, timeOn } from "./network.js";
import { costScript, numbersOf } from "./page.js";
import { differenceTable } from "./table.js";

/** A plan with what it costs. */
export interface Reported {
  readonly plan: Plan;
  readonly report: CostReport;
}

export function comparisonPage(first: Reported, second: Reported, network: Network): string {
  const both = [first, second];
  const ops = new Set(
    both.flatMap(({ report }) => report.ops.filter(({ bytes }) => bytes.total > 0)).map(({ name }) => name),
  );
  const key = colourKey([...ops]);
  const table = (what: string, lines: (report: CostReport) => CostReport["ops"], isOp = false): string =>
    differenceTable(what, differenceOf(first.report, second.report, lines), isOp);
  const sections = [
    section("The whole", "", whole(both, network), networkSwitch(network)),
    section(
      "Where the bytes go",
      "Area: bytes over all parties. Press a box to look into it.",
      pair((i) => treemap(i)),
      key,
    ),
    section(
      "Round by round",
      "On one scale. Drag, pinch or Ctrl + wheel to zoom.",
      named(0),
      timeline(0),
      named(1),
      timeline(1),
      key,
    ),
    section(
      "By op of the model",
      "What differs, the largest difference first.",
      table("op", ({ ops }) => ops, true),
    ),
    section(
      "By layer",
      "",
      table("layer", ({ layers }) => layers),
    ),
    section(
      "By node of the model",
      "",
      table("node", ({ nodes }) => nodes),
    ),
    section(
      "By op of the protocol suite",
      "",
      table("op", ({ shares }) => shares),
    ),
  ];
  const names = both.map(({ plan }) => plan.name);
  return frame({
    title: `${names.join(" and ")}: two plans`,
    parts: [
      element("h1", {}, "Two plans"),
      ...both.map(({ plan, report }, i) =>
        muted(`${LETTERS[i]}: ${plan.name}, profile ${plan.profile}, ${report.plan.digest}`),
      ),
      contents(sections),
      ...sections,
    ],
    script: costScript(),
    data: chartData([first.plan, second.plan]),
  });
}

const LETTERS = ["A", "B"] as const;

function named(i: 0 | 1): string {
  return element("h3", {}, LETTERS[i]);
}

function pair(each: (i: 0 | 1) => string): string {
  return element("div", { class: "pair" }, ...([0, 1] as const).map((i) => element("div", {}, named(i), each(i))));
}

/** The eight numbers of both. */
function whole(both: readonly Reported[], network: Network): string {
  const [ours, theirs] = both.map(({ report }) => numbersOf(report));
  const row = (...cells: readonly string[]): string =>
    element("tr", {}, ...cells.map((cell) => element("td", {}, cell)));
  const on = element("span", { id: "on" }, escapeHtml(both[0].report.cost.seconds.network));
  const head = element("tr", {}, element("th", {}), ...LETTERS.map((letter) => element("th", {}, letter)));
  return element(
    "div",
    { class: "scroll" },
    element(
      "table",
      { class: "whole" },
      head,
      ...ours.map(([name, value], i) => row(escapeHtml(name), value, theirs[i][1])),
      row(`time, estimated on ${on}`, ...both.map(({ report }) => timeOn(report, network))),
    ),
  );
}
