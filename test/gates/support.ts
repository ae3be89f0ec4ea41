/** Models of known architectures, written without weights to a folder of their own and compiled from there. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Compiled, type CompileOptions, compileModel } from "../../compiler/compile.js";
import { type ModelSource, writeModel } from "../../formats/onnx/write.js";
import { ARCHITECTURES, type ArchitectureConfig, architectureModel } from "../../models/architectures/index.js";

/** A model in a temporary folder, for as long as `use` runs. Every model's file has the same name. */
async function withModel<T>(model: ModelSource, use: (path: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "pumac-gates-"));
  try {
    const path = join(folder, "model.onnx");
    writeModel(path, model, { external: "model.onnx.data", weights: false });
    return await use(path);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Compiles a model for its cost alone: no weight is made, none is read. */
export function compileSource(model: ModelSource, options: CompileOptions = {}): Promise<Compiled> {
  return withModel(model, (path) => compileModel(path, { ...options, weights: false }));
}

export function compileArchitecture(
  config: ArchitectureConfig,
  tokens: number,
  options: CompileOptions = {},
): Promise<Compiled> {
  return compileSource(architectureModel(config, tokens), options);
}

/** A known architecture with fewer layers: what is measured of a layer holds for all of them. */
export function shortened(name: string, layers: number): ArchitectureConfig {
  return { ...ARCHITECTURES[name], layers };
}
