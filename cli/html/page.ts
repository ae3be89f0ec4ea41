/**
 * The page that `inspect --html` writes: one file that works offline. No script at all, so the strictest content
 * security policy holds; pictures are SVG made here. Light and dark, wide and narrow.
 */
import { type CostLine, type CostReport, costedSteps, groupBy } from "../../compiler/report.js";
import type { Plan } from "../../ir/plan/types.js";
import { formatBytes, formatSeconds } from "../terminal.js";
import { escapeHtml } from "./escape.js";
import { nodeGraph, roundTimeline, treemap } from "./pictures.js";
import { STYLE } from "./style.js";

const POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

export function renderPage(plan: Plan, report: CostReport): string {
  const { cost } = report;
  const steps = costedSteps(plan);
  const nodes = groupBy(steps, ({ name }) => name).filter(({ total, rounds }) => total + rounds > 0);
  const ops = groupBy(steps, ({ op, step }) => (op === "" ? step.op : op)).filter(({ total }) => total > 0);
  const shares = groupBy(steps, ({ step }) => step.op).filter(({ total }) => total > 0);
  const byTotal = (lines: CostLine[]) => lines.sort((a, b) => b.total - a.total);
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="viewport" content="width=device-width,initial-scale=1"><title>${escapeHtml(plan.name)}: what the plan costs</title>
<style>${STYLE}</style></head><body><main>
<h1>${escapeHtml(plan.name)}</h1>
<p class="muted">plan ${report.plan.digest.slice(0, 32)}… · profile ${report.plan.profile}</p>
<ul class="figures">${[
    ["rounds", String(cost.rounds)],
    ["bytes in all", formatBytes(cost.bytes.total)],
    ["online", formatBytes(cost.bytes.online)],
    ["offline", formatBytes(cost.bytes.offline)],
    ["inputs and weights", formatBytes(cost.bytes.input)],
    [`time on ${cost.seconds.network}`, formatSeconds(cost.seconds.estimate)],
  ]
    .map(([name, value]) => `<li><b>${value}</b> ${escapeHtml(name)}</li>`)
    .join("")}</ul>
<p class="muted">Bytes are payload summed over all parties. Time = rounds × RTT/2 + busiest link / bandwidth + busiest party's multiply-adds / rate.</p>
${section("Where the bytes go", treemap(byTotal(ops)))}
${section("Round by round", roundTimeline(steps, plan.rounds))}
${section("The program, coloured by cost", nodeGraph(nodes))}
${section("By operator", table(byTotal(ops)))}
${section("By share op", table(byTotal(shares)))}
${section("Links", links(report))}
${section("Who learns what", knowledge(plan))}
${section("Papers", PAPERS)}
</main></body></html>
`;
}

function section(title: string, body: string): string {
  return `<section><h2>${title}</h2>${body}</section>`;
}

function table(lines: readonly CostLine[]): string {
  const rows = lines.map(
    ({ name, rounds, online, offline, total }) =>
      `<tr><td>${escapeHtml(name)}</td><td>${rounds}</td><td>${formatBytes(online)}</td><td>${formatBytes(offline)}</td><td>${formatBytes(total)}</td></tr>`,
  );
  const head = "<tr><th></th><th>rounds</th><th>online</th><th>offline</th><th>total</th></tr>";
  return `<div class="scroll"><table>${head}${rows.join("")}</table></div>`;
}

function links({ cost }: CostReport): string {
  const most = Math.max(1, ...Object.values(cost.bytes.links));
  const rows = Object.entries(cost.bytes.links).map(
    ([link, bytes]) =>
      `<tr><td>${escapeHtml(link)}</td><td>${formatBytes(bytes)}</td><td class="bar"><svg viewBox="0 0 100 6" preserveAspectRatio="none"><rect class="fill" width="${((100 * bytes) / most).toFixed(2)}" height="6"/></svg></td></tr>`,
  );
  return `<div class="scroll"><table>${rows.join("")}</table></div>`;
}

function knowledge(plan: Plan): string {
  const reveals = plan.reveals.map(({ name, shape }) => `${escapeHtml(name)} [${shape.join(",")}]`).join(", ");
  const open = plan.bindings.filter(({ owner }) => owner === "public").map(({ input }) => escapeHtml(input));
  const rows = [
    ["P0", "random masks only, of its own making: nothing that depends on an input"],
    ["P1, P2", `uniformly masked values${open.length > 0 ? `, and the public inputs ${open.join(", ")}` : ""}`],
    ["the model's owner", "nothing of the data or the answer"],
    ["the data's owner", `the revealed values: ${reveals}`],
    ["all", "this plan: the architecture, shapes, ranges and the order of operations"],
  ];
  return `<div class="scroll"><table>${rows.map(([who, what]) => `<tr><td>${who}</td><td class="text">${what}</td></tr>`).join("")}</table></div>`;
}

const PAPERS = `<ul>
<li>Chaudhari, Choudhury, Patra, Suresh: ASTRA, CCSW 2019 (masked sharing with a helper)</li>
<li>Koti, Pancholi, Patra, Suresh: SWIFT, USENIX Security 2021</li>
<li>Boura, Chillotti, Gama, Jetchev, Peceny, Petric: high-precision privacy-preserving real-valued function evaluation, FC 2018 (Fourier series on masked values)</li>
<li>Dong, Lu, Zheng, Wu, Zhao, Tan, Huang, Hong, Wei, Cheng: PUMA, arXiv 2307.12533 (the setting and the comparison)</li>
</ul>`;
