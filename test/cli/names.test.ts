/**
 * Protects: a name that the model does not have is an error, whatever option it stands under, all of them at once and
 * with what was probably meant; a secret that is misspelled must not become public.
 */
import { describe, expect, it } from "vitest";
import { allowed, checkOutputOptions, parseTolerance } from "../../client/outputs.js";
import { checkNames, type GivenNames } from "../../compiler/names.js";
import { parseValue } from "../../formats/bindings.js";
import type { PumacError } from "../../ir/diagnostics.js";

const ONNX = { inputs: ["input_ids", "attention_mask"], outputs: ["logits", "hidden"], dims: ["batch", "sequence"] };
const JAX = {
  ...{ inputs: ["x"], outputs: ["y"], dims: [] },
  arguments: { names: ["params['w']", "params['b']", "x"], filed: 2 },
};

function problems(action: () => void): string[] {
  try {
    action();
    return [];
  } catch (error) {
    return (error as PumacError).diagnostics.map(({ code, what, fix }) => `${code} ${what}: ${fix}`);
  }
}

const check = (given: GivenNames, declared = ONNX) => problems(() => checkNames(given, declared));

describe("names", () => {
  it("that the model has are no error", () => {
    const given = {
      ...{ dims: { batch: 1, sequence: 4 }, shapes: { input_ids: [1, 4] }, secret: ["attention_mask"] },
      ...{ public: ["input_ids"], reveal: ["token", "hidden"] },
    };
    expect(check(given)).toEqual([]);
    expect(check({ weightArguments: ["params", "0-1", "arg2"], weightsFile: "w.safetensors" }, JAX)).toEqual([]);
  });

  it("that it has not are told at once, with the nearest ones", () => {
    const given = {
      ...{ dims: { btach: 1 }, shapes: { ids: [1] }, secret: ["attention_masks"], public: ["inputids"] },
      ...{ reveal: ["logit"], values: { attention_masc: 1 } },
    };
    expect(check(given)).toEqual([
      "E0201 --dim: there is no open dimension 'btach': did you mean batch?",
      "E0201 --shape: there is no input 'ids': known are input_ids, attention_mask",
      "E0201 --value: there is no input 'attention_masc': did you mean attention_mask?",
      "E0201 --secret: there is no input 'attention_masks': did you mean attention_mask?",
      "E0201 --public: there is no input 'inputids': did you mean input_ids?",
      "E0201 --reveal: there is no output 'logit': did you mean logits?",
    ]);
  });

  it("are matched in --value with what it takes as a value", () => {
    expect(parseValue("use_cache_branch=true")).toEqual(["use_cache_branch", { data: [1] }]);
    expect(parseValue("lengths=3,-1.5")).toEqual(["lengths", { data: [3, -1.5] }]);
    expect(parseValue("x=1x2xi64=3,4")).toMatchObject(["x", { shape: [1, 2], dtype: "i64" }]);
    for (const text of ["x", "=1", "x=", "x=maybe", "x=1,,2", "true"]) {
      expect(problems(() => parseValue(text))).toEqual([
        `E0201 '${text}' gives no value: write --value use_cache_branch=true`,
      ]);
    }
  });

  it("cannot be secret and public", () => {
    expect(check({ secret: ["input_ids"], public: ["input_ids"] })).toHaveLength(1);
  });

  it("of weights belong to an argument, and a weights file to at least one", () => {
    expect(check({ weightArguments: ["parms", "7-9"] }, JAX)).toHaveLength(2);
    const none = { ...JAX, arguments: { ...JAX.arguments, filed: 0 } };
    expect(check({ weightsFile: "w.safetensors" }, none)).toEqual([
      expect.stringContaining("no argument of the model takes anything of the weights file"),
    ]);
    expect(check({ weightsFile: "w.safetensors" })).toHaveLength(1);
  });

  it("of outputs are the plan's", () => {
    const options = { output: ["logit=@a.npy", "z=@b.npy"], expect: [], tolerance: 1 };
    expect(problems(() => checkOutputOptions(options, ["logits"]))).toEqual([
      "E0201 --output: there is no output 'logit': did you mean logits?",
      "E0201 --output: there is no output 'z': known are logits",
    ]);
  });
});

describe("a tolerance", () => {
  it.each([
    ["1e-3", 100, 1e-3],
    ["0", 100, 0],
    ["0.5%", 100, 0.5],
    [" 2 % ", 10, 0.2],
  ])("'%s' allows of values up to %d a difference of %d", (text, largest, most) => {
    expect(allowed(parseTolerance(text), largest)).toBeCloseTo(most, 12);
  });

  it("is by default 2⁻⁹ of the largest value, 0.02 at least", () => {
    expect(allowed("usual", 1)).toBe(0.02);
    expect(allowed("usual", 10.24)).toBe(0.02);
    expect(allowed("usual", 5120)).toBe(10);
  });

  it.each(["", "-1", "x", "%", "1e999", "-1%"])("is not '%s'", (text) => {
    expect(problems(() => void parseTolerance(text))[0]).toMatch(/^E0201/);
  });
});
