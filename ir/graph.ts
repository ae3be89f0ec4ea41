/**
 * The one graph of the house: an immutable list of single-result nodes in topological order. Both languages, the
 * tensor graph and the share program, are this structure with their own op table, so that builder, printer, parser,
 * verifier and evaluator are written once, as loops over a table (ARCHITECTURE.md, law 1).
 *
 * A node is its own value: `args` are references to other nodes. Nodes carry no number; the printer numbers them.
 */
import { Refusal } from "./diagnostics.js";
import type { TensorValue } from "./tensor/value.js";

/** The kinds of attribute that the printer, the parser and the plan codec know. */
export interface AttributeKinds {
  integer: number;
  integers: readonly number[];
  number: number;
  numbers: readonly number[];
  string: string;
  strings: readonly string[];
  boolean: boolean;
  tensor: TensorValue;
}
export type AttributeKind = keyof AttributeKinds;
export type AttributeValue = AttributeKinds[AttributeKind];
export type Attributes = Readonly<Record<string, AttributeValue>>;
export type AttributeSignature = Readonly<Record<string, AttributeKind>>;

export interface Node<T> {
  readonly op: string;
  readonly args: readonly Node<T>[];
  readonly attributes: Attributes;
  readonly type: T;
  /** The name of the source node (ONNX node or JAX location) that this value computes, for errors and reports. */
  readonly origin: string;
}

export interface Output<T> {
  readonly name: string;
  readonly node: Node<T>;
}

export interface Graph<T> {
  /** Every node that an output needs, and every input even if unused, operands before users. */
  readonly nodes: readonly Node<T>[];
  readonly outputs: readonly Output<T>[];
}

/** What every op table entry has, whatever its language. `T` is the language's type of values. */
export interface OpDefinition<T> {
  /** One or more sentences: what the op means, with its source. Printed by the op documentation. */
  readonly doc: string;
  /** The least and the largest number of arguments. */
  readonly arity: readonly [number, number];
  readonly attributes: AttributeSignature;
  /** The type of the result; throws a `Refusal` where the arguments do not fit. */
  readonly infer: (args: readonly T[], attributes: Attributes) => T;
}

/** A language: its name, its ops and the text form of its types. */
export interface Language<T, D extends OpDefinition<T> = OpDefinition<T>> {
  readonly name: string;
  readonly ops: Readonly<Record<string, D>>;
  readonly printType: (type: T) => string;
  readonly parseType: (text: string) => T;
}

/** The definition of a node's op; an unknown op is an internal error, because builders and parsers check it. */
export function definitionOf<T, D extends OpDefinition<T>>(language: Language<T, D>, op: string): D {
  const definition = Object.hasOwn(language.ops, op) ? language.ops[op] : undefined;
  if (definition === undefined) {
    throw new Error(`no op '${op}' in the ${language.name} language`);
  }
  return definition;
}

/** Builds a graph node by node; every node is typed by its op's own rule as it is made. */
export class Builder<T> {
  readonly nodes: Node<T>[] = [];
  private readonly seen = new Set<Node<T>>();

  constructor(readonly language: Language<T>) {}

  /** Makes a node, infers its type and appends it. */
  emit(op: string, args: readonly Node<T>[], attributes: Attributes = {}, origin = ""): Node<T> {
    const definition = definitionOf(this.language, op);
    const [least, most] = definition.arity;
    if (args.length < least || args.length > most) {
      throw new Refusal(`${this.language.name} op '${op}' takes ${least} to ${most} arguments, not ${args.length}`);
    }
    const type = definition.infer(
      args.map((argument) => argument.type),
      attributes,
    );
    return this.append({ op, args, attributes, type, origin });
  }

  /** Appends a node that exists already (a pass that keeps it); its arguments must be in this builder. */
  append(node: Node<T>): Node<T> {
    if (!this.seen.has(node)) {
      this.seen.add(node);
      this.nodes.push(node);
    }
    return node;
  }

  /** The finished graph, without the nodes that no output needs. Inputs stay. */
  finish(outputs: readonly Output<T>[]): Graph<T> {
    return prune({ nodes: this.nodes, outputs });
  }
}

/** Ops that stay in a graph although nothing uses them: they are its signature. */
const SIGNATURE_OPS: ReadonlySet<string> = new Set(["input"]);

/** The graph without the nodes that no output needs. */
export function prune<T>(graph: Graph<T>): Graph<T> {
  const needed = new Set<Node<T>>(graph.outputs.map((output) => output.node));
  for (let i = graph.nodes.length - 1; i >= 0; i--) {
    const node = graph.nodes[i];
    if (needed.has(node)) {
      for (const argument of node.args) {
        needed.add(argument);
      }
    }
  }
  const nodes = graph.nodes.filter((node) => needed.has(node) || SIGNATURE_OPS.has(node.op));
  return nodes.length === graph.nodes.length ? graph : { nodes, outputs: graph.outputs };
}

/** Who uses each node, in order, an entry per use. Outputs are not users. */
export function usersOf<T>(graph: Graph<T>): ReadonlyMap<Node<T>, readonly Node<T>[]> {
  const users = new Map<Node<T>, Node<T>[]>(graph.nodes.map((node) => [node, []]));
  for (const node of graph.nodes) {
    for (const argument of node.args) {
      users.get(argument)!.push(node);
    }
  }
  return users;
}

/**
 * Walks a graph in order and builds the next one. `visit` gets the old node and its new arguments and returns the node
 * that replaces it, or `undefined` to keep it (the node itself where its arguments did not change).
 */
export function rewrite<T>(
  graph: Graph<T>,
  language: Language<T>,
  visit: (node: Node<T>, args: readonly Node<T>[], builder: Builder<T>) => Node<T> | undefined,
): Graph<T> {
  const builder = new Builder(language);
  const replaced = new Map<Node<T>, Node<T>>();
  for (const node of graph.nodes) {
    const args = node.args.map((argument) => replaced.get(argument)!);
    const next = visit(node, args, builder) ?? keep(node, args, builder);
    replaced.set(node, next);
  }
  return builder.finish(graph.outputs.map(({ name, node }) => ({ name, node: replaced.get(node)! })));
}

function keep<T>(node: Node<T>, args: readonly Node<T>[], builder: Builder<T>): Node<T> {
  return args.every((argument, i) => argument === node.args[i])
    ? builder.append(node)
    : builder.emit(node.op, args, node.attributes, node.origin);
}
