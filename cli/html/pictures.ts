/** The page's pictures, as SVG: a treemap of bytes, the bytes of every round, the program as a list coloured by cost. */
import type { CostedStep, CostLine } from "../../compiler/report.js";
import { formatBytes } from "../terminal.js";
import { escapeHtml } from "./escape.js";

interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** Areas in proportion to bytes: the list is halved by weight again and again, along the longer side. */
export function treemap(lines: readonly CostLine[]): string {
  const cells: string[] = [];
  const place = (part: readonly CostLine[], box: Box): void => {
    if (part.length === 1) {
      cells.push(cell(part[0], box, cells.length));
      return;
    }
    const all = sum(part);
    let count = 1;
    while (count < part.length - 1 && sum(part.slice(0, count)) < all / 2) {
      count++;
    }
    const share = sum(part.slice(0, count)) / all;
    const wide = box.width >= box.height;
    const first = wide ? { ...box, width: box.width * share } : { ...box, height: box.height * share };
    const rest = wide
      ? { ...box, x: box.x + first.width, width: box.width - first.width }
      : { ...box, y: box.y + first.height, height: box.height - first.height };
    place(part.slice(0, count), first);
    place(part.slice(count), rest);
  };
  if (lines.length > 0) {
    place(lines, { x: 0, y: 0, width: 640, height: 300 });
  }
  return `<svg viewBox="0 0 640 300" role="img" aria-label="bytes by operator">${cells.join("")}</svg>`;
}

function cell({ name, total }: CostLine, { x, y, width, height }: Box, i: number): string {
  const hue = (i * 47) % 360;
  const size = formatBytes(total);
  const fits = width > 7 * Math.min(name.length, 12) && height > 30;
  const label = fits
    ? `<text x="${f(x + 5)}" y="${f(y + 15)}">${escapeHtml(name.slice(0, Math.floor(width / 7)))}</text><text x="${f(x + 5)}" y="${f(y + 29)}">${size}</text>`
    : "";
  return `<g><title>${escapeHtml(name)}: ${size}</title><rect class="cell" x="${f(x)}" y="${f(y)}" width="${f(width)}" height="${f(height)}" fill="hsl(${hue} 65% 55% / .55)"/>${label}</g>`;
}

/** Bytes that each round opens (blue) and what P0 deals for the steps after it (orange). */
export function roundTimeline(steps: readonly CostedStep[], rounds: number): string {
  const online = new Array<number>(rounds + 1).fill(0);
  const offline = new Array<number>(rounds + 1).fill(0);
  for (const { step, cost } of steps) {
    online[step.round] += 2 * cost.online;
    offline[step.round] += cost.offline;
  }
  const most = Math.max(1, ...online.map((bytes, i) => bytes + offline[i]));
  const width = 640 / (rounds + 1);
  const bars = online.map((bytes, i) => {
    const [a, b] = [(140 * bytes) / most, (140 * offline[i]) / most];
    const title = `<title>round ${i}: ${formatBytes(bytes)} opened, ${formatBytes(offline[i])} dealt</title>`;
    const bar = (y: number, height: number, kind: string) =>
      `<rect class="${kind}" x="${f(i * width)}" y="${f(y)}" width="${f(width * 0.85)}" height="${f(height)}"/>`;
    return `<g>${title}${bar(150 - a, a, "fill")}${bar(150 - a - b, b, "offline")}</g>`;
  });
  const axis = `<text x="0" y="166">round 0</text><text x="590" y="166">${rounds}</text>`;
  return `<svg viewBox="0 0 640 170" role="img" aria-label="bytes by round">${bars.join("")}${axis}</svg><p class="muted">blue: opened between P1 and P2 · orange: dealt by P0</p>`;
}

/** The nodes from input to output, each as dark as it is dear. */
export function nodeGraph(nodes: readonly CostLine[]): string {
  const most = Math.max(1, ...nodes.map(({ total }) => total));
  const height = 22;
  const rows = nodes.map(({ name, op, rounds, total }, i) => {
    const y = i * height;
    const heat = Math.sqrt(total / most);
    const label = `${name.length > 52 ? `…${name.slice(-51)}` : name}${op === "" ? "" : ` · ${op}`}`;
    const next = i + 1 < nodes.length ? `<path class="frame" d="M8 ${y + 18}v8"/>` : "";
    return `<g><title>${escapeHtml(name)}: ${formatBytes(total)}, ${rounds} rounds</title><rect class="cell" x="2" y="${y + 2}" width="500" height="18" rx="4" fill="hsl(${f(210 - 190 * heat)} 75% 50% / ${f(0.15 + 0.6 * heat)})"/><text x="10" y="${y + 15}">${escapeHtml(label)}</text><text x="510" y="${y + 15}">${formatBytes(total)}${rounds > 0 ? `, ${rounds} r` : ""}</text>${next}</g>`;
  });
  return `<div class="graph"><svg viewBox="0 0 640 ${nodes.length * height}" role="img" aria-label="the program">${rows.join("")}</svg></div>`;
}

function sum(lines: readonly CostLine[]): number {
  return lines.reduce((total, line) => total + line.total, 0);
}

function f(x: number): string {
  return x.toFixed(1);
}
