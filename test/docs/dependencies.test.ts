/** docs/dependencies.md has a whole row for every package of package.json, and for no other. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";

const ROOT = join(import.meta.dirname, "..", "..");
const page = readFileSync(join(ROOT, "docs", "dependencies.md"), "utf8");
const manifest = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));

/** The rows under a heading, as cells. */
function rowsUnder(heading: string): readonly (readonly string[])[] {
  const part = page.split(/^## /m).find((each) => each.startsWith(heading))!;
  const lines = part.split("\n").filter((line) => line.startsWith("|"));
  return lines.slice(2).map((line) =>
    line
      .slice(1, -1)
      .split("|")
      .map((cell) => cell.trim()),
  );
}

it.each([
  ["What users install", "dependencies"],
  ["What developers install", "devDependencies"],
])("%s is what package.json says under %s", (heading, kind) => {
  const rows = rowsUnder(heading);
  // A row may stand for a family of packages: `@scope/name-*`.
  const named = (name: string) => {
    const row = rows.find(([cell]) => new RegExp(`^${cell.slice(1, -1).replace("*", ".+")}$`).test(name));
    return row?.[0] ?? `no row for ${name}`;
  };
  expect([...new Set(Object.keys(manifest[kind]).map(named))]).toEqual(rows.map(([name]) => name));
  for (const row of rows) {
    expect(row).toHaveLength(4);
    expect(
      row.filter((cell) => cell === ""),
      row[0],
    ).toEqual([]);
  }
});

it("names files that exist", () => {
  const paths = [...page.matchAll(/`((?:\w+\/)+[\w.-]*\w)\/?`/g)].map(([, path]) => path);
  expect(paths.length).toBeGreaterThan(10);
  for (const path of paths.filter((each) => !each.startsWith("node:"))) {
    expect(() => readFileSync(join(ROOT, path)), path).not.toThrow(/ENOENT/);
  }
});
