/** The reader and the printer of StableHLO text: every file of StableHLO's own suites and of our fixtures round-trips. */
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
