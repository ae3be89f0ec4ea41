/** What a batch over lanes comes to: classes against the set's labels, and what is said and printed of all of it. */

import type { Plan } from "../../ir/plan/types.js";
import type { TensorValue } from "../../ir/tensor/value.js";
import { formatSeconds } from "../units.js";
import { rowsOf, scoresIfAny } from "./evaluation.js";
import { classOf, describeShare, type Share, shareOf } from "./summary.js";

/** The counts of a batch, those of earlier starts among them. */
export interface BatchCounts {
  readonly rows: number;
  readonly done: number;
  readonly before: number;
  readonly failed: number;
  readonly withheld: number;
  readonly labelled: number;
  readonly right: number;
  readonly cut: number;
}

export interface BatchRun {
  readonly digest: string;
  readonly data: string;
  readonly output: string;
  readonly lanes: number;
  /** Of this start. */
  readonly seconds: number;
}

/** The class that a plan's outputs say of a row; undefined where none of them has a row of scores for each example. */
export function classesOf(plan: Plan, batch: number) {
  const name = scoresIfAny(plan, batch);
  return name === undefined
    ? undefined
    : (outputs: ReadonlyMap<string, TensorValue>, row: number): number =>
        classOf(rowsOf(outputs.get(name)!, batch)[row]);
}

/** What a progress bar says: rows, their rate since this start, and the time that is left by it. */
export function describeProgress(before: number): (done: number, all: number, seconds: number) => string {
  return (done, all, seconds) => {
    const rate = (done - before) / seconds;
    const left = rate > 0 ? `, ${rate.toFixed(2)} rows/s, about ${formatSeconds((all - done) / rate)} left` : "";
    return `${done} of ${all} rows${left}`;
  };
}

function accuracyOf({ right, labelled }: BatchCounts): Share | undefined {
  return labelled === 0 ? undefined : shareOf(right, labelled);
}

/** `pumac.batch/1`. */
export function batchDocument({ digest, data, output, lanes, seconds }: BatchRun, counts: BatchCounts): object {
  const { rows, before, failed, withheld, cut } = counts;
  return {
    schema: "pumac.batch/1",
    plan: { digest },
    ...{ data, output, lanes, rows, before, failed, withheld, cut },
    accuracy: accuracyOf(counts) ?? null,
    seconds,
  };
}

/** The result, and what is said beside it. */
export function describeBatch({ output, lanes, seconds }: BatchRun, counts: BatchCounts): readonly string[] {
  const { rows, done, before, failed, withheld, cut } = counts;
  const accuracy = accuracyOf(counts);
  const now = done - before;
  const each = now === 0 ? "" : `, ${formatSeconds(seconds / now)} each`;
  const said = [
    `${output}: ${rows} rows, ${now} now in ${formatSeconds(seconds)} on ${lanes} lane${lanes === 1 ? "" : "s"}${each}`,
    ...(accuracy === undefined ? [] : [`right: ${describeShare(accuracy)}`]),
    ...(withheld === 0 ? [] : [`withheld by the overflow guard: ${withheld}`]),
    ...(failed === 0 ? [] : [`without an answer: ${failed}; their lines say why`]),
    ...(cut === 0 ? [] : [`${cut} texts were longer than the plan and have been cut`]),
  ];
  return said;
}
