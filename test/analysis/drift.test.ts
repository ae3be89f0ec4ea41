/**
 * No drift between simulated and run: in whole compiled models every share op's value, as the three roles hold it, is
 * what the share language means on the arguments that they hold, within the ulp that the op declares. One small fixture
 * of every family and front end, both profiles.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { sumOfProducts } from "../../analysis/report/fixed.js";
import { RoleTrace } from "../../client/local/roles.js";
import { simulate } from "../../client/local/simulation.js";
import { runOwners } from "../../client/owners.js";
import { type Compiled, type CompileOptions, compileModel } from "../../compiler/compile.js";
import { importModel } from "../../compiler/import.js";
import { SafetensorsFile } from "../../formats/safetensors.js";
import { planDigest } from "../../ir/plan/codec.js";
import type { Step } from "../../ir/plan/types.js";
import type { ShareValue, WordType } from "../../ir/share/index.js";
import type { TensorValue } from "../../ir/tensor/value.js";
import { DATA, OWN_FIXTURES, readTensors } from "../onnx/support.js";
import { errorOf, evaluate } from "../share/meaning.js";

type Values = ReadonlyMap<string, TensorValue>;

/** The same as `evaluate`, large matrix products in doubles (test/analysis/fixed.test.ts holds the two together). */
function meaning(step: Step, args: readonly ShareValue[]): ShareValue {
  return step.op === "matmul" && (step.attributes.keep as readonly number[]).length === 0
    ? sumOfProducts(args, step.attributes.drop as number, step.type as WordType)
    : evaluate(step, args);
}

/** Places of a widen's argument where the op has no meaning: it is only right within a quarter of the ring. */
function outsideOf({ op }: Step, [x]: readonly ShareValue[]): readonly number[] {
  if (op !== "widen") {
    return [];
  }
  const { ring } = x.type as WordType;
  const limit = 1n << BigInt(ring - 2);
  const isOutside = (word: bigint): boolean => {
    const signed = BigInt.asIntN(ring, word);
    return signed >= limit || signed < -limit;
  };
  return [...x.value.keys()].filter((i) => isOutside(x.value[i]));
}

/**
 * Formulas of PUMA compute nonsense outside of their piece, which may leave the range of a `widen`; a comparison then
 * selects another piece.
 */
const PIECES: ReadonlySet<string> = new Set(["gelu", "silu", "softmax"]);

/** Runs a plan and compares every step; how many were compared, and those that differ. */
async function drift({ plan, weights }: Compiled, inputs: Values) {
  const lastUse = new Map(plan.steps.flatMap(({ args }, i) => args.map((argument) => [argument, i] as const)));
  const live = new Map<number, ShareValue>();
  const wrong: string[] = [];
  let compared = 0;
  const trace = new RoleTrace(
    plan,
    () => true,
    (i, value) => {
      const step = plan.steps[i];
      live.set(i, value);
      if (step.op !== "input") {
        const values = step.args.map((argument) => live.get(argument)!);
        const outside = outsideOf(step, values);
        const { error, allowed } = errorOf(step, values, value, (given, known) => {
          const expected = meaning(given, known).value;
          for (const place of outside) {
            expected[place] = value.value[place];
          }
          return { type: value.type, value: expected };
        });
        compared++;
        if (outside.length > 0 && !(plan.profile === "puma" && PIECES.has(plan.origins[step.origin].op))) {
          wrong.push(`${step.op} at ${plan.origins[step.origin].node}: ${outside.length} values are out of its range`);
        }
        if (error > allowed) {
          wrong.push(`${step.op} at ${plan.origins[step.origin].node}: off by ${error}, declared is ${allowed}`);
        }
      }
      for (const argument of step.args.filter((each) => lastUse.get(each) === i)) {
        live.delete(argument);
      }
    },
  );
  const values = runOwners(plan, inputs, weights);
  await simulate({ plan, digest: planDigest(plan) }, values, 7, { observe: trace.observe });
  return { compared, expected: plan.steps.filter(({ op }) => op !== "input").length, wrong };
}

async function checkOnnx(folder: string, options: CompileOptions): Promise<void> {
  const inputs = new Map(
    readTensors(join(folder, "test_data_set_0"), "input").map(({ name, value }) => [name, value] as const),
  );
  const shapes = Object.fromEntries([...inputs].map(([name, { shape }]) => [name, shape]));
  const compiled = await compileModel(join(folder, "model.onnx"), { shapes, ...options });
  const { compared, expected, wrong } = await drift(compiled, inputs);
  expect(wrong).toEqual([]);
  expect(compared).toBe(expected);
}

const OWN = [
  "bert_cls.t5.legacy.eager.op11.dyn",
  "gpt2_kv.t5.legacy.eager.op14.dyn.ortpy",
  "llama_lm.t5.legacy.eager.op14.dyn.ortall",
  "vit_cls.t5.legacy.eager.op14.dyn",
];

describe.each(["fourier", "puma"] as const)(
  "the roles compute what the share language means, profile %s",
  (profile) => {
    it.each(OWN)("%s", async (name) => {
      await checkOnnx(join(OWN_FIXTURES, name), { profile });
    });
  },
);

const FOLDERS = [
  "distilbert_cls.t5.legacy.eager.op14.dyn",
  "roberta_cls.t5.legacy.eager.op14.dyn",
  "t5_enc.t5.legacy.eager.op14.dyn",
];

describe.skipIf(!existsSync(join(DATA, "fixtures-onnx")))("likewise for the other families (PUMAC_DATA)", () => {
  it.each(FOLDERS)("%s", async (name) => {
    await checkOnnx(join(DATA, "fixtures-onnx", name), {});
  });

  it.each([
    ["flax_gpt2_lm", 28],
    ["flax_llama_lm", 21],
    ["flax_vit_cls", 40],
  ] as const)("%s", async (name, weights) => {
    const folder = join(DATA, "fixtures-jax", name);
    const file = join(folder, "io.safetensors");
    const module = join(folder, "module.hlo.pb");
    const owned = { weightsFile: file, weightArguments: [`0-${weights - 1}`] };
    const { inputs: declared } = await importModel(module, { dims: {}, shapes: {}, ...owned });
    const io = SafetensorsFile.open(file);
    const inputs = new Map(
      declared.map((input, i) => [input.name, io.read(`arg${String(weights + i).padStart(3, "0")}`)] as const),
    );
    const options = { ...owned, public: declared.slice(2).map((input) => input.name), calibration: [inputs] };
    const { compared, expected, wrong } = await drift(await compileModel(module, options), inputs);
    expect(wrong).toEqual([]);
    expect(compared).toBe(expected);
  });
});
