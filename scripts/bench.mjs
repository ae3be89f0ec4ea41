/**
 * `npm run bench:NAME`: translates the TypeScript, benchmarks included, into .cache/bench, builds the native addon, and
 * runs bench/NAME.ts with the remaining arguments.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { install, mustRun, root } from "./workspace.mjs";

const [name, ...rest] = process.argv.slice(2);
const out = join(".cache", "bench");
install();
mustRun(process.execPath, [
  ...[join("node_modules", "typescript", "bin", "tsc"), "-p", "tsconfig.json", "--noCheck", "--outDir", out],
]);
mustRun(process.execPath, [join("scripts", "build-native.mjs")]);
const result = spawnSync(process.execPath, [join(out, "bench", `${name}.js`), ...rest], { cwd: root, stdio: "inherit" });
process.exitCode = result.status ?? 1;
