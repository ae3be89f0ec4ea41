/**
 * `npm test`: install what is missing, build, check types, check style, run every test. Arguments go to vitest. The
 * JSON report in .cache/tests.json is what .ci/run counts. With `--long` (`npm run test:long`): the long set instead.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { buildIfStale, install, mustRun, root } from "./workspace.mjs";

const given = process.argv.slice(2);
const isLong = given.includes("--long");
const report = join(root, ".cache", isLong ? "long-tests.json" : "tests.json");
mkdirSync(join(root, ".cache"), { recursive: true });
rmSync(report, { force: true });

install();
buildIfStale();
mustRun(process.execPath, [join("node_modules", "typescript", "bin", "tsc"), "--noEmit", "-p", "."]);
mustRun(process.execPath, [join("node_modules", "@biomejs", "biome", "bin", "biome"), "check", "--error-on-warnings", "."]);
const vitest = [join("node_modules", "vitest", "vitest.mjs"), "run"];
const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
const tests = spawnSync(process.execPath, [...vitest, ...reporters, ...given.filter((word) => word !== "--long")], {
  cwd: root,
  stdio: "inherit",
  env: { ...process.env, PUMAC_LONG: isLong ? "1" : "" },
});
process.exit(tests.status ?? 1);
