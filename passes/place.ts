/**
 * The pass `place`: who knows what. Every value is known when the plan is made (constant), known to all who take part
 * (public), known to the model's owner, known to the data's owner, or secret: made of what several owners know. The
 * graph is cut where owners' work ends: each owner gets a program to run in the clear, and the secret program takes
 * the results as inputs. Looking up a row of an owner's table by the data owner's index becomes a product with a
 * one-hot row that the data owner makes.
 */

import { type Diagnostic, fail } from "../ir/diagnostics.js";
import { Builder } from "../ir/graph.js";
import { TENSOR, traitsOf } from "../ir/tensor/index.js";
import { isFloat, sizeOf, type TensorType } from "../ir/tensor/value.js";
import { chosenRows } from "./chosen-rows.js";
import { canonicalOrder } from "./order.js";
import type { Binding, Owner, Placed } from "./placed.js";
import type { Emit, TensorGraph, TensorNode } from "./rewriter.js";

export type { Placed } from "./placed.js";

type Knowledge = "constant" | Owner | "secret";

interface PlaceOptions {
  /** Whether the model's input of this name may be known to all. */
  readonly isPublic?: (input: string) => boolean;
  /** Whether an op can be computed on secrets; whoever lowers the secret program knows. Default: all can. */
  readonly hasSecretMeaning?: (op: string) => boolean;
  /** Whether the input of this name is shared as it is given: its owner computes nothing of it in the clear. */
  readonly isShared?: (input: string) => boolean;
  /** Whether the input of this name is what the parties kept themselves: nobody gives it. */
  readonly isKept?: (input: string) => boolean;
  /**
   * Keep masks that are partly constant (causal and padding) as an `and` in the secret program, so that whoever makes
   * the plan sees which scores nobody needs. Without it, such a mask is one input.
   */
  readonly splitMasks?: boolean;
}

/** Cuts the graph into the owners' programs and the secret one. Throws E0403 for every op without a secret meaning. */
export function place(graph: TensorGraph, options: PlaceOptions = {}): Placed {
  const looked = oneHotRows(graph, options);
  const knowledge = classify(looked, options);
  checkSecretOps(looked, knowledge, options.hasSecretMeaning ?? (() => true));
  return new Cut(looked, knowledge, options).run();
}

/** What each node's value is known to. */
function classify(graph: TensorGraph, options: PlaceOptions): ReadonlyMap<TensorNode, Knowledge> {
  const knowledge = new Map<TensorNode, Knowledge>();
  const isSecret = (name: string) => options.isShared?.(name) === true || options.isKept?.(name) === true;
  const ofInput = (name: string) => (options.isPublic?.(name) === true ? "public" : isSecret(name) ? "secret" : "data");
  for (const node of graph.nodes) {
    const own: Knowledge =
      node.op === "parameter" ? "model" : node.op === "input" ? ofInput(node.attributes.name as string) : "constant";
    knowledge.set(node, node.args.map((argument) => knowledge.get(argument)!).reduce(join, own));
  }
  return knowledge;
}

/** Who knows what is made of two values. The model's owner does not see even public inputs: it shares before them. */
function join(a: Knowledge, b: Knowledge): Knowledge {
  if (a === b || b === "constant") {
    return a;
  }
  if (a === "constant") {
    return b;
  }
  return a === "model" || b === "model" || a === "secret" || b === "secret" ? "secret" : "data";
}

