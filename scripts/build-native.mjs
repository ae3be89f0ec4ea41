/**
 * `npm run build:native`: compiles native/*.cpp with the system's C++ compiler, directly, to an addon that lies where
 * node-gyp-build looks for prebuilt ones, prebuilds/linux-x64/pumac.glibc.node: packed as it is, it is what users get.
 * It needs only Node's C interface, whose headers come from the package node-api-headers, so nothing is downloaded.
 *
 * An object is compiled again only when its source, a header, the compiler or the flags changed (by digest). Without a
 * compiler this says so, removes a stale addon and ends with status 0: the TypeScript twins of the kernels run instead.
 */
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const sourceFolder = join(root, "native");
const buildFolder = join(sourceFolder, "build");
const headerFolder = join(root, "node_modules", "node-api-headers", "include");
const prebuilds = join(root, "prebuilds", `${process.platform}-${process.arch}`);
/** An addon is of one C library; what node-gyp-build takes a system to have decides which file it opens. */
const library = process.platform !== "linux" ? "" : existsSync("/etc/alpine-release") ? ".musl" : ".glibc";
const addon = join(prebuilds, `pumac${library}.node`);
const stamp = join(buildFolder, "digest");

const COMPILE = [
  ...["-std=c++17", "-O3", "-fPIC", "-fno-strict-aliasing", "-fvisibility=hidden", "-pthread"],
  // Sums of doubles are the same on every processor (native/reals.hpp): a product is rounded before it is added.
  "-ffp-contract=off",
];
const WARNINGS = ["-Wall", "-Wextra"];
const LINK =
  process.platform === "darwin"
    ? ["-shared", "-undefined", "dynamic_lookup"]
    : ["-shared", "-pthread", "-Wl,-z,nodelete", "-Wl,-z,relro", "-Wl,-z,now", "-s"];

/** The compiler's command and first line of version, or undefined where there is none. CXX chooses one. */
function findCompiler() {
  const candidates = process.env.CXX ? [process.env.CXX] : ["c++", "g++", "clang++"];
  for (const command of candidates) {
    const { status, stdout } = spawnSync(command, ["--version"], { encoding: "utf8" });
    if (status === 0) {
      return { command, version: stdout.split("\n")[0] };
    }
  }
  return undefined;
}

function digestOf(...parts) {
  const hash = createHash("sha256");
  for (const part of parts) {
    hash.update(part).update("\0");
  }
  return hash.digest("hex").slice(0, 24);
}

/** Every source with the digest of all that its object depends on. */
function listUnits(compiler) {
  const names = readdirSync(sourceFolder).sort();
  const headers = names.filter((name) => name.endsWith(".hpp")).map((name) => readFileSync(join(sourceFolder, name)));
  const common = digestOf(compiler.version, ...COMPILE, ...WARNINGS, process.arch, ...headers);
  return names
    .filter((name) => name.endsWith(".cpp"))
    .map((name) => ({ name, digest: digestOf(common, name, readFileSync(join(sourceFolder, name))) }));
}

/** Runs a compiler; rejects with its output where it fails. */
function run(command, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
    const output = [];
    child.stdout.on("data", (chunk) => output.push(chunk));
    child.stderr.on("data", (chunk) => output.push(chunk));
    child.on("error", reject);
    child.on("close", (status) => {
      const text = Buffer.concat(output).toString("utf8");
      return status === 0 ? resolve(text) : reject(new Error(`${command} ${args.join(" ")}\n${text}`));
    });
  });
}

/** Compiles one unit unless its object is there; returns the object's path. */
async function compile(compiler, unit) {
  const object = join(buildFolder, `${basename(unit.name, ".cpp")}-${unit.digest}.o`);
  if (!existsSync(object)) {
    const fresh = `${object}.${process.pid}`;
    const source = join(sourceFolder, unit.name);
    await run(compiler.command, [...COMPILE, ...WARNINGS, "-I", headerFolder, "-c", source, "-o", fresh]);
    renameSync(fresh, object);
  }
  return object;
}

/** Maps with at most `limit` at work at a time, in order of the items. */
async function mapLimited(items, limit, work) {
  const results = new Array(items.length);
  let next = 0;
  const workers = Array.from({ length: Math.min(limit, items.length) }, async () => {
    while (next < items.length) {
      const index = next++;
      results[index] = await work(items[index]);
    }
  });
  await Promise.all(workers);
  return results;
}

/** Removes objects that belong to no unit of now. */
function sweep(objects) {
  const kept = new Set(objects.map((object) => basename(object)));
  for (const name of readdirSync(buildFolder)) {
    if (name.endsWith(".o") && !kept.has(name)) {
      rmSync(join(buildFolder, name), { force: true });
    }
  }
}

async function main() {
  mkdirSync(buildFolder, { recursive: true });
  mkdirSync(prebuilds, { recursive: true });
  const compiler = findCompiler();
  if (compiler === undefined) {
    rmSync(addon, { force: true });
    rmSync(stamp, { force: true });
    process.stderr.write("no C++ compiler (c++, g++, clang++): the slow TypeScript twins of the kernels will run\n");
    return;
  }
  const units = listUnits(compiler);
  const digest = digestOf(...LINK, ...units.map((unit) => unit.digest));
  if (existsSync(addon) && existsSync(stamp) && readFileSync(stamp, "utf8") === digest) {
    return;
  }
  const objects = await mapLimited(units, availableParallelism(), (unit) => compile(compiler, unit));
  const fresh = `${addon}.${process.pid}`;
  await run(compiler.command, [...objects, ...LINK, "-o", fresh]);
  renameSync(fresh, addon);
  writeFileSync(stamp, digest);
  sweep(objects);
}

try {
  await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
