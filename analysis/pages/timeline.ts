/** The bytes of every round: what P1 and P2 open in it, and what P0 deals for the steps that follow it. */
import type { CostLine } from "../cost.js";
import { formatBytes } from "../units.js";
import { element, hint, label, percent, picture, rect } from "./element.js";
import { keyItem } from "./treemap.js";

/** Where the bars end and begin, in parts of the height; the numbers stand outside. */
const TOP = 0.06;
const BASE = 0.88;

/** `lines`: a line for each round, named `round 0` (before the first opening), `round 1`, … */
export function roundTimeline(lines: readonly CostLine[], rounds: number): string {
  const byName = new Map(lines.map((line) => [line.name, line]));
  const most = Math.max(1, ...lines.map(({ total }) => total));
  const bars = Array.from({ length: rounds + 1 }, (_, i) => bar(byName.get(`round ${i}`), i, rounds, most));
  const line = (y: number) => element("line", { class: "axis", x1: 0, x2: "100%", y1: percent(y), y2: percent(y) });
  const scale = [line(TOP), line(BASE), label(formatBytes(most), 2, percent(TOP - 0.01), "small")];
  const key = [
    keyItem("online", "opened between P1 and P2 in this round"),
    keyItem("offline", "dealt by P0 for the steps after it"),
  ];
  const drawn = picture("time", "bytes by round", {}, ...scale, ...bars, ...ticks(rounds));
  return drawn + element("ul", { class: "key" }, ...key);
}

function bar(line: CostLine | undefined, i: number, rounds: number, most: number): string {
  if (line === undefined || line.total === 0) {
    return "";
  }
  const scale = (BASE - TOP) / most;
  const part = (kind: string, y: number, height: number) =>
    rect(kind, {
      x: percent((i + 0.08) / (rounds + 1)),
      width: percent(0.84 / (rounds + 1)),
      y: percent(y),
      height: percent(height),
    });
  const [online, offline] = [line.online * scale, line.offline * scale];
  const words = `round ${i}: ${formatBytes(line.online)} opened, ${formatBytes(line.offline)} dealt`;
  const parts = [part("online", BASE - online, online), part("offline", BASE - online - offline, offline)];
  return element("g", {}, hint(words), ...parts);
}

const STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500];

/** Round numbers under the bars, about eight of them. */
function ticks(rounds: number): string[] {
  const step = STEPS.find((size) => (rounds + 1) / size <= 8) ?? 1000;
  return Array.from({ length: Math.floor(rounds / step) + 1 }, (_, i) => {
    const x = (i * step + 0.5) / (rounds + 1);
    const [anchor, at] = i === 0 ? ["", "2"] : x > 0.95 ? [" end", "100%"] : [" middle", percent(x)];
    return label(String(i * step), at, "98%", `small${anchor}`);
  });
}
