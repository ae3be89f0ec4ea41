/**
 * The text of a graph, at any level, and back: `parse(print(g))` is g. Golden files, dumps and plans use it.
 *
 *     %2 = matmul %0, %1 : f32[48,128] @ "/encoder/layer.0/MatMul"
 *     %3 = transpose %2 {permutation = [1, 0]} : f32[128,48]
 *     output "logits" = %3
 *
 * Attributes are read by the kinds that the op table declares. Tensors of up to 16 elements are written out, longer
 * ones as base64 of little-endian doubles.
 */
import { fail } from "./diagnostics.js";
import {
  type AttributeKind,
  type Attributes,
  type AttributeValue,
  Builder,
  definitionOf,
  type Graph,
  type Level,
  type Node,
} from "./graph.js";
import { DTYPES, type DType, sizeOf, type TensorValue } from "./tensor/value.js";

const INLINE_ELEMENTS = 16;

export function print<T>(graph: Graph<T>, level: Level<T>): string {
  const names = new Map<Node<T>, string>(graph.nodes.map((node, i) => [node, `%${i}`]));
  const lines = graph.nodes.map((node) => {
    const args = node.args.map((argument) => names.get(argument)).join(", ");
    const attributes = printAttributes(node, level);
    const origin = node.origin === "" ? "" : ` @ ${JSON.stringify(node.origin)}`;
    const head = [`${names.get(node)} =`, node.op, args, attributes].filter((part) => part !== "").join(" ");
    return `${head} : ${level.printType(node.type)}${origin}`;
  });
  const outputs = graph.outputs.map(({ name, node }) => `output ${JSON.stringify(name)} = ${names.get(node)}`);
  return `${[...lines, ...outputs].join("\n")}\n`;
}

function printAttributes<T>(node: Node<T>, level: Level<T>): string {
  const signature = definitionOf(level, node.op).attributes;
  const entries = Object.keys(signature).map(
    (name) => `${name} = ${printAttribute(node.attributes[name], signature[name])}`,
  );
  return entries.length === 0 ? "" : `{${entries.join(", ")}}`;
}

function printAttribute(value: AttributeValue, kind: AttributeKind): string {
  switch (kind) {
    case "integer":
    case "number":
      return printNumber(value as number);
    case "integers":
    case "numbers":
      return `[${(value as readonly number[]).map(printNumber).join(", ")}]`;
    case "tensor":
      return printTensor(value as TensorValue);
    default:
      return JSON.stringify(value);
  }
}

function printNumber(value: number): string {
  return Object.is(value, -0) ? "-0" : String(value);
}

function printTensor({ dtype, shape, data }: TensorValue): string {
  const type = `${dtype}[${shape.join(",")}]`;
  if (data.length <= INLINE_ELEMENTS) {
    return `${type}<${Array.from(data, printNumber).join(", ")}>`;
  }
  const bytes = Buffer.alloc(data.length * 8);
  data.forEach((x, i) => {
    bytes.writeDoubleLE(x, i * 8);
  });
  return `${type}<base64 ${bytes.toString("base64")}>`;
}

/** The graph that a text describes; E0301 with the line where it does not. Types are inferred, and must agree. */
export function parse<T>(text: string, level: Level<T>): Graph<T> {
  const builder = new Builder(level);
  const nodes = new Map<string, Node<T>>();
  const outputs: { name: string; node: Node<T> }[] = [];
  text.split("\n").forEach((line, i) => {
    const trimmed = line.trim();
    if (trimmed === "" || trimmed.startsWith("#")) {
      return;
    }
    try {
      const cursor = new Cursor(trimmed);
      if (cursor.take("output ")) {
        const name = cursor.quoted();
        cursor.expect(" = ");
        outputs.push({ name, node: lookUp(nodes, cursor.word()) });
      } else {
        parseNode(cursor, builder, nodes, level);
      }
    } catch (error) {
      throw fail({
        code: "E0301",
        what: `line ${i + 1} of the ${level.name} program cannot be read`,
        why: error instanceof Error ? error.message : String(error),
      });
    }
  });
  return { nodes: builder.nodes, outputs };
}

function lookUp<T>(nodes: ReadonlyMap<string, Node<T>>, name: string): Node<T> {
  const node = nodes.get(name);
  if (node === undefined) {
    throw new Error(`no value ${name}`);
  }
  return node;
}

