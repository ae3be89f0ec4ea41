/**
 * `--data FILE` of `run` and `simulate`: an answer for every row of a set, how often the private answer is the plain
 * model's, and how often it is right.
 */
import { answerSet, openSet } from "../analysis/data/answer-set.js";
import { describeProgress } from "../analysis/data/batch.js";
import { plainModel, type Roles } from "../analysis/data/evaluation.js";
import { dataDocument, describeData, describeRows } from "../analysis/data/text.js";
import type { ImportedModel } from "../compiler/imported.js";
import { tokenizerIn } from "../formats/checkpoint.js";
import { type OpenPlan, openPlan, type PrepareOptions } from "../index.js";
import { fail } from "../ir/diagnostics.js";
import { interrupted } from "./exit.js";
import { type RunFlags, readingOf, sayFirst } from "./run-common.js";
import { printJson, printNote, printResult, startProgress } from "./terminal.js";

interface DataFlags extends RunFlags {
  readonly data: string;
  readonly seed?: number;
}

/** Who answers, and the plain model to compare with. */
interface Answering {
  readonly roles: Roles;
  readonly model: ImportedModel;
}

/** Opens a plan's model, and has roles that answer for as long as they are used. */
type WithRoles = <T>(
  opened: OpenPlan,
  options: PrepareOptions,
  use: (answering: Answering) => Promise<T>,
) => Promise<T>;

/** Runs the set and prints what came of it; E0201 where options do not go together. */
export async function answerData(planPath: string, given: DataFlags, withRoles: WithRoles): Promise<void> {
  refuseOthers(given);
  const opened = openPlan(planPath, given.weights);
  const flags = { ...given, tokenizer: given.tokenizer ?? tokenizerIn(opened.files().model) };
  const set = await openSet(opened.plan, flags);
  const reading = readingOf(flags, opened);
  sayFirst(opened.plan);
  const options = { trusted: flags.trustPlan, signal: interrupted };
  const { rows, scored, written } = await withRoles(opened, options, ({ roles, model }) => {
    const progress = startProgress(flags.data, describeProgress(0));
    const plain = plainModel(model, opened.plan);
    return answerSet(set, { roles, plain, seed: flags.seed, reading, onRows: progress.update }).finally(progress.stop);
  });
  written.forEach((path) => void printNote(`${path}: ${rows.length} answers`));
  if (scored === undefined) {
    describeRows(rows).forEach(printNote);
    return;
  }
  const run = { ...scored.run, digest: opened.digest };
  if (flags.json === true) {
    printJson(dataDocument(run, scored.summary, rows));
  } else {
    const { results, notes } = describeData(run, scored.summary);
    results.forEach(printResult);
    notes.forEach(printNote);
  }
}

/** Options of a single input. */
function refuseOthers({ input, inputs, expect }: DataFlags): void {
  const given = [
    ...(input.length > 0 ? ["--input"] : []),
    ...(inputs === undefined ? [] : ["--inputs"]),
    ...(expect.length > 0 ? ["--expect"] : []),
  ];
  if (given.length > 0) {
    const why = "the set gives all inputs, and what is printed sums up all of it";
    throw fail({ code: "E0201", what: `--data does not go with ${given.join(", ")}`, why });
  }
}