/** What is taken, or put, at an index that is not known when the plan is made becomes a product with one-hot rows. */
function oneHotRows(graph: TensorGraph, options: PlaceOptions): TensorGraph {
  const knowledge = classify(graph, options);
  const builder = new Builder<TensorType>(TENSOR);
  const made = new Map<TensorNode, TensorNode>();
  // The same index into tables of the same length is one value, which its owner shares once.
  const hot: TensorNode[] = [];
  const emit =
    (node: TensorNode): Emit =>
    (op, args, attributes = {}) => {
      const isSame = (each: TensorNode) => each.args[0] === args[0] && each.attributes.depth === attributes.depth;
      const known = op === "oneHot" ? hot.find(isSame) : undefined;
      const result = known ?? builder.emit(op, args, attributes, node.origin);
      if (op === "oneHot" && known === undefined) {
        hot.push(result);
      }
      return result;
    };
  for (const node of graph.nodes) {
    const args = node.args.map((argument) => made.get(argument)!);
    const hidden = knowledge.get(node) === "secret" && isChosen(node, knowledge);
    const rows = hidden ? chosenRows(node, args, emit(node)) : undefined;
    made.set(node, rows ?? emit(node)(node.op, args, node.attributes));
  }
  return builder.finish(graph.outputs.map(({ name, node }) => ({ name, node: made.get(node)! })));
}

/** Whether some index that the op must know in the clear depends on an input. */
function isChosen(node: TensorNode, knowledge: ReadonlyMap<TensorNode, Knowledge>): boolean {
  const known: readonly (Knowledge | undefined)[] = ["constant", "model"];
  return traitsOf(node).indices.some((i) => node.op !== "oneHot" && !known.includes(knowledge.get(node.args[i])));
}

function checkSecretOps(
  graph: TensorGraph,
  knowledge: ReadonlyMap<TensorNode, Knowledge>,
  hasSecretMeaning: (op: string) => boolean,
): void {
  const diagnostics: Diagnostic[] = [];
  for (const node of graph.nodes) {
    const computed = knowledge.get(node) === "secret" && node.op !== "input";
    const why = computed ? refusal(node, knowledge, hasSecretMeaning) : undefined;
    if (why !== undefined) {
      const secrets = node.args.flatMap((argument) => (knowledge.get(argument) === "secret" ? [argument.origin] : []));
      const from = secrets.length > 0 ? ` (secret: ${secrets.join(", ")})` : "";
      const fix = "make the inputs it depends on public, or export the model without this op";
      diagnostics.push({
        code: "E0403",
        what: `'${node.op}' has no meaning on secret data`,
        where: node.origin,
        why: why + from,
        fix,
      });
    }
  }
  if (diagnostics.length > 0) {
    throw fail(...diagnostics);
  }
}

function refusal(
  node: TensorNode,
  knowledge: ReadonlyMap<TensorNode, Knowledge>,
  hasSecretMeaning: (op: string) => boolean,
): string | undefined {
  if (!hasSecretMeaning(node.op)) {
    return "the operator is supported on public values and on one owner's values only";
  }
  const inClear = (place: number) => node.args[place] === undefined || knowledge.get(node.args[place]) !== "secret";
  const { clear, whole } = traitsOf(node);
  if (!clear.every(inClear)) {
    return "its index is secret";
  }
  const integer = !isFloat(node.type.dtype) && node.type.dtype !== "bool";
  return integer && !whole
    ? `its result is ${node.type.dtype}, which would cut off its fraction: cast it to a float before`
    : undefined;
}

/** The cut itself: one walk from the outputs, operands first, so that the order follows the structure only. */
class Cut {
  private readonly builders = {
    secret: new Builder<TensorType>(TENSOR),
    model: new Builder<TensorType>(TENSOR),
    data: new Builder<TensorType>(TENSOR),
  };
  private readonly made = {
    secret: new Map<TensorNode, TensorNode>(),
    model: new Map<TensorNode, TensorNode>(),
    data: new Map<TensorNode, TensorNode>(),
  };
  private readonly results: Record<"model" | "data", { name: string; node: TensorNode }[]> = { model: [], data: [] };
  private readonly bindings: Binding[] = [];
  private readonly names = new Set<string>();
  private readonly needed: ReadonlySet<TensorNode>;

  constructor(
    private readonly graph: TensorGraph,
    private readonly knowledge: ReadonlyMap<TensorNode, Knowledge>,
    private readonly options: PlaceOptions,
  ) {
    const used = graph.nodes.flatMap((node) => (this.isSecret(node) ? node.args : []));
    this.needed = new Set(used.filter((node) => !this.isSecret(node)));
  }

