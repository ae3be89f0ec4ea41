/** `--budget 'bytes<2GiB,rounds<400'`: a gate for scripts. */

import { type Diagnostic, fail } from "../ir/diagnostics.js";
import type { CostReport } from "./cost.js";

const BYTES: Readonly<Record<string, number>> = {
  ...{ b: 1, kb: 1e3, mb: 1e6, gb: 1e9, tb: 1e12 },
  ...{ kib: 2 ** 10, mib: 2 ** 20, gib: 2 ** 30, tib: 2 ** 40 },
};
const SECONDS: Readonly<Record<string, number>> = { ms: 1e-3, s: 1 };

interface Quantity {
  readonly of: (report: CostReport) => number;
  /** Units beside the bare number. */
  readonly units: Readonly<Record<string, number>>;
}

const QUANTITIES: Readonly<Record<string, Quantity>> = {
  bytes: { of: ({ cost }) => cost.bytes.total, units: BYTES },
  total: { of: ({ cost }) => cost.bytes.total, units: BYTES },
  online: { of: ({ cost }) => cost.bytes.online, units: BYTES },
  offline: { of: ({ cost }) => cost.bytes.offline, units: BYTES },
  input: { of: ({ cost }) => cost.bytes.input, units: BYTES },
  memory: { of: ({ cost: { memory } }) => Math.max(memory.P0, memory.P1, memory.P2), units: BYTES },
  rounds: { of: ({ cost }) => cost.rounds, units: {} },
  macs: { of: ({ cost }) => Object.values(cost.macs).reduce((sum, n) => sum + n, 0), units: {} },
  seconds: { of: ({ cost }) => cost.seconds.estimate, units: SECONDS },
};

export interface Limit {
  readonly text: string;
  readonly quantity: string;
  /** False for `<`, true for `<=`. */
  readonly inclusive: boolean;
  /** In bytes, seconds or pieces. */
  readonly most: number;
}

/** Limits as `--budget` writes them, separated by commas; E0201 for other text. */
export function parseBudget(text: string): readonly Limit[] {
  return text.split(",").map((part) => {
    const match = /^\s*([a-z]+)\s*(<=?)\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/i.exec(part);
    const [, name = "", sign = "", number = "", suffix = ""] = match ?? [];
    const quantity = name.toLowerCase();
    const units: Readonly<Record<string, number>> = Object.hasOwn(QUANTITIES, quantity)
      ? { "": 1, ...QUANTITIES[quantity].units }
      : {};
    const unit = suffix.toLowerCase();
    if (!Object.hasOwn(units, unit)) {
      const fix = `write ${Object.keys(QUANTITIES).join(", ")} < number; bytes with kB, MB, GB, KiB, MiB or GiB`;
      throw fail({ code: "E0201", what: `'${part.trim()}' is no limit`, fix });
    }
    return { text: part.trim(), quantity, inclusive: sign === "<=", most: Number(number) * units[unit] };
  });
}

/** Throws E0501 with every limit that the plan exceeds; E0201 where the text is no budget. */
export function checkBudget(text: string, report: CostReport): void {
  const over = parseBudget(text).flatMap((limit): Diagnostic[] => {
    const value = QUANTITIES[limit.quantity].of(report);
    const within = limit.inclusive ? value <= limit.most : value < limit.most;
    return within
      ? []
      : [
          {
            code: "E0501",
            what: `the plan needs ${limit.quantity} ${value}, over the budget ${limit.text}`,
            where: report.plan.model,
            fix: "see what costs most with --by node, or choose a shorter input or a smaller model",
          },
        ];
  });
  if (over.length > 0) {
    throw fail(...over);
  }
}
