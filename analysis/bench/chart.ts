/** A bench's lines as a page that stands alone: a bar for each ratio, on a logarithmic scale. */
import type { BenchLine } from "./measure.js";

const [WIDTH, BAR, GAP, LEFT] = [720, 16, 26, 120];
const COLOURS = { run: "#2a6f97", session: "#c1666b", again: "#6a994e" } as const;
const LABELS = { run: "the run", session: "first session", again: "further answer" } as const;

export function benchPage(lines: readonly BenchLine[]): string {
  const most = Math.max(10, ...lines.flatMap(({ ratio }) => Object.values(ratio).map((each) => each ?? 1)));
  const width = (ratio: number): number => (Math.max(0, Math.log10(ratio)) / Math.log10(most)) * (WIDTH - LEFT - 90);
  const charts = lines.map((line) => {
    const bars = (["run", "session", "again"] as const).map((kind, i) => {
      const ratio = line.ratio[kind];
      const y = i * GAP;
      const value = ratio === null ? "not measured" : `${ratio.toPrecision(3)}×`;
      const long = ratio === null ? 0 : width(ratio);
      return [
        `<text x="0" y="${y + BAR - 3}">${LABELS[kind]}</text>`,
        `<rect x="${LEFT}" y="${y}" width="${long.toFixed(1)}" height="${BAR}" fill="${COLOURS[kind]}"/>`,
        `<text x="${(LEFT + long + 6).toFixed(1)}" y="${y + BAR - 3}">${value}</text>`,
      ].join("");
    });
    const name = escaped(line.name);
    const open = `<svg role="img" aria-label="${name}" viewBox="0 0 ${WIDTH} ${3 * GAP}">`;
    return `<h2>${name}</h2>${open}${bars.join("")}</svg>`;
  });
  const style =
    "body{font:16px system-ui;max-width:48rem;margin:2rem auto;padding:0 1rem}h2{font-size:1rem}text{font-size:13px}";
  return [
    `<!doctype html><html lang="en"><meta charset="utf-8"><title>pumac bench</title><style>${style}</style>`,
    "<h1>CPU seconds over all processes, to onnxruntime's on one thread</h1>",
    ...charts,
    "</html>",
  ].join("\n");
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
