/** `pumac simulate`: a plan with all three roles in this process, for trying things out and for accuracy questions. */
import type { Command } from "commander";
import { rolesOf } from "../analysis/data/evaluation.js";
import { renderReport } from "../analysis/pages/report/page.js";
import { type Reported, reportRun } from "../analysis/report/analysis.js";
import { describeReport } from "../analysis/report/text.js";
import { simulate } from "../client/local/simulation.js";
import { allowed } from "../client/outputs.js";
import { runDataOwner } from "../client/owners.js";
import { writeWhole } from "../formats/files.js";
import { prepareModel } from "../index.js";
import { fail } from "../ir/diagnostics.js";
import { answerData } from "./data.js";
import { interrupted } from "./exit.js";
import { prepareRun, presentRun, type RunFlags, runOptions, startRounds, watched } from "./run-common.js";
import { parseCount, printNote } from "./terminal.js";

interface SimulateFlags extends RunFlags {
  readonly seed?: number;
  readonly report?: string;
}

export function addSimulate(program: Command): void {
  runOptions(program.command("simulate").description("run a plan with all three roles in this process (no privacy)"))
    .option("--seed <n>", "make the run reproducible", parseCount)
    .option("--report <file>", "where float, fixed point and the roles part, node by node: .html or .json")
    .action(simulateOrEvaluate);
}

async function simulateOrEvaluate(planPath: string, flags: SimulateFlags): Promise<void> {
  const { data, report } = flags;
  if (data !== undefined) {
    if (report !== undefined) {
      throw fail({ code: "E0201", what: "--data does not go with --report", fix: "report on one input" });
    }
    return answerData(planPath, { ...flags, data }, async (opened, options, use) => {
      const { loaded, model, owned } = await watched("opening the model", prepareModel(opened, options));
      return use({ model, roles: rolesOf(loaded, owned) });
    });
  }
  if (report !== undefined && !/\.(html|json)$/.test(report)) {
    throw fail({ code: "E0201", what: `a report is no '${report}'`, fix: "name a .html or .json file" });
  }
  const prepared = await prepareRun(planPath, flags, async (opened, inputs, options) => {
    const { loaded, model, owned } = await prepareModel(opened, options);
    return { loaded, model, values: runDataOwner(loaded.plan, inputs, owned) };
  });
  const progress = startRounds("simulating", prepared.loaded.plan);
  if (report === undefined) {
    const { loaded, values } = prepared;
    const hooks = { onRound: progress.update, signal: interrupted };
    const result = await simulate(loaded, values, flags.seed, hooks).finally(progress.stop);
    return presentRun(prepared, result, flags);
  }
  const { seed } = flags;
  const tolerance = allowed(flags.tolerance, 1);
  const options = { ...prepared, tolerance, seed, onRound: progress.update };
  const reported = await reportRun(options).finally(progress.stop);
  writeReport(report, reported);
  describeReport(reported.report).forEach(printNote);
  printNote(`report: ${report}`);
  if (reported.result.alarm) {
    throw fail({
      code: "E0503",
      what: "the answer is withheld: some value left the range that the plan was made for",
      where: report,
      why: "the report says at which node a value is outside, and how far",
      fix: "compile again with --calibrate on inputs like this one",
    });
  }
  await presentRun(prepared, reported.result, flags);
}

function writeReport(path: string, { report }: Reported): void {
  const text = path.endsWith(".html") ? renderReport(report) : `${JSON.stringify(report)}\n`;
  writeWhole(path, "the report", text);
}
