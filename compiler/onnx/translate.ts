/**
 * Walks the nodes of a model in order and translates each by its rule. Sub-graphs see the values around them; function
 * bodies see only their inputs. Errors do not stop the walk: they are collected, the outputs of the node that failed
 * are marked, and what depends on them is passed over, so that a user learns everything at once.
 */

import type { AttributeProto, FunctionProto, GraphProto, NodeProto } from "../../formats/onnx/schema.js";
import type { StoredTensor } from "../../formats/onnx/tensor-proto.js";
import { type Diagnostic, fail, PumacError } from "../../ir/diagnostics.js";
import { Call, type Surroundings } from "./call.js";
import { Emitter, knownValue, type Value } from "./emitter.js";
import { functionKey, normalDomain, type OnnxModel, subgraphTensors, tensorFromBytes } from "./model.js";
import { adviceFor, findRule } from "./registry.js";
import { isPublicTensor, maskedBias, onlyPositions, readsLast, type Uses, usesOf } from "./structure.js";

/** A value, or the mark of one that could not be translated. */
type Entry = Value | "failed";

interface Scope {
  readonly values: Map<string, Entry>;
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  readonly uses: Uses;
  readonly opsets: ReadonlyMap<string, number>;
  readonly parent: Scope | undefined;
  /** Attributes of the function call whose body this is. */
  readonly attributes: ReadonlyMap<string, AttributeProto>;
  readonly depth: number;
}

const DEEPEST = 64;
const MOST_NODES = 2_000_000;
const NO_USES: Uses = { users: new Map(), outputs: new Set(), captured: new Set(), memo: new Map() };

export class Translation {
  readonly emitter = new Emitter();
  readonly problems: Diagnostic[] = [];
  /** The weights that the graph names, by parameter name. */
  readonly weights = new Map<string, StoredTensor>();
  private steps = 0;
  private readonly top: Scope;
  private readonly warned = new Set<string>();

  constructor(
    private readonly model: OnnxModel,
    private readonly warnings: Diagnostic[],
    /** Is told of every value of the main graph. */
    private readonly observe: (name: string, value: Value) => void,
  ) {
    this.top = {
      values: new Map(),
      tensors: model.initializers,
      uses: usesOf(model.graph),
      opsets: model.opsets,
      parent: undefined,
      attributes: new Map(),
      depth: 0,
    };
  }

  get uses(): Uses {
    return this.top.uses;
  }

  private warn(warning: Diagnostic): void {
    if (!this.warned.has(warning.code + warning.what)) {
      this.warned.add(warning.code + warning.what);
      this.warnings.push(warning);
    }
  }

  bindInput(name: string, value: Value): void {
    this.top.values.set(name, value);
  }

  /** Translates the main graph; gives its outputs, or throws all problems together. */
  run(): readonly { readonly name: string; readonly node: Value }[] {
    this.translateNodes(this.model.graph.node, this.top);
    const outputs = this.model.graph.output.map(({ name }) => ({ name, entry: this.lookUp(name, this.top) }));
    outputs.forEach(({ name, entry }) => {
      if (entry === undefined) {
        this.problems.push({ code: "E0302", what: `output '${name}' is never computed`, where: this.model.path });
      }
    });
    if (this.problems.length > 0) {
      throw fail(...this.problems);
    }
    return outputs.map(({ name, entry }) => ({ name, node: entry as Value }));
  }

  private translateNodes(nodes: readonly NodeProto[], scope: Scope): void {
    for (const node of nodes) {
      if (++this.steps > MOST_NODES) {
        throw fail({ code: "E0402", what: `the model has more than ${MOST_NODES} nodes`, where: this.model.path });
      }
      this.translateNode(node, scope);
    }
  }

  private translateNode(node: NodeProto, scope: Scope): void {
    const label = labelOf(node);
    let results: readonly (Entry | undefined)[] = [];
    let failed = false;
    try {
      const inputs = node.input.map((name) => this.inputEntry(name, node, label, scope));
      failed = inputs.includes("failed");
      if (!failed) {
        results = this.convert(node, label, inputs as (Value | undefined)[], scope);
      }
    } catch (error) {
      this.collect(error, node, label);
      failed = true;
    }
    node.output.forEach((name, i) => {
      const entry = failed ? "failed" : results[i];
      if (name === "" || entry === undefined) {
        return;
      }
      scope.values.set(name, entry);
      if (scope === this.top && entry !== "failed") {
        this.observe(name, entry);
      }
    });
  }

  private inputEntry(name: string, node: NodeProto, label: string, scope: Scope): Entry | undefined {
    if (name === "") {
      return undefined;
    }
    const entry = this.lookUp(name, scope);
    if (entry === undefined) {
      throw fail({
        code: "E0302",
        what: `${node.opType}: its input '${name}' is computed by no node before it`,
        where: label,
        fix: "export the model again: its graph is incomplete or not in order",
      });
    }
    return entry;
  }

