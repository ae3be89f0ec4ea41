/**
 * `npm run mutate [-- [--workers 1] FILE…]`: changes the code that holds secrets one place at a time (StrykerJS) and
 * looks whether a test notices. Stryker is a tool of its own, put into .cache/mutate when it is first wanted; its
 * scores stand in docs/testing.md. It copies the sources without dist/, so only tests that import sources take part.
 */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { install, mustRun, root } from "./workspace.mjs";

/** The last versions that run on Node 20. */
const PACKAGES = ["@stryker-mutator/core@9.6.1", "@stryker-mutator/vitest-runner@9.6.1"];
const TESTS = ["test/plan", "test/secrecy", "test/runtime", "test/client", "test/share/{rules,security}"];
/** Compiles whole exports: minutes for each mutant, and of none of the files that are changed. */
const WITHOUT = ["test/secrecy/verify.test.ts"];
/** The laws of the ops run a session for each op: only what the ops are made of is looked at by them. */
const LAWS = "test/share";
const FILES = [
  ...["ir/plan/check.ts", "ir/plan/codec.ts", "ir/plan/disclosed.ts", "ir/plan/runs.ts"],
  ...["ir/share/rules.ts", "ir/share/rounds.ts", "ir/share/linear.ts", "ir/share/bilinear.ts", "ir/share/bits.ts"],
  ...["runtime/handshake.ts", "runtime/keys.ts", "runtime/connect.ts", "runtime/session.ts", "runtime/streams.ts"],
  ...["runtime/control.ts", "client/client.ts", "client/sharing.ts", "client/checks.ts"],
];

install();
const folder = join(root, ".cache", "mutate");
mkdirSync(folder, { recursive: true });
if (!existsSync(join(folder, "node_modules", "@stryker-mutator", "vitest-runner"))) {
  writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true }));
  // Not its peers: the runner is to find the project's own vitest.
  mustRun("npm", ["install", "--prefix", folder, "--legacy-peer-deps", "--no-audit", "--no-fund", ...PACKAGES]);
}
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { workers: { type: "string", default: "2" } },
});
const files = positionals.length > 0 ? positionals : FILES;
const tests = files.some((file) => file.startsWith("ir/share/")) ? [...TESTS, LAWS] : TESTS;
const vitest = {
  test: {
    include: tests.map((test) => (test.includes("{") ? `${test}.test.ts` : `${test}/**/*.test.ts`)),
    exclude: WITHOUT,
    setupFiles: ["test/seed.ts"],
    pool: "threads",
    testTimeout: 60_000,
  },
};
writeFileSync(join(folder, "vitest.config.mjs"), `export default ${JSON.stringify(vitest)};\n`);
const options = {
  plugins: [join(folder, "node_modules", "@stryker-mutator", "vitest-runner", "dist", "src", "index.js")],
  testRunner: "vitest",
  vitest: { configFile: ".cache/mutate/vitest.config.mjs", related: false },
  mutate: files,
  ignorePatterns: ["dist", "native/build", "prebuilds", "docs", "bench", ".cache/**", "!.cache/mutate/*.mjs"],
  coverageAnalysis: "perTest",
  concurrency: Number(values.workers),
  timeoutMS: 10_000,
  reporters: ["clear-text", "progress-append-only", "json"],
  clearTextReporter: { logTests: false, reportTests: false, allowEmojis: false },
  jsonReporter: { fileName: join(folder, "report.json") },
  tempDirName: ".cache/mutate/sandbox",
  thresholds: { break: null },
};
writeFileSync(join(folder, "stryker.json"), JSON.stringify(options, undefined, 2));
mustRun(process.execPath, [
  join(folder, "node_modules", "@stryker-mutator", "core", "bin", "stryker.js"),
  "run",
  join(folder, "stryker.json"),
]);
