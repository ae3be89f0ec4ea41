/**
 * A model file as the importer sees it: the graph's nodes and signature decoded, its initialisers by name with their
 * data still on disk. A file may be 2 GB with the weights inside, so the graph is walked field by field and only what
 * is not a weight is decoded.
 */

import { type ByteSource, memorySource } from "../../formats/model-file.js";
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

const LARGEST_SPARSE = 2 ** 28;

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
export function readModel(source: ByteSource): OnnxModel {
  const path = source.name;
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
  const graph = decodeMessage("GraphProto", joinBytes(structure), path);
  const dense = tensors.map(([offset, length]) => readTensor(source, offset, length, path));
  return {
    path,
    header: message,
    graph,
    initializers: namedTensors([...dense, ...graph.sparseInitializer.map((bytes) => sparseTensor(bytes, path))], path),
    opsets: new Map(message.opsetImport.map(({ domain, version }) => [normalDomain(domain), version])),
    functions: new Map(message.functions.map((each) => [functionKey(each.domain, each.name, each.overload), each])),
  };
}

/** The initialisers of a sub-graph, whose bytes are in memory. */
export function subgraphTensors(graph: GraphProto, modelPath: string): ReadonlyMap<string, StoredTensor> {
  const dense = graph.initializer.map((bytes) => tensorFromBytes(bytes, modelPath));
  const sparse = graph.sparseInitializer.map((bytes) => sparseTensor(bytes, modelPath));
  return namedTensors([...dense, ...sparse], modelPath);
}

/** A TensorProto in memory: an attribute, or an initialiser of a sub-graph. */
export function tensorFromBytes(bytes: Uint8Array, modelPath: string, fallbackName = ""): StoredTensor {
  const source: ByteSource = memorySource(bytes, modelPath);
  return readTensor(source, 0, bytes.length, modelPath, fallbackName);
}

/**
 * A tensor that the file says by its values that are not zero and their places, [n] in row-major order or [n, rank]:
 * the dense one, since a plan that left zeros out would show where they are.
 */
function sparseTensor(bytes: Uint8Array, modelPath: string): StoredTensor {
  const { values, indices, dims } = decodeMessage("SparseTensorProto", bytes, modelPath);
  const [numbers, places] = [values, indices].map((each) => tensorFromBytes(each, modelPath));
  const size = dims.reduce((product, n) => product * n, 1);
  const count = numbers.shape[0];
  const rank = places.shape.length === 2 ? dims.length : 1;
  const fits = dims.every((n) => n >= 0) && size <= LARGEST_SPARSE && numbers.shape.length === 1;
  if (!fits || places.shape.join() !== (places.shape.length === 2 ? [count, rank] : [count]).join()) {
    throw fail({ code: "E0302", what: `the sparse tensor '${numbers.name}' contradicts itself`, where: modelPath });
  }
  const read = () => {
    const [data, at] = [numbers.read(), places.read()];
    const whole = numbers.dtype === "f32" ? new Float32Array(size) : new Float64Array(size);
    data.forEach((value, i) => {
      const flat = Array.from({ length: rank }, (_, axis) => at[i * rank + axis]);
      whole[rank === 1 ? flat[0] : flat.reduce((sum, index, axis) => sum * dims[axis] + index, 0)] = value;
    });
    return whole;
  };
  const { name, dtype, absent } = numbers;
  return {
    name,
    dtype,
    absent,
    shape: dims,
    read: (first = 0, wanted = size - first) => read().subarray(first, first + wanted),
  };
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
