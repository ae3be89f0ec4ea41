/**
 * Who sends what to whom: the three parties and the owners, lines as thick as their bytes are many. The owners' lines
 * are masked inputs and weights, and seeds; the answer's shares go back the same way.
 */
import type { CostReport } from "../cost.js";
import { formatBytes } from "../units.js";
import { element, label, picture, rect, short } from "./element.js";

type Point = readonly [number, number];

/** Centres of the boxes, in a picture of 360 by 300. */
const OWNERS: Point = [180, 30];
const P0: Point = [180, 120];
const P1: Point = [55, 255];
const P2: Point = [305, 255];

/** Half the distance of the two lines between P1 and P2. */
const APART = 9;

export function linkFlow({ cost }: CostReport): string {
  const { links } = cost.bytes;
  const most = Math.max(1, ...Object.values(links));
  const size = (link: string) => formatBytes(links[link]);
  const line = (link: string, kind: string, d: string) =>
    links[link] === 0
      ? ""
      : element("path", { class: kind, d, "stroke-width": short(1.5 + 10 * Math.sqrt(links[link] / most)) });
  const straight = ([a, b]: Point, [c, d]: Point, shift = 0) => `M${a} ${b + shift}L${c} ${d + shift}`;
  const bend = ([a, b]: Point, [c, d]: Point) => `M${a} ${b}C${c} ${b} ${c} ${(b + d) / 2} ${c} ${d}`;
  const drawn = [
    line("owner>P1", "in", bend([90, OWNERS[1]], P1)),
    line("owner>P2", "in", bend([270, OWNERS[1]], P2)),
    line("owner>P0", "in", straight(OWNERS, P0)),
    line("P0>P2", "off", straight(P0, P2)),
    line("P1>P2", "on", straight(P1, P2, -APART)),
    line("P2>P1", "on", straight(P1, P2, APART)),
    ...box(OWNERS, "owners of model and data", 190),
    ...box(P0, "P0 deals", 84),
    ...box(P1, "P1", 50),
    ...box(P2, "P2", 50),
    label(`→ ${size("owner>P1")}`, 68, 98, "small"),
    label(`→ ${size("owner>P2")}`, 292, 98, "small end"),
    label(`→ ${size("owner>P0")}`, 188, 70, "small"),
    label(`dealt → ${size("P0>P2")}`, 224, 196, "small end"),
    label(`→ ${size("P1>P2")}`, 180, 234, "small middle"),
    label(`← ${size("P2>P1")}`, 180, 286, "small middle"),
  ];
  return picture("flow", "bytes by link", { viewBox: "0 0 360 300" }, ...drawn);
}

function box([x, y]: Point, name: string, width: number): string[] {
  return [
    rect("party", { x: x - width / 2, y: y - 15, width, height: 30, rx: 7 }),
    label(name, x, y + 4, "middle bold"),
  ];
}
