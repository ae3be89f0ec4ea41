/**
 * One digest, whatever the version of Node: two owners who compile the same model with the same options agree. Installs
 * the other versions (npm packages `node-PLATFORM`) into .cache; where they cannot be had, it is skipped and says so.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { dataSets, modelFolders, OWN_FIXTURES, readTensors } from "../onnx/support.js";
import { MAIN, MODEL } from "./command.js";

const VERSIONS = ["20", "22", "24"];
const CACHE = join(import.meta.dirname, "..", "..", ".cache", "nodes");

/** The program of one version, or undefined where it cannot be installed. */
function nodeOf(version: string): string | undefined {
  const folder = join(CACHE, version);
  const name = `node-${process.platform}-${process.arch}`;
  const program = join(folder, "node_modules", name, "bin", "node");
  if (!existsSync(program)) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "package.json"), "{}");
    spawnSync("npm", ["install", "--no-audit", "--no-fund", `${name}@${version}`], { cwd: folder, stdio: "ignore" });
  }
  return existsSync(program) ? program : undefined;
}

/** The options that give a fixture's inputs the shapes of its first data set. */
function shapesOf(folder: string): readonly string[] {
  const inputs = readTensors(join(folder, dataSets(folder)[0]), "input");
  return inputs.flatMap(({ name, value }) => ["--shape", `${name}=${value.shape.join("x")}`]);
}

describe("every version of Node", () => {
  const nodes = VERSIONS.map((version) => ({ version, program: nodeOf(version) })).filter(({ program }) => program);
  const scratch = mkdtempSync(join(tmpdir(), "pumac-nodes-"));
  afterAll(() => rmSync(scratch, { recursive: true, force: true }));
  const fixtures = modelFolders(OWN_FIXTURES).map((name) => join(OWN_FIXTURES, name));
  const models = [
    { model: MODEL, shapes: ["--dim", "b=1,s=16"] },
    ...fixtures.map((folder) => ({ model: join(folder, "model.onnx"), shapes: shapesOf(folder) })),
  ];
  const cases = models.flatMap((model) => ["fourier", "puma"].map((profile) => ({ ...model, profile })));

  it.skipIf(nodes.length < 2).each(cases)("gives one digest for $model, profile $profile", (each) => {
    const digests = nodes.map(({ version, program }) => {
      const plan = join(scratch, `${version}.pumac`);
      const args = ["compile", each.model, "-o", plan, "--profile", each.profile, "--json"];
      const text = execFileSync(program!, [MAIN, ...args, ...each.shapes], { stdio: ["ignore", "pipe", "ignore"] });
      return JSON.parse(text.toString()).plan.digest as string;
    });
    expect(new Set(digests).size).toBe(1);
  });

  it.skipIf(nodes.length < 2).each(nodes)("the demo runs on Node $version", ({ version, program }) => {
    const words = [MAIN, "demo", "-o", join(scratch, `demo-${version}.pumac`)];
    const printed = execFileSync(program!, words, { stdio: ["ignore", "pipe", "ignore"], encoding: "utf8" });
    expect(printed).toMatch(/^rounds and bytes are those predicted, exactly$/m);
  });
});
