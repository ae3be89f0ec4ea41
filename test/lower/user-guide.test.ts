/** The user guide's table of operators on secrets names every op that has a rule, and none that the house lacks. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { hasSecretMeaning } from "../../compiler/lower/index.js";
import { TENSOR } from "../../ir/tensor/index.js";

const GUIDE = readFileSync(join(import.meta.dirname, "..", "..", "docs", "user-guide.md"), "utf8");
const SECTION = GUIDE.split("## ").find((part) => part.startsWith("Operators on secrets"))!;
const ROWS = SECTION.split("\n").filter((line) => line.startsWith("| `"));

const named = new Set(ROWS.flatMap((row) => [...row.split(" | ")[0].matchAll(/`(\w+)`/g)].map(([, op]) => op)));

test("every op with a meaning on secrets has a row", () => {
  expect(Object.keys(TENSOR.ops).filter((op) => hasSecretMeaning(op) && !named.has(op))).toEqual([]);
});

test("rows name tensor ops, each once", () => {
  expect([...named].filter((op) => !Object.hasOwn(TENSOR.ops, op))).toEqual([]);
  const all = ROWS.flatMap((row) => [...row.split(" | ")[0].matchAll(/`(\w+)`/g)].map(([, op]) => op));
  expect(all.length).toBe(named.size);
});
