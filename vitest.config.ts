/**
 * How the tests run: built first (some start real processes from dist/), a file per worker, two workers. PUMAC_LONG=1
 * takes the long set instead, *.long.ts: what takes over twenty seconds.
 */
import { join } from "node:path";
import { defineConfig } from "vitest/config";

const isLong = process.env.PUMAC_LONG === "1";

export default defineConfig({
  test: {
    include: [isLong ? "test/**/*.long.ts" : "test/**/*.test.ts"],
    globalSetup: ["scripts/test-setup.mjs"],
    setupFiles: ["test/seed.ts"],
    // What owners remember of plans stays inside the checkout.
    env: { XDG_STATE_HOME: join(import.meta.dirname, ".cache", "state") },
    pool: "forks",
    maxWorkers: 2,
    testTimeout: isLong ? 3_600_000 : 120_000,
    hookTimeout: isLong ? 3_600_000 : 120_000,
  },
});
