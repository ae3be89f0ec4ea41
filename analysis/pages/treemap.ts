/**
 * A treemap of bytes: ops of the model, and in each those of the protocol suite, with areas in proportion. Cells are
 * placed in percentages and their text in pixels, so that it stays readable on a phone. Squarified (Bruls, Huizing, van
 * Wijk, 2000), by d3-hierarchy.
 */
import { hierarchy, treemap as layout, treemapSquarify } from "d3-hierarchy";
import type { CostLine } from "../cost.js";
import { formatBytes } from "../units.js";
import { element, escapeHtml, hint, label, percent, picture, rect } from "./element.js";

/** Colour classes of the style sheet. */
const COLOURS = ["a", "b", "c", "d", "e", "f", "g", "h"] as const;

/** The colour class of every op, by its bytes; those after the seventh share the last. */
export function coloursOf(ops: readonly CostLine[]): ReadonlyMap<string, string> {
  const sorted = ops.toSorted((a, b) => b.total - a.total);
  return new Map(sorted.map(({ name }, i) => [name, COLOURS[Math.min(i, COLOURS.length - 1)]]));
}

const ASPECT = 1.8;

/** An op of the model, and the lines of the ops that it is made of. */
interface Group {
  readonly name: string;
  readonly parts: readonly Pick<CostLine, "name" | "total">[];
}

/** Where the parts of every group lie in a box of so much width and height 1, the largest first. */
export function layoutOf(groups: readonly Group[], width: number): readonly Cell[] {
  const tree = { name: "", parts: groups.map(({ name, parts }) => ({ name, parts: parts.filter(isSeen) })) };
  const root = hierarchy<Item>(tree, ({ parts }) => parts)
    .sum(({ total }) => total ?? 0)
    .sort((one, other) => other.value! - one.value!);
  const placed = layout<Item>().tile(treemapSquarify.ratio(1)).size([width, 1])(root);
  return placed.leaves().flatMap(({ data, parent, x0, x1, y0, y1 }) => {
    const box = { x: x0, y: y0, width: x1 - x0, height: y1 - y0 };
    const isPart = parent !== null && parent.depth === 1;
    return isPart
      ? [{ op: parent.data.name, name: data.name, total: data.total!, first: parent.children?.[0].data === data, box }]
      : [];
  });
}

/** What d3 lays out: all, a group, or a part with its bytes. */
interface Item {
  readonly name: string;
  readonly total?: number;
  readonly parts?: readonly Item[];
}

function isSeen({ total }: { readonly total: number }): boolean {
  return total > 0;
}

export function treemap(groups: readonly Group[], colours: ReadonlyMap<string, string>): string {
  const cells = layoutOf(groups, ASPECT).map((each) => cell(each, colours.get(each.op) ?? "h"));
  return picture("map", "bytes by op", {}, ...cells);
}

/** A part of an op; the first, which is the largest, bears the op's name: the others have its colour. */
interface Cell {
  readonly op: string;
  readonly name: string;
  readonly total: number;
  readonly first: boolean;
  readonly box: { readonly x: number; readonly y: number; readonly width: number; readonly height: number };
}

function cell({ op, name, total, first, box }: Cell, colour: string): string {
  const size = formatBytes(total);
  const place = {
    x: percent(box.x / ASPECT),
    y: percent(box.y),
    width: percent(box.width / ASPECT),
    height: percent(box.height),
  };
  const lines: [string, keyof typeof LETTERS][] = [
    [name, "plain"],
    [size, "small"],
  ];
  const wanted = first ? [[op, "bold"] as const, ...lines] : lines;
  const shown = wanted.slice(0, Math.max(0, Math.floor((box.height - 0.02) / LINE))).flatMap(([words, kind], i) => {
    const screen = screenFor(words.length * LETTERS[kind], box.width / ASPECT);
    return screen === undefined ? [] : [label(words, 6, 17 + 16 * i, `${kind} ${screen}`.trim())];
  });
  const background = rect(colour, { width: "100%", height: "100%" });
  return element("svg", place, hint(`${op}, ${name}: ${size}`), background, ...shown);
}

/** A line's part of the height of the lowest treemap. */
const LINE = 16 / 384;

/** About how wide a letter is, in pixels, in the widest of the usual fonts. */
const LETTERS = { bold: 8, plain: 6.9, small: 6.3 } as const;

/** What is left free at both ends of a line. */
const MARGIN = 10;

/** The narrowest treemap, in pixels, on each class of screen that the style sheet knows. */
const SCREENS = [
  { kind: "", width: 336 },
  { kind: "tablet", width: 540 },
  { kind: "desktop", width: 900 },
] as const;

/** The smallest screen on which a line fits into a part of the treemap's width; undefined where it never does. */
function screenFor(length: number, part: number): string | undefined {
  return SCREENS.find(({ width }) => width * part >= length + MARGIN)?.kind;
}

/** What the colours mean. */
export function colourKey(colours: ReadonlyMap<string, string>): string {
  const items = [...colours].slice(0, COLOURS.length - 1).map(([op, colour]) => keyItem(colour, op));
  const rest = colours.size >= COLOURS.length ? [keyItem("h", "other ops")] : [];
  return element("ul", { class: "key" }, ...items, ...rest);
}

export function keyItem(colour: string, text: string): string {
  const sample = element("svg", { viewBox: "0 0 12 12" }, rect(colour, { width: 12, height: 12, rx: 3 }));
  return element("li", {}, sample, escapeHtml(text));
}
