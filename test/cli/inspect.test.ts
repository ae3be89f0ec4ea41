/** `inspect`'s answers: the table for people, the budget gate, and the page as text: test/analysis/pages opens it. */
import { describe, expect, test } from "vitest";
import { checkBudget, parseBudget } from "../../analysis/budget.js";
import { costReport } from "../../analysis/cost.js";
import { csvOf, describeDifference, describePlan, tableOf } from "../../analysis/describe.js";
import { differenceOf } from "../../analysis/difference.js";
import { policy } from "../../analysis/pages/frame.js";
import { renderPage } from "../../analysis/pages/page.js";
import { PumacError } from "../../ir/diagnostics.js";
import type { Plan } from "../../ir/plan/types.js";
import { compileText, normal } from "../lower/support.js";
import { planFor, randomProgram } from "../plan/support.js";

const plan = planFor(randomProgram(5, 60));
const report = costReport(plan);

function codeOf(action: () => void): string {
  try {
    action();
  } catch (error) {
    if (error instanceof PumacError) {
      return error.diagnostics.map(({ code }) => code).join(" ");
    }
    throw error;
  }
  return "";
}

test("the text names every formula, its window and its largest error", () => {
  const { plan } = compileText({
    text: `%0 = input {name = "x", dtype = "f32", shape = [8, 8]} : f32[8,8]
%1 = parameter {name = "w", dtype = "f32", shape = [8, 8]} : f32[8,8]
%2 = matmul %0, %1 : f32[8,8]
%3 = gelu %2 {approximation = "erf"} : f32[8,8]
output "y" = %3`,
    weights: new Map([["w", normal([8, 8], 0.5)]]),
    inputs: new Map([["x", normal([8, 8])]]),
  });
  const text = describePlan(plan, costReport(plan), { formulas: true });
  expect(text).toMatch(/gelu \(erf\) on \[-[\d.]+, [\d.]+\]: absolute error at most [\d.e-]+$/m);
});

