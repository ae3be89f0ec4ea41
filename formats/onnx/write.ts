/**
 * Writes ONNX models: for `pumac model`, which makes known architectures with random weights, and for tests. Weights
 * may go to an external data file beside the model; they are produced and written piece by piece, so that a model far
 * larger than memory can be written. Without weights, the external file is declared and not made: enough for a
 * compile.
 */
import { closeSync, openSync, writeFileSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { type DType, sizeOf, type TensorValue } from "../../ir/tensor/value.js";
import { encodeElements } from "./encode.js";
import { encodeMessage } from "./schema.js";
import { bytesOf, dataTypeOf } from "./tensor-proto.js";

/** A weight to write: its values, or a source of its little-endian bytes in order. */
export interface TensorSource {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data?: TensorValue["data"];
  readonly stream?: () => Iterable<Uint8Array>;
}

/** An attribute of a node by its kind. */
export type AttributeSource =
  | { readonly integer: number }
  | { readonly number: number }
  | { readonly string: string }
  | { readonly tensor: TensorValue }
  | { readonly graph: GraphSource }
  | { readonly integers: readonly number[] }
  | { readonly numbers: readonly number[] }
  | { readonly reference: string };

export interface NodeSource {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly name?: string;
  readonly domain?: string;
  readonly attributes?: Readonly<Record<string, AttributeSource>>;
}

/** A graph input or output; a dimension is a number or a symbol. */
export interface ValueSource {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly (number | string)[];
}

export interface GraphSource {
  readonly name: string;
  readonly inputs: readonly ValueSource[];
  readonly outputs: readonly ValueSource[];
  readonly nodes: readonly NodeSource[];
  readonly tensors?: readonly TensorSource[];
  /** Shape annotations of inner values. */
  readonly values?: readonly ValueSource[];
}

export interface FunctionSource {
  readonly name: string;
  readonly domain: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly nodes: readonly NodeSource[];
  readonly attributes?: readonly string[];
}

export interface ModelSource {
  readonly graph: GraphSource;
  /** Operator set versions by domain; "" is ONNX's own. */
  readonly opsets: Readonly<Record<string, number>>;
  readonly functions?: readonly FunctionSource[];
  readonly producer?: string;
}

/** Where a weight's bytes will lie in the external file. */
interface Place {
  readonly location: string;
  readonly offset: number;
  readonly length: number;
}

/** External data starts on a multiple of this, so that it can be mapped. */
const ALIGNMENT = 64;

/** The bytes of a weight. */
function byteLength(tensor: TensorSource): number {
  return sizeOf(tensor.shape) * bytesOf(tensor.dtype);
}

function* bytesOfTensor(tensor: TensorSource): Iterable<Uint8Array> {
  if (tensor.data !== undefined) {
    yield encodeElements(tensor.data, tensor.dtype);
  } else if (tensor.stream !== undefined) {
    yield* tensor.stream();
  } else {
    throw new Error(`tensor '${tensor.name}' has neither data nor a stream`);
  }
}

function collect(tensor: TensorSource): Uint8Array {
  const bytes = Buffer.concat([...bytesOfTensor(tensor)]);
  if (bytes.length !== byteLength(tensor)) {
    throw new Error(`tensor '${tensor.name}' gave ${bytes.length} bytes, not ${byteLength(tensor)}`);
  }
  return bytes;
}

/** A TensorProto with its data inside, or with the place where it lies. */
function tensorProto(tensor: TensorSource, place?: Place): Uint8Array {
  const header = { dims: tensor.shape, dataType: dataTypeOf(tensor.dtype), name: tensor.name };
  if (place === undefined) {
    return encodeMessage("TensorProto", { ...header, rawData: collect(tensor) });
  }
  const externalData = Object.entries(place).map(([key, value]) => ({ key, value: String(value) }));
  return encodeMessage("TensorProto", { ...header, externalData, dataLocation: 1 });
}

/** The bytes of a `.pb` file that holds one tensor, the form of ONNX's test data. */
export function encodeTensor(name: string, value: TensorValue): Uint8Array {
  return tensorProto({ name, ...value });
}

function attributeFields(name: string, attribute: AttributeSource): object {
  if ("integer" in attribute) {
    return { name, type: 2, i: attribute.integer };
  }
  if ("number" in attribute) {
    return { name, type: 1, f: attribute.number };
  }
  if ("string" in attribute) {
    return { name, type: 3, s: Buffer.from(attribute.string) };
  }
  if ("tensor" in attribute) {
    return { name, type: 4, t: encodeTensor("", attribute.tensor) };
  }
  if ("graph" in attribute) {
    return { name, type: 5, g: graphFields(attribute.graph, new Map()) };
  }
  if ("integers" in attribute) {
    return { name, type: 7, ints: attribute.integers };
  }
  if ("numbers" in attribute) {
    return { name, type: 6, floats: attribute.numbers };
  }
  return { name, type: 2, refAttrName: attribute.reference };
}

function nodeFields(node: NodeSource): object {
  return {
    input: node.inputs,
    output: node.outputs,
    name: node.name ?? "",
    opType: node.op,
    domain: node.domain ?? "",
    attribute: Object.entries(node.attributes ?? {}).map(([name, attribute]) => attributeFields(name, attribute)),
  };
}

function valueFields(value: ValueSource): object {
  const dim = value.shape.map((n) => (typeof n === "number" ? { dimValue: n } : { dimParam: n }));
  return { name: value.name, type: { tensorType: { elemType: dataTypeOf(value.dtype), shape: { dim } } } };
}

function graphFields(graph: GraphSource, places: ReadonlyMap<string, Place>): object {
  return {
    name: graph.name,
    input: graph.inputs.map(valueFields),
    output: graph.outputs.map(valueFields),
    valueInfo: (graph.values ?? []).map(valueFields),
    node: graph.nodes.map(nodeFields),
    initializer: (graph.tensors ?? []).map((tensor) => tensorProto(tensor, places.get(tensor.name))),
  };
}

function opsetFields(opsets: Readonly<Record<string, number>>): object[] {
  return Object.entries(opsets).map(([domain, version]) => ({ domain, version }));
}

/** The model's bytes; weights in `places` are outside of it. */
export function encodeModel(model: ModelSource, places: ReadonlyMap<string, Place> = new Map()): Uint8Array {
  return encodeMessage("ModelProto", {
    irVersion: 10,
    producerName: model.producer ?? "pumac",
    opsetImport: opsetFields(model.opsets),
    graph: encodeMessage("GraphProto", graphFields(model.graph, places)),
    functions: (model.functions ?? []).map((each) => ({
      name: each.name,
      domain: each.domain,
      input: each.inputs,
      output: each.outputs,
      attribute: each.attributes ?? [],
      node: each.nodes.map(nodeFields),
      opsetImport: opsetFields(model.opsets),
    })),
  });
}

export interface WriteOptions {
  /** The name of the external data file, beside the model. Streamed weights of at least 1 KiB go there … */
  readonly external?: string;
  /** … or, if given, every tensor of at least so many bytes. */
  readonly threshold?: number;
  /** False: declare the external file without making it. */
  readonly weights?: boolean;
}

/** Writes a model, and its external data in the order of its tensors, one after the other. */
export function writeModel(path: string, model: ModelSource, options: WriteOptions = {}): void {
  const places = new Map<string, Place>();
  const outside = (model.graph.tensors ?? []).filter(
    (tensor) =>
      options.external !== undefined &&
      (tensor.stream !== undefined || options.threshold !== undefined) &&
      byteLength(tensor) >= (options.threshold ?? 1024),
  );
  let end = 0;
  for (const tensor of outside) {
    const offset = Math.ceil(end / ALIGNMENT) * ALIGNMENT;
    places.set(tensor.name, { location: options.external ?? "", offset, length: byteLength(tensor) });
    end = offset + byteLength(tensor);
  }
  writeFileSync(path, encodeModel(model, places));
  if (options.external !== undefined && options.weights !== false) {
    writeExternal(join(dirname(path), options.external), outside, places);
  }
}

function writeExternal(path: string, tensors: readonly TensorSource[], places: ReadonlyMap<string, Place>): void {
  const descriptor = openSync(path, "w");
  try {
    for (const tensor of tensors) {
      let at = places.get(tensor.name)?.offset ?? 0;
      const end = at + byteLength(tensor);
      for (const piece of bytesOfTensor(tensor)) {
        for (let done = 0; done < piece.length; ) {
          done += writeSync(descriptor, piece, done, piece.length - done, at + done);
        }
        at += piece.length;
      }
      if (at !== end) {
        throw new Error(
          `tensor '${tensor.name}' gave ${byteLength(tensor) + at - end} bytes, not ${byteLength(tensor)}`,
        );
      }
    }
  } finally {
    closeSync(descriptor);
  }
}