  /** A name's value: computed, or an initialiser, which becomes a node where it is first used. */
  private lookUp(name: string, scope: Scope): Entry | undefined {
    for (let at: Scope | undefined = scope; at !== undefined; at = at.parent) {
      const entry = at.values.get(name);
      if (entry !== undefined) {
        return entry;
      }
      const tensor = at.tensors.get(name);
      if (tensor !== undefined) {
        const value = isPublicTensor(tensor, at.uses) ? this.publicConstant(tensor) : this.owned(name, tensor, at.uses);
        at.values.set(name, value);
        return value;
      }
    }
    return undefined;
  }

  private publicConstant(tensor: StoredTensor): Value {
    this.emitter.origin = tensor.name;
    return this.emitter.fixed({ dtype: tensor.dtype, shape: tensor.shape, data: tensor.read() });
  }

  /** A weight; a bias of scores without the mask that was folded into it. */
  private owned(name: string, tensor: StoredTensor, uses: Uses): Value {
    const apart = maskedBias(tensor, uses);
    if (apart === undefined) {
      return this.weight(name, tensor);
    }
    this.emitter.origin = name;
    return this.emitter.add(this.weight(name, apart.bias), this.emitter.fixed(apart.mask));
  }

  /** A parameter under a name of its own. */
  private weight(name: string, tensor: StoredTensor): Value {
    let unique = name;
    for (let i = 2; this.weights.has(unique) && this.weights.get(unique) !== tensor; i++) {
      unique = `${name}#${i}`;
    }
    this.weights.set(unique, tensor);
    return this.emitter.parameter(unique, tensor.dtype, tensor.shape);
  }

  private convert(
    node: NodeProto,
    label: string,
    inputs: readonly (Value | undefined)[],
    scope: Scope,
  ): readonly (Entry | undefined)[] {
    const domain = normalDomain(node.domain);
    const body = this.model.functions.get(functionKey(domain, node.opType, node.overload));
    const rule = findRule(domain, node.opType);
    const attributes = resolveAttributes(node, scope);
    if (rule === undefined && body !== undefined) {
      return this.inline(body, node, label, inputs, attributes, scope);
    }
    const opset = scope.opsets.get(domain) ?? 1;
    if (rule === undefined || opset < rule.since) {
      throw fail(unsupported([node], domain, opset, rule?.since));
    }
    this.emitter.origin = label;
    const surroundings: Surroundings = {
      emitter: this.emitter,
      modelPath: this.model.path,
      subgraph: (graph, bindings) => this.subgraph(graph, bindings, scope, label),
      attempt: (action) => this.attempt(action),
      weight: (name, tensor) => this.weight(name, tensor),
      warn: (warning) => this.warn(warning),
      isLastRead: (name) => readsLast(name, scope.uses, (each) => this.numbersOf(each, scope)),
      isPublic: (name) => onlyPositions(name, scope.uses),
    };
    return rule.convert(new Call(node, label, opset, inputs, attributes, surroundings));
  }

  /** Numbers that are known by now, or that a constant further on has; of a list of parts those that are, else NaN. */
  private numbersOf(name: string, scope: Scope): readonly number[] | undefined {
    const { origin } = this.emitter;
    const entry = this.lookUp(name, scope);
    this.emitter.origin = origin;
    if (entry !== undefined) {
      return entry === "failed" ? undefined : knownValue(entry)?.data && Array.from(knownValue(entry)!.data);
    }
    const ahead = this.model.graph.node.find(({ output }) => output.includes(name));
    if (ahead?.opType === "Concat") {
      return ahead.input.flatMap((each) => this.numbersOf(each, scope) ?? [Number.NaN]);
    }
    const constant = ahead?.opType === "Constant" ? ahead.attribute.find((each) => each.name === "value") : undefined;
    return constant && Array.from(tensorFromBytes(constant.t, this.model.path, name).read());
  }

  private attempt<R>(action: () => R): R | undefined {
    const before = this.problems.length;
    try {
      return action();
    } catch (error) {
      if (!(error instanceof PumacError || error instanceof PassedOver)) {
        throw error;
      }
      this.problems.length = before;
      return undefined;
    }
  }

  private nested(scope: Scope, label: string, change: Partial<Scope>): Scope {
    if (scope.depth >= DEEPEST) {
      throw fail({
        code: "E0302",
        what: "sub-graphs or functions are nested too deep, or call themselves",
        where: label,
      });
    }
    return { ...scope, values: new Map(), depth: scope.depth + 1, ...change };
  }

