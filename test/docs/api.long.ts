/** docs/api is what TypeDoc makes of index.ts: `npm run docs` writes it again. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";

const ROOT = join(import.meta.dirname, "..", "..");
const folder = mkdtempSync(join(tmpdir(), "pumac-api-"));
afterAll(() => rmSync(folder, { recursive: true }));

it("is up to date", () => {
  execFileSync(process.execPath, [join("node_modules", "typedoc", "bin", "typedoc"), "--out", folder], { cwd: ROOT });
  expect(readFileSync(join(folder, "README.md"), "utf8")).toBe(readFileSync(join(ROOT, "docs/api/README.md"), "utf8"));
});