  run(): Placed {
    const outputs = this.graph.outputs.map(({ name, node }) => ({ name, node: this.toSecret(node) }));
    for (const node of this.graph.nodes) {
      if (node.op === "input" && !this.isKept(node)) {
        this.copy("data", node);
      }
    }
    return canonicalOrder({
      secret: this.builders.secret.finish(outputs),
      model: this.builders.model.finish(this.results.model),
      data: this.builders.data.finish(this.results.data),
      bindings: this.bindings,
    });
  }

  private isKept({ op, attributes }: TensorNode): boolean {
    return op === "input" && this.options.isKept?.(String(attributes.name)) === true;
  }

  private isSecret(node: TensorNode): boolean {
    return this.knowledge.get(node) === "secret";
  }

  /** The node of the secret program for this value. */
  private toSecret(node: TensorNode): TensorNode {
    const known = this.made.secret.get(node);
    if (known !== undefined) {
      return known;
    }
    const split = this.options.splitMasks === true && isPartlyConstantMask(node);
    const computed = this.isSecret(node) && node.op !== "input";
    const inside = computed || this.isKept(node) || node.op === "constant" || this.isViewOfInput(node) || split;
    const result = inside ? this.emitSecret(node) : this.bind(node);
    this.made.secret.set(node, result);
    return result;
  }

  private emitSecret(node: TensorNode): TensorNode {
    const args = node.args.map((argument) => this.toSecret(argument));
    return this.builders.secret.emit(node.op, args, node.attributes, node.origin);
  }

  /** A transposed or reshaped copy of what the secret program takes anyway (tied embeddings) is not shared again. */
  private isViewOfInput(node: TensorNode): boolean {
    const view = node.op === "transpose" || node.op === "reshape";
    return (
      view && (this.needed.has(node.args[0]) || this.isViewOfInput(node.args[0])) && node.args[0].op !== "constant"
    );
  }

  /** Makes the value an output of its owner's program and an input of the secret one. */
  private bind(node: TensorNode): TensorNode {
    const knowledge = this.knowledge.get(node)!;
    const owner: Owner =
      knowledge === "secret" ? "data" : knowledge === "model" || knowledge === "data" ? knowledge : "public";
    const program = owner === "model" ? "model" : "data";
    const name = this.unique(nameOf(node));
    this.results[program].push({ name, node: this.copy(program, node) });
    this.bindings.push({ input: name, owner, output: name });
    const { dtype, shape } = node.type;
    return this.builders.secret.emit("input", [], { name, dtype, shape }, node.origin);
  }

  private copy(program: "model" | "data", node: TensorNode): TensorNode {
    const known = this.made[program].get(node);
    if (known !== undefined) {
      return known;
    }
    const args = node.args.map((argument) => this.copy(program, argument));
    const result = this.builders[program].emit(node.op, args, node.attributes, node.origin);
    this.made[program].set(node, result);
    return result;
  }

  private unique(name: string): string {
    let candidate = name;
    for (let i = 2; this.names.has(candidate); i++) {
      candidate = `${name}#${i}`;
    }
    this.names.add(candidate);
    return candidate;
  }
}

/** A mask that is a constant one (causal) and an owner's. */
function isPartlyConstantMask(node: TensorNode): boolean {
  return node.op === "and" && node.args.some((argument) => argument.op === "constant");
}

/** The name of the largest weight or input that the value is made of, with the last op if there is one. */
function nameOf(node: TensorNode): string {
  const sources = new Set<TensorNode>();
  const visit = (each: TensorNode): void => {
    if (!sources.has(each)) {
      sources.add(each);
      each.args.forEach(visit);
    }
  };
  visit(node);
  const named = [...sources].filter((each) => each.attributes.name !== undefined);
  const largest = Math.max(...named.map((each) => sizeOf(each.type.shape)));
  const source = named.find((each) => sizeOf(each.type.shape) === largest);
  const name = source === undefined ? "constant" : String(source.attributes.name);
  return source === node ? name : `${name}.${node.op}`;
}
