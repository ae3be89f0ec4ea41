/** `inspect`'s answers: the table for people, the budget gate, and the page, shown by a browser where there is one. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { checkBudget, parseBudget } from "../../cli/budget.js";
import { policy, renderPage } from "../../cli/html/page.js";
import { squarify } from "../../cli/html/treemap.js";
import { describePlan, tableOf } from "../../cli/inspect.js";
import { costReport } from "../../compiler/report.js";
import { PumacError } from "../../ir/diagnostics.js";
import type { Plan } from "../../ir/plan/types.js";
import { planFor, randomProgram } from "./support.js";

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

describe("the table", () => {
  test.each(["node", "layer", "op", "share", "round", "ring"])("by %s ends in the sum", (by) => {
    const lines = tableOf(report, by).split("\n");
    expect(lines.at(-2)).toMatch(new RegExp(`in all +│ +${report.cost.rounds} │.*100.0 %`));
    expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(100);
  });

  test("by link lists every link, and the text says who learns what", () => {
    expect(tableOf(report, "link")).toMatch(/P0>P1 +│ +0 B/);
    const text = describePlan(plan, report);
    expect(text).toMatch(/data owner +learns the answer only: y0 \[/);
    expect(text).toMatch(/P0 +learns nothing/);
    expect(text).toMatch(/rounds +\d+\n/);
    expect(text).toMatch(/gelu on \[-4, 4\], error 0.0005/);
    expect(text).toMatch(/ASTRA, CCSW 2019/);
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

  test.each(["", "bytes", "bytes>5", "rounds<4kB", "weight<5", "bytes<1.2.3", "constructor<5", "bytes<5,"])(
    "is not %j",
    (text) => {
      expect(codeOf(() => parseBudget(text))).toBe("E0201");
    },
  );
});

describe("the treemap", () => {
  test("gives every item its share of the area, inside the box, apart from the others", () => {
    const items = [9, 5, 3, 3, 1, 0.2].map((total, i) => ({ name: String(i), total }));
    const all = items.reduce((sum, { total }) => sum + total, 0);
    const boxes = squarify(items, { x: 0, y: 0, width: 2, height: 1 });
    boxes.forEach(({ item, box }, i) => {
      expect(box.width * box.height).toBeCloseTo((2 * item.total) / all, 9);
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
  test("loads nothing, runs nothing, and has no style but the one that its policy names", () => {
    const page = renderPage(plan, report);
    expect(page).toContain(`content="${policy()}"`);
    expect(policy()).toMatch(/^default-src 'none'; style-src 'sha256-[^']+'; base-uri 'none'; form-action 'none'$/);
    expect(page).not.toMatch(/<script|<link|<img|<iframe|javascript:|https?:|url\(|@import|\son\w+=|\sstyle=/i);
    expect(page).not.toMatch(/NaN|undefined|Infinity/);
  });

  test("shows names of a hostile plan as text", () => {
    const hostile: Plan = {
      ...plan,
      name: "<script>alert(1)</script>",
      origins: plan.origins.map((origin, i) => `"><script>${i}</script>${origin}`),
      shapes: { "<b onclick='x'>": [1] },
    };
    const page = renderPage(hostile, costReport(hostile));
    expect(page).not.toMatch(/<script|<b onclick/);
    expect(page).toContain("&#60;script&#62;alert(1)");
  });

  test("has well-formed pictures", () => {
    const page = renderPage(plan, report);
    const open: string[] = [];
    const pictures = page.slice(page.indexOf("<main>"), page.indexOf("</body>"));
    for (const [, closing, tag, , self] of pictures.matchAll(/<(\/?)([a-z0-9]+)((?:"[^"]*"|[^">])*?)(\/?)>/g)) {
      if (closing === "/") {
        expect(open.pop()).toBe(tag);
      } else if (self !== "/" && tag !== "br") {
        open.push(tag);
      }
    }
    expect(open).toEqual([]);
  });
});

const BROWSER = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync);
const FLAGS = [
  ...["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"],
  ...["--disable-background-networking", "--disable-component-update", "--disable-sync"],
];

describe.skipIf(BROWSER === undefined)("the page in a browser", () => {
  test.each([
    ["wide", 1100, []],
    ["phone", 500, ["--force-dark-mode"]],
  ] as const)("is drawn: %s", (name, width, more) => {
    const folder = mkdtempSync(join(tmpdir(), "pumac-page-"));
    try {
      const [page, shot] = [join(folder, "page.html"), join(folder, `${name}.png`)];
      writeFileSync(page, renderPage(plan, report));
      const run = (...flags: string[]) =>
        execFileSync(BROWSER!, [...FLAGS, `--user-data-dir=${join(folder, "profile")}`, ...flags, `file://${page}`], {
          stdio: ["ignore", "pipe", "pipe"],
          timeout: 90_000,
        }).toString();
      run(...more, `--window-size=${width},2400`, `--screenshot=${shot}`);
      expect(readFileSync(shot).subarray(1, 4).toString()).toBe("PNG");
      expect(statSync(shot).size).toBeGreaterThan(40_000);
      expect(run("--dump-dom")).toContain("Who learns what");
    } finally {
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    }
  });
});
