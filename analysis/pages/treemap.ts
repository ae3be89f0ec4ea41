/**
 * A treemap of bytes: ops of the model, and in each those of the protocol suite, with areas in proportion. Cells are
 * placed in percentages and their text in pixels, so that it stays readable on a phone. Squarified (Bruls, Huizing, van
 * Wijk, 2000).
 */
import type { CostLine } from "../cost.js";
import { formatBytes } from "../units.js";
import { element, escapeHtml, hint, label, percent, picture, rect } from "./element.js";

interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface Weighted {
  readonly name: string;
  readonly total: number;
}

/** A box for each item, in order of falling weight: rows along the shorter side, as square as they get. */
export function squarify<T extends Weighted>(items: readonly T[], box: Box): { readonly item: T; readonly box: Box }[] {
  const sorted = items.filter(({ total }) => total > 0).toSorted((a, b) => b.total - a.total);
  const placed: { item: T; box: Box }[] = [];
  let rest = box;
  let from = 0;
  while (from < sorted.length) {
    const scale = (rest.width * rest.height) / weightOf(sorted.slice(from));
    const side = Math.min(rest.width, rest.height);
    let to = from + 1;
    while (to < sorted.length && worst(sorted, from, to + 1, side, scale) <= worst(sorted, from, to, side, scale)) {
      to++;
    }
    const row = sorted.slice(from, to);
    const depth = (weightOf(row) * scale) / side;
    let along = 0;
    for (const item of row) {
      const length = (item.total * scale) / depth;
      const cell =
        rest.width >= rest.height
          ? { x: rest.x, y: rest.y + along, width: depth, height: length }
          : { x: rest.x + along, y: rest.y, width: length, height: depth };
      placed.push({ item, box: cell });
      along += length;
    }
    rest =
      rest.width >= rest.height
        ? { ...rest, x: rest.x + depth, width: rest.width - depth }
        : { ...rest, y: rest.y + depth, height: rest.height - depth };
    from = to;
  }
  return placed;
}

function weightOf(items: readonly Weighted[]): number {
  return items.reduce((sum, { total }) => sum + total, 0);
}

/** The least square of a row's cells: the larger of its two aspect ratios. */
function worst(items: readonly Weighted[], from: number, to: number, side: number, scale: number): number {
  const row = items.slice(from, to);
  const area = weightOf(row) * scale;
  const most = row[0].total * scale;
  const least = row[row.length - 1].total * scale;
  return Math.max((side * side * most) / (area * area), (area * area) / (side * side * least));
}

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
  readonly parts: readonly CostLine[];
}

export function treemap(groups: readonly Group[], colours: ReadonlyMap<string, string>): string {
  const weighted = groups.map((group) => ({ ...group, total: weightOf(group.parts) }));
  const cells = squarify(weighted, { x: 0, y: 0, width: ASPECT, height: 1 }).flatMap(({ item, box }) =>
    squarify(item.parts, box).map((each, i) =>
      cell({ ...each.item, op: item.name, first: i === 0 }, each.box, colours.get(item.name) ?? "h"),
    ),
  );
  return picture("map", "bytes by op", {}, ...cells);
}

/** A part of an op; the first, which is the largest, bears the op's name: the others have its colour. */
interface Part {
  readonly op: string;
  readonly name: string;
  readonly total: number;
  readonly first: boolean;
}

function cell({ op, name, total, first }: Part, box: Box, colour: string): string {
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
