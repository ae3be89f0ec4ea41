/** The error catalogue: its page in docs is up to date, and every code says its own exit status. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { catalogueMarkdown } from "../../cli/explain.js";
import { CATALOGUE } from "../../ir/catalogue.js";

describe("the error catalogue", () => {
  it("is the page docs/errors.md", () => {
    const page = readFileSync(join(import.meta.dirname, "..", "..", "docs", "errors.md"), "utf8");
    expect(page).toBe(catalogueMarkdown());
  });

  it("has codes whose first two digits are the exit status", () => {
    for (const [code, { exit }] of Object.entries(CATALOGUE)) {
      expect(Number(code.slice(1, 3)), code).toBe(exit);
    }
  });
});
