/** A bench's lines as text: a table for people, one document, or a page. */
import { PARTIES } from "../../runtime/transport.js";
import { formatBytes, formatSeconds } from "../units.js";
import { benchPage } from "./chart.js";
import type { BenchLine, Taken } from "./measure.js";

/** By what `pumac bench -o` calls them. */
export const BENCH_FORMS = {
  table: benchTable,
  json: (models: readonly BenchLine[]) => JSON.stringify({ models }, undefined, 2),
  html: benchPage,
} as const;

function benchTable(lines: readonly BenchLine[]): string {
  return lines.map(describe).join("\n\n");
}

function describe(line: BenchLine): string {
  const { onnxruntime, ratio, bytes, memory, difference } = line;
  const peaks = PARTIES.map((party) => formatBytes(memory[party] ?? 0)).join(", ");
  const row = (what: string, { cpu, wall, online }: Taken, times: number | null): string => {
    const to = times === null ? "" : `${times.toPrecision(3)}×`;
    const [used, took, run] = [cpu, wall, online].map((each) => formatSeconds(each).padStart(11));
    return `  ${what.padEnd(30)}${used}${took}${run}${to.padStart(9)}`;
  };
  const clear = onnxruntime && { ...onnxruntime, online: onnxruntime.wall };
  return [
    `${line.name.padEnd(32)}${["CPU", "wall", "online"].map((each) => each.padStart(11)).join("")}`,
    ...(clear === null ? ["  (onnxruntime-node is not installed)"] : [row("onnxruntime, one thread", clear, 1)]),
    row("the run, all parties", line.run, ratio.run),
    row("a first session", line.session, ratio.session),
    row("a further answer", line.again, ratio.again),
    `  ${line.rounds} rounds, ${formatBytes(bytes.total)} between parties, ${formatBytes(bytes.input)} of shares`,
    ...(line.alarm
      ? ["  the overflow guard withholds the answer: ranges were assumed, and some value left its own"]
      : []),
    `  largest difference from the plain model: ${difference.most.toPrecision(2)}, of ${difference.of.toPrecision(3)}`,
    `  peak memory of P0, P1, P2: ${peaks}`,
  ].join("\n");
}
