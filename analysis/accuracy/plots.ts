/**
 * docs/accuracy.svg: the error of every function of one variable over its domain, one small plot each, both profiles in
 * one. A column of a plot shows the least and the largest error of its points.
 */
import type { FunctionCase } from "./cases.js";
import type { Measurement } from "./measure.js";

const WIDTH = 300;
const HEIGHT = 110;
const MARGIN = { left: 12, top: 26, gapX: 24, gapY: 44 };
const COLUMNS = 3;
const BINS = 150;
const COLOURS = { fourier: "#1f6feb", puma: "#d1572a" } as const;

export type Measured = ReadonlyMap<FunctionCase, ReadonlyMap<"fourier" | "puma", Measurement>>;

/** Whether a plot over x can show the function. */
function isPlotted({ inputs, op, distance }: FunctionCase): boolean {
  return inputs.length === 1 && inputs[0].domain.startsWith("[") && op !== undefined && distance !== "relative";
}

/** The page of plots as SVG. */
export function errorPlots(measured: Measured): string {
  const cases = [...measured.keys()].filter((given) => isPlotted(given) && largestOf(measured.get(given)!) > 0);
  const rows = Math.ceil(cases.length / COLUMNS);
  const size = [COLUMNS * (WIDTH + MARGIN.gapX), rows * (HEIGHT + MARGIN.gapY) + 8];
  const plots = cases.map((given, i) => {
    const x = MARGIN.left + (i % COLUMNS) * (WIDTH + MARGIN.gapX);
    const y = MARGIN.top + Math.floor(i / COLUMNS) * (HEIGHT + MARGIN.gapY);
    return `<g transform="translate(${x} ${y})">${plot(given, measured.get(given)!)}</g>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size.join(" ")}" font-family="sans-serif" font-size="11">`,
    `<rect width="100%" height="100%" fill="#fff"/>`,
    ...plots,
    "</svg>\n",
  ].join("\n");
}

function largestOf(profiles: ReadonlyMap<string, Measurement>): number {
  const errors = [...profiles.values()].flatMap(({ points }) => points.map(errorAt));
  return errors.reduce((largest, error) => Math.max(largest, Math.abs(error)), 0);
}

function errorAt({ got, expected }: Measurement["points"][number]): number {
  return got - expected;
}

function plot(given: FunctionCase, profiles: ReadonlyMap<"fourier" | "puma", Measurement>): string {
  const largest = largestOf(profiles);
  // The less accurate profile lies behind.
  const curves = [...profiles].reverse().map(([profile, { points }]) => band(points, largest, COLOURS[profile]));
  const names = [...profiles.keys()].map((name) => `<tspan fill="${COLOURS[name]}"> ${name}</tspan>`).join("");
  return [
    `<text y="-8">${given.name.replaceAll("<", "&lt;")} on ${given.inputs[0].domain}${names}</text>`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#f6f8fa"/>`,
    ...curves,
    `<path d="M0 ${HEIGHT / 2}H${WIDTH}" stroke="#999" stroke-width="0.5"/>`,
    `<text x="3" y="12" fill="#555">+${largest.toExponential(1)}</text>`,
    `<text x="3" y="${HEIGHT - 4}" fill="#555">-${largest.toExponential(1)}</text>`,
  ].join("");
}

/** A closed path around the least and the largest error of each column. */
function band(points: Measurement["points"], largest: number, colour: string): string {
  const xs = points.map(({ x }) => x);
  const [low, high] = [Math.min(...xs), Math.max(...xs)];
  const bins = Array.from({ length: BINS }, () => ({
    least: Number.POSITIVE_INFINITY,
    most: Number.NEGATIVE_INFINITY,
  }));
  for (const point of points) {
    const bin = bins[Math.min(BINS - 1, Math.floor(((point.x - low) / (high - low)) * BINS))];
    bin.least = Math.min(bin.least, errorAt(point));
    bin.most = Math.max(bin.most, errorAt(point));
  }
  const at = (i: number, error: number) =>
    `${((i + 0.5) * (WIDTH / BINS)).toFixed(1)} ${((HEIGHT / 2) * (1 - error / largest)).toFixed(1)}`;
  const filled = bins.map((bin, i) => ({ ...bin, i })).filter(({ most }) => Number.isFinite(most));
  const path = [
    ...filled.map(({ i, most }) => at(i, most)),
    ...filled.toReversed().map(({ i, least }) => at(i, least)),
  ];
  return `<path d="M${path.join("L")}Z" fill="${colour}" stroke="${colour}" stroke-width="0.7"/>`;
}
