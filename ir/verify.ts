/**
 * What must hold of a graph at any level, checked after every pass and of every plan:
 *
 *  1. every op is in the level's table, with a number of arguments that it takes;
 *  2. every argument and every output is a node of the graph, and stands before its user;
 *  3. no node stands twice;
 *  4. attributes are exactly those that the op declares, each of its kind;
 *  5. the node's type is the one that the op's rule infers;
 *  6. names of inputs and of outputs are unique.
 *
 * All violations are collected.
 */
import type { AttributeKind, AttributeSignature, Attributes, Graph, Level, Node } from "./graph.js";

export interface Violation {
  /** The node's place in the list, its op and origin. */
  readonly where: string;
  readonly what: string;
}

export function verify<T>(graph: Graph<T>, level: Level<T>): Violation[] {
  const violations: Violation[] = [];
  const seen = new Set<Node<T>>();
  graph.nodes.forEach((node, i) => {
    const where = `%${i} = ${node.op}${node.origin === "" ? "" : ` (${node.origin})`}`;
    const report = (what: string) => violations.push({ where, what });
    if (seen.has(node)) {
      report("stands twice");
    }
    node.args.forEach((argument, k) => {
      if (!seen.has(argument)) {
        report(`argument ${k} (${argument.op}) does not stand before it`);
      }
    });
    checkNode(node, level, report);
    seen.add(node);
  });
  checkNames(graph, seen, violations);
  return violations;
}

function checkNode<T>(node: Node<T>, level: Level<T>, report: (what: string) => void): void {
  if (!Object.hasOwn(level.ops, node.op)) {
    report(`no such op in the ${level.name} level`);
    return;
  }
  const { arity, attributes, infer } = level.ops[node.op];
  if (node.args.length < arity[0] || node.args.length > arity[1]) {
    report(`takes ${arity[0]} to ${arity[1]} arguments, not ${node.args.length}`);
    return;
  }
  const before = checkAttributes(node.attributes, attributes, report);
  if (!before) {
    return;
  }
  try {
    const inferred = level.printType(
      infer(
        node.args.map((argument) => argument.type),
        node.attributes,
      ),
    );
    if (inferred !== level.printType(node.type)) {
      report(`has type ${level.printType(node.type)}, but its rule gives ${inferred}`);
    }
  } catch (error) {
    report(error instanceof Error ? error.message : String(error));
  }
}

const KINDS: Readonly<Record<AttributeKind, (value: unknown) => boolean>> = {
  integer: (value) => Number.isInteger(value),
  integers: (value) => Array.isArray(value) && value.every(Number.isInteger),
  number: (value) => typeof value === "number",
  numbers: (value) => Array.isArray(value) && value.every((each) => typeof each === "number"),
  string: (value) => typeof value === "string",
  strings: (value) => Array.isArray(value) && value.every((each) => typeof each === "string"),
  boolean: (value) => typeof value === "boolean",
  tensor: (value) => typeof value === "object" && value !== null && "dtype" in value && "data" in value,
};

/** Whether the attributes are those of the signature. */
function checkAttributes(given: Attributes, signature: AttributeSignature, report: (what: string) => void): boolean {
  let good = true;
  const complain = (what: string) => {
    good = false;
    report(what);
  };
  for (const [name, kind] of Object.entries(signature)) {
    if (!Object.hasOwn(given, name)) {
      complain(`lacks the attribute '${name}'`);
    } else if (!KINDS[kind](given[name])) {
      complain(`attribute '${name}' is not of kind ${kind}`);
    }
  }
  for (const name of Object.keys(given).filter((each) => !Object.hasOwn(signature, each))) {
    complain(`has no attribute '${name}'`);
  }
  return good;
}

function checkNames<T>(graph: Graph<T>, seen: ReadonlySet<Node<T>>, violations: Violation[]): void {
  const outputs = graph.outputs.map(({ name }) => name);
  const inputs = graph.nodes.filter(({ op }) => op === "input").map(({ attributes }) => String(attributes.name));
  for (const [kind, names] of Object.entries({ output: outputs, input: inputs })) {
    const twice = names.filter((name, i) => names.indexOf(name) !== i);
    for (const name of twice) {
      violations.push({ where: `${kind} '${name}'`, what: "the name is used twice" });
    }
  }
  for (const { name, node } of graph.outputs) {
    if (!seen.has(node)) {
      violations.push({ where: `output '${name}'`, what: "is not a node of the graph" });
    }
  }
}

/** A violation on one line. */
export function printViolation({ where, what }: Violation): string {
  return `${where}: ${what}`;
}
