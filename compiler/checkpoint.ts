/**
 * The front end for a Hugging Face folder: the graph is written for the config's architecture, as an exporter would
 * write it, over the weights where they lie; the ONNX front end reads it. Nothing is exported and nothing is copied.
 */
import { basename, join, resolve } from "node:path";
import { type Checkpoint, openCheckpoint } from "../formats/checkpoint.js";
import { memorySource } from "../formats/model-file.js";
import type { StoredTensor } from "../formats/onnx/tensor-proto.js";
import { encodeModel } from "../formats/onnx/write.js";
import { type Diagnostic, fail } from "../ir/diagnostics.js";
import { sameShape } from "../ir/shape.js";
import {
  type ArchitectureConfig,
  configFrom,
  inputsOf,
  longest,
  modelOf,
  shownHead,
} from "../models/architectures/index.js";
import type { WeightSource } from "../models/architectures/weights.js";
import type { Frame } from "../models/architectures/writer.js";
import type { ImportedModel } from "./imported.js";
import { bindShapes } from "./onnx/dimensions.js";
import { type ImportOptions, importRead } from "./onnx/import.js";
import { readModel } from "./onnx/model.js";

/** The names of the inputs' two dimensions. */
const [BATCH, SEQUENCE] = ["batch", "sequence"];

/**
 * Imports a folder at fixed shapes. E0401 for an architecture or a head that is not written, E0402 for parts of one,
 * E0301 for what the folder lacks, E0202 for a sequence beyond the model's positions, E0203 for open dimensions.
 */
export function importCheckpoint(folder: string, options: ImportOptions): ImportedModel {
  const checkpoint = openCheckpoint(folder);
  const { configPath } = checkpoint;
  const read = configFrom(checkpoint.config, configPath);
  const weights = new CheckpointWeights(checkpoint);
  const config = { ...read, head: read.head ?? shownHead(read, (name) => weights.has(name)) };
  const inputs = inputsOf(config);
  // Names are the same at every size.
  const { graph: smallest } = modelOf(config, { batch: 1, length: 1 }, weights);
  weights.complain(folder);
  options.check?.({ inputs, outputs: smallest.outputs.map(({ name }) => name), dims: [BATCH, SEQUENCE] });
  const frame = frameOf(inputs, options);
  checkLength(config, frame, configPath);
  const source = modelOf(config, frame, weights);
  const symbolic = source.graph.inputs.map((input) => ({ ...input, shape: [BATCH, SEQUENCE] }));
  const bytes = encodeModel({ ...source, graph: { ...source.graph, inputs: symbolic } });
  const model = readModel(memorySource(bytes, join(folder, "model.onnx")));
  const initializers = new Map([...model.initializers, ...weights.read]);
  const { check: _, ...rest } = options;
  return { ...importRead({ ...model, initializers }, rest), name: basename(resolve(folder)) };
}

function frameOf(inputs: readonly string[], { dims, shapes, values }: ImportOptions): Frame {
  const dim = [BATCH, SEQUENCE].map((dimParam) => ({ value: "dimParam" as const, dimParam }));
  const tensorType = { elemType: 7, shape: { dim } };
  const signature = inputs.map((name) => ({ name, type: { value: "tensorType" as const, tensorType } }));
  const given = Object.entries(values ?? {}).flatMap(([name, { shape }]) =>
    shape === undefined ? [] : [[name, shape]],
  );
  const bound = bindShapes(signature, { dims: dims ?? {}, shapes: { ...shapes, ...Object.fromEntries(given) } });
  const [batch, length] = bound.shapes.get(inputs[0]) as readonly number[];
  return { batch, length };
}

function checkLength(config: ArchitectureConfig, { length }: Frame, where: string): void {
  const most = longest(config);
  if (length > most) {
    const what = `a sequence of ${length} tokens is longer than the model's ${most} positions`;
    throw fail({ code: "E0202", what, where, fix: `bind ${SEQUENCE} to ${most} at most` });
  }
}

/** The weights of a checkpoint, whose names may lack the model's first part or be of an older form. */
class CheckpointWeights implements WeightSource {
  readonly asStored = true;
  /** What the graph reads, by the names in the file. */
  readonly read = new Map<string, StoredTensor>();
  private readonly missing = new Map<string, Diagnostic>();

  constructor(private readonly checkpoint: Checkpoint) {}

  has(name: string): boolean {
    return this.find(name) !== undefined;
  }

  tensor(name: string, shape: readonly number[]): { readonly name: string; readonly dtype: StoredTensor["dtype"] } {
    const tensor = this.find(name);
    const where = this.checkpoint.configPath;
    if (tensor === undefined) {
      this.missing.set(name, { code: "E0301", what: `the weights lack '${name}', [${shape.join(", ")}]`, where });
    } else if (!sameShape(tensor.shape, shape)) {
      const what = `the weight '${tensor.name}' is [${tensor.shape.join(", ")}]; the config says [${shape.join(", ")}]`;
      this.missing.set(name, { code: "E0301", what, where });
    } else {
      this.read.set(tensor.name, tensor);
      return tensor;
    }
    return { name, dtype: "f32" };
  }

  /** Throws E0301 with every weight that is missing or of another shape. */
  complain(folder: string): void {
    const problems = [...this.missing.values()];
    if (problems.length > 0) {
      const more = problems.length > SHOWN ? ` (${problems.length - SHOWN} more are like this)` : "";
      const fix = `see that config.json and the weights of ${basename(folder)} are of one model${more}`;
      throw fail(...problems.slice(0, SHOWN).map((each) => ({ ...each, fix })));
    }
  }

  private find(name: string): StoredTensor | undefined {
    for (const each of spellings(name)) {
      const tensor = this.checkpoint.tensor(each);
      if (tensor !== undefined) {
        return tensor;
      }
    }
    return undefined;
  }
}

/** Problems that are told one by one. */
const SHOWN = 8;

/** First parts that a checkpoint may leave out, since models without a head were saved without, or call otherwise. */
const PREFIXES = /^(bert|roberta|distilbert|transformer|model)\./;

/** A weight's name, and what else it may be called: without its first part, under another, or as TensorFlow's BERT. */
function spellings(name: string): readonly string[] {
  const inner = PREFIXES.test(name) ? name.replace(PREFIXES, "") : undefined;
  const all =
    inner === undefined ? [name] : [name, inner, ...(name.startsWith("model.") ? [`transformer.${inner}`] : [])];
  const older = (each: string): string =>
    each.replace(/LayerNorm\.weight$/, "LayerNorm.gamma").replace(/LayerNorm\.bias$/, "LayerNorm.beta");
  return [...new Set([...all, ...all.map(older)])];
}
