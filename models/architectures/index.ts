/** Models of known architectures with random weights, in the form that Hugging Face exports have (`pumac model`). */
import type { ModelSource } from "../../formats/onnx/write.js";
import { encoderModel } from "./bert.js";
import type { ArchitectureConfig } from "./config.js";
import { gpt2Model } from "./gpt2.js";
import { llamaModel } from "./llama.js";

export { ARCHITECTURES, type ArchitectureConfig, configFrom, readConfig } from "./config.js";

/**
 * The model at batch 1 and `length` tokens; write it with `writeModel`, with external data for all but small ones.
 * The same config, length and seed give the same file.
 */
export function architectureModel(config: ArchitectureConfig, length: number, seed = 1): ModelSource {
  switch (config.architecture) {
    case "bert":
      return encoderModel(config, length, seed, false);
    case "roberta":
      return encoderModel(config, length, seed, true);
    case "gpt2":
      return gpt2Model(config, length, seed);
    case "llama":
      return llamaModel(config, length, seed);
  }
}
