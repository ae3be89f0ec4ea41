/**
 * Checks a graph against its language's op table, whatever the language. It runs after every pass and finds, in order:
 *
 *  - a node that is listed twice; an argument that is not listed before its user; an op that the language does not
 *    have;
 *  - a number of arguments outside the op's arity;
 *  - an attribute that is missing, unknown, or not of the declared kind (integers are whole and finite; a tensor has
 *    as many elements as its shape says);
 *  - a type that differs from what the op's own rule infers from the arguments, or arguments that the rule refuses;
 *  - an input without a name, or two inputs of one name;
 *  - an output whose node is not listed, an output without a name, two outputs of one name;
 *  - a node, not an input, that no output needs.
 *
 * All violations are collected. They are bugs of whoever made the graph, not errors of a user.
 */
import type { AttributeKind, AttributeValue, Graph, Language, Node, OpDefinition } from "./graph.js";
import { DTYPES, sizeOf, type TensorValue } from "./tensor/value.js";

/** What is wrong, and at which node; `String(violation)` is a line for a log. */
class Violation {
  constructor(
    /** The node's index in the graph, as the printer numbers it; undefined for outputs. */
    readonly index: number | undefined,
    /** The op, or the output. */
    readonly what: string,
    readonly origin: string,
    readonly message: string,
  ) {}

  toString(): string {
    const number = this.index === undefined ? "" : `%${this.index} = `;
    return `${number}${this.what}${this.origin === "" ? "" : ` @ ${JSON.stringify(this.origin)}`}: ${this.message}`;
  }
}

/** Every violation of the graph's rules; an empty list for a graph that is right. */
export function verify<T>(graph: Graph<T>, language: Language<T>): readonly Violation[] {
  const violations: Violation[] = [];
  const listed = new Set<Node<T>>();
  graph.nodes.forEach((node, index) => {
    for (const message of nodeFaults(node, language, listed)) {
      violations.push(new Violation(index, node.op, node.origin, message));
    }
    listed.add(node);
  });
  violations.push(...inputFaults(graph), ...outputFaults(graph, listed), ...idleNodes(graph));
  return violations;
}

function nodeFaults<T>(node: Node<T>, language: Language<T>, listed: ReadonlySet<Node<T>>): string[] {
  const faults: string[] = [];
  if (listed.has(node)) {
    faults.push("is listed twice");
  }
  node.args.forEach((argument, i) => {
    if (!listed.has(argument)) {
      faults.push(`argument ${i} (${argument.op} @ ${JSON.stringify(argument.origin)}) is not listed before it`);
    }
  });
  const definition = Object.hasOwn(language.ops, node.op) ? language.ops[node.op] : undefined;
  if (definition === undefined) {
    return [...faults, `is not an op of the ${language.name} language`];
  }
  const [least, most] = definition.arity;
  if (node.args.length < least || node.args.length > most) {
    faults.push(`has ${node.args.length} arguments, not ${least === most ? least : `${least} to ${most}`}`);
  }
  faults.push(...attributeFaults(node, definition));
  return faults.length > 0 ? faults : typeFaults(node, definition, language);
}

function attributeFaults<T>(node: Node<T>, definition: OpDefinition<T>): string[] {
  const faults: string[] = [];
  for (const [name, kind] of Object.entries(definition.attributes)) {
    const value = node.attributes[name];
    if (value === undefined) {
      faults.push(`lacks the attribute '${name}'`);
    } else if (!isOfKind[kind](value)) {
      faults.push(`attribute '${name}' is not of kind ${kind}`);
    }
  }
  for (const name of Object.keys(node.attributes)) {
    if (!Object.hasOwn(definition.attributes, name)) {
      faults.push(`has an unknown attribute '${name}'`);
    }
  }
  return faults;
}

const isNumber = (value: unknown) => typeof value === "number";
const listOf = (isElement: (value: unknown) => boolean) => (value: AttributeValue) =>
  Array.isArray(value) && value.every(isElement);

const isOfKind: { readonly [K in AttributeKind]: (value: AttributeValue) => boolean } = {
  integer: Number.isInteger,
  integers: listOf(Number.isInteger),
  number: isNumber,
  numbers: listOf(isNumber),
  string: (value) => typeof value === "string",
  strings: listOf((value) => typeof value === "string"),
  boolean: (value) => typeof value === "boolean",
  tensor: (value) => typeof value === "object" && "data" in value && isTensor(value),
};

function isTensor(value: TensorValue): boolean {
  return DTYPES.includes(value.dtype) && value.data.length === sizeOf(value.shape);
}

function typeFaults<T>(node: Node<T>, definition: OpDefinition<T>, language: Language<T>): string[] {
  try {
    const types = node.args.map((argument) => argument.type);
    const inferred = language.printType(definition.infer(types, node.attributes));
    const said = language.printType(node.type);
    return inferred === said ? [] : [`is of type ${inferred}, not ${said}`];
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)];
  }
}

function inputFaults<T>(graph: Graph<T>): Violation[] {
  const names = new Set<unknown>();
  const violations: Violation[] = [];
  graph.nodes.forEach((node, index) => {
    if (node.op !== "input") {
      return;
    }
    const { name } = node.attributes;
    if (name === "" || names.has(name)) {
      const message = name === "" ? "has no name" : `is a second input '${String(name)}'`;
      violations.push(new Violation(index, node.op, node.origin, message));
    }
    names.add(name);
  });
  return violations;
}

function outputFaults<T>(graph: Graph<T>, listed: ReadonlySet<Node<T>>): Violation[] {
  const names = new Set<string>();
  const violations: Violation[] = [];
  for (const { name, node } of graph.outputs) {
    const faults = [
      ...(name === "" ? ["has no name"] : []),
      ...(names.has(name) ? ["is a second output of that name"] : []),
      ...(listed.has(node) ? [] : [`its node (${node.op}) is not listed`]),
    ];
    names.add(name);
    violations.push(...faults.map((each) => new Violation(undefined, `output ${JSON.stringify(name)}`, "", each)));
  }
  return violations;
}

function idleNodes<T>(graph: Graph<T>): Violation[] {
  const needed = new Set<Node<T>>(graph.outputs.map((output) => output.node));
  const violations: Violation[] = [];
  for (let index = graph.nodes.length - 1; index >= 0; index--) {
    const node = graph.nodes[index];
    if (needed.has(node)) {
      for (const argument of node.args) {
        needed.add(argument);
      }
    } else if (node.op !== "input") {
      violations.push(new Violation(index, node.op, node.origin, "is needed by no output"));
    }
  }
  return violations.reverse();
}
