/** The pages of `inspect` and `simulate --report` in a browser: whole at every width, and they do what they say. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { costReport } from "../../analysis/cost.js";
import { comparisonPage } from "../../analysis/pages/compare.js";
import { renderPage } from "../../analysis/pages/page.js";
import { renderReport } from "../../analysis/pages/report/page.js";
import { formatBytes, formatSeconds } from "../../analysis/units.js";
import { compileModel } from "../../compiler/compile.js";
import { DEFAULT_NETWORK, parseNetwork } from "../../compiler/network.js";
import { OWN_FIXTURES } from "../onnx/support.js";
import { planFor, randomProgram } from "../plan/support.js";
import { BROWSER, flawsOf, openPage, startBrowser, type View } from "./browser.js";
import { madeReport } from "./made-report.js";

const FIXTURE = join(OWN_FIXTURES, "bert_cls.t5.legacy.eager.op11.dyn", "model.onnx");
const SIZES = [
  { width: 390, height: 844 },
  { width: 768, height: 1024 },
  { width: 1280, height: 900 },
  { width: 1920, height: 1080 },
];
const DESKTOP: View = { width: 1280, height: 900, scheme: "light" };
const PHONE: View = { width: 390, height: 844, scheme: "dark" };
const reason = BROWSER === undefined ? " (skipped: no Chromium is installed)" : "";

describe.skipIf(BROWSER === undefined)(`pages in a browser${reason}`, async () => {
  const folder = mkdtempSync(join(tmpdir(), "pumac-pages-"));
  let browser: Browser;
  beforeAll(async () => {
    browser = await startBrowser();
  });
  afterAll(async () => {
    await browser.close();
    rmSync(folder, { recursive: true });
  });

  const { plan } = await compileModel(FIXTURE, { dims: { batch: 1, seq: 6 } });
  const report = costReport(plan);
  const other = planFor(randomProgram(5, 60));
  const nodes = Array.from({ length: 40 }, (_, i) => {
    const name = `/bert/encoder/layer.${Math.floor(i / 8)}/attention/self/node_${i}`;
    return { name, op: ["matmul", "softmaxBase2", "gelu"][i % 3], error: i === 30 ? 0.7 : 1e-4 * (i + 1) };
  });
  const pages = {
    inspect: renderPage(plan, report),
    "two plans": comparisonPage({ plan, report }, { plan: other, report: costReport(other) }, DEFAULT_NETWORK),
    report: renderReport(madeReport(nodes)),
  };

  async function open(name: keyof typeof pages, view: View) {
    const path = join(folder, `${name}.html`);
    writeFileSync(path, pages[name]);
    return openPage(browser, path, view);
  }

  /** A page that is closed when it has been driven. */
  async function drive(name: keyof typeof pages, view: View, use: (page: Page) => Promise<void>): Promise<void> {
    const opened = await open(name, view);
    await use(opened.page);
    expect(opened.complaints).toEqual([]);
    await opened.page.context().close();
  }

  test.each(Object.keys(pages) as (keyof typeof pages)[])(
    "are whole at every width, light and dark: %s",
    async (name) => {
      const opened = await open(name, PHONE);
      for (const size of SIZES) {
        await opened.page.setViewportSize(size);
        const colours = new Set<string>();
        for (const colorScheme of ["light", "dark"] as const) {
          await opened.page.emulateMedia({ colorScheme });
          expect(await flawsOf(opened), `${size.width}`).toEqual([]);
          const screenshot = await opened.page.screenshot();
          expect(screenshot.readUInt32BE(16)).toBe(size.width);
          colours.add(await opened.page.evaluate<string>("getComputedStyle(document.body).backgroundColor"));
        }
        expect(colours.size).toBe(2);
      }
      await opened.page.context().close();
    },
  );

  test("that break their policy, are too wide, or lay words over words are found out", async () => {
    const words = '<svg role="img"><text x="5" y="20">one</text><text x="8" y="20">two</text></svg>';
    const loads = '<img src="https://example.com/x.png"><script>alert(1)</script>';
    const bad = pages.inspect.replace("<main>", `<main>${words}${loads}<pre>${"wide ".repeat(60)}</pre>`);
    writeFileSync(join(folder, "bad.html"), bad);
    const opened = await openPage(browser, join(folder, "bad.html"), PHONE);
    const flaws = await flawsOf(opened);
    expect(flaws.filter((text) => text.includes("Content Security Policy")).length).toBeGreaterThanOrEqual(2);
    expect(flaws).toEqual(expect.arrayContaining([expect.stringMatching(/^content of/), "one over two"]));
    await opened.page.context().close();
  });

  test("say first the eight numbers, who learns what, and the network switch, contents at the side", async () => {
    await drive("inspect", DESKTOP, async (page) => {
      expect(await page.locator(".figures li").count()).toBe(8);
      expect(await page.locator("mark").count()).toBeGreaterThan(1);
      for (const part of [".figures", "#network", "#who-learns-what table", "nav"]) {
        const box = await page.locator(part).boundingBox();
        expect(box!.y + box!.height, part).toBeLessThan(DESKTOP.height);
      }
      const [nav, main] = [await page.locator("nav").boundingBox(), await page.locator("h1").boundingBox()];
      expect(nav!.x + nav!.width).toBeLessThanOrEqual(main!.x);
    });
  });

  test("say the time on another network as inspect does", async () => {
    const shown = (network: string): string =>
      formatSeconds(costReport(plan, parseNetwork(network)).cost.seconds.estimate);
    await drive("inspect", DESKTOP, async (page) => {
      await page.selectOption("#kind", "wan");
      expect(await page.locator("[data-bits]").textContent()).toBe(shown("wan"));
      await page.fill("#bandwidth", "3");
      await page.fill("#delay", "250");
      expect(await page.locator("[data-bits]").textContent()).toBe(shown("3mbps,250ms"));
      expect(await page.locator("#on").textContent()).toBe("3 Mbit/s, 250 ms");
    });
  });

  test("open the bytes from model to layer, node and share op, and back", async () => {
    const [node] = report.nodes.toSorted((a, b) => b.bytes.total - a.bytes.total);
    await drive("inspect", DESKTOP, async (page) => {
      const way = page.locator(".treemap .controls");
      const press = (start: string) => page.locator(`.map .group[data-tip^="${start}"]`).press("Enter");
      await press(`${node.layer}:`);
      await press(`${node.name} (${node.op}): ${formatBytes(node.bytes.total)}`);
      expect(await way.textContent()).toContain(`${node.layer} › `);
      const tips = await page.locator(".map .cell").evaluateAll((cells) => cells.map((cell) => cell.dataset.tip ?? ""));
      expect(tips.length).toBeGreaterThan(1);
      expect(tips.join("\n")).toMatch(/(remask|widen|matmul).*: [\d.]+ [kM]?B, [\d.]+ % of all/);
      await way.getByRole("button").first().click();
      expect(await page.locator(`.map .group[data-tip^="${node.layer}:"]`).count()).toBe(1);
      await page.getByRole("button", { name: "by op" }).click();
      expect(await page.locator(`.map .group[data-tip^="${node.op}:"]`).count()).toBe(1);
    });
  });

  test("zoom into rounds, which tell their layer, and out again", async () => {
    await drive("inspect", DESKTOP, async (page) => {
      const widths = () =>
        page.locator(".timeline .hit").evaluateAll((all) => all.map((each) => each.getBoundingClientRect().width));
      const before = await widths();
      expect(before).toHaveLength(plan.rounds + 1);
      await page.locator(".timeline").scrollIntoViewIfNeeded();
      await page.getByRole("button", { name: "zoom in" }).click();
      const after = await widths();
      expect(after[0]).toBeCloseTo(2 * before[0], 0);
      expect(after.length).toBeLessThan(before.length);
      await page.locator(".timeline .hit").nth(3).hover();
      expect(await page.locator("#tip").textContent()).toMatch(/^round \d+ \([\w.]+\): .* opened, .* dealt/);
      await page.getByRole("button", { name: "show all" }).click();
      expect(await widths()).toEqual(before);
    });
  });

  test("tell details to a finger, whose first touch opens nothing", async () => {
    await drive("inspect", PHONE, async (page) => {
      const group = page.locator(".map .cell").first();
      await group.scrollIntoViewIfNeeded();
      await group.tap();
      expect(await page.locator("#tip").textContent()).toMatch(/% of all/);
      expect(await page.locator(".treemap .controls").textContent()).not.toContain("›");
      await group.tap();
      expect(await page.locator(".treemap .controls").textContent()).toContain("›");
    });
  });

  test.each(["inspect", "report"] as const)("find, sort and copy rows: %s", async (name) => {
    await drive(name, DESKTOP, async (page) => {
      const section = page.locator(name === "inspect" ? "#by-node-of-the-model" : "#all-nodes");
      const shown = section.locator("tbody tr:visible");
      const all = await shown.count();
      await section.getByRole("searchbox").fill("MATMUL layer.0");
      const found = await shown.allTextContents();
      expect(found.length).toBeGreaterThan(0);
      expect(found.length).toBeLessThan(all);
      expect(found.every((text) => /matmul/i.test(text) && text.includes("layer.0"))).toBe(true);
      const heading = section
        .getByRole("columnheader")
        .filter({ hasText: name === "inspect" ? "total" : "roles, max" });
      await heading.getByRole("button").click();
      const column = await heading.evaluate((cell: { cellIndex?: number }) => cell.cellIndex ?? 0);
      await section.getByRole("button", { name: "copy" }).click();
      const lines = (await page.evaluate<string>("navigator.clipboard.readText()"))
        .split("\n")
        .map((line) => line.split("\t"));
      expect(lines[0].slice(0, 2)).toEqual(["node", "op"]);
      const values = lines.slice(1).map((cells) => Number(cells[column]));
      expect(values).toHaveLength(found.length);
      expect(values).toEqual(values.toSorted((a, b) => b - a));
    });
  });

  test("show an op in one colour in every plan, picture and table", async () => {
    const colours = new Map<string, Set<string>>();
    for (const name of ["inspect", "two plans", "report"] as const) {
      await drive(name, DESKTOP, async (page) => {
        const found = await page.evaluate<readonly (readonly [string, string])[]>(
          `[...document.querySelectorAll("li:has(.swatch), td:has(.swatch)")].map((each) =>
            [each.textContent, getComputedStyle(each.querySelector(".swatch rect")).fill])`,
        );
        for (const [op, colour] of found) {
          colours.set(op, (colours.get(op) ?? new Set()).add(colour));
        }
      });
    }
    expect([...colours].filter(([, each]) => each.size > 1)).toEqual([]);
    expect(new Set(["MatMul", "Softmax", "LayerNorm", "Gelu"].map((op) => [...colours.get(op)!][0])).size).toBe(4);
  });

  test("show two plans on one scale, beside each other, with what differs", async () => {
    await drive("two plans", DESKTOP, async (page) => {
      const maps = await page
        .locator(".treemap")
        .evaluateAll((all) => all.map((each) => each.getBoundingClientRect().top));
      expect(maps[0]).toBe(maps[1]);
      const top = await page
        .locator(".timeline")
        .evaluateAll((all) => all.map((each) => [...each.querySelectorAll(".axis")].at(-1)?.textContent));
      expect(top[0]).toBe(top[1]);
      expect(await page.locator("#the-whole table").textContent()).toContain(formatBytes(report.cost.bytes.total));
      await page.selectOption("#kind", "wan");
      expect(await page.locator("[data-bits]").allTextContents()).toEqual(
        [plan, other].map((each) => formatSeconds(costReport(each, parseNetwork("wan")).cost.seconds.estimate)),
      );
    });
  });

  test("name the first bad node, and tell every node's errors under the pointer", async () => {
    await drive("report", PHONE, async (page) => {
      const finding = page.locator(".finding");
      expect(await finding.textContent()).toContain(nodes[30].name);
      expect((await finding.boundingBox())!.y).toBeLessThan(PHONE.height);
      expect(await page.locator(".errors circle").count()).toBe(1);
      await page.locator(".errors").scrollIntoViewIfNeeded();
      await page.locator(".errors .hit").nth(30).tap();
      expect(await page.locator("#tip").textContent()).toMatch(/node_30 \(MatMul\), bad: roles 0\.70, fixed 0\.00010/);
    });
  });

  test("are printed without what cannot be pressed on paper, with everything open", async () => {
    await drive("inspect", DESKTOP, async (page) => {
      await page.evaluate("dispatchEvent(new Event('beforeprint'))");
      await page.emulateMedia({ media: "print" });
      expect(
        await page.locator("nav, .controls").evaluateAll((all) => all.filter((each) => each.checkVisibility()).length),
      ).toBe(0);
      expect(await page.locator("details:not([open])").count()).toBe(0);
      expect((await page.pdf()).length).toBeGreaterThan(20_000);
    });
  });
});
