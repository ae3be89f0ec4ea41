/**
 * How the tests run: built first (some start real processes from dist/), two workers, which take one file after the
 * other and keep what they have loaded: a fresh process for each file would make the compiler's code fast anew, half of
 * all the time. Files that replace modules have a process of their own. PUMAC_LONG=1 takes the long set instead,
 * *.long.ts: what takes over twenty seconds.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { defineConfig } from "vitest/config";

const isLong = process.env.PUMAC_LONG === "1";
const tests = readdirSync(join(import.meta.dirname, "test"), { recursive: true, encoding: "utf8" })
  .map((name) => `test/${name.replaceAll("\\", "/")}`)
  .filter((name) => name.endsWith(isLong ? ".long.ts" : ".test.ts"));
const replacing = tests.filter((name) => readFileSync(join(import.meta.dirname, name), "utf8").includes("vi.mock("));

export default defineConfig({
  test: {
    globalSetup: ["scripts/test-setup.mjs"],
    setupFiles: ["test/seed.ts"],
    // What owners remember of plans stays inside the checkout.
    env: { XDG_STATE_HOME: join(import.meta.dirname, ".cache", "state") },
    pool: "forks",
    maxWorkers: 2,
    testTimeout: isLong ? 3_600_000 : 120_000,
    hookTimeout: isLong ? 3_600_000 : 120_000,
    projects: [
      { extends: true, test: { name: "shared", include: tests, exclude: replacing, isolate: isLong } },
      { extends: true, test: { name: "alone", include: replacing, isolate: true } },
    ],
  },
});