  private subgraph(graph: GraphProto, bindings: readonly Value[], scope: Scope, label: string): readonly Value[] {
    const tensors = subgraphTensors(graph, this.model.path);
    const inner = this.nested(scope, label, { tensors, uses: usesOf(graph), parent: scope });
    graph.input.forEach((input, i) => {
      if (bindings[i] !== undefined) {
        inner.values.set(input.name, bindings[i]);
      }
    });
    return this.inside(
      graph.node,
      graph.output.map((output) => output.name),
      inner,
      label,
    );
  }

  private inline(
    body: FunctionProto,
    node: NodeProto,
    label: string,
    inputs: readonly (Value | undefined)[],
    attributes: ReadonlyMap<string, AttributeProto>,
    scope: Scope,
  ): readonly Value[] {
    const defaults = new Map(body.attributeProto.map((each) => [each.name, each]));
    const opsets = new Map(body.opsetImport.map(({ domain, version }) => [normalDomain(domain), version]));
    const inner = this.nested(scope, label, {
      tensors: new Map(),
      uses: NO_USES,
      opsets: opsets.size === 0 ? scope.opsets : opsets,
      parent: undefined,
      attributes: new Map([...defaults, ...attributes]),
    });
    const given = new Map(body.input.map((name, i) => [name, inputs[i]]));
    for (const [name, value] of given) {
      if (value !== undefined) {
        inner.values.set(name, value);
      }
    }
    const absent = new Set([...given].flatMap(([name, value]) => (value === undefined ? [name] : [])));
    const nodes = body.node.map((each) => ({
      ...each,
      input: each.input.map((name) => (absent.has(name) ? "" : name)),
    }));
    return this.inside(nodes, body.output.slice(0, node.output.length), inner, label);
  }

  /** Translates nodes in an inner scope; gives the named outputs, and fails quietly if what failed is recorded. */
  private inside(nodes: readonly NodeProto[], names: readonly string[], inner: Scope, label: string): readonly Value[] {
    this.translateNodes(nodes, inner);
    return names.map((name) => {
      const entry = this.lookUp(name, inner);
      if (entry === "failed") {
        throw new PassedOver();
      }
      if (entry === undefined) {
        throw fail({ code: "E0302", what: `'${name}' is never computed inside this node`, where: label });
      }
      return entry;
    });
  }

  private collect(error: unknown, node: NodeProto, label: string): void {
    if (error instanceof PumacError) {
      const where = (each: Diagnostic): Diagnostic => (each.where === undefined ? { ...each, where: label } : each);
      this.problems.push(...error.diagnostics.map(where));
    } else if (!(error instanceof PassedOver)) {
      const cause = error instanceof Error ? error : new Error(String(error));
      throw new Error(`while translating ${node.opType} '${label}': ${cause.message}`, { cause });
    }
  }
}

/** Thrown where an inner problem is recorded already. */
class PassedOver extends Error {}

/**
 * What errors and reports call a node: its name, else its first output. The dynamo exporter's names (`node_linear_3`)
 * say nothing of the layer, but its metadata does: `: Model/bert.encoder.layer.0: BertLayer/…`; the innermost
 * module's path is put before the name.
 */
function labelOf(node: NodeProto): string {
  const name = node.name !== "" ? node.name : (node.output.find((output) => output !== "") ?? node.opType);
  const namespace = node.metadataProps.find((entry) => entry.key === "namespace")?.value ?? "";
  const modules = namespace.split("/").map((part) => part.split(":")[0].trim());
  const module = modules.findLast((path) => path.includes("."));
  return module === undefined || name.includes(module) ? name : `${module}/${name}`;
}

/** A node's attributes; inside a function body, references are replaced by the call's. */
function resolveAttributes(node: NodeProto, scope: Scope): ReadonlyMap<string, AttributeProto> {
  const resolved = new Map<string, AttributeProto>();
  for (const attribute of node.attribute) {
    const value = attribute.refAttrName === "" ? attribute : scope.attributes.get(attribute.refAttrName);
    if (value !== undefined) {
      resolved.set(attribute.name, value);
    }
  }
  return resolved;
}

/** The diagnostic for nodes of one unsupported operator. */
export function unsupported(
  nodes: readonly NodeProto[],
  domain: string,
  opset: number,
  since?: number | undefined,
): Diagnostic {
  const { opType } = nodes[0];
  const labels = nodes.map((node) => node.name || node.output[0] || opType);
  const shown = labels.slice(0, 4).join(", ") + (labels.length > 4 ? ` and ${labels.length - 4} more` : "");
  const name = domain === "" ? opType : `${domain}::${opType}`;
  const advice = adviceFor(domain, opType);
  const old = since !== undefined;
  return {
    code: "E0401",
    what: `unsupported operator ${name} (opset ${opset}), ${labels.length} node${labels.length === 1 ? "" : "s"}`,
    where: shown,
    why: old ? `its present rules hold since opset ${since}, and the model declares ${opset}` : advice.why,
    fix: old ? `export with opset ${since} or later` : advice.fix,
  };
}
