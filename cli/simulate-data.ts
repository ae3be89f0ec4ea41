/**
 * `pumac simulate PLAN --data FILE`: how often the private answer is the plain model's, and how often it is right, over
 * a labelled set.
 */

import { evaluateExamples, plainModel, rolesOf, scoresOf } from "../analysis/data/evaluation.js";
import { readExamples } from "../analysis/data/examples.js";
import { describeShare, type Scored, type Share, type Summary, summarise } from "../analysis/data/summary.js";
import { formatSeconds } from "../analysis/units.js";
import { dataInputs } from "../client/owners.js";
import { openModel } from "../compiler/weights.js";
import { openPlan } from "../index.js";
import { fail } from "../ir/diagnostics.js";
import type { RunFlags } from "./run-common.js";
import { printJson, printNote, printResult, startProgress } from "./terminal.js";

export interface DataFlags extends RunFlags {
  readonly data: string;
  readonly count?: number;
  readonly seed?: number;
}

/** Runs the set and prints the answer; E0201 where options do not go together. */
export async function simulateData(planPath: string, flags: DataFlags): Promise<void> {
  refuseOthers(flags);
  const loaded = openPlan(planPath, flags.weights);
  const { plan, digest } = loaded;
  const examples = await readExamples(flags.data, flags.tokenizer, dataInputs(plan));
  const output = scoresOf(plan, examples.batch);
  const count = Math.min(examples.count, flags.count ?? examples.count);
  if (count === 0) {
    throw fail({ code: "E0201", what: "--count 0 leaves no example" });
  }
  const model = await openModel(loaded.files(), plan);
  const started = performance.now();
  const progress = startProgress("examples");
  let done = 0;
  const scored = await evaluateExamples({
    examples,
    output,
    count,
    roles: rolesOf(loaded, model.weights),
    plain: plainModel(model, plan),
    seed: flags.seed,
    onScored: (some) => {
      done += some.length;
      progress.update(done, count);
    },
  }).finally(progress.stop);
  if (scored.every(({ alarm }) => alarm)) {
    throw fail({
      code: "E0503",
      what: "the overflow guard withholds every answer",
      where: flags.data,
      fix: "compile again with --calibrate on inputs like these",
    });
  }
  present(
    { digest, path: flags.data, output, seconds: (performance.now() - started) / 1000, cut: examples.cut?.size ?? 0 },
    summarise(scored),
    flags,
  );
}

/** Options of a single input. */
function refuseOthers(flags: DataFlags & { readonly report?: string }): void {
  const given = [
    ...(flags.input.length > 0 ? ["--input"] : []),
    ...(flags.inputs === undefined ? [] : ["--inputs"]),
    ...(flags.output.length > 0 ? ["--output"] : []),
    ...(flags.expect.length > 0 ? ["--expect"] : []),
    ...(flags.report === undefined ? [] : ["--report"]),
  ];
  if (given.length > 0) {
    const why = "the set gives all inputs, and what is printed sums up all of it";
    throw fail({ code: "E0201", what: `--data does not go with ${given.join(", ")}`, why });
  }
}

interface DataRun {
  readonly digest: string;
  readonly path: string;
  readonly output: string;
  readonly seconds: number;
  /** Texts that were longer than the plan. */
  readonly cut: number;
}

function present(run: DataRun, summary: Summary, { json }: DataFlags): void {
  const { count, alarms, agreement, accuracy, largestError, meanError, different } = summary;
  if (json === true) {
    printJson({
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
      seconds: run.seconds,
    });
    return;
  }
  const shares: readonly (readonly [string, Share])[] = [
    ["same class as the plain model", agreement],
    ...(accuracy === undefined
      ? []
      : ([
          ["right, private", accuracy.privately],
          ["right, plain", accuracy.plainly],
        ] as const)),
  ];
  printResult(shares.map(([what, share]) => `${what.padEnd(32)}${describeShare(share)}`).join("\n"));
  printResult(
    `${`largest error of '${run.output}'`.padEnd(32)}${largestError.toFixed(5)}, mean ${meanError.toFixed(5)}`,
  );
  if (alarms.length > 0) {
    const which = alarms.slice(0, MOST_SHOWN).map((index) => index + 1).join(", "); // biome-ignore format: one line
    printResult(`${"withheld by the overflow guard".padEnd(32)}${alarms.length}: example ${which}`);
  }
  printNote(
    `${cutText(run)}${count} examples in ${formatSeconds(run.seconds)}, ${formatSeconds(run.seconds / count)} each`,
  );
  for (const each of different.slice(0, MOST_SHOWN)) {
    const [mine, plain] = [each.privately, each.plainly].map((scores) => scores.map((x) => x.toFixed(4)).join(" "));
    printNote(`example ${each.index + 1}: private ${mine}, plain ${plain}${labelText(each)}`);
  }
}

const MOST_SHOWN = 10;

function cutText({ cut }: DataRun): string {
  return cut === 0 ? "" : `${cut} texts were longer than the plan and have been cut\n`;
}

function labelText({ label }: Scored): string {
  return label === undefined ? "" : `, label ${label}`;
}

function documentOf({ index, label, privately, plainly }: Scored): object {
  return { example: index + 1, label: label ?? null, private: privately, plain: plainly };
}
