/** `pumac inspect`: what a plan costs and what everybody learns, before anything runs. */
import { Chalk } from "chalk";
import type { Command } from "commander";
import { assessmentText } from "../analysis/assessment.js";
import { checkBudget } from "../analysis/budget.js";
import { type CostReport, costReport } from "../analysis/cost.js";
import {
  CHOICES,
  COLUMNS,
  csvOf,
  describeDifference,
  describePlan,
  LISTS,
  type Look,
  tableOf,
} from "../analysis/describe.js";
import { differenceOf } from "../analysis/difference.js";
import { assessmentPage } from "../analysis/pages/assessment.js";
import { comparisonPage } from "../analysis/pages/compare.js";
import { renderPage } from "../analysis/pages/page.js";
import { DEFAULT_NETWORK, parseNetwork } from "../compiler/network.js";
import { FOR_ALL, writeWhole } from "../formats/files.js";
import { loadPlan } from "../formats/plan-file.js";
import { fail } from "../ir/diagnostics.js";
import { parseCount, printJson, printNote, printResult } from "./terminal.js";

/** Bold, and names cut to fit, only where a person looks on. */
const LOOK: Look = {
  strong: new Chalk({ level: process.stdout.isTTY && process.env.NO_COLOR === undefined ? 1 : 0 }).bold,
  narrow: process.stdout.isTTY === true,
};

interface InspectFlags {
  readonly by: string;
  readonly network?: string;
  readonly budget?: string;
  readonly html?: string;
  readonly top?: number;
  readonly sort?: string;
  readonly csv?: boolean;
  readonly papers?: boolean;
  readonly formulas?: boolean;
  readonly json?: boolean;
  readonly dpia?: boolean;
}

export function addInspect(program: Command): void {
  program
    .command("inspect")
    .description("show what a plan costs and what each party learns")
    .argument("<plan>", "the plan file that compile wrote")
    .argument("[other]", "a second plan: show where it differs")
    .option(
      "--by <what>",
      "node, layer, op (of the model), share (op of the protocol suite), ring (its bits), round or link",
      "op",
    )
    .option("--top <n>", "only the first n rows", parseCount)
    .option("--sort <column>", `sort the rows by ${Object.keys(COLUMNS).join(", ")}, the largest first`)
    .option("--csv", "the rows as comma-separated values, bytes as integers")
    .option("--network <spec>", "estimate times for lan, wan or BANDWIDTH,RTT such as 400mbps,40ms")
    .option("--budget <limits>", "fail (exit 5) when over, for example 'bytes<2GiB,rounds<400'")
    .option("--papers", "the papers that the plan's ops and formulas are from")
    .option("--formulas", "the formulas: for which function, where, with what error, and why in that form")
    .option("--dpia", "what a data protection assessment asks: who takes part, who receives what, what is kept")
    .option("--html <file>", "write one self-contained page; of two plans, both side by side")
    .option("--json", "print one JSON document (pumac.inspect/1; of two plans pumac.difference/1)")
    .action(inspect);
}

function inspect(path: string, other: string | undefined, flags: InspectFlags): void {
  check("plans are not grouped by", flags.by, CHOICES);
  check("rows are not sorted by", flags.sort ?? "total", Object.keys(COLUMNS));
  const network = flags.network === undefined ? DEFAULT_NETWORK : parseNetwork(flags.network);
  const reported = (file: string) => {
    const { plan, digest } = loadPlan(file);
    return { plan, report: costReport(plan, network, digest) };
  };
  const first = reported(path);
  if (other !== undefined) {
    const second = reported(other);
    showDifference(first.report, second.report, flags);
    if (flags.html !== undefined) {
      writePage(flags.html, comparisonPage(first, second, network));
    }
    return;
  }
  const { plan, report } = first;
  if (flags.json === true) {
    printJson(report);
  } else if (flags.csv === true) {
    printResult(csvOf(report, flags));
  } else if (flags.dpia === true) {
    printResult(assessmentText(report.assessment));
  } else {
    printResult(describePlan(plan, report, flags, LOOK));
    printResult(tableOf(report, flags, LOOK));
  }
  if (flags.html !== undefined) {
    writePage(flags.html, flags.dpia === true ? assessmentPage(report.assessment) : renderPage(plan, report, network));
  }
  if (flags.budget !== undefined) {
    checkBudget(flags.budget, report);
  }
}

function check(what: string, given: string, choices: readonly string[]): void {
  if (!choices.includes(given)) {
    throw fail({ code: "E0201", what: `${what} '${given}'`, fix: `choose ${choices.join(", ")}` });
  }
}

/** Two plans: the whole of each, then the rows that differ. */
function showDifference(first: CostReport, second: CostReport, flags: InspectFlags): void {
  check("two plans are not compared by", flags.by, Object.keys(LISTS));
  if (flags.budget !== undefined || flags.csv === true || flags.dpia === true) {
    throw fail({ code: "E0201", what: "--budget, --csv and --dpia are of one plan", fix: "leave one plan out" });
  }
  const difference = differenceOf(first, second, LISTS[flags.by as keyof typeof LISTS]);
  if (flags.json === true) {
    printJson(difference);
    return;
  }
  printResult(describeDifference(difference, flags, LOOK));
}

function writePage(path: string, page: string): void {
  writeWhole(path, "the page", page, FOR_ALL);
  printNote(`${path}: written`);
}
