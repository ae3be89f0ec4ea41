/** The table and the plots of docs/accuracy.md: every function stands there, with what was measured. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { FUNCTION_CASES } from "../../analysis/accuracy/cases.js";
import { functionTable, measureAll } from "../../analysis/accuracy/markdown.js";
import { errorPlots } from "../../analysis/accuracy/plots.js";

const PAGE = join(import.meta.dirname, "..", "..", "docs", "accuracy.md");

test("the page has a row for every function and profile", () => {
  const page = readFileSync(PAGE, "utf8");
  for (const given of FUNCTION_CASES) {
    const rows = page.split("\n").filter((line) => line.startsWith(`| ${given.name.replaceAll("|", "\\|")} | `));
    expect(rows.length, given.name).toBe([given.fourier, given.puma].filter((stated) => stated !== undefined).length);
  }
});

test("the table says what was measured, the plots show both profiles", async () => {
  const gelu = FUNCTION_CASES.filter(({ name }) => name === "GELU (erf)");
  const measured = await measureAll(gelu);
  const rows = functionTable(measured).split("\n").slice(2);
  expect(rows.map((row) => row.split(" | ").slice(3, 5))).toEqual([
    ["fourier", "2.0·10⁻³"],
    ["puma", "2.2·10⁻²"],
  ]);
  const svg = errorPlots(measured);
  expect(svg.match(/<path d="M[\d.]+ /g)).toHaveLength(3);
  expect(svg).not.toMatch(/NaN|undefined|Infinity/);
});
