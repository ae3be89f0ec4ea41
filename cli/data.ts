/**
 * `--data FILE` of `run` and `simulate`: an answer for every row of a set, how often the private answer is the plain
 * model's, and how often it is right.
 */

import { evaluateExamples, plainModel, type Roles, scoresOf, type Values } from "../analysis/data/evaluation.js";
import { readExamples } from "../analysis/data/examples.js";
import { type AnsweredRow, answeredRows, writerFor } from "../analysis/data/rows.js";
import { summarise } from "../analysis/data/summary.js";
import { dataDocument, describeData } from "../analysis/data/text.js";
import { formatSeconds } from "../analysis/units.js";
import { describeAnswer } from "../client/answers.js";
import { dataInputs } from "../client/owners.js";
import { checkWritable, writeWhole } from "../formats/files.js";
import type { LoadedPlan } from "../formats/plan-file.js";
import { openPlan, prepareModel } from "../index.js";
import { fail } from "../ir/diagnostics.js";
import type { Plan } from "../ir/plan/types.js";
import { interrupted } from "./exit.js";
import { type RunFlags, readingOf, sayFirst, watched } from "./run-common.js";
import { printJson, printNote, printResult, startProgress } from "./terminal.js";

interface DataFlags extends RunFlags {
  readonly data: string;
  readonly seed?: number;
}

/** The roles that answer, for a plan and the outputs of its model owner's program. */
type RolesFrom = (loaded: LoadedPlan, owned: Values) => Roles;

/** Runs the set and prints what came of it; E0201 where options do not go together. */
export async function answerSet(planPath: string, flags: DataFlags, rolesFrom: RolesFrom): Promise<void> {
  refuseOthers(flags);
  const opened = openPlan(planPath, flags.weights);
  const { plan, digest } = opened;
  const examples = await readExamples(flags.data, flags.tokenizer, dataInputs(plan));
  const write = flags.output.map((path) => ({ path, writer: writerFor(path) }));
  flags.output.forEach(checkWritable);
  const output = scoresFor(plan, examples.batch, write.length > 0);
  const count = Math.min(examples.count, flags.count ?? examples.count);
  if (count === 0) {
    throw fail({ code: "E0201", what: "--count 0 leaves no example" });
  }
  const reading = readingOf(flags, opened);
  sayFirst(plan);
  const opening = prepareModel(opened, { trusted: flags.trustPlan, signal: interrupted });
  const { loaded, model, owned } = await watched("opening the model", opening);
  const started = performance.now();
  const progress = startRows(flags.data);
  const rows: AnsweredRow[] = [];
  const scored = await evaluateExamples({
    examples,
    output,
    count,
    roles: rolesFrom(loaded, owned),
    plain: plainModel(model, plan),
    seed: flags.seed,
    onResult: async (indices, result, inputs) => {
      rows.push(...(await answeredRows(indices, result, inputs, examples, reading)));
      progress.update(rows.length, count);
    },
  }).finally(progress.stop);
  refuseSilence(rows, flags.data);
  for (const { path, writer } of write) {
    writeWhole(path, "the answers", writer(rows));
    printNote(`${path}: ${rows.length} answers`);
  }
  const seconds = (performance.now() - started) / 1000;
  if (output === undefined) {
    rows.slice(0, MOST_SHOWN).forEach(({ row, answer }) => {
      printNote(`row ${row}: ${answer.kind === "outputs" ? "numbers" : describeAnswer(answer)}`);
    });
  } else {
    const run = { digest, path: flags.data, output, seconds, cut: examples.cut?.size ?? 0 };
    const summary = summarise(scored);
    if (flags.json === true) {
      printJson(dataDocument(run, summary, rows));
    } else {
      const { results, notes } = describeData(run, summary);
      results.forEach(printResult);
      notes.forEach(printNote);
    }
  }
}

/** The output that is scored: where answers are written, there need be none. */
function scoresFor(plan: Plan, batch: number, isWritten: boolean): string | undefined {
  try {
    return scoresOf(plan, batch);
  } catch (error) {
    if (isWritten) {
      return undefined;
    }
    throw error;
  }
}

function startRows(path: string): ReturnType<typeof startProgress> {
  return startProgress(path, (done, all, seconds) => {
    const left = done === 0 ? "" : `, about ${formatSeconds((seconds * (all - done)) / done)} left`;
    return `${done} of ${all} rows${left}`;
  });
}

function refuseSilence(rows: readonly AnsweredRow[], where: string): void {
  if (rows.every(({ withheld }) => withheld)) {
    const fix = "compile again with --calibrate on inputs like these";
    throw fail({ code: "E0503", what: "the overflow guard withholds every answer", where, fix });
  }
}

/** Options of a single input. */
function refuseOthers(flags: DataFlags): void {
  const given = [
    ...(flags.input.length > 0 ? ["--input"] : []),
    ...(flags.inputs === undefined ? [] : ["--inputs"]),
    ...(flags.expect.length > 0 ? ["--expect"] : []),
  ];
  if (given.length > 0) {
    const why = "the set gives all inputs, and what is printed sums up all of it";
    throw fail({ code: "E0201", what: `--data does not go with ${given.join(", ")}`, why });
  }
}

const MOST_SHOWN = 10;
