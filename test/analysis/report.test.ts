/**
 * The accuracy report: on a healthy model every node is compared and good; where an input is larger than the plan's
 * ranges, or a formula too coarse, it names the first bad node and what to change. Its page is safe to open.
 */
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runInNewContext } from "node:vm";
import { beforeAll, describe, expect, it } from "vitest";
import { renderReport, reportPolicy } from "../../analysis/pages/report/page.js";
import { SORT_SCRIPT } from "../../analysis/pages/report/style.js";
import { reportRun } from "../../analysis/report/analysis.js";
import type { AccuracyReport } from "../../analysis/report/types.js";
import { runOwners } from "../../client/owners.js";
import { type CompileOptions, compileModel } from "../../compiler/compile.js";
import { importModel } from "../../compiler/import.js";
import { planDigest } from "../../ir/plan/codec.js";
import type { TensorValue } from "../../ir/tensor/value.js";
import { OWN_FIXTURES, readTensors } from "../onnx/support.js";
import { BROWSER, openPage } from "./browser.js";

type Values = ReadonlyMap<string, TensorValue>;

const BERT = join(OWN_FIXTURES, "bert_cls.t5.legacy.eager.op11.dyn");
const VIT = join(OWN_FIXTURES, "vit_cls.t5.legacy.eager.op14.dyn");

function inputsOf(folder: string): Values {
  return new Map(
    readTensors(join(folder, "test_data_set_0"), "input").map(({ name, value }) => [name, value] as const),
  );
}

async function reportOf(folder: string, options: CompileOptions = {}): Promise<AccuracyReport> {
  const file = join(folder, "model.onnx");
  const inputs = inputsOf(folder);
  const shapes = Object.fromEntries([...inputs].map(([name, { shape }]) => [name, shape]));
  const { plan: checked, weights } = await compileModel(file, { shapes, ...options });
  // Whoever gives inputs is told of those beyond the calibrated ones before anything runs: here they are let through.
  const plan = { ...checked, bindings: checked.bindings.map(({ range: _, ...binding }) => binding) };
  const { report } = await reportRun({
    loaded: { plan, digest: planDigest(plan) },
    model: await importModel(file, { dims: {}, shapes: plan.shapes }),
    inputs,
    values: runOwners(plan, inputs, weights),
    seed: 3,
    tolerance: 0.02,
    onRound: () => undefined,
  });
  return report;
}

describe("a healthy model", () => {
  let report: AccuracyReport;
  beforeAll(async () => {
    report = await reportOf(BERT);
  });

  it("has every node compared, none of them bad", () => {
    // The rows of the word and the type table exist only as their sum, which one op computes.
    expect(report.notCompared).toBe(2);
    expect(report.nodes.length).toBeGreaterThan(60);
    expect(report.nodes.filter(({ bad }) => bad)).toEqual([]);
    expect(report.first).toBeNull();
  });

  it("has errors that are those of fixed point, and roles that stay beside it", () => {
    const [{ name, error }] = report.outputs;
    expect(name).toBe("logits");
    expect(error.fixed.maximum).toBeGreaterThan(0);
    expect(error.roles.maximum).toBeLessThan(5e-3);
    for (const node of report.nodes) {
      expect(node.error.own.maximum, node.name).toBeLessThan(5e-3);
      expect(node.error.drift.maximum, node.name).toBeLessThan(1e-2);
      expect(node.error.roles.mean, node.name).toBeLessThanOrEqual(node.error.roles.maximum);
    }
  });

  it("has room in every range that is read", () => {
    const rooms = report.nodes.flatMap(({ headroom }) => (headroom === null ? [] : [headroom]));
    expect(rooms.length).toBeGreaterThan(30);
    expect(Math.min(...rooms)).toBeGreaterThan(0);
  });

  it("has samples of which the worst element is one", () => {
    for (const { samples, error } of report.nodes) {
      const worst = samples.reduce((most, [float, roles]) => Math.max(most, Math.abs(float - roles)), 0);
      expect(worst).toBe(error.roles.maximum);
    }
  });
});

it("of a causal model has the scores that the mask leaves", async () => {
  const report = await reportOf(join(OWN_FIXTURES, "llama_lm.t5.legacy.eager.op14.dyn.ortall"));
  const scores = report.nodes.filter(({ shape, op }) => op === "matmul" && shape.length === 4 && shape[2] === shape[3]);
  expect(scores).toHaveLength(2);
  expect(report.nodes.filter(({ bad }) => bad)).toEqual([]);
  // The mask itself is a constant.
  expect(report.notCompared).toBe(1);
});

