/**
 * What every script needs: the repository's root, running a command that must succeed, installing the dependencies
 * and building when something is missing or out of date. Only Node's own modules: it runs before anything is installed.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { ROOMS } from "./rooms.mjs";

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** The folders whose TypeScript becomes dist/. */
const SOURCES = ROOMS.filter(({ ships }) => ships).map(({ name }) => name);

/** Runs a command in the repository's root with its output on stderr; ends this process with its status if it fails. */
export function mustRun(command, args, environment = {}) {
  const result = spawnSync(command, args, {
    cwd: root,
    stdio: ["ignore", 2, 2],
    env: { ...process.env, ...environment },
  });
  if (result.error !== undefined) {
    process.stderr.write(`cannot start ${command}: ${result.error.message}\n`);
    process.exit(1);
  }
  if (result.status !== 0) {
    process.stderr.write(`failed: ${command} ${args.join(" ")}\n`);
    process.exit(result.status ?? 1);
  }
}

/** Installs the dependencies of package-lock.json unless exactly these are installed already. */
export function install() {
  const stamp = join(root, "node_modules", ".pumac-lock");
  const digest = createHash("sha256").update(readFileSync(join(root, "package-lock.json"))).digest("hex");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === digest) {
    return;
  }
  if (!installedAsLocked()) {
    process.stderr.write("installing the packages of package-lock.json …\n");
    // A registry mirror may lack another platform's package; then `npm ci` refuses what `npm install` can do.
    const clean = spawnSync("npm", ["ci", "--no-audit", "--no-fund"], { cwd: root, stdio: ["ignore", 2, 2] });
    if (clean.status !== 0) {
      mustRun("npm", ["install", "--no-save", "--no-audit", "--no-fund"]);
    }
  }
  writeFileSync(stamp, digest);
}

/** Whether every package of the lock file that fits this machine is there in its version (an install without our stamp). */
function installedAsLocked() {
  const { packages } = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8"));
  return Object.entries(packages).every(([path, { version, optional }]) => {
    const manifest = join(root, path, "package.json");
    return path === "" || (existsSync(manifest) ? JSON.parse(readFileSync(manifest, "utf8")).version === version : optional);
  });
}

/** The newest modification time (ms) of the files under a folder whose names end in one of these, or of one file. */
function newest(folder, endings) {
  if (!statSync(folder).isDirectory()) {
    return statSync(folder).mtimeMs;
  }
  let latest = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      latest = Math.max(latest, entry.name === "build" ? 0 : newest(path, endings));
    } else if (endings.some((ending) => entry.name.endsWith(ending))) {
      latest = Math.max(latest, statSync(path).mtimeMs);
    }
  }
  return latest;
}

/** When a stamp file was written (ms), 0 if never. */
function writtenAt(path) {
  return existsSync(path) ? statSync(path).mtimeMs : 0;
}

/** Whether a source is newer than the build. */
export function isStale() {
  const typescript = SOURCES.map((folder) => newest(join(root, folder), [".ts", ".js"]));
  const native = newest(join(root, "native"), [".cpp", ".hpp"]);
  return writtenAt(stamp) <= Math.max(...typescript, native);
}

/** Builds what is out of date: dist/ from the TypeScript, then the native addon. */
export function buildIfStale() {
  if (isStale()) {
    build();
  }
}

/** The scripts of the pages that `inspect` and `simulate` write. */
const SCRIPTS = join("analysis", "pages", "scripts");

const stamp = join(root, "dist", ".built");

/** Builds dist/ and the native addon. */
export function build() {
  const started = new Date();
  process.stderr.write("building: a source is newer than dist/, or nothing has been built yet …\n");
  translate();
  const native = spawnSync(process.execPath, [join("scripts", "build-native.mjs")], { cwd: root, stdio: ["ignore", 2, 2] });
  if (native.status !== 0) {
    process.stderr.write("the native kernels could not be built; their slow TypeScript twins will run instead\n");
  }
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, "");
  utimesSync(stamp, started, started);
  process.stderr.write(`built in ${((Date.now() - started) / 1000).toFixed(1)} s\n`);
}

/**
 * Translates the TypeScript into dist/; types are checked by `npm test`, not here. The new folder takes the old one's
 * place at once, so that a process that starts meanwhile finds one or the other.
 */
function translate() {
  const dist = join(root, "dist");
  const next = join(root, `.cache/dist-${process.pid}`);
  const tsc = join("node_modules", "typescript", "bin", "tsc");
  mustRun(process.execPath, [tsc, "-p", "tsconfig.build.json", "--noCheck", "--incremental", "false", "--outDir", next]);
  // What pages run in a browser is plain JavaScript.
  cpSync(join(root, SCRIPTS), join(next, SCRIPTS), { recursive: true });
  const old = join(root, `.cache/old-dist-${process.pid}`);
  if (existsSync(dist)) {
    renameSync(dist, old);
  }
  renameSync(next, dist);
  rmSync(old, { recursive: true, force: true });
}
