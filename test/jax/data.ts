/** Finds the data that may not be copied into the project; untars StableHLO's tests into a temporary folder. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const ROOT = resolve(process.env.PUMAC_DATA ?? join(import.meta.dirname, "../../../shared/data"));

/** The folder of that name under PUMAC_DATA, or undefined where the data is absent. */
export function dataFolder(name: string): string | undefined {
  const folder = join(ROOT, name);
  return existsSync(folder) ? folder : undefined;
}

/** The forms in which every Flax fixture was exported. */
export const FORMS = ["stablehlo.mlir", "debuginfo.mlir", "exported.mlir", "hlo.pb"];

/** A Flax fixture of fixtures-jax. */
export interface Fixture {
  readonly name: string;
  /** How many arguments are weights: they come first. */
  readonly weights: number;
}

export const MODELS: readonly Fixture[] = [
  { name: "flax_bert_cls", weights: 41 },
  { name: "flax_bert_cls_baked", weights: 0 },
  { name: "flax_gpt2_lm", weights: 28 },
  { name: "flax_llama_lm", weights: 21 },
  { name: "flax_vit_cls", weights: 40 },
];

export interface StableHloSuite {
  readonly testdata: readonly string[];
  readonly interpret: readonly string[];
  readonly remove: () => void;
}

/** StableHLO's own tests, extracted; undefined where the archive is absent. */
export function extractStableHloTests(): StableHloSuite | undefined {
  const archive = dataFolder("stablehlo-tests.tar.gz");
  if (archive === undefined) {
    return undefined;
  }
  const folder = mkdtempSync(join(tmpdir(), "pumac-stablehlo-"));
  const done = spawnSync("tar", ["xzf", archive, "-C", folder]);
  if (done.status !== 0) {
    throw new Error(`tar failed: ${done.stderr}`);
  }
  const list = (...path: string[]): string[] => {
    const at = join(folder, "stablehlo", ...path);
    return readdirSync(at)
      .sort()
      .map((name) => join(at, name));
  };
  return {
    testdata: list("testdata"),
    interpret: list("tests", "interpret"),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
