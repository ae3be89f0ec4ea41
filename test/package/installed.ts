/**
 * The package as users get it: packed, unpacked in an empty folder beside the dependencies. Nothing of the checkout is
 * in reach but what package.json names.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect } from "vitest";

export const ROOT = join(import.meta.dirname, "..", "..");
export const MODEL = join(ROOT, "models", "fixtures", "bert_cls.t5.legacy.eager.op11.dyn");
/** Where the package's user works. */
export const folder = mkdtempSync(join(tmpdir(), "pumac-package-"));
/** The package's dependencies, and the package among them. */
export const modules = join(folder, "node_modules");

interface Packed {
  readonly filename: string;
  readonly files: readonly { readonly path: string }[];
}

/** Packs and unpacks before the tests of a file; what was packed, once they run. */
export function install(): () => Packed {
  let packed: Packed;
  beforeAll(() => {
    const args = ["pack", "--json", "--ignore-scripts", "--pack-destination", folder];
    [packed] = JSON.parse(
      execFileSync("npm", args, { cwd: ROOT, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }),
    );
    execFileSync("tar", ["-xzf", join(folder, packed.filename), "-C", folder]);
    const manifest = JSON.parse(readFileSync(join(ROOT, "package-lock.json"), "utf8"));
    for (const [path, { dev }] of Object.entries<{ readonly dev?: boolean }>(manifest.packages)) {
      const isTop = /^node_modules\/(@[^/]+\/)?[^/]+$/.test(path);
      if (isTop && (dev !== true || path === "node_modules/@types/node" || path === "node_modules/undici-types")) {
        mkdirSync(dirname(join(folder, path)), { recursive: true });
        symlinkSync(join(ROOT, path), join(folder, path));
      }
    }
    execFileSync("mv", [join(folder, "package"), join(modules, "pumac")]);
    writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module" }));
  }, 120_000);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return () => packed;
}

/** Runs an example as a user of the package would. */
export function example(name: string, ...words: readonly string[]) {
  const program = join(modules, "pumac", "examples", name);
  expect(readFileSync(program, "utf8").split("\n").length).toBeLessThan(40);
  cpSync(program, join(folder, name));
  const { stdout, stderr, status } = spawnSync(process.execPath, [name, ...words], { cwd: folder, encoding: "utf8" });
  return { stdout, stderr, status };
}

/** Runs the package's command. */
export function pumac(words: readonly string[]) {
  const options = { cwd: folder, encoding: "utf8" } as const;
  const { status, stdout, stderr } = spawnSync(join(modules, "pumac", "pumac"), words, options);
  return { status, stdout, stderr };
}

/** What TypeScript says of these files of the user's folder, with these options beside the usual ones. */
export function typeErrors(files: readonly string[], more: Readonly<Record<string, boolean>>): string {
  const usual = { module: "NodeNext", target: "ES2022", lib: ["ES2023"], noEmit: true, types: ["node"] };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions: { ...usual, ...more }, files }));
  const tsc = join(ROOT, "node_modules", "typescript", "bin", "tsc");
  return spawnSync(process.execPath, [tsc, "-p", folder], { encoding: "utf8" }).stdout;
}

/** A program that uses the package, right and wrong. */
export function writeTyped(): string {
  writeFileSync(join(folder, "use.ts"), USE);
  return "use.ts";
}

const USE = `import { compile, type CostReport, type Diagnostic, inspect, PumacError, simulate } from "pumac";
export async function answer(model: string): Promise<readonly number[]> {
  const calibrate = [{ texts: ["a"], tokenizer: "t" }];
  const plan = await compile(model, { dims: { batch: 1 }, profile: "fourier", calibrate });
  const report: CostReport = inspect(plan);
  const { outputs, measured } = await simulate(plan, { tensors: { x: [[1, 2]] } }, { signal: AbortSignal.timeout(9) });
  return [report.cost.rounds, measured.rounds, ...outputs.get("y")!.data];
}
export const causes = (error: unknown): readonly Diagnostic[] => (error instanceof PumacError ? error.diagnostics : []);
// @ts-expect-error: there is no such profile
void compile("model", { profile: "exact" });
// @ts-expect-error: a text is no tensor
void simulate("plan", { tensors: { x: "text" } });
`;
