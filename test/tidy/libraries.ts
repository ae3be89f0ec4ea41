/** The questions that kept libraries answer: dependency-cruiser who imports whom, knip what nobody uses. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { cruise, type ICruiseResult } from "dependency-cruiser";
import { configuration } from "../../scripts/imports.mjs";
import { ROOT } from "./sources.js";

/** Imports against scripts/imports.mjs in these folders, each as one line; scripts/ may import what is built. */
export async function wrongImports(folder: string, rooms: readonly string[]): Promise<readonly string[]> {
  const { forbidden, options } = configuration;
  const all = { ...options, baseDir: folder, ruleSet: { forbidden }, validate: true };
  const there = rooms.filter((room) => room !== "scripts" && existsSync(join(folder, room)));
  const { output } = await cruise(there, all, { ...options.enhancedResolveOptions });
  return (output as ICruiseResult).summary.violations.map(({ from, to, rule }) => `${from}: ${rule.name} ${to}`);
}

/** Files, exports and dependencies that nothing uses, each as one line. */
export function unused(folder: string): readonly string[] {
  const knip = join(ROOT, "node_modules", "knip", "bin", "knip.js");
  const config = join(ROOT, "knip.json");
  const args = [knip, "--directory", folder, "--config", config, "--reporter", "json", "--no-config-hints"];
  const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8", maxBuffer: 1 << 26 });
  if (!stdout.startsWith("{")) {
    throw new Error(`knip: ${stderr}${stdout}`);
  }
  const { issues } = JSON.parse(stdout) as { issues: readonly Readonly<Record<string, unknown>>[] };
  return issues.flatMap(({ file, ...kinds }) =>
    Object.entries(kinds).flatMap(([kind, found]) =>
      (Array.isArray(found) ? found : []).map(({ name }: { name: string }) => `${file}: ${kind} ${name}`),
    ),
  );
}
