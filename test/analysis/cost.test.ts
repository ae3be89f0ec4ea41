/** The cost report: every grouping sums to the whole, rounds to the critical path, and a run takes just that. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type CostReport, costReport, type ReportedLine } from "../../analysis/cost.js";
import { layerOf, nameInLayer } from "../../analysis/origins.js";
import { papersOf } from "../../analysis/papers.js";
import { parseNetwork } from "../../compiler/network.js";
import { PumacError } from "../../ir/diagnostics.js";
import { planFor, randomProgram } from "../plan/support.js";
import { runPlan } from "../share/harness.js";

const seeds = fc.integer({ min: 0, max: 2 ** 31 - 1 });

function groupings(report: CostReport): readonly (readonly ReportedLine[])[] {
  return [report.nodes, report.layers, report.ops, report.shares, report.perRound, report.rings];
}

describe("the cost report", () => {
  test("sums exactly in every grouping, and to the links", () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const report = costReport(planFor(randomProgram(seed)));
        const { rounds, bytes, macs } = report.cost;
        for (const lines of groupings(report)) {
          const sum = (pick: (line: ReportedLine) => number) => lines.reduce((total, line) => total + pick(line), 0);
          expect(sum((line) => line.rounds)).toBe(rounds);
          expect(sum((line) => line.bytes.online)).toBe(bytes.online);
          expect(sum((line) => line.bytes.offline)).toBe(bytes.offline);
          expect(sum((line) => line.bytes.total)).toBe(bytes.total);
          expect(sum((line) => line.macs)).toBe(macs.P0 + macs.P1 + macs.P2);
          expect(new Set(lines.map(({ name }) => name)).size).toBe(lines.length);
        }
        const { links } = bytes;
        expect(links["P0>P1"]).toBe(0);
        expect(links["P0>P2"] + links["P1>P2"] + links["P2>P1"]).toBe(bytes.total);
        expect(links["owner>P0"] + links["owner>P1"] + links["owner>P2"]).toBe(bytes.input);
        expect(links["P1>owner"] + links["P2>owner"]).toBe(bytes.output);
      }),
    );
  });

  test("is what a run sends, to the byte, and the rounds it takes", async () => {
    await fc.assert(
      fc.asyncProperty(seeds, async (seed) => {
        const plan = planFor(randomProgram(seed));
        const { rounds, bytes } = costReport(plan).cost;
        const { reports, close } = await runPlan(plan, (_name, count) => new BigUint64Array(count).fill(5n), { seed });
        close();
        expect([reports.P1.rounds, reports.P2.rounds]).toEqual([rounds, rounds]);
        const { P0, P1, P2 } = reports;
        expect({ ...P0.sent }).toEqual({ P0: 0, P1: 0, P2: bytes.links["P0>P2"], model: 0, data: 0 });
        expect({ ...P1.sent }).toEqual({
          ...{ P0: 0, P1: 0, model: 0 },
          ...{ P2: bytes.links["P1>P2"], data: bytes.links["P1>owner"] },
        });
        expect({ ...P2.sent }).toEqual({
          ...{ P0: 0, P2: 0, model: 0 },
          ...{ P1: bytes.links["P2>P1"], data: bytes.links["P2>owner"] },
        });
      }),
      { numRuns: 20 },
    );
  });

  test("estimates time by its formula, part by part", () => {
    const plan = planFor(randomProgram(3));
    const { cost } = costReport(plan, parseNetwork("400mbps,40ms"));
    const { links } = cost.bytes;
    const { parts, estimate, network, sharing } = cost.seconds;
    expect(network).toBe("400mbps,40ms");
    expect(parts.delay).toBeCloseTo(cost.rounds * 0.0201, 12);
    expect(parts.transfer).toBeCloseTo((8 * (links["P0>P2"] + links["P1>P2"])) / 400e6, 12);
    const moved = { P0: links["P0>P2"], P1: 2 * links["P1>P2"], P2: 2 * links["P1>P2"] + links["P0>P2"] };
    const computed = (["P0", "P1", "P2"] as const).map((party) => cost.macs[party] / 20e9 + 2.1e-9 * moved[party]);
    expect(parts.compute).toBeCloseTo(Math.max(...computed) + plan.steps.length * 0.13e-3, 15);
    expect(sharing).toBeCloseTo((8 * cost.bytes.input) / 400e6, 12);
    expect(estimate).toBeCloseTo(parts.delay + parts.transfer + parts.compute, 15);
  });

  test("names the papers behind the ops", () => {
    expect(papersOf([{ op: "series" }]).map(({ where }) => where)).toEqual(["Financial Cryptography 2018"]);
    expect(papersOf(planFor(randomProgram(1)).steps).some(({ title }) => title.startsWith("ASTRA"))).toBe(true);
  });
});

describe("networks", () => {
  test.each([
    ["lan", 5e9, 1e-3],
    ["WAN", 400e6, 40e-3],
    ["5gbps,1ms", 5e9, 1e-3],
    ["20Gbps, 0.1ms", 20e9, 1e-4],
    ["100kbps,2s", 1e5, 2],
    ["9mbps,50us", 9e6, 5e-5],
  ])("%s", (text, bandwidth, roundTrip) => {
    expect(parseNetwork(text).bandwidth).toBeCloseTo(bandwidth, 3);
    expect(parseNetwork(text).roundTrip).toBeCloseTo(roundTrip, 12);
  });

  test.each(["", "fast", "5gbps", "5,1", "0gbps,1ms", "1.2.3gbps,1ms", "-5gbps,1ms", "constructor"])(
    "not %j",
    (text) => {
      expect(() => parseNetwork(text)).toThrow(PumacError);
    },
  );
});

describe("origins", () => {
  test.each([
    ["/m/bert/encoder/layer.0/output/dense/MatMul", "encoder.0", "output/dense/MatMul"],
    ["m.bert.encoder.layer.11.attention.self/node_softmax", "encoder.11", "attention.self/node_softmax"],
    ["m.transformer.h.3/node_add_5", "h.3", "node_add_5"],
    ["m.model.layers.7.mlp.act_fn/node_silu", "layers.7", "mlp.act_fn/node_silu"],
    ["FlaxBert/encoder/layer/2/output/dot_general", "encoder.2", "output/dot_general"],
    ["model/layers_4/mlp/add", "layers.4", "mlp/add"],
    ["/m/bert/embeddings/LayerNorm/Div", "embeddings", "LayerNorm/Div"],
    ["/m/classifier/Gemm", "classifier", "Gemm"],
    ["/MatMul_12", "other", "MatMul_12"],
  ])("%s", (name, layer, rest) => {
    expect(layerOf(name)).toBe(layer);
    expect(nameInLayer(name)).toBe(rest);
  });
});
