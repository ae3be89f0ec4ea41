/** `pumac inspect`: what a plan costs and what everybody learns, before anything runs. */
import { Chalk } from "chalk";
import Table from "cli-table3";
import type { Command } from "commander";
import { checkBudget } from "../analysis/budget.js";
import { type CostReport, costReport, GROUPS, type GuardLine, type ReportedLine } from "../analysis/cost.js";
import { renderPage } from "../analysis/pages/page.js";
import { formatBytes, formatSeconds } from "../analysis/units.js";
import { knowledgeOf } from "../client/knowledge.js";
import { DEFAULT_NETWORK, parseNetwork } from "../compiler/network.js";
import { FOR_ALL, writeWhole } from "../formats/files.js";
import { loadPlan } from "../formats/plan-file.js";
import { fail } from "../ir/diagnostics.js";
import type { Formula, Plan } from "../ir/plan/types.js";
import { printJson, printNote, printResult } from "./terminal.js";

interface InspectFlags {
  readonly by: string;
  readonly network?: string;
  readonly budget?: string;
  readonly html?: string;
  readonly json?: boolean;
}

/** Which part of the report shows a grouping. */
const LISTS: Readonly<Record<keyof typeof GROUPS, (report: CostReport) => readonly ReportedLine[]>> = {
  node: ({ nodes }) => nodes,
  layer: ({ layers }) => layers,
  op: ({ ops }) => ops,
  share: ({ shares }) => shares,
  round: ({ perRound }) => perRound,
  ring: ({ rings }) => rings,
};

const CHOICES = [...Object.keys(GROUPS), "link"];

export function addInspect(program: Command): void {
  program
    .command("inspect")
    .description("show what a plan costs and what each party learns")
    .argument("<plan>", "the plan file that compile wrote")
    .option(
      "--by <what>",
      "node, layer, op (of the model), share (op of the protocol suite), ring (its bits), round or link",
      "op",
    )
    .option("--network <spec>", "estimate times for lan, wan or BANDWIDTH,RTT such as 400mbps,40ms")
    .option("--budget <limits>", "fail (exit 5) when over, for example 'bytes<2GiB,rounds<400'")
    .option("--html <file>", "write one self-contained page")
    .option("--json", "print one JSON document (pumac.inspect/1)")
    .action(inspect);
}

function inspect(path: string, flags: InspectFlags): void {
  if (!CHOICES.includes(flags.by)) {
    const fix = `choose ${CHOICES.join(", ")}`;
    throw fail({ code: "E0201", what: `plans are not grouped by '${flags.by}'`, fix });
  }
  const { plan, digest } = loadPlan(path);
  const network = flags.network === undefined ? DEFAULT_NETWORK : parseNetwork(flags.network);
  const report = costReport(plan, network, digest);
  if (flags.json === true) {
    printJson(report);
  } else {
    printResult(describePlan(plan, report));
    printResult(tableOf(report, flags.by));
  }
  if (flags.html !== undefined) {
    writePage(flags.html, renderPage(plan, report));
  }
  if (flags.budget !== undefined) {
    checkBudget(flags.budget, report);
  }
}

function writePage(path: string, page: string): void {
  writeWhole(path, "the page", page, FOR_ALL);
  printNote(`${path}: written`);
}

/** Colours for stdout: none where it is not a terminal, or NO_COLOR is set. */
const paint = new Chalk({ level: process.stdout.isTTY && process.env.NO_COLOR === undefined ? 1 : 0 });

