/** docs/models.md is what `npm run models` makes of what was tried, and nothing that was tried is wrong. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { pageOf, type Tried } from "../../bench/models/page.js";

const DOCS = join(import.meta.dirname, "../../docs");
const tried: readonly Tried[] = JSON.parse(readFileSync(join(DOCS, "models.json"), "utf8"));

it("says of every export what came of it", () => {
  expect(readFileSync(join(DOCS, "models.md"), "utf8")).toBe(pageOf(tried));
  expect(tried.length).toBeGreaterThan(100);
});
