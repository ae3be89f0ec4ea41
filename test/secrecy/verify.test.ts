/**
 * A plan belongs to a model: compiled again with what the plan says of its making, the model gives the same plan, and
 * nobody shares weights for another one. Other weights than those of the plan are refused, not run.
 */
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, utimesSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { writeModel } from "../../formats/onnx/write.js";
import { compile, openPlan, PumacError, prepare, verify } from "../../index.js";
import { planDigest } from "../../ir/plan/codec.js";
import { dataSets, OWN_FIXTURES, readTensors } from "../onnx/support.js";

const folder = mkdtempSync(join(tmpdir(), "pumac-verify-"));
const state = process.env.XDG_STATE_HOME;
beforeAll(() => {
  process.env.XDG_STATE_HOME = join(folder, "state");
});
afterAll(() => {
  process.env.XDG_STATE_HOME = state;
  rmSync(folder, { recursive: true });
});

function forget(): void {
  rmSync(join(folder, "state"), { recursive: true, force: true });
}

/** x · w + b, revealed as y; `change` is what another owner's weights are. */
function write(name: string, change: (w: Float64Array) => void = () => undefined): string {
  const path = join(folder, name);
  const w = Float64Array.from({ length: 16 }, (_, i) => Math.sin(i + 1));
  change(w);
  writeModel(path, {
    opsets: { "": 17 },
    graph: {
      name: "g",
      inputs: [{ name: "x", dtype: "f32", shape: [2, 4] }],
      outputs: [{ name: "y", dtype: "f32", shape: [2, 4] }],
      nodes: [
        { op: "MatMul", inputs: ["x", "w"], outputs: ["xw"] },
        { op: "Gelu", inputs: ["xw"], outputs: ["y"] },
      ],
      tensors: [{ name: "w", dtype: "f32", shape: [4, 4], data: w }],
    },
  });
  return path;
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return "accepted";
  } catch (error) {
    if (error instanceof PumacError) {
      return error.diagnostics[0].code;
    }
    throw error;
  }
}

const GIVEN = {
  tensors: {
    x: [
      [1, 0, 0, 0],
      [0, 1, 0, 0],
    ],
  },
};

describe("a plan of a model", () => {
  it.each([
    ["the default", {}],
    ["profile puma", { profile: "puma" as const }],
    ["another network and precision", { network: "400mbps,40ms", precision: { activation: 12, weight: 12 } }],
  ])("is verified with %s", async (_, options) => {
    const path = join(folder, "plan.pumac");
    (await compile(write("model.onnx"), options)).save(path);
    forget();
    expect(await codeOf(verify(path))).toBe("accepted");
  });

  it("is verified with the options of real exports", async () => {
    const name = "bert_cls.t5.legacy.eager.op11.dyn";
    const inputs = readTensors(join(OWN_FIXTURES, name, dataSets(join(OWN_FIXTURES, name))[0]), "input");
    const shapes = Object.fromEntries(inputs.map((each) => [each.name, each.value.shape]));
    const path = join(folder, "bert.pumac");
    const secret = [inputs.find((each) => each.name.includes("mask"))!.name];
    (await compile(join(OWN_FIXTURES, name, "model.onnx"), { shapes, secret })).save(path);
    forget();
    expect(await codeOf(verify(path))).toBe("accepted");
  });

  it("is refused where it was forged: a weight in the reveal's place, another constant, no formula", async () => {
    const { plan, files } = await compile(write("model.onnx"));
    const at = (op: string, owner?: string) =>
      plan.steps.findIndex((step) => step.op === op && (owner === undefined || step.attributes.owner === owner));
    const [reveal, weight, series] = [at("reveal"), at("input", "model"), at("series")];
    expect([reveal, weight, series].every((i) => i >= 0)).toBe(true);
    const withStep = (i: number, change: object) => ({
      ...plan,
      steps: plan.steps.with(i, { ...plan.steps[i], ...change }),
    });
    const forged = [
      // The first is not even a sound plan: no file that holds it is read.
      [withStep(reveal, { args: [weight], type: plan.steps[weight].type }), "E0303"],
      [withStep(series, { attributes: { ...plan.steps[series].attributes, constant: 1 } }), "E0801"],
      [{ ...plan, published: [{ name: "nothing", shape: [], why: "a mask" }] }, "E0801"],
      [{ ...plan, formulas: [] }, "E0801"],
    ] as const;
    for (const [each, code] of forged) {
      forget();
      expect(await codeOf(verify({ plan: each, digest: planDigest(each), files }))).toBe(code);
    }
    expect(await codeOf(verify({ plan, digest: planDigest(plan), files }))).toBe("accepted");
  });

  it("is remembered, and compiled again where nothing is known of it", async () => {
    const [model, path] = [write("model.onnx"), join(folder, "plan.pumac")];
    (await compile(model)).save(path);
    const memory = join(folder, "state", "pumac", "verified", `${openPlan(path).digest}.json`);
    expect(existsSync(memory)).toBe(true);
    forget();
    expect(await codeOf(prepare(path, GIVEN))).toBe("accepted");
    expect(existsSync(memory)).toBe(true);
    // The same weights in a file of another time are read again, and found the same.
    utimesSync(model, 1, 1);
    expect(await codeOf(prepare(path, GIVEN))).toBe("accepted");
    expect(readFileSync(memory, "utf8")).not.toContain("Math");
  });

  it("is not run with other weights", async () => {
    const [model, path] = [write("model.onnx"), join(folder, "plan.pumac")];
    (await compile(model)).save(path);
    const swapped = write("swapped.onnx", (w) => w.reverse());
    // Remembered: any other weights are refused, those with the same extremes too.
    expect(await codeOf(prepare(openPlan(path, [swapped]), GIVEN))).toBe("E0801");
    // Unknown: refused where the extremes differ.
    forget();
    const scaled = write("scaled.onnx", (w) => w.set(w.map((x) => 2 * x)));
    expect(await codeOf(prepare(openPlan(path, [scaled]), GIVEN))).toBe("E0801");
    expect(await codeOf(prepare(openPlan(path, [scaled]), GIVEN, { trusted: [openPlan(path).digest] }))).toBe(
      "accepted",
    );
    cpSync(model, join(folder, "copy.onnx"));
    expect(await codeOf(prepare(openPlan(path, [join(folder, "copy.onnx")]), GIVEN))).toBe("accepted");
  });
});
