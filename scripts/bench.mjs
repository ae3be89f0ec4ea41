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
const compiler = join("node_modules", "typescript", "bin", "tsc");
mustRun(process.execPath, [compiler, "-p", "tsconfig.json", "--noCheck", "--incremental", "false", "--outDir", out]);
mustRun(process.execPath, [join("scripts", "build-native.mjs")]);
const program = join(out, "bench", `${name}.js`);
const result = spawnSync(process.execPath, [program, ...rest], { cwd: root, stdio: "inherit" });
process.exitCode = result.status ?? 1;
