/** `inspect`'s answers: the table for people, the budget gate, and the page, shown by a browser where there is one. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runInNewContext } from "node:vm";
import { afterAll, describe, expect, test } from "vitest";
import { checkBudget, parseBudget } from "../../analysis/budget.js";
import { costReport } from "../../analysis/cost.js";
import { csvOf, describeDifference, describePlan, tableOf } from "../../analysis/describe.js";
import { differenceOf } from "../../analysis/difference.js";
import { policy, renderPage } from "../../analysis/pages/page.js";
import { layoutOf } from "../../analysis/pages/treemap.js";

import { formatSeconds } from "../../analysis/units.js";
import { compileModel } from "../../compiler/compile.js";
import { parseNetwork } from "../../compiler/network.js";
import { PumacError } from "../../ir/diagnostics.js";
import type { Plan } from "../../ir/plan/types.js";
import { BROWSER, openPage } from "../analysis/browser.js";
import { compileText, normal } from "../lower/support.js";
import { OWN_FIXTURES } from "../onnx/support.js";
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

describe("the treemap", () => {
  test("gives every part its share of the area, inside the box, apart from the others", () => {
    const parts = [9, 5, 3, 0, 1, 0.2].map((total, i) => ({ name: String(i), total }));
    const groups = [3, 4].map((end, i) => ({ name: `op ${i}`, parts: parts.slice(2 * i, end) }));
    const all = groups.flatMap((group) => group.parts).reduce((sum, { total }) => sum + total, 0);
    const boxes = layoutOf(groups, 2);
    expect(boxes.map(({ op, name, first }) => [op, name, first])).toEqual([
      ["op 0", "0", true],
      ["op 0", "1", false],
      ["op 0", "2", false],
      ["op 1", "2", true],
    ]);
    boxes.forEach(({ total, box }, i) => {
      expect(box.width * box.height).toBeCloseTo((2 * total) / all, 9);
      expect(box.x + box.width).toBeLessThanOrEqual(2 + 1e-9);
      expect(box.y + box.height).toBeLessThanOrEqual(1 + 1e-9);
      for (const { box: other } of boxes.slice(i + 1)) {
        const wide = Math.min(box.x + box.width, other.x + other.width) - Math.max(box.x, other.x);
        const high = Math.min(box.y + box.height, other.y + other.height) - Math.max(box.y, other.y);
        expect(Math.min(wide, high)).toBeLessThanOrEqual(1e-9);
      }
    });
  });
});

describe("the page", () => {
  /** The page around its one script, which its policy names. */
  function apart(page: string): { readonly around: string; readonly script: string } {
    const [before, script, after] = page.split(/<script>|<\/script>/);
    expect(after).toBe("</body></html>\n");
    expect(page).toContain(`content="${policy(script)}"`);
    return { around: before, script };
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
    const { around, script } = apart(renderPage(hostile, costReport(hostile)));
    expect(around).not.toMatch(/<script|<b onclick/);
    expect(around).toContain("&#60;script&#62;alert(1)");
    expect(script).toBe(apart(renderPage(plan, report)).script);
  });

  test("has a link to each of its sections, and the numbers of every node", () => {
    const { around } = apart(renderPage(plan, report));
    const links = [...around.matchAll(/<a href="#([a-z-]+)">/g)].map(([, name]) => name);
    expect(links.length).toBeGreaterThan(7);
    expect(links).toEqual([...around.matchAll(/<section id="([a-z-]+)">/g)].map(([, name]) => name));
    const totals = [...around.matchAll(/data-v="(\d+)">[\d,]+<\/td><\/tr>/g)].map(([, bytes]) => Number(bytes));
    expect(totals.reduce((sum, bytes) => sum + bytes)).toBe(report.cost.bytes.total);
  });

  /** The page's script on elements that remember what they are told: as much of a document as it asks for. */
  function running(page: string) {
    const { around, script } = apart(page);
    const elements = new Map<string, ReturnType<typeof made>>();
    const made = (id: string) => {
      const tag = new RegExp(`<[a-z]+ [^>]*id="${id}"[^>]*>`).exec(around)?.[0] ?? "";
      const attributes = new Map([...tag.matchAll(/([\w-]+)="([^"]*)"/g)].map(([, name, value]) => [name, value]));
      const dataset = Object.fromEntries([...attributes].map(([name, value]) => [name.replace("data-", ""), value]));
      const heard = new Map<string, () => void>();
      const addEventListener = (event: string, action: () => void) => heard.set(event, action);
      const tBodies = [{ rows: [...ROWS] }];
      const value = attributes.get("value") ?? "";
      const selectedOptions = [{ textContent: "wan" }];
      return { dataset, value, heard, addEventListener, tBodies, selectedOptions, textContent: "", hidden: true };
    };
    const getElementById = (id: string) => {
      const found = elements.get(id) ?? made(id);
      elements.set(id, found);
      return found;
    };
    runInNewContext(script, { document: { getElementById, querySelectorAll: () => [] } });
    return getElementById;
  }
  const ROWS = ["layer.0/Softmax", "layer.1/MatMul"].map((textContent) => ({ textContent, hidden: false }));

  test("says the time on another network as inspect does", () => {
    const byId = running(renderPage(plan, report));
    const shown = (bandwidth: number, delay: number): string => {
      const network = parseNetwork(`${bandwidth}mbps,${delay}ms`);
      return formatSeconds(costReport(plan, network).cost.seconds.estimate);
    };
    byId("kind").value = "400,40";
    byId("kind").heard.get("change")!();
    expect(byId("time").textContent).toBe(shown(400, 40));
    expect(byId("on").textContent).toBe("wan");
    byId("bandwidth").value = "3";
    byId("delay").value = "250";
    byId("delay").heard.get("input")!();
    expect(byId("time").textContent).toBe(shown(3, 250));
    expect(byId("on").textContent).toBe("3 Mbit/s, 250 ms");
    expect([byId("network").hidden, byId("find").hidden]).toEqual([false, false]);
  });

  test("finds nodes by words", () => {
    const byId = running(renderPage(plan, report));
    byId("find").value = "MATMUL layer";
    byId("find").heard.get("input")!();
    expect(byId("nodes").tBodies[0].rows.map(({ hidden }) => hidden)).toEqual([true, false]);
  });

  test("has well-formed pictures", () => {
    const page = renderPage(plan, report);
    const open: string[] = [];
    const pictures = page.slice(page.indexOf("<main>"), page.indexOf("<script>"));
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

const PHONE = { width: 390, height: 844, phone: true };
const DESKTOP = { width: 1280, height: 900, phone: false };
const LOOKS = [
  { look: "light, on a desktop", view: { ...DESKTOP, dark: false } },
  { look: "dark, on a phone", view: { ...PHONE, dark: true } },
];
const FIXTURE = "bert_cls.t5.legacy.eager.op11.dyn/model.onnx";
const reason = BROWSER === undefined ? " (skipped: no Chromium is installed)" : "";

describe.skipIf(BROWSER === undefined)(`the page in a browser${reason}`, () => {
  const folder = mkdtempSync(join(tmpdir(), "pumac-page-"));
  afterAll(() => rmSync(folder, { recursive: true }));

  /** The size of a PNG, from its first chunk. */
  const sizeOfPng = (png: Buffer) => ({ width: png.readUInt32BE(16), height: png.readUInt32BE(20) });

  test.each(LOOKS)("is drawn whole and without a complaint: $look", async ({ view }) => {
    const { plan: model } = await compileModel(join(OWN_FIXTURES, FIXTURE), { dims: { batch: 1, seq: 6 } });
    for (const [name, shown] of Object.entries({ random: plan, model })) {
      const page = join(folder, `${name}.html`);
      writeFileSync(page, renderPage(shown, costReport(shown)));
      const { screenshot, complaints, contentWidth, clashes } = await openPage(page, view);
      expect(complaints, name).toEqual([]);
      expect(clashes, name).toEqual([]);
      expect(contentWidth, name).toBeLessThanOrEqual(view.width);
      expect(screenshot.length).toBeGreaterThan(40_000);
      expect(sizeOfPng(screenshot).width).toBe(view.width);
      expect(sizeOfPng(screenshot).height).toBeGreaterThan(2 * view.height);
    }
  });

  test("complains of what breaks its policy, of what is too wide, and of words over words", async () => {
    const words = '<svg role="img"><text x="5" y="20">one</text><text x="8" y="20">two</text></svg>';
    const loads = '<img src="https://example.com/x.png"><script>alert(1)</script>';
    const bad = renderPage(plan, report).replace("<main>", `<main>${words}${loads}<pre>${"wide ".repeat(40)}</pre>`);
    writeFileSync(join(folder, "bad.html"), bad);
    const { complaints, contentWidth, clashes } = await openPage(join(folder, "bad.html"), { ...PHONE, dark: false });
    expect(complaints.filter((text) => text.includes("Content Security Policy")).length).toBeGreaterThanOrEqual(2);
    expect(contentWidth).toBeGreaterThan(390);
    expect(clashes).toContain("one over two");
  });
});