/** What stands above the table: the plan, its cost, who learns what, and the sources. */
export function describePlan(plan: Plan, { cost, plan: about, formulas, papers }: CostReport): string {
  const { bytes, macs, memory, seconds } = cost;
  const { delay, transfer, compute } = seconds.parts;
  const gigamacs = (Object.values(macs).reduce((sum, n) => sum + n, 0) / 1e9).toFixed(2);
  const shapes = Object.entries(about.shapes).map(([name, shape]) => `${name} [${shape.join(",")}]`);
  const parts = `${formatBytes(bytes.online)} online + ${formatBytes(bytes.offline)} offline`;
  const lines: [string, string][] = [
    ["plan", `${about.model}, profile ${about.profile}, digest ${about.digest.slice(0, 16)}…`],
    ["inputs", shapes.join(", ")],
    ["ranges", describeRanges(plan)],
    ["rounds", String(cost.rounds)],
    ["bytes", `${formatBytes(bytes.total)} over all parties = ${parts}`],
    [
      "shares",
      `${formatBytes(bytes.input)} of inputs and weights before it, ${formatBytes(bytes.output)} of the answer`,
    ],
    ["compute", `${gigamacs} G multiply-adds over all parties`],
    ["memory", `about ${formatBytes(memory.P0)} at P0, ${formatBytes(memory.P1)} at each of P1 and P2`],
    [
      "time",
      `${formatSeconds(seconds.estimate)} on ${seconds.network} = ${formatSeconds(delay)} delay + ` +
        `${formatSeconds(transfer)} transfer + ${formatSeconds(compute)} compute`,
    ],
    ["guard", describeGuard(about.guard)],
    ...knowledgeOf(plan).map(({ who, learns }): [string, string] => [who, `learns ${learns}`]),
    ...formulas.map((each): [string, string] => ["formula", describeFormula(each)]),
    ...papers.map(({ cite, title, where }): [string, string] => [
      "paper",
      `${cite.split(",")[0]} et al., ${title.split(":")[0]}, ${where}`,
    ]),
  ];
  return lines.map(([label, text]) => `${paint.bold(label.padEnd(12))}${text}`).join("\n");
}

function describeGuard(guard: GuardLine | null): string {
  return guard === null
    ? "none: a value outside its range is a wrong answer without a word"
    : `${guard.values} values may not leave their range unseen: ${guard.rounds} rounds, ${formatBytes(guard.bytes)}; ` +
        `misses with probability 2^${guard.missLog2} a run`;
}

function describeRanges({ ranges: { method, inputs, margin } }: Plan): string {
  const made = method === "given inputs" ? "given" : "made by the compiler";
  return inputs > 0
    ? `of secret values measured on ${inputs} inputs ${made}, with a margin of ${margin}`
    : `of secret values assumed from the structure${method === "structure" ? ": for cost only" : " (--assume-ranges)"}`;
}

/** In one line of a terminal; --json and --html say of what form it is, and what happens outside. */
function describeFormula({ function: name, window, maxError, distance }: Formula): string {
  return `${name} on ${window}: ${maxError === 0 ? "exact" : `${distance} error at most ${maxError}`}`;
}

const NAME_COLUMN = 36;

/** The cost by one grouping, or by link, with a last row that sums it. */
export function tableOf(report: CostReport, by: string): string {
  if (by === "link") {
    const links = Object.entries(report.cost.bytes.links).map(([link, bytes]) => [link, formatBytes(bytes)]);
    return drawTable(["link", "bytes"], links);
  }
  const lines = LISTS[by as keyof typeof GROUPS](report).filter(({ bytes, rounds }) => bytes.total > 0 || rounds > 0);
  const inOrder = ["round", "node", "layer"].includes(by);
  const ordered = inOrder ? lines : lines.toSorted((a, b) => b.bytes.total - a.bytes.total);
  const { rounds, bytes } = report.cost;
  const rows = [...ordered, { name: "in all", rounds, bytes }].map((line) => rowOf(line, bytes.total));
  rows.push((rows.pop() ?? []).map((text) => paint.bold(text)));
  return drawTable([by, "rounds", "online", "offline", "total", "share"], rows);
}

function drawTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const table = new Table({
    head: head.map((text) => paint.bold(text)),
    style: { head: [], border: [], compact: true },
    colAligns: head.map((_, i) => (i === 0 ? "left" : "right")),
  });
  table.push(...rows.map((row) => [...row]));
  return table.toString();
}

function rowOf({ name, rounds, bytes }: Pick<ReportedLine, "name" | "rounds" | "bytes">, all: number): string[] {
  const share = all === 0 ? "" : `${((100 * bytes.total) / all).toFixed(1)} %`;
  const label = name.length > NAME_COLUMN ? `…${name.slice(1 - NAME_COLUMN)}` : name;
  return [
    label,
    String(rounds),
    formatBytes(bytes.online),
    formatBytes(bytes.offline),
    formatBytes(bytes.total),
    share,
  ];
}
