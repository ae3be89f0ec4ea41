/** What an accuracy run comes to, whether it is within its bounds, and the table of docs/accuracy.md. */
import { describeShare, type Share, shareOf } from "../../analysis/data/summary.js";
import { formatBytes } from "../../analysis/units.js";
import type { Bounds, Item, Profile, SetName, Task } from "./task.js";

/** A run's line in docs/accuracy.json. */
export interface Result {
  readonly set: SetName;
  readonly profile: Profile;
  readonly model: string;
  readonly unit: string;
  readonly against: string;
  readonly count: number;
  readonly total: number;
  readonly agreed: number;
  /** Of `labelled` items. */
  readonly right: { readonly privately: number; readonly plainly: number; readonly labelled: number };
  readonly error: { readonly largest: number; readonly mean: number };
  /** Profile puma: what its formulas reach by themselves. */
  readonly formulas?: { readonly agreed: number; readonly right: number; readonly error: number };
  readonly perplexity?: { readonly privately: number; readonly plainly: number };
  readonly rounds: number;
  readonly bytes: number;
  readonly batch: number;
  /** Day of the run. */
  readonly date: string;
}

export function resultOf(task: Task, items: readonly Item[], date: string): Result {
  const { set, profile, model, unit, against, total, rounds, bytes, batch } = task;
  const labelled = items.flatMap(({ right }) => right ?? []);
  const countOf = <T>(list: readonly T[], isHit: (each: T) => boolean): number => list.filter(isHit).length;
  const losses = items.flatMap(({ loss }) => loss ?? []);
  const perplexityOf = (pick: (loss: NonNullable<Item["loss"]>) => number): number =>
    Math.exp(losses.reduce((sum, loss) => sum + pick(loss), 0) / losses.length);
  const formulas = items.flatMap((item) => item.formulas ?? []);
  return {
    ...{ set, profile, model, unit, against, count: items.length, total },
    agreed: countOf(items, ({ agreed }) => agreed),
    right: {
      privately: countOf(labelled, ({ privately }) => privately),
      plainly: countOf(labelled, ({ plainly }) => plainly),
      labelled: labelled.length,
    },
    error: {
      largest: items.reduce((most, { error }) => Math.max(most, error), 0),
      mean: items.reduce((sum, { error }) => sum + error, 0) / items.length,
    },
    ...(formulas.length === 0
      ? {}
      : {
          formulas: {
            agreed: countOf(formulas, ({ agreed }) => agreed),
            right: countOf(formulas, ({ right }) => right?.privately === true),
            error: formulas.reduce((most, { error }) => Math.max(most, error), 0),
          },
        }),
    ...(losses.length === 0
      ? {}
      : {
          perplexity: {
            privately: perplexityOf(({ privately }) => privately),
            plainly: perplexityOf(({ plainly }) => plainly),
          },
        }),
    ...{ rounds, bytes, batch, date },
  };
}

/** What a result misses of its bounds, each in words; none where it is within all. */
export function missed(result: Result, bounds: Bounds): readonly string[] {
  const { agreed, count, right, error, perplexity } = result;
  const beside = result.formulas ?? { agreed: count, right: right.plainly, error: 0 };
  const agreement = beside.agreed - (1 - bounds.agreement) * count;
  const accuracy = right.labelled === 0 ? 0 : Math.abs(right.privately - beside.right) / right.labelled;
  const limit = beside.error + bounds.error;
  const difference = perplexity === undefined ? 0 : perplexity.privately - perplexity.plainly;
  const checks: readonly (readonly [boolean, string])[] = [
    [agreed >= agreement, `${agreed} equal answers, fewer than ${agreement}`],
    [accuracy <= bounds.accuracy, `accuracy off by ${accuracy}, more than ${bounds.accuracy}`],
    [error.largest <= limit, `an error of ${error.largest}, more than ${limit}`],
    [difference <= (bounds.perplexity ?? Number.POSITIVE_INFINITY), `perplexity higher by ${difference}`],
  ];
  return checks.flatMap(([isMet, words]) => (isMet ? [] : [words]));
}

/** A result for people, a line each. */
export function describeResult(result: Result): string {
  const { set, profile, model, unit, against, agreed, count, total, right, error, formulas, perplexity } = result;
  const right95 = (hits: number): string => describeShare(shareOf(hits, right.labelled));
  const rows: readonly (readonly [string, string])[] = [
    ["model", `${model} (${set}), profile ${profile}, ${count} of ${total} ${unit}`],
    [`as ${against}`, describeShare(shareOf(agreed, count))],
    ...(right.labelled === 0
      ? []
      : ([
          ["right, private", right95(right.privately)],
          ["right, plain", right95(right.plainly)],
        ] as const)),
    ["largest logit error", `${error.largest.toFixed(5)}, mean ${error.mean.toFixed(5)}`],
    ...(formulas === undefined ? [] : [["formulas alone", describeFormulas(result)] as const]),
    ...(perplexity === undefined
      ? []
      : [["perplexity", `${perplexity.privately.toFixed(4)}, plain ${perplexity.plainly.toFixed(4)}`] as const]),
  ];
  return rows.map(([what, value]) => `${what.padEnd(24)}${value}`).join("\n");
}

/** `867 equal, 692 right, off by 0.2430`. */
function describeFormulas({ formulas, right }: Result): string {
  const { agreed, right: hits, error } = formulas!;
  return `${agreed} equal, ${right.labelled === 0 ? "" : `${hits} right, `}off by ${error.toFixed(4)}`;
}

const HEADINGS = [
  ...["model, set", "profile", "run", "answer as the plain model's", "right, private", "right, plain"],
  ...[
    "largest logit error",
    "mean",
    "formulas alone",
    "perplexity, private / plain",
    "rounds",
    "bytes a session",
    "date",
  ],
];

/** docs/accuracy.md's table of trained models. */
export function modelTable(results: readonly Result[]): string {
  const lines = [HEADINGS, HEADINGS.map(() => "---"), ...results.map(cellsOf)];
  return lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

function cellsOf(result: Result): readonly string[] {
  const { model, profile, count, total, unit, against, agreed, right, error, perplexity, batch, formulas } = result;
  const share = (hits: number, of: number): string => (of === 0 ? "" : percentOf(shareOf(hits, of)));
  return [
    ...[model, profile, `${count} of ${total} ${unit}`, `${share(agreed, count)}, against ${against}`],
    ...[share(right.privately, right.labelled), share(right.plainly, right.labelled)],
    ...[error.largest.toFixed(4), error.mean.toFixed(4), formulas === undefined ? "" : describeFormulas(result)],
    perplexity === undefined ? "" : `${perplexity.privately.toFixed(4)} / ${perplexity.plainly.toFixed(4)}`,
    ...[String(result.rounds), `${formatBytes(result.bytes)} (${batch} ${batch === 1 ? "item" : "items"})`],
    result.date,
  ];
}

/** `872 (100.0 %, 99.6 to 100.0 %)`. */
function percentOf({ hits, share, low, high }: Share): string {
  const [middle, from, to] = [share, low, high].map((part) => (100 * part).toFixed(1));
  return `${hits} (${middle} %, ${from} to ${to} %)`;
}
