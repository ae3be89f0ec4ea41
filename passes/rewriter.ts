/**
 * A builder that simplifies as it builds: every node it makes is first looked up (equal nodes are one node), then
 * folded if all its arguments are constants, then offered to the rules of its op. A rule answers with another node,
 * which it made through the same rewriter, or with nothing. So one walk over a graph brings it close to the normal
 * form that the rules define, and walks are repeated until no rule fires.
 *
 * A rule must lead strictly away from what it matches; two rules that undo each other end in an internal error.
 */
import { located } from "../ir/diagnostics.js";
import { type Attributes, Builder, definitionOf, type Graph } from "../ir/graph.js";
import { TENSOR, type TensorNode } from "../ir/tensor/index.js";
import { isFloat, madeOf, sizeOf, type TensorType, type TensorValue } from "../ir/tensor/value.js";
import { Interner } from "./interner.js";

export type { TensorNode };

export type TensorGraph = Graph<TensorType>;

/** Adds an op to a graph that is being built, with an origin that is known. */
export type Emit = (op: string, args: readonly TensorNode[], attributes?: TensorNode["attributes"]) => TensorNode;

/** Why a rule that looked likely did not fire; only for people who debug a model. */
export interface Refusal {
  readonly why: string;
}

export interface Rule {
  readonly name: string;
  /** The ops of the root node that the rule is offered. */
  readonly ops: readonly string[];
  readonly apply: (node: TensorNode, rewriter: Rewriter) => TensorNode | Refusal | undefined;
}

/** What a node's value depends on, and a hash of its structure. */
interface Facts {
  /** It depends on a weight of the model's owner. */
  readonly parameter: boolean;
  /** It depends on an input. */
  readonly input: boolean;
  /** Equal for nodes that differ only in names of inputs and parameters and in values of constants. */
  readonly hash: number;
  /** The order of creation. */
  readonly id: number;
}

export interface RewriteOptions {
  /** Called once for each rule that refused, with the node's name. */
  readonly explain?: (rule: string, where: string, why: string) => void;
}

/** Constants with more elements than this are not computed at compile time. */
const LARGEST_FOLD = 4 << 20;
/** Deeper than any honest chain of rules. */
const DEEPEST = 400;

export class Rewriter {
  readonly builder = new Builder<TensorType>(TENSOR);
  private readonly made = new Map<string, TensorNode>();
  private readonly facts = new Map<TensorNode, Facts>();
  private readonly rules = new Map<string, Rule[]>();
  private depth = 0;

  constructor(
    rules: readonly Rule[],
    private readonly options: RewriteOptions = {},
    private readonly interner = new Interner(),
  ) {
    for (const rule of rules) {
      for (const op of rule.ops) {
        definitionOf(TENSOR, op);
        this.rules.set(op, [...(this.rules.get(op) ?? []), rule]);
      }
    }
  }

  /** The simplest node that means `op(args)`. */
  emit(op: string, args: readonly TensorNode[], attributes: Attributes = {}, origin = ""): TensorNode {
    const key = this.keyOf(op, args, attributes);
    const known = this.made.get(key);
    if (known !== undefined) {
      return known;
    }
    if (this.depth > DEEPEST) {
      throw new Error(`rules chase each other at '${op}' (${origin})`);
    }
    this.depth += 1;
    try {
      const node = this.register(this.builder.emit(op, args, attributes, origin));
      this.made.set(key, node);
      const simplest = this.fold(node) ?? this.applyRules(node) ?? node;
      this.made.set(key, simplest);
      return simplest;
    } finally {
      this.depth -= 1;
    }
  }

  constant(value: TensorValue, origin = ""): TensorNode {
    return this.emit("constant", [], { value }, origin);
  }

  /** A rank-0 constant of the dtype of `like`. */
  scalar(value: number, like: TensorNode): TensorNode {
    return this.constant({ dtype: like.type.dtype, shape: [], data: Float64Array.of(value) }, like.origin);
  }

  /** The smallest tensor that broadcasts to this one. */
  smallest(value: TensorValue): TensorValue {
    return this.interner.smallest(value);
  }

  factsOf(node: TensorNode): Facts {
    const facts = this.facts.get(node);
    if (facts === undefined) {
      throw new Error(`node '${node.op}' (${node.origin}) is not of this rewriter`);
    }
    return facts;
  }

  /** Known to the model's owner alone: depends on weights and on no input. */
  isOwned(node: TensorNode): boolean {
    const facts = this.factsOf(node);
    return facts.parameter && !facts.input;
  }

  /** Known when the plan is made. */
  isConstant(node: TensorNode): boolean {
    const facts = this.factsOf(node);
    return !facts.parameter && !facts.input;
  }

  /** Known before any input is: an owner's or a constant. */
  isStatic(node: TensorNode): boolean {
    return !this.factsOf(node).input;
  }

  /** Whether the node is this op of these arguments. */
  isExactly(node: TensorNode, op: string, args: readonly TensorNode[], attributes: Attributes): boolean {
    return this.keyOf(node.op, node.args, node.attributes) === this.keyOf(op, args, attributes);
  }

