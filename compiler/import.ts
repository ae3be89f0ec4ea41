/** Which front end reads a model file. */
import { fail } from "../ir/diagnostics.js";
import { type ImportedModel, importOnnx } from "./onnx/index.js";

export interface ModelShapes {
  readonly dims: Readonly<Record<string, number>>;
  readonly shapes: Readonly<Record<string, readonly number[]>>;
}

export type { ImportedModel } from "./onnx/index.js";

/** Imports a model by its ending; E0301 for an unknown one. */
export async function importModel(path: string, shapes: ModelShapes): Promise<ImportedModel> {
  if (path.endsWith(".onnx")) {
    return importOnnx(path, shapes);
  }
  throw fail({
    code: "E0301",
    what: "no front end reads this file",
    where: path,
    why: "the ending is none of .onnx, .mlir, .hlo.pb",
    fix: "export the model as ONNX, StableHLO text or HLO proto (docs/exporting.md)",
  });
}