describe("the table", () => {
  test.each(["node", "layer", "op", "share", "round", "ring"])("by %s ends in the sum", (by) => {
    const lines = tableOf(report, { by }, { strong: (text) => text, narrow: true }).split("\n");
    expect(lines.at(-2)).toMatch(new RegExp(`in all +│ +${report.cost.rounds} │.*100.0 %`));
    expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(100);
  });

  test("by link lists every link, and the text says who learns what", () => {
    expect(tableOf(report, { by: "link" })).toMatch(/P0>P1 +│ +0 B/);
    expect(describePlan(plan, report)).not.toMatch(/^(paper|formula) /m);
    const text = describePlan(plan, report, { papers: true, formulas: true });
    expect(text).toMatch(/data owner +learns the answer only: y0 \[/);
    expect(text).toMatch(/P0 +learns nothing/);
    expect(text).toMatch(/rounds +\d+\n/);
    expect(text).toMatch(/gelu on \[-4, 4\]: absolute error at most 0.0005$/m);
    expect(text).toMatch(/ASTRA, CCSW 2019/);
  });
});

describe("rows", () => {
  const column = (text: string, at: number) => {
    const [, ...lines] = text.split("\r\n");
    return lines.map((line) => line.split(",").at(at));
  };

  test("are sorted by what is asked for, and cut, with the sum of all below", () => {
    for (const [sort, size] of [
      ["rounds", ({ rounds }: { rounds: number }) => rounds],
      ["macs", ({ macs }: { macs: number }) => macs],
    ] as const) {
      const wanted = report.shares.filter(({ bytes, rounds }) => bytes.total > 0 || rounds > 0);
      const sorted = wanted.toSorted((a, b) => size(b) - size(a)).map(({ name }) => name);
      expect(column(csvOf(report, { by: "share", sort, top: 3 }), 0)).toEqual(sorted.slice(0, 3));
    }
    expect(tableOf(report, { by: "share", top: 1 })).toMatch(new RegExp(`in all +│ +${report.cost.rounds} │`));
  });

  test("as CSV add up to the whole, in integers", () => {
    const sum = column(csvOf(report, { by: "node" }), -2).reduce((all, bytes) => all + Number(bytes), 0);
    expect(sum).toBe(report.cost.bytes.total);
  });

  test("of an op are its nodes': every byte belongs to one node, and a node is one op", () => {
    for (const { name, bytes } of report.ops) {
      const own = report.nodes.filter(({ op }) => op === name);
      expect(own.reduce((sum, node) => sum + node.bytes.total, 0)).toBe(bytes.total);
    }
  });
});

describe("two plans", () => {
  const other = planFor(randomProgram(6, 60));
  const difference = differenceOf(report, costReport(other), ({ shares }) => shares);

  test("differ by what their rows differ", () => {
    const { bytes, lines } = difference;
    const changed = lines.reduce((sum, line) => sum + line.bytes.second - line.bytes.first, 0);
    expect(changed).toBe(bytes.total.second - bytes.total.first);
    expect(describeDifference(difference, { by: "share" })).toMatch(/bytes total +│.*[+−][\d.]+ %/);
    expect(differenceOf(report, report, ({ shares }) => shares).lines).toEqual([]);
  });
});

describe("the budget", () => {
  const { rounds, bytes } = report.cost;

  test("passes what is within, and fails with every limit that is exceeded", () => {
    expect(codeOf(() => checkBudget(`bytes<${bytes.total + 1},rounds<=${rounds}`, report))).toBe("");
    expect(codeOf(() => checkBudget(`rounds<${rounds}`, report))).toBe("E0501");
    expect(codeOf(() => checkBudget("bytes<1kB, rounds < 1, seconds<1us1", report))).toBe("E0201");
    expect(codeOf(() => checkBudget("bytes<1B, rounds < 1, offline<=9GiB", report))).toBe("E0501 E0501");
  });

  test("reads units of a thousand and of 1024", () => {
    const most = (text: string) => parseBudget(text)[0].most;
    expect(["bytes<2GiB", "bytes<2gb", "online<1.5MB", "seconds<20ms", "rounds<400"].map(most)).toEqual([
      2 * 2 ** 30,
      2e9,
      1.5e6,
      0.02,
      400,
    ]);
  });

  test.each([
    ["B", 1],
    ["kB", 1000],
    ["MB", 1000 ** 2],
    ["GB", 1000 ** 3],
    ["TB", 1000 ** 4],
    ["KiB", 1024],
    ["MiB", 1024 ** 2],
    ["GiB", 1024 ** 3],
    ["TiB", 1024 ** 4],
    ["", 1],
  ])("reads 3 %s", (unit, bytes) => {
    expect(parseBudget(`bytes<3${unit}`)[0].most).toBe(3 * bytes);
    expect(parseBudget(`memory <= 3 ${unit.toLowerCase()}`)[0]).toMatchObject({ most: 3 * bytes, inclusive: true });
  });

  test.each(["", "bytes", "bytes>5", "rounds<4kB", "weight<5", "bytes<1.2.3", "constructor<5", "bytes<5,"])(
    "is not %j",
    (text) => {
      expect(codeOf(() => parseBudget(text))).toBe("E0201");
    },
  );
});

describe("the page", () => {
  /** The page around its one script, which its policy names, and the numbers that the script draws. */
  function apart(page: string): { readonly around: string; readonly script: string; readonly data: string } {
    const parts =
      /^(.*)<script type="application\/json" id="data">(.*)<\/script><script>(.*)<\/script><\/body><\/html>\n$/s;
    const [, around, data, script] = parts.exec(page)!;
    expect(page).toContain(`content="${policy(script)}"`);
    return { around, script, data };
  }

  test("loads nothing, and runs and looks like nothing but what its policy names", () => {
    const page = renderPage(plan, report);
    const { around } = apart(page);
    const hash = "'sha256-[^']+'";
    const named = new RegExp(
      `^default-src 'none'; style-src ${hash}; script-src ${hash}; base-uri 'none'; form-action 'none'$`,
    );
    expect(policy("x")).toMatch(named);
    expect(around).not.toMatch(/<script|<link|<img|<iframe|javascript:|https?:|url\(|@import|\son\w+=|\sstyle=/i);
    expect(around).not.toMatch(/NaN|undefined|Infinity/);
  });

  test("shows names of a hostile plan as text", () => {
    const hostile: Plan = {
      ...plan,
      name: "<script>alert(1)</script>",
      origins: plan.origins.map(({ node, op }, i) => ({ node: `"><script>${i}</script>${node}`, op })),
      shapes: { "<b onclick='x'>": [1] },
    };
    const { around, script, data } = apart(renderPage(hostile, costReport(hostile)));
    expect(around).not.toMatch(/<script|<b onclick/);
    expect(around).toContain("&#60;script&#62;alert(1)");
    expect(script).toBe(apart(renderPage(plan, report)).script);
    expect(data).not.toContain("<");
    expect(JSON.parse(data).plans[0].name).toBe(hostile.name);
  });

  test("has a link to each of its sections, and the numbers of every node", () => {
    const { around } = apart(renderPage(plan, report));
    const links = [...around.matchAll(/<a href="#([a-z-]+)">/g)].map(([, name]) => name);
    expect(links.length).toBeGreaterThan(7);
    expect(links).toEqual([...around.matchAll(/<section id="([a-z-]+)">/g)].map(([, name]) => name));
    const nodes = around.slice(around.indexOf('<section id="by-node-of-the-model">'));
    const rows = nodes.slice(0, nodes.indexOf("</table>")).matchAll(/data-v="(\d+)">[^<]+<\/td><\/tr>/g);
    expect([...rows].reduce((sum, [, bytes]) => sum + Number(bytes), 0)).toBe(report.cost.bytes.total);
  });

  test("has well-formed pictures", () => {
    const page = renderPage(plan, report);
    const open: string[] = [];
    const pictures = page.slice(page.indexOf("<main>"), page.indexOf("<script"));
    for (const [, closing, tag, , self] of pictures.matchAll(/<(\/?)([a-z0-9]+)((?:"[^"]*"|[^">])*?)(\/?)>/g)) {
      if (closing === "/") {
        expect(open.pop()).toBe(tag);
      } else if (self !== "/" && tag !== "br" && tag !== "input") {
        open.push(tag);
      }
    }
    expect(open).toEqual([]);
  });
});
