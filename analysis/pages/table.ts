/** Costs as tables that the page's script sorts, filters and copies: words are shown, numbers are what they sort by. */
import type { CostReport, ReportedLine } from "../cost.js";
import type { Difference } from "../difference.js";
import { formatBytes } from "../units.js";
import { colourOf, swatch } from "./colours.js";
import { element, escapeHtml, percent, rect } from "./element.js";

type Cell = string;

function number(text: string, value: number): Cell {
  return element("td", { "data-v": value }, text);
}

function words(text: string, mark = ""): Cell {
  return element("td", { class: "name", "data-v": text }, mark, escapeHtml(text));
}

/** A table of these columns; the last rows stay where they are. */
function sortable(
  kind: string,
  columns: readonly string[],
  rows: readonly (readonly Cell[])[],
  last: readonly Cell[] = [],
): string {
  const head = columns.map((name) =>
    name === "" ? element("th", { class: "bar" }) : element("th", {}, element("button", {}, escapeHtml(name))),
  );
  const row = (cells: readonly Cell[]): string => element("tr", {}, ...cells);
  const foot = last.length === 0 ? "" : element("tfoot", {}, row(last));
  const parts = [element("thead", {}, row(head)), element("tbody", {}, ...rows.map(row)), foot];
  return element("div", { class: "scroll" }, element("table", { class: `sortable ${kind}` }, ...parts));
}

/** The lines of a grouping, the dearest first, and the sum of all; `ops`: the names are ops of the model. */
export function costTable(what: string, lines: readonly ReportedLine[], cost: CostReport["cost"], ops = false): string {
  const sorted = lines
    .filter(({ bytes, rounds }) => bytes.total > 0 || rounds > 0)
    .toSorted((a, b) => b.bytes.total - a.bytes.total);
  const most = Math.max(1, ...sorted.map(({ bytes }) => bytes.total));
  const rows = sorted.map((line) => [
    words(line.name, ops ? swatch(colourOf(line.name)) : ""),
    ...cellsOf(line),
    element("td", { class: "bar" }, bar(line, most)),
  ]);
  const sum = [words("in all"), ...cellsOf(cost), element("td", { class: "bar" })];
  return sortable("costs", [what, "rounds", "online", "offline", "total", ""], rows, sum);
}

function cellsOf({ rounds, bytes }: Pick<ReportedLine, "rounds" | "bytes">): readonly Cell[] {
  const sizes = [bytes.online, bytes.offline, bytes.total].map((size) => number(formatBytes(size), size));
  return [number(String(rounds), rounds), ...sizes];
}

function bar({ bytes }: ReportedLine, most: number): string {
  const online = rect("online", { width: percent(bytes.online / most), height: 8 });
  const place = { x: percent(bytes.online / most), width: percent(bytes.offline / most), height: 8 };
  return element("svg", { height: 8 }, online, rect("offline", place));
}

/** Every node of the model that costs something, in the order of the program. */
export function nodeTable({ nodes }: CostReport): string {
  const rows = nodes
    .filter(({ bytes, rounds }) => bytes.total > 0 || rounds > 0)
    .map((line) => {
      const { name, op, layer } = line;
      return [words(name), words(op, swatch(colourOf(op))), words(layer), ...cellsOf(line)];
    });
  return sortable("nodes", ["node", "op", "layer", "rounds", "online", "offline", "total"], rows);
}

/** Where two plans differ, the largest difference first. */
export function differenceTable(what: string, { lines }: Difference, ops: boolean): string {
  const rows = lines.map(({ name, rounds, bytes }) => {
    const change = bytes.second - bytes.first;
    const sign = change < 0 ? "−" : "+";
    return [
      words(name, ops ? swatch(colourOf(name)) : ""),
      number(String(rounds.first), rounds.first),
      number(String(rounds.second), rounds.second),
      number(formatBytes(bytes.first), bytes.first),
      number(formatBytes(bytes.second), bytes.second),
      number(change === 0 ? "" : `${sign}${formatBytes(Math.abs(change))}`, change),
    ];
  });
  return sortable("changes", [what, "rounds A", "rounds B", "bytes A", "bytes B", "change"], rows);
}
