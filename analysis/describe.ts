/** What a plan costs as text: the lines above the table, the table by a grouping, its CSV, two plans side by side. */
import Table from "cli-table3";
import { knowledgeOf } from "../client/knowledge.js";
import { csvCell } from "../formats/table.js";
import type { Formula, Plan } from "../ir/plan/types.js";
import { PARTIES } from "../runtime/transport.js";
import { type CostReport, GROUPS, type GuardLine, type ReportedLine, type RunCost } from "./cost.js";
import type { Difference, Pair } from "./difference.js";
import { describeForm, takenForms } from "./forms.js";
import { formatBytes, formatSeconds } from "./units.js";

/** Which part of the report shows a grouping. */
export const LISTS: Readonly<Record<keyof typeof GROUPS, (report: CostReport) => readonly ReportedLine[]>> = {
  node: ({ nodes }) => nodes,
  layer: ({ layers }) => layers,
  op: ({ ops }) => ops,
  share: ({ shares }) => shares,
  round: ({ perRound }) => perRound,
  ring: ({ rings }) => rings,
};

/** What --sort sorts by. */
export const COLUMNS: Readonly<Record<string, (line: ReportedLine) => number>> = {
  total: ({ bytes }) => bytes.total,
  online: ({ bytes }) => bytes.online,
  offline: ({ bytes }) => bytes.offline,
  rounds: ({ rounds }) => rounds,
  macs: ({ macs }) => macs,
};

export const CHOICES = [...Object.keys(GROUPS), "link"];

/** How the text looks: a strong word, and whether long names are cut to fit a terminal. */
export interface Look {
  readonly strong: (text: string) => string;
  readonly narrow: boolean;
}

const PLAIN_LOOK: Look = { strong: (text) => text, narrow: false };

/** Which rows of which grouping. */
export interface Rows {
  readonly by: string;
  readonly top?: number;
  readonly sort?: string;
}

function describeDisk({ prepared, bytes }: CostReport["cost"]): string {
  return prepared === null
    ? "not possible: its sessions run as often as the data owner asks"
    : `${formatBytes(prepared)} on P2's disk a question, which then takes ${formatBytes(bytes.online)}`;
}

/** What stands above the table: the plan, its cost, who learns what, and the sources that are asked for. */
export function describePlan(
  plan: Plan,
  { cost, plan: about, writing, formulas, choices, papers }: CostReport,
  wanted: { readonly papers?: boolean; readonly formulas?: boolean } = {},
  { strong }: Look = PLAIN_LOOK,
): string {
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
      `${formatBytes(bytes.input)} of inputs and weights before it, in ${formatSeconds(seconds.sharing)}; ` +
        `${formatBytes(bytes.output)} of the answer`,
    ],
    ["compute", `${gigamacs} G multiply-adds over all parties`],
    ["memory", describeMemory(memory)],
    ["prepared", describeDisk(cost)],
    [
      "time",
      `${formatSeconds(seconds.estimate)} on ${seconds.network} = ${formatSeconds(delay)} delay + ` +
        `${formatSeconds(transfer)} transfer + ${formatSeconds(compute)} compute`,
    ],
    ...describeWriting(writing, seconds.network),
    ["guard", describeGuard(about.guard)],
    ...knowledgeOf(plan).map(({ who, learns }): [string, string] => [who, `learns ${learns}`]),
    ...(wanted.formulas === true ? formulas : []).map((each): [string, string] => ["formula", describeFormula(each)]),
    ...(wanted.formulas === true ? takenForms(choices) : []).map((each): [string, string] => [
      "form",
      describeForm(each),
    ]),
    ...(wanted.papers === true ? papers : []).map(({ cite, title, where }): [string, string] => [
      "paper",
      `${cite.split(",")[0]} et al., ${title.split(":")[0]}, ${where}`,
    ]),
  ];
  return lines.map(([label, text]) => `${strong(label.padEnd(12))}${text}`).join("\n");
}

function describeMemory({ model, data, ...parties }: CostReport["cost"]["memory"]): string {
  const each = PARTIES.map((party) => `${formatBytes(parties[party])} at ${party}`);
  const owners = `${formatBytes(model)} at the model's owner, ${formatBytes(data)} at the data's`;
  return `about ${each.join(", ")}, ${owners}`;
}

/** What a prompt and a token of a plan that writes cost. */
function describeWriting(writing: CostReport["writing"], network: string): [string, string][] {
  if (writing === null) {
    return [];
  }
  const { token, prompts, kept, check } = writing;
  const run = ({ rounds, bytes, seconds }: RunCost): string =>
    `${rounds} rounds, ${formatBytes(bytes)}, ${formatSeconds(seconds)} on ${network}`;
  const read = prompts.map((each): [string, string] => ["prompt", `of up to ${each.length} tokens: ${run(each)}`]);
  return [
    ...(read.length > 0 ? read : ([["prompt", "is read token by token"]] as [string, string][])),
    ["token", `${run(token)}: ${token.perSecond.toPrecision(3)} a second`],
    ...(check === undefined ? [] : [describeCheck(check, run(check))]),
    [
      "kept",
      `of a conversation ${formatBytes(kept.P0)} at P0, ${formatBytes(kept.P1)} at each of P1 and P2, to its end`,
    ],
  ];
}

