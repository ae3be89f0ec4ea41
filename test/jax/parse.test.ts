/** The reader and the printer of StableHLO text: every file of StableHLO's suites and of the fixtures round-trips. */
import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import type { Module } from "../../compiler/jax/ast.js";
import { parseStableHlo } from "../../compiler/jax/parser.js";
import { printModule } from "../../compiler/jax/printer.js";
import { PumacError } from "../../ir/diagnostics.js";
import { dataFolder, extractStableHloTests } from "./data.js";

/** The tree without the places in the text. */
function comparable(module: Module): unknown {
  return JSON.parse(JSON.stringify(module, (key, value) => (key === "position" ? undefined : value)));
}

function expectRoundTrip(path: string): Module {
  const module = parseStableHlo(readFileSync(path, "utf8"), basename(path));
  const again = parseStableHlo(printModule(module), "printed");
  expect(comparable(again)).toEqual(comparable(module));
  return module;
}

function problemsOf(text: string): readonly string[] {
  try {
    parseStableHlo(text, "bad.mlir");
  } catch (error) {
    if (error instanceof PumacError) {
      return error.diagnostics.map((each) => `${each.where} ${each.what}`);
    }
    throw error;
  }
  return [];
}

const suite = extractStableHloTests();
afterAll(() => suite?.remove());

describe.skipIf(suite === undefined)("StableHLO's own files", () => {
  it("has all of them", () => {
    expect(suite!.testdata.length + suite!.interpret.length).toBeGreaterThan(330);
  });
  it.each(suite?.interpret.map((path) => [basename(path), path]) ?? [])(
    "interpret/%s parses and prints back",
    (_, path) => {
      expect(expectRoundTrip(path).operations.length).toBeGreaterThan(0);
    },
  );
  it("testdata parse and print back", () => {
    for (const path of suite!.testdata) {
      expectRoundTrip(path);
    }
  });
});

const fixtures = dataFolder("fixtures-jax");

describe.skipIf(fixtures === undefined)("JAX's modules", () => {
  const files = (fixtures === undefined ? [] : readdirSync(fixtures)).flatMap((name) =>
    ["stablehlo", "debuginfo", "exported"].map((form) => [`${name}/module.${form}.mlir`]),
  );
  it.each(files)("%s parses and prints back", (file) => {
    expectRoundTrip(join(fixtures!, file));
  });
});

describe("malformed text", () => {
  const main = (body: string): string =>
    `module {\n  func.func @main(%x: tensor<2xf32>) -> tensor<2xf32> {\n${body}\n  }\n}\n`;

  it("is told with line and column, all at once", () => {
    const text = main(
      "    %0 = stablehlo.add %x %x : tensor<2xf32>\n    %1 = stablehlo.tanh %x : tensor<2xf32\n" +
        "    return %x : tensor<2xf32>",
    );
    const problems = problemsOf(text);
    expect(problems[0]).toMatch(/^bad\.mlir:3:2\d /);
    expect(problems.some((problem) => problem.startsWith("bad.mlir:5:"))).toBe(true);
  });

  it.each([
    ["", /1:1 the module is empty/],
    [main("    %0 = stablehlo.constant dense<[[1.0], [2.0, 3.0]]> : tensor<2xf32>"), /differ in length/],
    [main('    %0 = "stablehlo.add"(%x, %x) : (tensor<2xf32>) -> tensor<2xf32>'), /2 operands and 1 operand types/],
    [main("    %0:2 = stablehlo.tanh %x : tensor<2xf32>"), /1 results, and 2 are named/],
    [main('    %0 = stablehlo.constant dense<"0xZZ"> : tensor<2xf32>'), /not hexadecimal/],
    [`${"(".repeat(5000)}`, /expected an operation/],
    [main(`    %0 = stablehlo.tanh %x : ${"tuple<".repeat(5000)}`), /nested too deeply/],
  ])("case %#", (text, what) => {
    expect(problemsOf(text).join("\n")).toMatch(what);
  });
});
