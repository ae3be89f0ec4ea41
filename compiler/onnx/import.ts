/**
 * The ONNX front end: a model file in, a tensor graph of fixed shapes and a store of its weights out. What is wrong is
 * told all at once; what is merely suspicious is a warning.
 */
import { basename } from "node:path";
import { ModelFile } from "../../formats/model-file.js";
import type { NodeProto, ValueInfo } from "../../formats/onnx/schema.js";
import { dtypeOf, type StoredTensor } from "../../formats/onnx/tensor-proto.js";
import type { Diagnostic } from "../../ir/diagnostics.js";
import { fail } from "../../ir/diagnostics.js";
import type { WeightStore } from "../../ir/tensor/index.js";
import type { DType, TensorValue } from "../../ir/tensor/value.js";
import { type DeclaredNames, type GivenValue, type ImportedModel, valueFor } from "../imported.js";
import {
  type Bindings,
  bindShapes,
  declaredShape,
  dimensionValue,
  namesOfDimensions,
  type Symbols,
} from "./dimensions.js";
import type { Value } from "./emitter.js";
import { withDenseExperts } from "./experts.js";
import { functionKey, normalDomain, type OnnxModel, readModel } from "./model.js";
import { findRule } from "./registry.js";
import { usesOf } from "./structure.js";
import { Translation, unsupported } from "./translate.js";

export interface ImportOptions extends Bindings {
  /** Inputs whose value is known and public: they become constants, and everything that follows from them folds. */
  readonly values?: Readonly<Record<string, GivenValue>>;
  /** Further shapes of inputs, made of what the file declares of them. */
  readonly shapesOf?: (declared: DeclaredNames) => Readonly<Record<string, readonly number[]>>;
  /** Further values of inputs, made of the shapes that they are bound to. */
  readonly valuesOf?: (shapes: ReadonlyMap<string, readonly number[]>) => Readonly<Record<string, GivenValue>>;
  /** Hears what the file declares, before anything is bound. */
  readonly check?: (declared: DeclaredNames) => void;
}

/** The newest operator set that this version was written against. */
const NEWEST_OPSET = 28;

/**
 * Imports an ONNX model at fixed shapes (`dims` by symbol, `shapes` by input; integers ≥ 0).
 * E0203: dimensions not bound, all of them. E0401: unsupported operators, all of them with their nodes. E0402:
 * operators known, but not like this. E0301, E0302, E0304: the file.
 */
export function importOnnx(path: string, options: ImportOptions = {}): ImportedModel {
  return importRead(readModel(new ModelFile(path)), options);
}

/** The same of a model that has been read. */
export function importRead(read: OnnxModel, options: ImportOptions): ImportedModel {
  const model = withDenseExperts(read);
  const { path } = model;
  const warnings: Diagnostic[] = [];
  checkOpsets(model, warnings);
  checkOperators(model);
  checkDefinitions(model);
  const signature = model.graph.input.filter((input) => !model.initializers.has(input.name));
  const declared: DeclaredNames = {
    inputs: signature.map(({ name }) => name),
    outputs: model.graph.output.map(({ name }) => name),
    dims: namesOfDimensions(signature),
    shapes: new Map(signature.map((input) => [input.name, declaredShape(input)])),
  };
  options.check?.(declared);
  const dtypes = new Map(signature.map((input) => [input.name, inputType(input)]));
  const values = Object.entries(options.values ?? {});
  const stated = values.flatMap(([name, { shape }]) => (shape === undefined ? [] : [[name, shape] as const]));
  const shapes = { ...options.shapesOf?.(declared), ...options.shapes, ...Object.fromEntries(stated) };
  const bound = bindShapes(signature, { ...options, shapes });
  const given = new Map([...Object.entries(options.valuesOf?.(bound.shapes) ?? {}), ...values]);
  const observe = valueChecker(model, bound.symbols, warnings);
  const translation = new Translation(model, warnings, observe);
  const inputs: { name: string; dtype: DType; shape: readonly number[] }[] = [];
  for (const { name } of signature) {
    const value = given.get(name);
    if (value !== undefined) {
      const type = { dtype: dtypes.get(name) as DType, shape: bound.shapes.get(name) ?? [] };
      translation.bindInput(name, translation.emitter.constant(valueFor(name, value, type)));
      continue;
    }
    const input = { name, dtype: dtypes.get(name) as DType, shape: bound.shapes.get(name) ?? [] };
    inputs.push(input);
    translation.bindInput(name, translation.emitter.input(name, input.dtype, input.shape));
  }
  warnUnused(model, inputs, warnings);
  const outputs = translation.run();
  warnAbsent(translation.weights, path, warnings);
  return {
    graph: translation.emitter.finish(outputs),
    weights: weightStore(translation.weights),
    warnings,
    name: basename(path).replace(/\.onnx$/, ""),
    inputs,
  };
}

/** E0302 for a name that an input and a node, or two nodes, define. */
function checkDefinitions({ graph, path }: OnnxModel): void {
  const defined = new Set(graph.input.map(({ name }) => name));
  for (const name of graph.node.flatMap(({ output }) => output).filter((each) => each !== "")) {
    if (defined.has(name)) {
      const why = "a value of the graph has one definition";
      throw fail({ code: "E0302", what: `'${name}' is defined twice`, where: path, why, fix: "export the model anew" });
    }
    defined.add(name);
  }
}

