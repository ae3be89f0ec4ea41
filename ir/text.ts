/**
 * Graphs as text, for both languages, and back: dumps between passes, golden files, error messages. One line a node:
 *
 *     %3 = concatenate %1, %2 {axis = 1} : f32[48,128] @ "encoder/layer.0/Concat"
 *     output "logits" = %3
 *
 * The language's op table says which attributes a line has and of which kinds; the type on the line is checked against
 * the op's own rule. Tensors of up to 16 elements are written out, larger ones as runs of equal elements
 * (`0 * 255`) where those are long, else as base64 of little-endian doubles. Text
 * does not tell whether a tensor was held in single or double precision: parsed ones are double.
 * `parse(print(g))` equals g, and what prints equal is equal.
 */
import { fail } from "./diagnostics.js";
import {
  type AttributeKind,
  type AttributeKinds,
  type Attributes,
  type AttributeValue,
  Builder,
  definitionOf,
  type Graph,
  type Language,
  type Node,
  type Output,
} from "./graph.js";
import { printTensorType, type TensorValue } from "./tensor/value.js";
import { Scanner } from "./text-scanner.js";

/** Tensors up to this many elements are written as a list of numbers. */
const WRITTEN_OUT = 16;
/** Larger ones with runs of equal elements, as masks have, are written as runs where these average at least so many. */
const LEAST_RUN = 8;

/** The graph as text, a line for every node and output, each ended by a newline. */
export function print<T>(graph: Graph<T>, language: Language<T>): string {
  const numbers = new Map(graph.nodes.map((node, i) => [node, i]));
  const lines = graph.nodes.map((node, i) => `%${i} = ${printNode(node, language, (each) => `%${numbers.get(each)}`)}`);
  for (const { name, node } of graph.outputs) {
    lines.push(`output ${JSON.stringify(name)} = %${numbers.get(node)}`);
  }
  return lines.map((line) => `${line}\n`).join("");
}

/** One node without its own name: `add %1, %2 : f32[3] @ "origin"`; `nameOf` names the arguments. */
function printNode<T>(node: Node<T>, language: Language<T>, nameOf: (argument: Node<T>) => string): string {
  const args = node.args.map(nameOf).join(", ");
  const names = Object.keys(definitionOf(language, node.op).attributes);
  const attributes = names.map((name) => `${name} = ${printAttribute(language, node, name)}`).join(", ");
  const parts = [
    node.op,
    ...(args === "" ? [] : [args]),
    ...(attributes === "" ? [] : [`{${attributes}}`]),
    `: ${language.printType(node.type)}`,
    ...(node.origin === "" ? [] : [`@ ${JSON.stringify(node.origin)}`]),
  ];
  return parts.join(" ");
}

function printAttribute<T>(language: Language<T>, node: Node<T>, name: string): string {
  const kind = definitionOf(language, node.op).attributes[name];
  const value = node.attributes[name];
  if (value === undefined) {
    throw new Error(`op '${node.op}' at '${node.origin}' lacks the attribute '${name}'`);
  }
  const printer = PRINTERS[kind] as (value: AttributeValue) => string;
  return printer(value);
}

const PRINTERS: { readonly [K in AttributeKind]: (value: AttributeKinds[K]) => string } = {
  integer: printNumber,
  integers: (values) => `[${values.map(printNumber).join(", ")}]`,
  number: printNumber,
  numbers: (values) => `[${values.map(printNumber).join(", ")}]`,
  string: (value) => JSON.stringify(value),
  strings: (values) => `[${values.map((value) => JSON.stringify(value)).join(", ")}]`,
  boolean: String,
  tensor: printTensor,
};

/** JavaScript's shortest decimal, which reads back exactly; it has no word for -0. */
function printNumber(value: number): string {
  return Object.is(value, -0) ? "-0" : String(value);
}