describe("a sick one", () => {
  it("whose inputs are larger than those it was calibrated on", async () => {
    const small = new Map(
      [...inputsOf(VIT)].map(([name, value]) => [name, { ...value, data: value.data.map((x) => x / 64) }] as const),
    );
    const { first, nodes } = await reportOf(VIT, { calibration: [small] });
    expect(first?.fix).toMatch(/--calibrate/);
    const { saturations, bad } = nodes[first!.node];
    expect(bad).toBe(true);
    expect(saturations.range + saturations.window).toBeGreaterThan(0);
    expect(nodes.slice(0, first!.node).every(({ error }) => error.own.maximum < 0.02)).toBe(true);
  });

  it("whose profile has a coarse formula", async () => {
    const { first, nodes } = await reportOf(BERT, { profile: "puma" });
    expect(nodes[first!.node].op).toBe("softmax");
    expect(first?.what).toMatch(/PUMA's formula/);
    expect(first?.fix).toMatch(/--profile fourier/);
  });
});

/** The attributes of a heading, as the page's script sets them. */
function headingOf() {
  const attributes = new Map<string, string>();
  return {
    attributes,
    getAttribute: (name: string) => attributes.get(name) ?? null,
    setAttribute: (name: string, value: string) => attributes.set(name, value),
    removeAttribute: (name: string) => attributes.delete(name),
  };
}

describe("the page of a report", () => {
  const node = {
    name: '<script>alert("x")</script>', op: "gelu", layer: "encoder.0", shape: [2], ring: 40, fraction: 13, largest: 2,
    error: {
      fixed: { maximum: 1e-4, mean: 1e-5 }, roles: { maximum: 0.5, mean: 0.1 }, drift: { maximum: 0.5, mean: 0.1 },
      own: { maximum: 0, mean: 0 },
    },
    headroom: -0.5, saturations: { range: 1, window: 0 }, samples: [[1, 1], [2, 2.5]], bad: true,
  } as const; // biome-ignore format: a value
  const report: AccuracyReport = {
    schema: "pumac.report/1",
    plan: { digest: "00", model: "a & b", profile: "fourier", shapes: { x: [2] } },
    tolerance: 0.02,
    outputs: [{ name: "y", shape: [2], error: { fixed: node.error.fixed, roles: node.error.roles } }],
    nodes: [node],
    notCompared: 1,
    first: { node: 0, name: node.name, what: "values are outside", why: "they reach 3", fix: "calibrate" },
  };
  const page = renderReport(report);

  it("loads nothing, and runs only the script that its policy names", () => {
    expect(page).not.toMatch(/\b(src|href|style|on\w+)=/);
    const scripts = [...page.matchAll(/<script[^>]*>([\s\S]*?)<\/script>/g)].map(([, text]) => text);
    expect(scripts).toHaveLength(1);
    const [hash, style] = [scripts[0], /<style>([\s\S]*?)<\/style>/.exec(page)![1]].map((text) =>
      createHash("sha256").update(text).digest("base64"),
    );
    expect(reportPolicy()).toContain(`script-src 'sha256-${hash}'`);
    expect(reportPolicy()).toContain(`style-src 'sha256-${style}'`);
    expect(page).toContain(`content="${reportPolicy()}"`);
  });

  it.skipIf(BROWSER === undefined)("is drawn whole on a phone, without a complaint", async () => {
    const folder = mkdtempSync(join(tmpdir(), "pumac-report-"));
    try {
      const path = join(folder, "report.html");
      writeFileSync(path, page);
      const view = { width: 390, height: 844, phone: true, dark: true };
      const { complaints, clashes, contentWidth } = await openPage(path, view);
      expect(complaints).toEqual([]);
      expect(clashes).toEqual([]);
      expect(contentWidth).toBeLessThanOrEqual(view.width);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("sorts its table by the column that is pressed, the other way when pressed again", () => {
    const row = (name: string, value: number) => ({
      cells: [{ dataset: { v: name } }, { dataset: { v: String(value) } }],
    });
    let rows = [row("b", 9), row("a", 10), row("c", 0.5)];
    const body = { rows, append: (...sorted: typeof rows) => (rows = sorted) };
    const headings = [0, 1].map((cellIndex) => ({ ...headingOf(), cellIndex }));
    let press: (event: object) => void = () => undefined;
    const head = { addEventListener: (_: string, listener: typeof press) => (press = listener) };
    const table = { tHead: head, tBodies: [body] };
    for (const heading of headings) {
      Object.assign(heading, { parentElement: { cells: headings } });
    }
    runInNewContext(SORT_SCRIPT, { document: { querySelectorAll: () => [table] } });
    const order = (column: number) => {
      press({ target: { closest: () => headings[column] } });
      return rows.map(({ cells }) => cells[0].dataset.v).join("");
    };
    expect([order(1), order(1), order(0), order(0)]).toEqual(["abc", "cba", "abc", "cba"]);
    expect(headings.map(({ attributes }) => attributes.get("aria-sort"))).toEqual(["descending", undefined]);
  });

  it("shows names as text, the finding, and every node", () => {
    expect(page).toContain("a &#38; b");
    expect(page).toContain("&#60;script&#62;alert");
    expect(page).toContain("values are outside");
    expect(page.match(/<tr class="bad">/g)).toHaveLength(1);
    expect(page.match(/<figure class="bad">/g)).toHaveLength(1);
  });
});
