/** `pumac bench` measures what it says, and its forms show the same numbers. */
import { join } from "node:path";
import { expect, it } from "vitest";
import type { BenchLine } from "../../analysis/bench/measure.js";
import { BENCH_FORMS } from "../../analysis/bench/table.js";
import { OWN_FIXTURES } from "../onnx/support.js";
import { pumac } from "./command.js";

const MODEL = join(OWN_FIXTURES, "bert_cls.t5.legacy.eager.op11.dyn", "model.onnx");

it("compares a run, a first session and a further answer with onnxruntime", { timeout: 180_000 }, async () => {
  const { stdout } = await pumac("bench", MODEL, "--dim", "batch=1,seq=8", "--sessions", "1", "-o", "json");
  const { models } = JSON.parse(stdout) as { models: readonly BenchLine[] };
  expect(models).toHaveLength(1);
  const [line] = models;
  expect(line.onnxruntime!.cpu).toBeGreaterThan(0);
  // A session has the run in it, and starts three processes.
  expect(line.ratio.session).toBeGreaterThan(line.ratio.run!);
  expect(line.ratio.run).toBeCloseTo(line.run.cpu / line.onnxruntime!.cpu, 6);
  expect(line.ratio.again).toBeCloseTo(line.again.cpu / line.onnxruntime!.cpu, 6);
  expect(line.rounds).toBeGreaterThan(0);
  expect(line.memory.P2).toBeGreaterThan(0);
  expect(line.alarm).toBe(false);
  expect(line.difference.of).toBeGreaterThan(0);
  expect(line.difference.most).toBeLessThan(0.02);
  const shown = `${line.ratio.session!.toPrecision(3)}×`;
  expect(BENCH_FORMS.table(models)).toContain(shown);
  expect(BENCH_FORMS.html([{ ...line, name: "<model>" }])).toContain(shown);
  expect(BENCH_FORMS.html([{ ...line, name: "<model>" }])).not.toContain("<model>");
});
