/**
 * `--data FILE` of `run` and `simulate`: an answer for every row of a set, how often the private answer is the plain
 * model's, and how often it is right.
 */
import { answerSet, openSet } from "../analysis/data/answer-set.js";
import { describeProgress } from "../analysis/data/batch.js";
import { plainModel, type Roles, type Values } from "../analysis/data/evaluation.js";
import { dataDocument, describeData, describeRows } from "../analysis/data/text.js";
import { tokenizerIn } from "../formats/checkpoint.js";
import type { LoadedPlan } from "../formats/plan-file.js";
import { openPlan, prepareModel } from "../index.js";
import { fail } from "../ir/diagnostics.js";
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
export async function answerData(planPath: string, given: DataFlags, rolesFrom: RolesFrom): Promise<void> {
  refuseOthers(given);
  const opened = openPlan(planPath, given.weights);
  const flags = { ...given, tokenizer: given.tokenizer ?? tokenizerIn(opened.files().model) };
  const set = await openSet(opened.plan, flags);
  const reading = readingOf(flags, opened);
  sayFirst(opened.plan);
  const opening = prepareModel(opened, { trusted: flags.trustPlan, signal: interrupted });
  const { loaded, model, owned } = await watched("opening the model", opening);
  const progress = startProgress(flags.data, describeProgress(0));
  const { rows, scored, written } = await answerSet(set, {
    roles: rolesFrom(loaded, owned),
    plain: plainModel(model, loaded.plan),
    seed: flags.seed,
    reading,
    onRows: progress.update,
  }).finally(progress.stop);
  written.forEach((path) => void printNote(`${path}: ${rows.length} answers`));
  if (scored === undefined) {
    describeRows(rows).forEach(printNote);
    return;
  }
  const run = { ...scored.run, digest: loaded.digest };
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