function parseNode<T>(cursor: Cursor, builder: Builder<T>, nodes: Map<string, Node<T>>, level: Level<T>): void {
  const name = cursor.word();
  cursor.expect(" = ");
  const op = cursor.word();
  if (!Object.hasOwn(level.ops, op)) {
    throw new Error(`no op '${op}' in the ${level.name} level`);
  }
  const args: Node<T>[] = [];
  while (cursor.take(args.length === 0 ? " %" : ", %")) {
    args.push(lookUp(nodes, `%${cursor.word()}`));
  }
  const attributes = cursor.take(" {") ? parseAttributes(cursor, level, op) : {};
  cursor.expect(" : ");
  const type = cursor.until(' @ "');
  const origin = cursor.take(" @ ") ? cursor.quoted() : "";
  const node = builder.emit(op, args, attributes, origin);
  const inferred = level.printType(node.type);
  if (inferred !== type) {
    throw new Error(`${name} is ${inferred}, not ${type}`);
  }
  nodes.set(name, node);
}

function parseAttributes<T>(cursor: Cursor, level: Level<T>, op: string): Attributes {
  const signature = definitionOf(level, op).attributes;
  const attributes: Record<string, AttributeValue> = {};
  do {
    const name = cursor.word();
    const kind = Object.hasOwn(signature, name) ? signature[name] : undefined;
    if (kind === undefined) {
      throw new Error(`'${op}' has no attribute '${name}'`);
    }
    cursor.expect(" = ");
    attributes[name] = parseAttribute(cursor, kind);
  } while (cursor.take(", "));
  cursor.expect("}");
  return attributes;
}

function parseAttribute(cursor: Cursor, kind: AttributeKind): AttributeValue {
  switch (kind) {
    case "integer":
    case "number":
      return cursor.number();
    case "integers":
    case "numbers":
      return cursor.list("[", "]", () => cursor.number());
    case "string":
      return cursor.quoted();
    case "strings":
      return cursor.list("[", "]", () => cursor.quoted());
    case "boolean":
      return cursor.word() === "true";
    case "tensor":
      return parseTensor(cursor);
  }
}

function parseTensor(cursor: Cursor): TensorValue {
  const dtype = cursor.word() as DType;
  if (!DTYPES.includes(dtype)) {
    throw new Error(`no type '${dtype}'`);
  }
  const shape = cursor.list("[", "]", () => cursor.number());
  let data: Float64Array;
  if (cursor.take("<base64 ")) {
    const bytes = Buffer.from(cursor.until(">"), "base64");
    cursor.expect(">");
    data = Float64Array.from({ length: bytes.length / 8 }, (_, i) => bytes.readDoubleLE(i * 8));
  } else {
    data = Float64Array.from(cursor.list("<", ">", () => cursor.number()));
  }
  if (data.length !== sizeOf(shape)) {
    throw new Error(`a tensor of shape [${shape.join(",")}] with ${data.length} elements`);
  }
  return { dtype, shape, data };
}

/** Reads a line from left to right. */
class Cursor {
  private at = 0;

  constructor(private readonly text: string) {}

  take(literal: string): boolean {
    const found = this.text.startsWith(literal, this.at);
    this.at += found ? literal.length : 0;
    return found;
  }

  expect(literal: string): void {
    if (!this.take(literal)) {
      throw new Error(`expected '${literal}' at column ${this.at + 1}`);
    }
  }

  /** The text before the next `stop`, or to the end. */
  until(stop: string): string {
    const end = this.text.indexOf(stop, this.at);
    const start = this.at;
    this.at = end < 0 ? this.text.length : end;
    return this.text.slice(start, this.at);
  }

  word(): string {
    return this.match(/[%\w.]+/y);
  }

  number(): number {
    const word = this.match(/-?(?:Infinity|NaN|[\d.]+(?:e[+-]?\d+)?)/y);
    return Number(word);
  }

  quoted(): string {
    return JSON.parse(this.match(/"(?:[^"\\]|\\.)*"/y)) as string;
  }

  list<U>(open: string, close: string, item: () => U): U[] {
    this.expect(open);
    const items: U[] = [];
    while (!this.take(close)) {
      if (items.length > 0) {
        this.expect(",");
        this.take(" ");
      }
      items.push(item());
    }
    return items;
  }

  private match(pattern: RegExp): string {
    pattern.lastIndex = this.at;
    const match = pattern.exec(this.text);
    if (match === null) {
      throw new Error(`cannot read '${this.text.slice(this.at, this.at + 20)}' at column ${this.at + 1}`);
    }
    this.at = pattern.lastIndex;
    return match[0];
  }
}
