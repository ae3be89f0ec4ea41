/** What came of a data set, as text for people and as the document of --json. */

import type { AnsweredRow } from "../../client/answered-rows.js";
import { describeAnswer } from "../../client/answers.js";
import { formatSeconds } from "../units.js";
import { describeShare, type Scored, type Share, type Summary } from "./summary.js";

export interface DataRun {
  readonly digest: string;
  readonly path: string;
  /** The output that is scored. */
  readonly output: string;
  readonly seconds: number;
  /** Texts that were longer than the plan. */
  readonly cut: number;
}

/** `pumac.data/1`. */
export function dataDocument(run: DataRun, summary: Summary, rows: readonly AnsweredRow[]): object {
  const { count, alarms, agreement, accuracy, largestError, meanError, different } = summary;
  return {
    schema: "pumac.data/1",
    plan: { digest: run.digest },
    data: run.path,
    output: run.output,
    count,
    withheld: alarms.map((index) => index + 1),
    agreement,
    accuracy: accuracy === undefined ? null : { private: accuracy.privately, plain: accuracy.plainly },
    cut: run.cut,
    error: { largest: largestError, mean: meanError },
    different: different.map(documentOf),
    answers: rows.map(({ row, withheld, answer }) => ({ row, ...(withheld ? { withheld } : answer) })),
    seconds: run.seconds,
  };
}

/** The numbers, and what is said beside them. */
export function describeData(
  run: DataRun,
  { count, alarms, agreement, accuracy, largestError, meanError, different }: Summary,
): { readonly results: readonly string[]; readonly notes: readonly string[] } {
  const line = (what: string, value: string): string => `${what.padEnd(32)}${value}`;
  const shares: readonly (readonly [string, Share])[] = [
    ["same class as the plain model", agreement],
    ...(accuracy === undefined
      ? []
      : ([
          ["right, private", accuracy.privately],
          ["right, plain", accuracy.plainly],
        ] as const)),
  ];
  const which = alarms.slice(0, MOST_SHOWN).map((index) => index + 1);
  const each = formatSeconds(run.seconds / count);
  return {
    results: [
      ...shares.map(([what, share]) => line(what, describeShare(share))),
      line(`largest error of '${run.output}'`, `${largestError.toFixed(5)}, mean ${meanError.toFixed(5)}`),
      ...(alarms.length === 0
        ? []
        : [line("withheld by the overflow guard", `${alarms.length}: example ${which.join(", ")}`)]),
    ],
    notes: [
      ...(run.cut === 0 ? [] : [`${run.cut} texts were longer than the plan and have been cut`]),
      `${count} examples in ${formatSeconds(run.seconds)}, ${each} each`,
      ...different.slice(0, MOST_SHOWN).map(describeDifferent),
    ],
  };
}

const MOST_SHOWN = 10;

/** The first answers, where nothing is scored. */
export function describeRows(rows: readonly AnsweredRow[]): readonly string[] {
  return rows
    .slice(0, MOST_SHOWN)
    .map(({ row, answer }) => `row ${row}: ${answer.kind === "outputs" ? "numbers" : describeAnswer(answer)}`);
}

function describeDifferent({ index, label, privately, plainly }: Scored): string {
  const [mine, plain] = [privately, plainly].map((scores) => scores.map((x) => x.toFixed(4)).join(" "));
  return `example ${index + 1}: private ${mine}, plain ${plain}${label === undefined ? "" : `, label ${label}`}`;
}

function documentOf({ index, label, privately, plainly }: Scored): object {
  return { example: index + 1, label: label ?? null, private: privately, plain: plainly };
}
