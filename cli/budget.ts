/** `--budget 'bytes<2GiB,rounds<400'`: a gate for scripts. */
import type { CostReport } from "../compiler/report.js";
import { fail } from "../ir/diagnostics.js";

const UNITS: Readonly<Record<string, number>> = {
  "": 1, b: 1, kb: 1e3, mb: 1e6, gb: 1e9, kib: 2 ** 10, mib: 2 ** 20, gib: 2 ** 30,
}; // biome-ignore format: a table

const QUANTITIES: Readonly<Record<string, (report: CostReport) => number>> = {
  bytes: ({ cost }) => cost.bytes.total,
  online: ({ cost }) => cost.bytes.online,
  offline: ({ cost }) => cost.bytes.offline,
  input: ({ cost }) => cost.bytes.input,
  rounds: ({ cost }) => cost.rounds,
  memory: ({ cost }) => Math.max(...Object.values(cost.memory)),
  seconds: ({ cost }) => cost.seconds.estimate,
};

/** Throws E0501 with every limit that the plan exceeds; E0201 where the text is no budget. */
export function checkBudget(text: string, report: CostReport): void {
  const over = text.split(",").flatMap((part) => {
    const match = /^\s*(\w+)\s*(<=?)\s*([\d.]+)\s*([a-z]*)\s*$/i.exec(part);
    const quantity = match === null ? undefined : QUANTITIES[match[1]];
    const unit = match === null ? undefined : UNITS[match[4].toLowerCase()];
    if (match === null || quantity === undefined || unit === undefined) {
      throw fail({
        code: "E0201",
        what: `'${part.trim()}' is no limit`,
        fix: `write ${Object.keys(QUANTITIES).join(", ")} < number, with kB, MB, GB, KiB, MiB or GiB`,
      });
    }
    const limit = Number(match[3]) * unit;
    const value = quantity(report);
    const within = match[2] === "<" ? value < limit : value <= limit;
    return within ? [] : [{ code: "E0501" as const, what: `${match[1]} is ${value}, the budget is ${part.trim()}` }];
  });
  if (over.length > 0) {
    throw fail(...over);
  }
}
