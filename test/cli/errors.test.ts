/** The error catalogue: its page in docs is up to date, and every code says its own exit status. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { createProgram } from "../../cli/program.js";
import { CATALOGUE } from "../../ir/catalogue.js";
import { describeErrors } from "../../ir/docs.js";
import { MENDS } from "../../ir/mends.js";

describe("the error catalogue", () => {
  it("is the page docs/errors.md", () => {
    const page = readFileSync(join(import.meta.dirname, "..", "..", "docs", "errors.md"), "utf8");
    expect(page).toBe(describeErrors());
  });

  it("names options that there are, in examples and mends", async () => {
    const { commands } = await createProgram(undefined);
    const all = [...commands, ...commands.flatMap((command) => command.commands)];
    const options = new Set(["--help", ...all.flatMap((command) => command.options.map(({ long }) => long))]);
    for (const [code, { example, mend }] of Object.entries(MENDS)) {
      for (const [option] of `${example} ${mend}`.matchAll(/--[a-z][a-z-]*/g)) {
        expect(options, code).toContain(option);
      }
    }
  });

  it("has codes whose first two digits are the exit status", () => {
    for (const [code, { exit }] of Object.entries(CATALOGUE)) {
      expect(Number(code.slice(1, 3)), code).toBe(exit);
    }
  });
});
