/** Which front end reads a model file. Only that one is loaded. */

import { isFolder } from "../formats/checkpoint.js";
import { SafetensorsFile } from "../formats/safetensors.js";
import { fail } from "../ir/diagnostics.js";
import type { DeclaredNames, GivenValue, ImportedModel } from "./imported.js";

export interface ModelSources {
  /** Values of symbolic dimensions, and whole shapes of inputs (ONNX). */
  readonly dims: Readonly<Record<string, number>>;
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  /** Inputs whose value is known and public: they become constants. */
  readonly values?: Readonly<Record<string, GivenValue>>;
  /** JAX: arguments that are weights, and a file with their values. */
  readonly weightArguments?: readonly string[];
  readonly weightsFile?: string;
  /** ONNX: further shapes of inputs, made of what the file declares of them. */
  readonly shapesOf?: ShapesOf | undefined;
  /** ONNX: further values of inputs, made of what the file declares of them. */
  readonly valuesOf?: ValuesOf | undefined;
  /** Hears what the file declares, before anything is bound where the format allows; throws for what does not fit. */
  readonly check?: (declared: DeclaredNames) => void;
}

type ShapesOf = (declared: DeclaredNames) => Readonly<Record<string, readonly number[]>>;
type ValuesOf = (shapes: ReadonlyMap<string, readonly number[]>) => Readonly<Record<string, GivenValue>>;

const JAX_ENDINGS = [".mlir", ".pb", ".stablehlo", ".mlirbc", ".bin", ".hlo"];

/** Imports a model by its ending, or a Hugging Face folder; E0301 for what is neither. */
export async function importModel(path: string, sources: ModelSources): Promise<ImportedModel> {
  const { dims, shapes, values, weightArguments, weightsFile, check, shapesOf, valuesOf } = sources;
  const made = { ...(shapesOf && { shapesOf }), ...(valuesOf && { valuesOf }) };
  const bound = { dims, shapes, ...(values && { values }), ...(check && { check }), ...made };
  if (isFolder(path)) {
    const { importCheckpoint } = await import("./checkpoint.js");
    return importCheckpoint(path, bound);
  }
  if (path.endsWith(".onnx")) {
    const { importOnnx } = await import("./onnx/index.js");
    return importOnnx(path, bound);
  }
  if (JAX_ENDINGS.some((ending) => path.endsWith(ending))) {
    const { importJax } = await import("./jax/index.js");
    const model = importJax(path, {
      ...(weightArguments === undefined || weightArguments.length === 0 ? {} : { weightArguments }),
      ...(values === undefined ? {} : { values }),
      ...(weightsFile === undefined ? {} : { weights: SafetensorsFile.open(weightsFile) }),
    });
    check?.({
      inputs: [
        ...model.inputs.map(({ name }) => name),
        ...Object.keys(values ?? {}).filter((name) => model.arguments?.names.includes(name)),
      ],
      outputs: model.graph.outputs.map(({ name }) => name),
      dims: [],
      ...(model.arguments && { arguments: model.arguments }),
    });
    return model;
  }
  throw fail({
    code: "E0301",
    what: "no front end reads this file",
    where: path,
    why: "it is no folder, and the ending is none of .onnx, .mlir, .hlo.pb",
    fix: "give a Hugging Face folder, or export the model as ONNX, StableHLO text or HLO proto (docs/exporting.md)",
  });
}