  private keyOf(op: string, args: readonly TensorNode[], attributes: Attributes): string {
    const ids = args.map((argument) => this.factsOf(argument).id);
    return `${op}(${ids.join()})${this.interner.keyOf(attributes)}`;
  }

  private register(node: TensorNode): TensorNode {
    if (!this.facts.has(node)) {
      const args = node.args.map((argument) => this.factsOf(argument));
      // Exports differ in what their masks make of rows that see nothing; the order of operands is theirs all the same.
      const shaping = node.op.startsWith("softmax") ? args.slice(0, 1) : args;
      this.facts.set(node, {
        parameter: node.op === "parameter" || args.some((each) => each.parameter),
        input: node.op === "input" || args.some((each) => each.input),
        hash: this.interner.hashOf(
          node,
          shaping.map((each) => each.hash),
        ),
        id: this.facts.size,
      });
    }
    return node;
  }

  private fold(node: TensorNode): TensorNode | undefined {
    const foldable =
      node.args.length > 0 &&
      node.args.every((argument) => argument.op === "constant") &&
      sizeOf(node.type.shape) <= LARGEST_FOLD;
    if (!foldable) {
      return undefined;
    }
    const values = node.args.map((argument) => argument.attributes.value as TensorValue);
    const value = located(
      (refusal) => ({ code: "E0302", what: `${node.op} of constants: ${refusal}`, where: node.origin }),
      () => definitionOf(TENSOR, node.op).evaluate(values, node.attributes, node.type),
    );
    return this.constant({ ...value, ...madeOf(values) }, node.origin);
  }

  private applyRules(node: TensorNode): TensorNode | undefined {
    for (const rule of this.rules.get(node.op) ?? []) {
      const outcome = rule.apply(node, this);
      if (outcome === undefined) {
        continue;
      }
      if ("why" in outcome) {
        this.options.explain?.(rule.name, node.origin, outcome.why);
      } else if (outcome !== node) {
        checkType(rule, node, outcome);
        return outcome;
      }
    }
    return undefined;
  }
}

/** A rule may change the kind of float, nothing else about a type. */
function checkType(rule: Rule, from: TensorNode, to: TensorNode): void {
  const kind = (type: TensorType) => `${isFloat(type.dtype) ? "float" : type.dtype}[${type.shape.join()}]`;
  if (kind(from.type) !== kind(to.type)) {
    throw new Error(`rule '${rule.name}' made ${kind(to.type)} of ${kind(from.type)} at '${from.origin}'`);
  }
}

/** Walks the graph through a rewriter with these rules until nothing changes any more. */
export function rewriteWith(graph: TensorGraph, rules: readonly Rule[], options: RewriteOptions = {}): TensorGraph {
  const mostSweeps = 40;
  let current = graph;
  const interner = new Interner();
  let last = "";
  for (let sweep = 0; sweep < mostSweeps; sweep++) {
    const rewriter = new Rewriter(rules, options, interner);
    const { next, changed } = transfer(current, rewriter);
    if (changed === undefined) {
      return next.nodes.length === graph.nodes.length && sweep === 0 ? graph : next;
    }
    last = changed;
    current = next;
  }
  throw new Error(`rules do not come to rest: ${last}`);
}

/** What stands for a node whose arguments are made already; undefined where it stays what it is. */
type Replacement = (
  node: TensorNode,
  args: readonly TensorNode[],
  rewriter: Rewriter,
  made: ReadonlyMap<TensorNode, TensorNode>,
) => TensorNode | undefined;

/** The graph with what `replace` gives in the place of nodes; the graph itself where it gives nothing. */
export function replaced(graph: TensorGraph, replace: Replacement): TensorGraph {
  const rewriter = new Rewriter([]);
  const made = new Map<TensorNode, TensorNode>();
  let changed = false;
  for (const node of graph.nodes) {
    const args = node.args.map((argument) => made.get(argument)!);
    const other = replace(node, args, rewriter, made);
    changed ||= other !== undefined;
    made.set(node, other ?? rewriter.emit(node.op, args, node.attributes, node.origin));
  }
  return changed
    ? rewriter.builder.finish(graph.outputs.map(({ name, node }) => ({ name, node: made.get(node)! })))
    : graph;
}

interface Transfer {
  readonly next: TensorGraph;
  /** A node that came out different, in words. */
  readonly changed?: string;
}

/** The graph as the rewriter makes it, node by node. */
export function transfer(graph: TensorGraph, rewriter: Rewriter): Transfer {
  const made = new Map<TensorNode, TensorNode>();
  let changed: string | undefined;
  for (const node of graph.nodes) {
    const args = node.args.map((argument) => made.get(argument)!);
    const result = rewriter.emit(node.op, args, node.attributes, node.origin);
    made.set(node, result);
    if (changed === undefined && !rewriter.isExactly(result, node.op, args, node.attributes)) {
      changed = `'${node.op}' at '${node.origin}' became '${result.op}'`;
    }
  }
  const next = rewriter.builder.finish(graph.outputs.map(({ name, node }) => ({ name, node: made.get(node)! })));
  return changed === undefined ? { next } : { next, changed };
}
