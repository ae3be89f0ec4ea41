/**
 * A model file as the importer sees it: the graph's nodes and signature decoded, its initialisers by name with their
 * data still on disk. A file may be 2 GB with the weights inside, so the graph is walked field by field and only what
 * is not a weight is decoded.
 */

import { type ByteSource, ModelFile, memorySource } from "../../formats/model-file.js";
import { decodeMessage, type FunctionProto, type GraphProto, type ModelHeader } from "../../formats/onnx/schema.js";
import { readTensor, type StoredTensor } from "../../formats/onnx/tensor-proto.js";
import { joinBytes, wireFields } from "../../formats/onnx/wire.js";
import { fail } from "../../ir/diagnostics.js";

/** The largest structure (everything but initialisers) that is decoded: nodes, names, attributes. */
const MOST_STRUCTURE = 2 ** 28;

export interface OnnxModel {
  readonly path: string;
  readonly header: ModelHeader;
  readonly graph: GraphProto;
  readonly initializers: ReadonlyMap<string, StoredTensor>;
  /** Operator set versions by domain; "" is ONNX's own. */
  readonly opsets: ReadonlyMap<string, number>;
  /** Model-local functions by `functionKey`. */
  readonly functions: ReadonlyMap<string, FunctionProto>;
}

/** The key of a function: domain, name and overload. */
export function functionKey(domain: string, name: string, overload: string): string {
  return JSON.stringify([normalDomain(domain), name, overload]);
}

/** ONNX's own domain has two spellings. */
export function normalDomain(domain: string): string {
  return domain === "ai.onnx" ? "" : domain;
}

/**
 * Reads a model's structure. E0301 where the file is not ONNX, E0302 where it contradicts itself, E0304 (external
 * data).
 */
export function readModel(path: string): OnnxModel {
  const source = new ModelFile(path);
  const header: Uint8Array[] = [];
  const structure: Uint8Array[] = [];
  const tensors: [offset: number, length: number][] = [];
  let structureBytes = 0;
  const copy = (into: Uint8Array[], start: number, end: number): void => {
    structureBytes += end - start;
    if (structureBytes > MOST_STRUCTURE) {
      throw fail({
        code: "E0402",
        what: `the model's graph without its initialisers is larger than ${MOST_STRUCTURE / 2 ** 20} MiB`,
        where: path,
        fix: "export weights as initialisers, not as Constant nodes",
      });
    }
    into.push(source.read(start, end - start).slice());
  };
  let hasGraph = false;
  for (const field of wireFields(source, 0, source.size)) {
    if (field.number !== 7 || field.wire !== 2) {
      copy(header, field.start, field.offset + field.length);
      continue;
    }
    hasGraph = true;
    for (const inner of wireFields(source, field.offset, field.length)) {
      if (inner.number === 5 && inner.wire === 2) {
        tensors.push([inner.offset, inner.length]);
      } else {
        copy(structure, inner.start, inner.offset + inner.length);
      }
    }
  }
  if (!hasGraph) {
    throw fail({ code: "E0301", what: "the file holds no ONNX graph", where: path });
  }
  const message = decodeMessage("ModelProto", joinBytes(header), path);
  return {
    path,
    header: message,
    graph: decodeMessage("GraphProto", joinBytes(structure), path),
    initializers: namedTensors(
      tensors.map(([offset, length]) => readTensor(source, offset, length, path)),
      path,
    ),
    opsets: new Map(message.opsetImport.map(({ domain, version }) => [normalDomain(domain), version])),
    functions: new Map(message.functions.map((each) => [functionKey(each.domain, each.name, each.overload), each])),
  };
}

/** The initialisers of a sub-graph, whose bytes are in memory. */
export function subgraphTensors(graph: GraphProto, modelPath: string): ReadonlyMap<string, StoredTensor> {
  return namedTensors(
    graph.initializer.map((bytes) => tensorFromBytes(bytes, modelPath)),
    modelPath,
  );
}

/** A TensorProto in memory: an attribute, or an initialiser of a sub-graph. */
export function tensorFromBytes(bytes: Uint8Array, modelPath: string, fallbackName = ""): StoredTensor {
  const source: ByteSource = memorySource(bytes, modelPath);
  return readTensor(source, 0, bytes.length, modelPath, fallbackName);
}

function namedTensors(tensors: readonly StoredTensor[], path: string): ReadonlyMap<string, StoredTensor> {
  const byName = new Map<string, StoredTensor>();
  for (const tensor of tensors) {
    if (tensor.name === "" || byName.has(tensor.name)) {
      throw fail({
        code: "E0302",
        what: `two initialisers have the name '${tensor.name}', or one has none`,
        where: path,
      });
    }
    byName.set(tensor.name, tensor);
  }
  return byName;
}