/** Weights by parameter name, read from disk when asked, each time anew. */
function weightStore(weights: ReadonlyMap<string, StoredTensor>): WeightStore {
  return {
    read(name, room): TensorValue {
      const tensor = weights.get(name);
      if (tensor === undefined) {
        throw new Error(`no weight '${name}'`);
      }
      return { dtype: tensor.dtype, shape: tensor.shape, data: tensor.read(0, undefined, room) };
    },
  };
}

function checkOpsets(model: OnnxModel, warnings: Diagnostic[]): void {
  const version = model.opsets.get("");
  const usesOnnx = model.graph.node.some((node) => normalDomain(node.domain) === "");
  if (version === undefined && usesOnnx) {
    throw fail({
      code: "E0302",
      what: "the model names no operator set",
      where: model.path,
      why: "operators change their meaning between operator sets",
      fix: "export the model again with opset 14 or later",
    });
  }
  if (version !== undefined && version > NEWEST_OPSET) {
    warnings.push({
      code: "W0304",
      what: `operator set ${version} is newer than the newest known one, ${NEWEST_OPSET}`,
      where: model.path,
      why: "an operator may have changed its meaning",
      fix: "compare an output with a reference, or export with an older opset",
    });
  }
}

/** Finds every unsupported operator before anything is translated. */
function checkOperators(model: OnnxModel): void {
  const groups = new Map<string, { domain: string; opset: number; since: number | undefined; nodes: NodeProto[] }>();
  const seen = new Set<string>();
  const visit = (nodes: readonly NodeProto[], opsets: ReadonlyMap<string, number>): void => {
    for (const node of nodes) {
      const domain = normalDomain(node.domain);
      const rule = findRule(domain, node.opType);
      const opset = opsets.get(domain) ?? 1;
      if (rule !== undefined && opset >= rule.since) {
        continue;
      }
      const key = functionKey(domain, node.opType, node.overload);
      const body = model.functions.get(key);
      if (body === undefined || rule !== undefined) {
        const group = groups.get(key) ?? { domain, opset, since: rule?.since, nodes: [] };
        group.nodes.push(node);
        groups.set(key, group);
      } else if (!seen.has(key)) {
        seen.add(key);
        const own = new Map(body.opsetImport.map((each) => [normalDomain(each.domain), each.version]));
        visit(body.node, own.size === 0 ? opsets : own);
      }
    }
  };
  visit(model.graph.node, model.opsets);
  if (groups.size > 0) {
    throw fail(
      ...[...groups.values()].map(({ domain, opset, since, nodes }) => unsupported(nodes, domain, opset, since)),
    );
  }
}

const KINDS: Readonly<Record<string, string>> = {
  sequenceType: "sequence",
  mapType: "map",
  optionalType: "optional",
  sparseTensorType: "sparse tensor",
};

function inputType(input: ValueInfo): DType {
  const where = `input '${input.name}'`;
  const tensor = input.type?.tensorType;
  if (tensor === undefined || tensor === null) {
    const kind = KINDS[input.type?.value ?? ""];
    throw fail({
      code: kind === undefined ? "E0302" : "E0402",
      what: kind === undefined ? `${where} has no type` : `${where} is of type ${kind}, which is not supported`,
      where,
      why: "a plan's values are tensors of fixed shape",
      fix: "export the model with tensor inputs only",
    });
  }
  return dtypeOf(tensor.elemType, where);
}

/** Exporters merge inputs that were the same tensor object when traced: one of them is then unused. */
function warnUnused(model: OnnxModel, inputs: readonly { readonly name: string }[], warnings: Diagnostic[]): void {
  const uses = usesOf(model.graph);
  for (const { name } of inputs) {
    if (!uses.users.has(name) && !uses.captured.has(name) && !uses.outputs.has(name)) {
      warnings.push({
        code: "W0301",
        what: `input '${name}' is used by no node`,
        where: model.path,
        why: "the dynamo exporter merges inputs that are the same tensor object while tracing, and the result is wrong",
        fix: "export again with distinct tensors as example inputs; ignore this if the model needs no such input",
      });
    }
  }
}

function warnAbsent(weights: ReadonlyMap<string, StoredTensor>, path: string, warnings: Diagnostic[]): void {
  const count = [...weights.values()].filter((tensor) => tensor.absent).length;
  if (count > 0) {
    warnings.push({
      code: "W0303",
      what: `the external data of ${count} weights is missing`,
      where: path,
      why: "a compile needs shapes only; a run needs the values",
      fix: "copy the external data file beside the model before running it",
    });
  }
}

/** Compares each value's type with what the file says about it. Zeros are passed over: dynamo writes wrong ones. */
function valueChecker(
  model: OnnxModel,
  symbols: Symbols,
  warnings: Diagnostic[],
): (name: string, value: Value) => void {
  const declared = new Map([...model.graph.valueInfo, ...model.graph.output].map((info) => [info.name, info]));
  return (name, value) => {
    const dims = declared.get(name)?.type?.tensorType?.shape?.dim;
    if (dims === undefined) {
      return;
    }
    const said = dims.map((dimension) => dimensionValue(dimension, symbols));
    const { shape } = value.type;
    const differs = said.some((n, i) => n !== undefined && n !== 0 && n !== shape[i]);
    if (said.length !== shape.length || differs) {
      warnings.push({
        code: "W0302",
        what: `'${name}' has shape [${shape.join(", ")}], but the file says [${said.map((n) => n ?? "?").join(", ")}]`,
        where: name,
        why: "the file's own shape annotation disagrees with its operators",
        fix: "trust the operators, or export again without stale annotations",
      });
    }
  };
}
