/** `pumac inspect`: what a plan costs and what everybody learns, before anything runs. */
import { writeFileSync } from "node:fs";
import Table from "cli-table3";
import type { Command } from "commander";
import { DEFAULT_NETWORK, parseNetwork } from "../compiler/network.js";
import {
  type CostedStep,
  type CostLine,
  type CostReport,
  costedSteps,
  costReport,
  groupBy,
} from "../compiler/report.js";
import { fail } from "../ir/diagnostics.js";
import type { Plan } from "../ir/plan/types.js";
import { checkBudget } from "./budget.js";
import { renderPage } from "./html/page.js";
import { loadPlan } from "./plan-file.js";
import { formatBytes, formatSeconds, printJson, printNote, printResult } from "./terminal.js";

interface InspectFlags {
  readonly by: string;
  readonly network?: string;
  readonly budget?: string;
  readonly html?: string;
  readonly json?: boolean;
}

const GROUPS: Readonly<Record<string, (step: CostedStep) => string>> = {
  node: ({ name }) => name,
  layer: ({ layer }) => layer,
  op: ({ op, step }) => (op === "" ? step.op : op),
  round: ({ step }) => `round ${step.round}`,
  share: ({ step }) => step.op,
};

export function addInspect(program: Command): void {
  program
    .command("inspect")
    .description("show what a plan costs and what each party learns")
    .argument("<plan>", "the plan file that compile wrote")
    .option("--by <what>", "group by node, layer, op, round, link or share (op of the protocol suite)", "op")
    .option("--network <spec>", "estimate times for lan, wan or BANDWIDTH,RTT such as 400mbps,40ms")
    .option("--budget <limits>", "fail (exit 5) when over, for example 'bytes<2GiB,rounds<400'")
    .option("--html <file>", "write one self-contained page")
    .option("--json", "print one JSON document (pumac.inspect/1)")
    .action(inspect);
}

function inspect(path: string, flags: InspectFlags): void {
  const { plan } = loadPlan(path);
  const network = flags.network === undefined ? DEFAULT_NETWORK : parseNetwork(flags.network);
  const report = costReport(plan, network);
  if (flags.json === true) {
    printJson(report);
  } else {
    printResult(describe(plan, report));
    printResult(flags.by === "link" ? linkTable(report) : groupTable(plan, flags.by));
  }
  if (flags.html !== undefined) {
    writePage(flags.html, renderPage(plan, report));
  }
  if (flags.budget !== undefined) {
    checkBudget(flags.budget, report);
  }
}

function writePage(path: string, page: string): void {
  try {
    writeFileSync(path, page);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw fail({ code: "E0301", what: "the page cannot be written", where: path, why });
  }
  printNote(`${path}: written`);
}

function describe(plan: Plan, { cost, plan: about }: CostReport): string {
  const { bytes, macs, memory, seconds } = cost;
  const gigamacs = (Object.values(macs).reduce((sum, n) => sum + n, 0) / 1e9).toFixed(2);
  return [
    `${about.model}, profile ${about.profile}, digest ${about.digest.slice(0, 16)}…`,
    `inputs   ${Object.entries(plan.shapes)
      .map(([name, shape]) => `${name} [${shape.join(",")}]`)
      .join(", ")}`,
    `reveals  ${about.reveals.map(({ value, to }) => `${value} to the ${to}`).join(", ")}; nothing else to anyone`,
    `rounds   ${cost.rounds}`,
    `bytes    ${formatBytes(bytes.total)} in all = ${formatBytes(bytes.online)} online + ${formatBytes(bytes.offline)} offline; inputs and weights ${formatBytes(bytes.input)}`,
    `compute  ${gigamacs} G multiply-adds over the parties; values in memory ${formatBytes(memory.P0)} at P0, ${formatBytes(memory.P1)} at P1 and P2`,
    `time     ${formatSeconds(seconds.estimate)} on ${seconds.network} (rounds x RTT/2 + busiest link + multiply-adds)`,
  ].join("\n");
}

const HEAD = ["rounds", "online", "offline", "total", "share"];

function newTable(first: string): Table.Table {
  return new Table({
    head: [first, ...HEAD],
    style: { head: [], border: [], compact: true },
    colAligns: ["left", "right", "right", "right", "right", "right"],
    colWidths: [34],
    wordWrap: false,
  });
}

function groupTable(plan: Plan, by: string): string {
  const keyOf = Object.hasOwn(GROUPS, by) ? GROUPS[by] : undefined;
  if (keyOf === undefined) {
    const fix = `choose ${Object.keys(GROUPS).join(", ")} or link`;
    throw fail({ code: "E0201", what: `plans are not grouped by '${by}'`, fix });
  }
  const lines = groupBy(costedSteps(plan), keyOf).filter(({ total, rounds }) => total > 0 || rounds > 0);
  const ordered = by === "round" || by === "node" ? lines : lines.sort((a, b) => b.total - a.total);
  const all = lines.reduce((sum, { total }) => sum + total, 0);
  const table = newTable(by);
  for (const line of ordered) {
    table.push(row(line, all));
  }
  table.push(row(sumOf(lines), all));
  return table.toString();
}

function row({ name, rounds, online, offline, total }: CostLine, all: number): string[] {
  const share = all === 0 ? "" : `${((100 * total) / all).toFixed(1)} %`;
  return [name, String(rounds), formatBytes(online), formatBytes(offline), formatBytes(total), share];
}

function sumOf(lines: readonly CostLine[]): CostLine {
  const sum = (pick: (line: CostLine) => number) => lines.reduce((total, line) => total + pick(line), 0);
  return {
    name: "in all",
    op: "",
    layer: "",
    rounds: sum(({ rounds }) => rounds),
    online: sum(({ online }) => online),
    offline: sum(({ offline }) => offline),
    total: sum(({ total }) => total),
    macs: sum(({ macs }) => macs),
  };
}

function linkTable({ cost }: CostReport): string {
  const table = new Table({ head: ["link", "bytes"], style: { head: [], border: [], compact: true } });
  for (const [link, bytes] of Object.entries(cost.bytes.links)) {
    table.push([link, formatBytes(bytes)]);
  }
  return table.toString();
}
