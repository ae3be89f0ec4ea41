/**
 * Protects: what holds values is its owner's alone, and a write that fails leaves what was there: no half of a file,
 * no file of another name.
 */
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { appendLines, writeWhole } from "../../formats/files.js";

const folder = mkdtempSync(join(tmpdir(), "pumac-files-"));
afterAll(() => rmSync(folder, { recursive: true }));

describe("a file written whole", () => {
  it("is new, its owner's only, and alone in its folder", () => {
    const path = join(folder, "out.json");
    writeFileSync(path, "old", { mode: 0o644 });
    writeWhole(path, "the output", "new");
    expect(readFileSync(path, "utf8")).toBe("new");
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(folder)).toEqual(["out.json"]);
  });

  it("follows a link to the file that it stands for", () => {
    const inner = join(folder, "inner");
    mkdirSync(inner);
    writeFileSync(join(inner, "real"), "old");
    symlinkSync(join(inner, "real"), join(folder, "link"));
    writeWhole(join(folder, "link"), "the output", "new");
    expect(readFileSync(join(inner, "real"), "utf8")).toBe("new");
    rmSync(join(folder, "link"));
    rmSync(inner, { recursive: true });
  });

  it("leaves what was there when the writing fails half-way", () => {
    const path = join(folder, "kept");
    writeFileSync(path, "old");
    const failing = {
      get length(): number {
        throw Object.assign(new Error("no space"), { code: "ENOSPC" });
      },
    };
    expect(() => writeWhole(path, "the output", failing as unknown as Uint8Array)).toThrow();
    expect(readFileSync(path, "utf8")).toBe("old");
    expect(readdirSync(folder).filter((name) => name.startsWith("."))).toEqual([]);
  });

  it("says which file cannot be written", () => {
    const path = join(folder, "missing", "out.json");
    expect(() => writeWhole(path, "the output", "x")).toThrow(/E0301[\s\S]*the output cannot be written/);
  });
});

describe("lines that are added to a file", () => {
  it("follow the last whole one: half of a line, however long, is not there", () => {
    const path = join(folder, "lines");
    appendLines(path, "the record", ["one", "two"]);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    for (const half of ["thr", "x".repeat(10_000), ""]) {
      writeFileSync(path, `one\ntwo\n${half}`);
      appendLines(path, "the record", ["three"]);
      expect(readFileSync(path, "utf8")).toBe("one\ntwo\nthree\n");
    }
    writeFileSync(path, "nothing whole");
    appendLines(path, "the record", ["first"]);
    expect(readFileSync(path, "utf8")).toBe("first\n");
  });
});
