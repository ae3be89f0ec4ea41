/**
 * The accuracy report: on a healthy model every node is compared and good; where an input is larger than the plan's
 * ranges, or a formula too coarse, it names the first bad node and what to change. Its page is safe to open.
 */
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { policy } from "../../analysis/pages/frame.js";
import { renderReport } from "../../analysis/pages/report/page.js";
import { reportRun } from "../../analysis/report/analysis.js";
import type { AccuracyReport } from "../../analysis/report/types.js";
import { runOwners } from "../../client/owners.js";
import { type CompileOptions, compileModel } from "../../compiler/compile.js";
import { importModel } from "../../compiler/import.js";
import { planDigest } from "../../ir/plan/codec.js";
import type { TensorValue } from "../../ir/tensor/value.js";
import { OWN_FIXTURES, readTensors } from "../onnx/support.js";
import { madeReport } from "./made-report.js";

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

it("of a plan whose owner shares weights times factors has the values without them", async () => {
  const { nodes, first } = await reportOf(VIT, { calibration: [inputsOf(VIT)] });
  expect(first).toBeNull();
  expect(nodes.filter(({ bad }) => bad)).toEqual([]);
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

describe("the page of a report", () => {
  const page = renderReport(madeReport([{ name: '<script>alert("x")</script>', error: 0.5 }]));

  it("loads nothing, and runs only the script that its policy names", () => {
    const [before, data, script] = page.split(/<script[^>]*>|<\/script>/).filter((text) => text !== "");
    expect(before).not.toMatch(/\b(src|href="[^#]|style|on\w+)=/);
    expect(data).not.toContain("<");
    expect(page).toContain(`content="${policy(script)}"`);
  });

  it("shows names as text, the finding, and every node", () => {
    expect(page).toContain("a &#38; b");
    expect(page).toContain("&#60;script&#62;alert");
    expect(page).toContain("values are outside");
    expect(page.match(/<tr class="bad">/g)).toHaveLength(1);
    expect(page.match(/<figure class="bad">/g)).toHaveLength(1);
  });
});
