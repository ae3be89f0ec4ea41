/**
 * What the pages run: D3's own builds for browsers and the files of `scripts/`, as one script, whose hash is in the
 * page's policy. A page loads nothing: it carries the script, and the numbers that the script draws.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

type Script = "data" | "zoom" | "tips" | "tables" | "network" | "treemap" | "timeline" | "errors";

/** These scripts, behind the packages that they need. */
export function scriptOf(packages: readonly string[], scripts: readonly Script[]): string {
  const builds = new Map<string, string>();
  for (const name of packages) {
    addBuild(name, import.meta.url, builds);
  }
  const own = scripts.map((name) => readFileSync(join(import.meta.dirname, "scripts", `${name}.js`), "utf8"));
  return [...builds.values(), ...own].join("\n");
}

/** A package's build, after the builds of what it needs. */
function addBuild(name: string, from: string, builds: Map<string, string>): void {
  if (!builds.has(name)) {
    const folder = join(dirname(createRequire(from).resolve(name)), "..");
    const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Manifest;
    for (const needed of Object.keys(manifest.dependencies ?? {})) {
      addBuild(needed, join(folder, "package.json"), builds);
    }
    builds.set(name, readFileSync(join(folder, manifest.unpkg), "utf8"));
  }
}

interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>;
  /** The build for browsers. */
  readonly unpkg: string;
}

/** Data for a page's script: nothing in it can end its element. */
export function dataElement(data: object): string {
  return `<script type="application/json" id="data">${JSON.stringify(data).replaceAll("<", "\\u003c")}</script>`;
}
