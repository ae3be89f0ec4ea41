/** Costs as a table with bars: the dearest lines, and a last row with the sum of all. */
import type { CostReport, ReportedLine } from "../cost.js";
import { formatBytes } from "../units.js";
import { element, escapeHtml, percent, rect } from "./element.js";

/** Shows at most `limit` lines; the last row counts all. */
export function costTable(
  lines: readonly ReportedLine[],
  cost: CostReport["cost"],
  limit = Number.POSITIVE_INFINITY,
): string {
  const sorted = lines
    .filter(({ bytes, rounds }) => bytes.total > 0 || rounds > 0)
    .toSorted((a, b) => b.bytes.total - a.bytes.total);
  const most = Math.max(1, ...sorted.map(({ bytes }) => bytes.total));
  const head = ["", "rounds", "online", "offline", "total"].map((text) => element("th", {}, text));
  const rows = sorted
    .slice(0, limit)
    .map((line) => element("tr", {}, ...cellsOf(line.name, line), element("td", { class: "bar" }, bar(line, most))));
  const last = cellsOf(sorted.length > limit ? `${sorted.length - limit} smaller ones; in all` : "in all", cost);
  const first = element("tr", {}, ...head, element("th", { class: "bar" }));
  const sum = element("tr", { class: "sum" }, ...last, element("td", { class: "bar" }));
  return element("table", { class: "costs" }, first, ...rows, sum);
}

function cellsOf(name: string, { rounds, bytes }: Pick<ReportedLine, "rounds" | "bytes">): string[] {
  const sizes = [bytes.online, bytes.offline, bytes.total].map(formatBytes);
  return [escapeHtml(name), String(rounds), ...sizes].map((text) => element("td", {}, text));
}

function bar({ bytes }: ReportedLine, most: number): string {
  const online = rect("online", { width: percent(bytes.online / most), height: 8 });
  const place = { x: percent(bytes.online / most), width: percent(bytes.offline / most), height: 8 };
  return element("svg", { height: 8 }, online, rect("offline", place));
}
