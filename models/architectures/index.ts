/**
 * Models of known architectures, in the form that Hugging Face exports have: with random weights (`pumac model`), or
 * with those of a checkpoint (a folder given to `pumac compile`).
 */
import { join } from "node:path";
import { type ModelSource, writeModel } from "../../formats/onnx/write.js";
import { encoderInputs, encoderModel } from "./bert.js";
import { ARCHITECTURES, type ArchitectureConfig } from "./config.js";
import { DECODER_INPUTS, gpt2Model } from "./gpt2.js";
import { llamaModel } from "./llama.js";
import { randomWeights, type WeightSource } from "./weights.js";
import { type Frame, GraphWriter } from "./writer.js";

export { ARCHITECTURES, type ArchitectureConfig, configFrom, readConfig } from "./config.js";
export { shownHead } from "./heads.js";

/**
 * The model at batch 1 and `length` tokens; write it with `writeModel`, with external data for all but small ones.
 * The same config, length and seed give the same file.
 */
export function architectureModel(config: ArchitectureConfig, length: number, seed = 1): ModelSource {
  return modelOf(config, { batch: 1, length }, randomWeights(seed));
}

/**
 * Writes a known architecture with random weights into a folder, with all of its layers or so many; its file, and what
 * a plan of it should reveal: of a language model the next token, of others everything.
 */
export function writeArchitecture(
  folder: string,
  name: string,
  length: number,
  layers = ARCHITECTURES[name].layers,
): { readonly path: string; readonly reveal?: readonly string[] } {
  const config = { ...ARCHITECTURES[name], layers };
  const path = join(folder, `${name}.onnx`);
  writeModel(path, architectureModel(config, length), { external: `${name}.onnx.data` });
  return config.architecture === "gpt2" || config.architecture === "llama" ? { path, reveal: ["token"] } : { path };
}

/** The model's inputs, each [B, S]. */
export function inputsOf(config: ArchitectureConfig): readonly string[] {
  return config.architecture === "gpt2" || config.architecture === "llama" ? DECODER_INPUTS : encoderInputs(config);
}

/** The most tokens that the model has positions for. RoBERTa's are counted from behind the padding id. */
export function longest({ architecture, positions, padding = 1 }: ArchitectureConfig): number {
  switch (architecture) {
    case "llama":
      return Number.POSITIVE_INFINITY;
    case "roberta":
      return positions - padding - 1;
    default:
      return positions;
  }
}

/** The model over given weights. */
export function modelOf(config: ArchitectureConfig, frame: Frame, weights: WeightSource): ModelSource {
  const graph = new GraphWriter(weights, frame);
  switch (config.architecture) {
    case "bert":
    case "roberta":
    case "distilbert":
      return encoderModel(config, graph);
    case "gpt2":
      return gpt2Model(config, graph);
    case "llama":
      return llamaModel(config, graph);
  }
}
