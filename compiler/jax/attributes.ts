/** MLIR attributes, read: numbers, strings, arrays, dense tensors, dictionaries and StableHLO's own structures. */
import type { Attribute, Attributes, DenseLiteral, Layout } from "./ast.js";
import { type Scanner, scanString } from "./scanner.js";
import { normaliseSpaces, parseType, printType, skipBalanced } from "./types.js";

export const NUMBER = /[-+]?(?:0x[0-9A-Fa-f]+|\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)(?![\w.])/y;
const HASH_NAME = /#[A-Za-z_][\w$.-]*/y;
const SYMBOL = /@(?:[A-Za-z_][\w$.-]*|"(?:[^"\\\n]|\\[\s\S])*")/y;
const KEY = /[A-Za-z_][\w$.]*/y;
const TYPE_START = /(?:tensor|tuple|vector|memref|complex)\s*<|(?:[su]?i\d+|bf16|f\d+\w*|index|none)\b|!|\(/y;

/** Reads any attribute value. */
export function parseAttribute(scanner: Scanner): Attribute {
  return scanner.nested(() => parseAttributeHere(scanner));
}

function parseAttributeHere(scanner: Scanner): Attribute {
  const number = scanner.match(NUMBER);
  if (number !== undefined) {
    return scanner.accept(":")
      ? { kind: "number", text: number, type: parseType(scanner) }
      : { kind: "number", text: number };
  }
  if (scanner.sees('"')) {
    return parseStringAttribute(scanner);
  }
  if (scanner.sees("[")) {
    return parseArrayOrLayout(scanner);
  }
  if (scanner.sees("{")) {
    return { kind: "dictionary", entries: parseDictionary(scanner) };
  }
  if (scanner.sees("@")) {
    return { kind: "symbol", name: parseSymbol(scanner) };
  }
  if (scanner.sees("#")) {
    return parseHashAttribute(scanner);
  }
  return parseWordAttribute(scanner);
}

function parseStringAttribute(scanner: Scanner): Attribute {
  const value = scanString(scanner);
  if (scanner.accept(":")) {
    parseType(scanner);
  }
  return { kind: "string", value };
}

function parseWordAttribute(scanner: Scanner): Attribute {
  if (scanner.accept("true")) {
    return { kind: "boolean", value: true };
  }
  if (scanner.accept("false")) {
    return { kind: "boolean", value: false };
  }
  if (scanner.accept("unit")) {
    return { kind: "unit" };
  }
  if (scanner.sees("dense_resource") || scanner.sees("sparse")) {
    throw scanner.problem("dense_resource and sparse constants are not supported: export with the values inline");
  }
  if (scanner.accept("dense")) {
    return parseDense(scanner);
  }
  if (scanner.accept("array")) {
    return parseDenseArray(scanner);
  }
  const start = scanner.offset;
  if (scanner.match(TYPE_START) !== undefined) {
    scanner.offset = start;
    return { kind: "type", type: parseType(scanner) };
  }
  throw scanner.problem("expected an attribute");
}

/** `@name` or `@"name"`, without the sign and the quotes. */
export function parseSymbol(scanner: Scanner): string {
  const text = scanner.expectMatch(SYMBOL, "a symbol").slice(1);
  let name = text.startsWith('"') ? text.slice(1, -1) : text;
  while (scanner.accept("::")) {
    name += `::${parseSymbol(scanner)}`;
  }
  return name;
}

const LETTER = /[a-z]|\d+|\?/y;
const LAYOUT_START = /\[\s*[a-z]\s*[,\]]|\[[^\]"#({]*\]\s*x\s*\[/y;

function parseArrayOrLayout(scanner: Scanner): Attribute {
  const start = scanner.offset;
  if (scanner.match(LAYOUT_START) !== undefined) {
    scanner.offset = start;
    return parseConvolutionNumbers(scanner);
  }
  return { kind: "array", values: scanner.list("[", "]", () => parseAttribute(scanner)) };
}

/** `[b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f]`. */
export function parseConvolutionNumbers(scanner: Scanner): Attribute {
  const layout = (): Layout => scanner.list("[", "]", () => scanner.expectMatch(LETTER, "a dimension"));
  const input = layout();
  scanner.expect("x");
  const kernel = layout();
  scanner.expect("->");
  return { kind: "convolution", input, kernel, output: layout() };
}

/** `{key = value, key, …}`; a key without a value is a unit. */
export function parseDictionary(scanner: Scanner, open = "{", close = "}"): Attributes {
  const entries = scanner.list(open, close, () => parseEntry(scanner));
  return Object.fromEntries(entries);
}

function parseEntry(scanner: Scanner): [string, Attribute] {
  const key = scanner.sees('"') ? scanString(scanner) : scanner.expectMatch(KEY, "an attribute's name");
  return [key, scanner.accept("=") ? parseAttribute(scanner) : { kind: "unit" }];
}

function parseHashAttribute(scanner: Scanner): Attribute {
  const name = scanner.expectMatch(HASH_NAME, "an attribute").slice(1);
  if (!scanner.sees("<")) {
    return name.includes(".") ? { kind: "opaque", text: `#${name}` } : { kind: "alias", name };
  }
  if (name === "stablehlo" || name === "chlo") {
    return parseEnumeration(scanner);
  }
  if (name === "stablehlo.conv") {
    scanner.expect("<");
    const numbers = parseConvolutionNumbers(scanner);
    scanner.expect(">");
    return numbers;
  }
  return parseStructure(scanner, name);
}

const ENUMERATION = /[A-Za-z_]\w*/y;

/** `<comparison_direction EQ>`. */
function parseEnumeration(scanner: Scanner): Attribute {
  scanner.expect("<");
  const name = scanner.expectMatch(ENUMERATION, "an enumeration's name");
  const value = scanner.expectMatch(ENUMERATION, "an enumeration's value");
  scanner.expect(">");
  return { kind: "enumeration", name, value };
}

const FIELDS = /<\s*(?:>|[a-z_]\w*\s*=)/y;

/** `#stablehlo.gather<offset_dims = [1], …>` by fields; anything else of another dialect as text. */
function parseStructure(scanner: Scanner, name: string): Attribute {
  const start = scanner.offset;
  const structured = name.startsWith("stablehlo.") && scanner.match(FIELDS) !== undefined;
  scanner.offset = start;
  if (structured) {
    return { kind: "structure", name, fields: parseDictionary(scanner, "<", ">") };
  }
  scanner.expect("<");
  skipBalanced(scanner);
  scanner.expect(">");
  return { kind: "opaque", text: `#${name}${normaliseSpaces(scanner.text.slice(start, scanner.offset))}` };
}

const ARRAY_VALUE = /[-+]?(?:0x[0-9A-Fa-f]+|\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)|true|false/y;

/** `array<i64: 1, 2>`. */
function parseDenseArray(scanner: Scanner): Attribute {
  scanner.expect("<");
  const element = printType(parseType(scanner));
  const values: string[] = [];
  if (scanner.accept(":")) {
    do {
      values.push(scanner.expectMatch(ARRAY_VALUE, "a number"));
    } while (scanner.accept(","));
  }
  scanner.expect(">");
  return { kind: "denseArray", element, values };
}

/** After the word `dense`: `<…> : type`. */
export function parseDense(scanner: Scanner): Attribute & { kind: "dense" } {
  scanner.expect("<");
  const literal = scanner.sees(">") ? { form: "list" as const, elements: [], shape: [0] } : parseDenseLiteral(scanner);
  scanner.expect(">");
  scanner.expect(":");
  const start = scanner.offset;
  const type = parseType(scanner);
  if (type.kind !== "tensor" && !(type.kind === "other" && type.text.startsWith("vector"))) {
    throw scanner.problem("a dense constant needs a tensor type", start);
  }
  return { kind: "dense", literal, type };
}

function parseDenseLiteral(scanner: Scanner): DenseLiteral {
  const start = scanner.offset;
  if (scanner.sees('"')) {
    const text = scanString(scanner);
    if (!/^0x(?:[0-9A-Fa-f]{2})*$/.test(text)) {
      throw scanner.problem("dense data is not hexadecimal", start);
    }
    return { form: "hex", text };
  }
  const elements: string[] = [];
  const shape: number[] = [];
  parseDenseLevel(scanner, 0, elements, shape);
  return { form: "list", elements, shape };
}

const ELEMENT = /[-+]?(?:0x[0-9A-Fa-f]+|\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)|true|false/y;

function parseDenseLevel(scanner: Scanner, level: number, elements: string[], shape: number[]): void {
  if (!scanner.sees("[")) {
    elements.push(parseDenseElement(scanner));
    if (shape.length !== level) {
      throw scanner.problem("rows of a dense constant differ in depth");
    }
    return;
  }
  if (level >= shape.length && elements.length > 0) {
    throw scanner.problem("rows of a dense constant differ in depth");
  }
  const first = level >= shape.length;
  if (first) {
    shape.push(-1);
  }
  const count = scanner.list("[", "]", () => parseDenseLevel(scanner, level + 1, elements, shape)).length;
  if (shape[level] !== -1 && shape[level] !== count) {
    throw scanner.problem("rows of a dense constant differ in length");
  }
  shape[level] = count;
}

function parseDenseElement(scanner: Scanner): string {
  if (scanner.sees("(")) {
    const parts = scanner.list("(", ")", () => scanner.expectMatch(ELEMENT, "a number"));
    return `(${parts.join(", ")})`;
  }
  return scanner.expectMatch(ELEMENT, "a number");
}