function describeCheck({ guesses, perSecond }: Checking, cost: string): [string, string] {
  const [least, most] = perSecond.map((each) => each.toPrecision(3));
  return ["guesses", `${guesses} of a draft in one pass: ${cost}: ${least} to ${most} tokens a second`];
}

type Checking = NonNullable<NonNullable<CostReport["writing"]>["check"]>;

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

/** The rows of a grouping that cost something: as the plan has them, or the dearest first. */
function linesOf(report: CostReport, { by, top, sort }: Rows): readonly ReportedLine[] {
  const lines = LISTS[by as keyof typeof GROUPS](report).filter(({ bytes, rounds }) => bytes.total > 0 || rounds > 0);
  const inOrder = sort === undefined && top === undefined && ["round", "node", "layer"].includes(by);
  const size = COLUMNS[sort ?? "total"];
  const ordered = inOrder ? lines : lines.toSorted((a, b) => size(b) - size(a));
  return ordered.slice(0, top ?? ordered.length);
}

/** The cost by one grouping, or by link, with a last row that sums it. */
export function tableOf(report: CostReport, rows: Rows, look: Look = PLAIN_LOOK): string {
  const { strong } = look;
  if (rows.by === "link") {
    const links = Object.entries(report.cost.bytes.links).map(([link, bytes]) => [link, formatBytes(bytes)]);
    return drawTable(["link", "bytes"], links, look);
  }
  const { rounds, bytes } = report.cost;
  const cells = [...linesOf(report, rows), { name: "in all", rounds, bytes }].map((line) =>
    rowOf(line, bytes.total, look),
  );
  cells.push((cells.pop() ?? []).map((text) => strong(text)));
  return drawTable([rows.by, "rounds", "online", "offline", "total", "part"], cells, look);
}

/** The same for programs: RFC 4180, bytes as integers. */
export function csvOf(report: CostReport, rows: Rows): string {
  if (rows.by === "link") {
    const links = Object.entries(report.cost.bytes.links).map(([link, bytes]) => `${link},${bytes}`);
    return ["link,bytes", ...links].join("\r\n");
  }
  const lines = linesOf(report, rows).map(({ name, op, layer, rounds, bytes, macs }) =>
    [name, op, layer, rounds, bytes.online, bytes.offline, bytes.total, macs].map(csvCell).join(","),
  );
  return [`${rows.by === "op" ? "name" : rows.by},op,layer,rounds,online,offline,total,macs`, ...lines].join("\r\n");
}

function drawTable(head: readonly string[], rows: readonly (readonly string[])[], { strong }: Look): string {
  const table = new Table({
    head: head.map((text) => strong(text)),
    style: { head: [], border: [], compact: true },
    colAligns: head.map((_, i) => (i === 0 ? "left" : "right")),
  });
  table.push(...rows.map((row) => [...row]));
  return table.toString();
}

function rowOf(
  { name, rounds, bytes }: Pick<ReportedLine, "name" | "rounds" | "bytes">,
  all: number,
  { narrow }: Look,
): string[] {
  const part = all === 0 ? "" : `${((100 * bytes.total) / all).toFixed(1)} %`;
  // Whole names for whatever reads a pipe.
  const label = narrow && name.length > NAME_COLUMN ? `…${name.slice(1 - NAME_COLUMN)}` : name;
  return [label, String(rounds), formatBytes(bytes.online), formatBytes(bytes.offline), formatBytes(bytes.total), part];
}

/** Two plans: the whole of each, then the rows that differ. */
export function describeDifference(difference: Difference, { by, top }: Rows, look: Look = PLAIN_LOOK): string {
  const row = (name: string, { first: a, second: b }: Pair, show: (value: number) => string): string[] => {
    const change = a === 0 ? "new" : `${b >= a ? "+" : "−"}${((100 * Math.abs(b - a)) / a).toFixed(1)} %`;
    return [name, show(a), show(b), a === b ? "" : b === 0 ? "gone" : change];
  };
  const { rounds, bytes, seconds, lines, plans } = difference;
  const head = plans.map(({ model, profile, digest }) => `${model}, ${profile}, ${digest.slice(0, 8)}…`);
  const whole = drawTable(
    ["", ...head, "change"],
    [
      row("rounds", rounds, String),
      ...Object.entries(bytes).map(([kind, pair]) => row(`bytes ${kind}`, pair, formatBytes)),
      row("time", seconds, formatSeconds),
    ],
    look,
  );
  const shown = lines.slice(0, top ?? lines.length).map((line) => row(line.name, line.bytes, formatBytes));
  return `${whole}\n${drawTable([`bytes by ${by}`, "first", "second", "change"], shown, look)}`;
}
