/** `pumac model`: a model of a known architecture with random weights, in the form that Hugging Face exports have. */
import { basename } from "node:path";
import type { Command } from "commander";
import { writing } from "../formats/files.js";
import { writeModel } from "../formats/onnx/write.js";
import { fail } from "../ir/diagnostics.js";
import {
  ARCHITECTURES,
  type ArchitectureConfig,
  architectureModel,
  readConfig,
} from "../models/architectures/index.js";
import { parseCount, printJson, printNote } from "./terminal.js";

interface ModelFlags {
  readonly output: string;
  readonly config?: string;
  readonly sequence: number;
  readonly seed: number;
  readonly layers?: number;
  readonly weights: boolean;
  readonly json?: boolean;
}

export function addModel(program: Command): void {
  program
    .command("model")
    .description("write a model of a known architecture with random weights")
    .argument("[name]", Object.keys(ARCHITECTURES).join(", "))
    .requiredOption("-o, --output <file>", "the .onnx file; its weights go beside it, into FILE.data")
    .option("--config <file>", "a Hugging Face config.json instead of a name")
    .option("--sequence <n>", "tokens", parseCount, 128)
    .option("--layers <n>", "instead of all that the architecture has", parseCount)
    .option("--seed <n>", "of the random weights", parseCount, 1)
    .option("--no-weights", "write no weights: enough for cost questions")
    .option("--json", "print one JSON document (pumac.model/1)")
    .action(model);
}

function model(name: string | undefined, flags: ModelFlags): void {
  const whole = flags.config === undefined ? known(name) : readConfig(flags.config);
  const config = { ...whole, layers: flags.layers ?? whole.layers };
  const external = `${basename(flags.output)}.data`;
  writing(flags.output, "the model", () => {
    const source = architectureModel(config, flags.sequence, flags.seed);
    writeModel(flags.output, source, { external, weights: flags.weights });
  });
  if (flags.json === true) {
    printJson({ schema: "pumac.model/1", path: flags.output, config, sequence: flags.sequence });
  } else {
    printNote(`${flags.output}: ${config.architecture}, ${config.layers} layers, hidden ${config.hidden}`);
  }
}

function known(name: string | undefined): ArchitectureConfig {
  const config = name !== undefined && Object.hasOwn(ARCHITECTURES, name) ? ARCHITECTURES[name] : undefined;
  if (config === undefined) {
    const fix = `choose ${Object.keys(ARCHITECTURES).join(", ")}, or give --config config.json`;
    throw fail({ code: "E0201", what: `there is no architecture '${name ?? ""}'`, fix });
  }
  return config;
}
