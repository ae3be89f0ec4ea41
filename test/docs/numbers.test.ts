/** The README's table says what docs/numbers.json says: `npm run docs:numbers` writes both. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { readNumbers, tableOf, withTable } from "../../scripts/numbers.mjs";

const page = readFileSync(join(import.meta.dirname, "..", "..", "README.md"), "utf8");

it("the README's table is made from docs/numbers.json", () => {
  const numbers = readNumbers();
  expect(numbers.length).toBeGreaterThan(4);
  expect(withTable(page, numbers)).toBe(page);
});

it("another number would be another table", () => {
  const [first, ...rest] = readNumbers();
  expect(tableOf([{ ...first, rounds: first.rounds + 1 }, ...rest])).not.toBe(tableOf([first, ...rest]));
  expect(() => withTable("no table", [first])).toThrow();
});
