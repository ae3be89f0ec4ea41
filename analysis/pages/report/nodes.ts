/** A report's nodes: a table that sorts, bars of headroom, and of every node float against the roles. */
import { modelOp, nameInLayer } from "../../origins.js";
import { number } from "../../report/advice.js";
import type { NodeReport } from "../../report/types.js";
import { colourOf, swatch } from "../colours.js";
import { element, escapeHtml, hint, percent, picture, rect, short } from "../element.js";

/** What the model calls a node's op. */
export function opOf({ name, op }: NodeReport): string {
  return modelOp(name, op);
}

type Cell = readonly [text: string, value: number | string];

/** Headings, and what stands below them; a cell's value is what it sorts by. */
const COLUMNS: readonly (readonly [string, (node: NodeReport, index: number) => Cell])[] = [
  ["node", ({ name }) => [name, name]],
  ["op", (node) => [opOf(node), opOf(node)]],
  ["in the program", (_, index) => [String(index + 1), index]],
  ["roles, max", ({ error }) => cell(error.roles.maximum)],
  ["roles, mean", ({ error }) => cell(error.roles.mean)],
  ["fixed, max", ({ error }) => cell(error.fixed.maximum)],
  ["fixed, mean", ({ error }) => cell(error.fixed.mean)],
  ["own, max", ({ error }) => cell(error.own.maximum)],
  ["roles − fixed", ({ error }) => cell(error.drift.maximum)],
  ["largest value", ({ largest }) => cell(largest)],
  ["headroom, bits", ({ headroom }) => (headroom === null ? ["", 99] : [headroom.toFixed(1), headroom])],
  ["outside", ({ saturations }) => cell(saturations.range + saturations.window)],
  ["bits, of fraction", ({ ring, fraction }) => (ring === null ? ["", 0] : [`${ring}, ${fraction}`, ring])],
];

function cell(value: number): Cell {
  return [number(value), value];
}

export function nodeTable(nodes: readonly NodeReport[]): string {
  const headings = COLUMNS.map(([words]) =>
    element("th", { scope: "col" }, element("button", { type: "button" }, escapeHtml(words))),
  );
  const rows = nodes.map((node, index) => {
    const cells = COLUMNS.map(([words, of], i) => {
      const [text, value] = of(node, index);
      const mark = i === 1 ? swatch(colourOf(opOf(node))) : "";
      // On a phone each value has its heading beside it.
      const about = i === 0 ? { class: "name" } : { "data-h": words };
      return element("td", { "data-v": value, ...about }, mark, escapeHtml(text));
    });
    return element("tr", node.bad ? { class: "bad" } : {}, ...cells);
  });
  const head = element("thead", {}, element("tr", {}, ...headings));
  return element(
    "div",
    { class: "scroll" },
    element("table", { class: "sortable report" }, head, element("tbody", {}, ...rows)),
  );
}

const MOST_BARS = 24;
/** Bits of headroom that fill a bar. */
const FULL = 16;

/** The nodes with the least headroom. */
export function headroomBars(nodes: readonly NodeReport[]): string {
  const sorted = nodes
    .flatMap(({ headroom, ...node }) => (headroom === null ? [] : [{ ...node, headroom }]))
    .toSorted((a, b) => a.headroom - b.headroom)
    .slice(0, MOST_BARS);
  const rows = sorted.map((node) => {
    const { name, headroom } = node;
    const width = percent(Math.min(1, Math.max(0.01, headroom / FULL)));
    const bar = element("svg", { height: 10 }, rect(headroom > 0 ? "room" : "none", { width, height: 10 }));
    const words = element("td", { class: "name" }, escapeHtml(`${name} (${opOf(node)})`));
    return element("tr", {}, words, element("td", {}, headroom.toFixed(1)), element("td", { class: "bar" }, bar));
  });
  return element("div", { class: "scroll" }, element("table", {}, ...rows));
}

/** Every node's samples, a part for each layer; open are those with a bad node, and the first. */
export function scatterPlots(nodes: readonly NodeReport[]): string {
  const layers = new Map<string, NodeReport[]>();
  for (const node of nodes) {
    layers.set(node.layer, [...(layers.get(node.layer) ?? []), node]);
  }
  return [...layers]
    .map(([layer, members], i) => {
      const bad = members.filter((node) => node.bad).length;
      const about = ` ${members.length} nodes${bad === 0 ? "" : `, ${bad} bad`}`;
      const summary = element("b", {}, escapeHtml(layer)) + element("span", {}, about);
      const plots = element("div", { class: "plots" }, ...members.map(scatter));
      const isOpen = bad > 0 || i === 0;
      return element("details", isOpen ? { open: "" } : {}, element("summary", {}, summary), element("div", {}, plots));
    })
    .join("");
}

const SIZE = 100;

/** Float across, roles up: good nodes lie on the diagonal. */
function scatter(node: NodeReport): string {
  const { name, samples, bad, error } = node;
  const values = samples.flat();
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const spread = high - low === 0 ? 1 : high - low;
  const at = (x: number): number => 5 + ((SIZE - 10) * (x - low)) / spread;
  const dots = samples.map(([float, roles]) => `M${short(at(float))} ${short(SIZE - at(roles))}h0`).join("");
  const drawn = picture(
    "scatter",
    `${name}: float across, roles up`,
    { viewBox: `0 0 ${SIZE} ${SIZE}` },
    hint(`from ${number(low)} to ${number(high)}`),
    element("line", { x1: 0, y1: SIZE, x2: SIZE, y2: 0 }),
    element("path", { d: dots }),
  );
  const words = `${nameInLayer(name)} (${opOf(node)}), off by ${number(error.roles.maximum)}`;
  return element("figure", bad ? { class: "bad" } : {}, drawn, element("figcaption", {}, escapeHtml(words)));
}
