/** Mapped files: what is forgotten of them is read again, and other memory stays as it is. And what V8 is asked. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { forgetPages, mapFile } from "../../runtime/system.js";

const SIZE = (8 << 20) + 123;
const content = Buffer.alloc(SIZE);
let folder = "";
let mapped: Uint8Array | undefined;

beforeAll(() => {
  for (let i = 0; i < SIZE; i++) {
    content[i] = (i * 31 + (i >> 12)) & 255;
  }
  folder = mkdtempSync(join(tmpdir(), "pumac-test-"));
  writeFileSync(join(folder, "words"), content);
  mapped = mapFile(join(folder, "words"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Bytes of mapped files in this process's memory. */
function residentFiles(): number {
  return 1024 * Number(/^RssFile:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"))![1]);
}

describe("pages of a mapped file", () => {
  it("are the same bytes after they were forgotten, in whichever ranges", () => {
    for (const [from, to] of [
      [0, SIZE],
      [1, 4095],
      [4096, 4096],
      [5000, 1 << 20],
      [SIZE - 5000, SIZE],
    ]) {
      forgetPages((mapped ?? content).subarray(from, to));
      expect(content.equals(mapped ?? content)).toBe(true);
    }
  });

  it.runIf(process.platform === "linux")("take no memory once they are forgotten", () => {
    if (mapped !== undefined) {
      expect(content.equals(mapped)).toBe(true);
      const before = residentFiles();
      forgetPages(mapped);
      expect(before - residentFiles()).toBeGreaterThan(7 << 20);
    }
  });

  it("are no other memory: that is left alone", () => {
    const own = Uint8Array.from(content);
    forgetPages(own);
    forgetPages(own.subarray(4096));
    expect(Buffer.compare(own, content)).toBe(0);
  });
});

it("V8 is asked nothing that it complains of on standard error", () => {
  const built = pathToFileURL(join(import.meta.dirname, "..", "..", "dist", "runtime", "system.js")).href;
  const script = `import { collectLate, optimiseLate } from ${JSON.stringify(built)}; collectLate(); optimiseLate();`;
  const { status, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
});
