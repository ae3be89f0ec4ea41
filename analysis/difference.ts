/** What one plan costs beside another: the whole, and by any grouping. */
import type { CostReport, ReportedLine } from "./cost.js";

/** A quantity of both plans. */
export interface Pair {
  readonly first: number;
  readonly second: number;
}

export interface DifferenceLine {
  readonly name: string;
  readonly rounds: Pair;
  readonly bytes: Pair;
}

/** The document `pumac.difference/1`. */
export interface Difference {
  readonly schema: "pumac.difference/1";
  readonly plans: readonly { readonly digest: string; readonly model: string; readonly profile: string }[];
  readonly rounds: Pair;
  readonly bytes: Readonly<Record<"online" | "offline" | "total" | "input", Pair>>;
  readonly seconds: Pair;
  /** Lines of which some cost differs, the largest difference of bytes first. */
  readonly lines: readonly DifferenceLine[];
}

/** Compares two reports by one of their groupings. */
export function differenceOf(
  first: CostReport,
  second: CostReport,
  lines: (report: CostReport) => readonly ReportedLine[],
): Difference {
  const pair = (pick: (report: CostReport) => number): Pair => ({ first: pick(first), second: pick(second) });
  const [byName, others] = [first, second].map((report) => new Map(lines(report).map((line) => [line.name, line])));
  const all = [...new Set([...byName.keys(), ...others.keys()])].map((name) => {
    const [a, b] = [byName.get(name), others.get(name)];
    return {
      name,
      rounds: { first: a?.rounds ?? 0, second: b?.rounds ?? 0 },
      bytes: { first: a?.bytes.total ?? 0, second: b?.bytes.total ?? 0 },
    };
  });
  const size = ({ bytes }: DifferenceLine): number => Math.abs(bytes.second - bytes.first);
  return {
    schema: "pumac.difference/1",
    plans: [first, second].map(({ plan: { digest, model, profile } }) => ({ digest, model, profile })),
    rounds: pair(({ cost }) => cost.rounds),
    bytes: {
      online: pair(({ cost }) => cost.bytes.online),
      offline: pair(({ cost }) => cost.bytes.offline),
      total: pair(({ cost }) => cost.bytes.total),
      input: pair(({ cost }) => cost.bytes.input),
    },
    seconds: pair(({ cost }) => cost.seconds.estimate),
    lines: all
      .filter((line) => size(line) > 0 || line.rounds.first !== line.rounds.second)
      .sort((a, b) => size(b) - size(a)),
  };
}