function printTensor(value: TensorValue): string {
  if (value.data.length <= WRITTEN_OUT) {
    return `${printTensorType(value)} [${Array.from(value.data, printNumber).join(", ")}]`;
  }
  const runs = runsOf(value.data);
  if (runs.length * LEAST_RUN <= value.data.length) {
    return `${printTensorType(value)} [${runs.map(([x, count]) => `${printNumber(x)} * ${count}`).join(", ")}]`;
  }
  const bytes = Buffer.alloc(8 * value.data.length);
  value.data.forEach((element, i) => {
    bytes.writeDoubleLE(element, 8 * i);
  });
  return `${printTensorType(value)} "${bytes.toString("base64")}"`;
}

/** Elements and how often each is repeated. */
function runsOf(data: TensorValue["data"]): [element: number, count: number][] {
  const runs: [number, number][] = [];
  for (const element of data) {
    const last = runs.at(-1);
    if (last !== undefined && Object.is(last[0], element)) {
      last[1] += 1;
    } else {
      runs.push([element, 1]);
    }
  }
  return runs;
}

/**
 * The graph that a text says; the inverse of `print`. Empty lines and lines that begin with `#` are passed over. Nodes
 * may have any names (`%q`), defined before they are used. E0301, with the line, where it does not
 * fit the language.
 */
export function parse<T>(text: string, language: Language<T>): Graph<T> {
  const builder = new Builder(language);
  const names = new Map<string, Node<T>>();
  const outputs: Output<T>[] = [];
  text.split("\n").forEach((line, i) => {
    if (line.trim() === "" || line.trimStart().startsWith("#")) {
      return;
    }
    const scanner = new Scanner(line);
    try {
      if (scanner.takes("output")) {
        outputs.push(parseOutput(scanner, names));
      } else {
        parseDefinition(scanner, builder, names);
      }
    } catch (error) {
      throw fail({
        code: "E0301",
        what: `line ${i + 1} of the ${language.name} program cannot be read`,
        why: error instanceof Error ? error.message : String(error),
      });
    }
  });
  return { nodes: builder.nodes, outputs };
}

function parseOutput<T>(scanner: Scanner, names: ReadonlyMap<string, Node<T>>): Output<T> {
  const name = scanner.string();
  scanner.expect("=");
  const node = known(scanner.reference(), names);
  scanner.end();
  return { name, node };
}

function parseDefinition<T>(scanner: Scanner, builder: Builder<T>, names: Map<string, Node<T>>): void {
  const name = scanner.reference();
  if (names.has(name)) {
    throw new Error(`${name} is defined twice`);
  }
  scanner.expect("=");
  const op = scanner.word();
  const args: Node<T>[] = [];
  while (scanner.sees("%")) {
    args.push(known(scanner.reference(), names));
    if (!scanner.takes(",")) {
      break;
    }
  }
  const attributes = parseAttributes(scanner, op, builder.language);
  scanner.expect(":");
  const type = scanner.type();
  const origin = scanner.takes("@") ? scanner.string() : "";
  scanner.end();
  const node = builder.emit(op, args, attributes, origin);
  const inferred = builder.language.printType(node.type);
  if (inferred !== builder.language.printType(builder.language.parseType(type))) {
    throw new Error(`${name} is of type ${inferred}, not ${type}`);
  }
  names.set(name, node);
}

function known<T>(name: string, names: ReadonlyMap<string, Node<T>>): Node<T> {
  const node = names.get(name);
  if (node === undefined) {
    throw new Error(`${name} is not defined before this line`);
  }
  return node;
}

function parseAttributes<T>(scanner: Scanner, op: string, language: Language<T>): Attributes {
  const signature = definitionOf(language, op).attributes;
  const attributes: Record<string, AttributeValue> = {};
  if (scanner.takes("{")) {
    do {
      const name = scanner.word();
      const kind = Object.hasOwn(signature, name) ? signature[name] : undefined;
      if (kind === undefined || Object.hasOwn(attributes, name)) {
        throw new Error(`op '${op}' takes no ${kind === undefined ? "" : "second "}attribute '${name}'`);
      }
      scanner.expect("=");
      attributes[name] = scanner.attribute(kind);
    } while (scanner.takes(","));
    scanner.expect("}");
  }
  for (const name of Object.keys(signature)) {
    if (!Object.hasOwn(attributes, name)) {
      throw new Error(`op '${op}' lacks the attribute '${name}'`);
    }
  }
  return attributes;
}
