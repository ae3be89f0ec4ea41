/**
 * The pretty forms of operations, turned into the generic one. Most operations follow one grammar (`parsePlain`):
 * operands, `key = value` pairs, an attribute dictionary and a type; those with a form of their own are in
 * `pretty-forms.ts`. A new operation with the plain form needs an entry in `KEYS` only if its keys are abbreviations.
 */
import type { Attribute, Attributes, BlockArgument, Location, Operation, Region, Type } from "./ast.js";
import { NUMBER, parseAttribute, parseDense, parseDictionary } from "./attributes.js";
import { type Scanner, scanString } from "./scanner.js";
import { normaliseSpaces, parseFunctionType, parseType, parseTypesOrOne, skipBalanced } from "./types.js";

/** What a form may ask of the parser. */
export interface Reader {
  readonly scanner: Scanner;
  value(): string;
  /** A region in braces; `named` are its arguments where the form names them before the brace. */
  region(named?: readonly BlockArgument[]): Region;
  blockArgument(): BlockArgument;
  optionalLocation(): Location | undefined;
}

/** An operation without what stands left of `=` and without its place. */
export type Body = Omit<Operation, "results" | "position" | "location">;
export type Form = (reader: Reader, name: string, count: number) => Body;

/** The generic attribute names of the keys that pretty forms abbreviate. */
const KEYS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "stablehlo.broadcast_in_dim": { dims: "broadcast_dimensions" },
  "stablehlo.dynamic_broadcast_in_dim": { dims: "broadcast_dimensions" },
  "stablehlo.transpose": { dims: "permutation" },
  "stablehlo.reverse": { dims: "dimensions" },
  "stablehlo.concatenate": { dim: "dimension" },
  "stablehlo.iota": { dim: "iota_dimension" },
  "stablehlo.dynamic_iota": { dim: "iota_dimension" },
  "stablehlo.get_dimension_size": { dim: "dimension" },
  "stablehlo.set_dimension_size": { dim: "dimension" },
  "stablehlo.dynamic_slice": { sizes: "slice_sizes" },
  "stablehlo.pad": { low: "edge_padding_low", high: "edge_padding_high", interior: "interior_padding" },
  "stablehlo.fft": { type: "fft_type", length: "fft_length" },
};

/** What follows an operation without operands. */
const ENDS = [":", "{", "}", "loc"];

/** Reads the rest of a pretty operation after its name. */
export function parsePlain(reader: Reader, name: string, count: number): Body {
  const { scanner } = reader;
  const operands: string[] = [];
  const words: string[] = [];
  const attributes: Record<string, Attribute> = {};
  const parenthesised = scanner.accept("(");
  let separated = !ENDS.some((end) => scanner.sees(end));
  while (separated) {
    if (scanner.sees("%")) {
      operands.push(reader.value());
    } else if (scanner.sees("dense")) {
      scanner.expect("dense");
      attributes.value = parseDense(scanner);
      Object.assign(attributes, optionalDictionary(scanner));
      return {
        name,
        operands,
        attributes,
        regions: [],
        operandTypes: operands.map(() => typeOfValue(attributes)),
        resultTypes: [],
      };
    } else {
      parseItem(scanner, name, attributes, words);
    }
    separated = scanner.accept(",");
  }
  if (parenthesised) {
    scanner.expect(")");
  }
  addWords(scanner, name, words, attributes);
  Object.assign(attributes, optionalDictionary(scanner));
  return { name, operands, attributes, regions: [], ...parseTypes(scanner, name, operands.length, count) };
}

function typeOfValue(attributes: Attributes): Type {
  return (attributes.value as Attribute & { kind: "dense" }).type;
}

export function optionalDictionary(scanner: Scanner): Attributes {
  return scanner.sees("{") ? parseDictionary(scanner) : {};
}

const KEY = /[A-Za-z_]\w*/y;

/** `key = value`, or a word alone (`LT`, `SIGNED`). */
function parseItem(scanner: Scanner, op: string, attributes: Record<string, Attribute>, words: string[]): void {
  const key = scanner.expectMatch(KEY, "an operand, 'key = value' or ':'");
  if (!scanner.accept("=")) {
    words.push(key);
    return;
  }
  if (key === "batching_dims" || key === "contracting_dims") {
    addDotDimensions(scanner, attributes, key);
    return;
  }
  const renamed = Object.hasOwn(KEYS, op) ? KEYS[op] : {};
  const generic = Object.hasOwn(renamed, key) ? renamed[key] : key === "precision" ? "precision_config" : key;
  attributes[generic] = parsePrettyValue(scanner, generic);
}

const UPPER = /[A-Za-z_]\w*/y;

/** Numbers in brackets are an integer array; bare words are enumerations of the key's name. */
export function parsePrettyValue(scanner: Scanner, key: string): Attribute {
  const start = scanner.offset;
  if (scanner.sees("<")) {
    scanner.expect("<");
    skipBalanced(scanner);
    scanner.expect(">");
    return { kind: "string", value: normaliseSpaces(scanner.text.slice(start, scanner.offset).trim()) };
  }
  if (scanner.sees("[")) {
    return parsePrettyList(scanner, key);
  }
  if (scanner.sees('"')) {
    return { kind: "string", value: scanString(scanner) };
  }
  const text = scanner.match(NUMBER);
  if (text !== undefined) {
    // The ':' that may follow belongs to the operation's types.
    return { kind: "number", text };
  }
  const word = scanner.match(UPPER);
  if (word !== undefined && !["true", "false", "dense", "array", "unit"].includes(word)) {
    return { kind: "enumeration", name: key, value: word };
  }
  scanner.offset = start;
  return parseAttribute(scanner);
}

function parsePrettyList(scanner: Scanner, key: string): Attribute {
  const values = scanner.list("[", "]", (): Attribute => {
    const word = scanner.match(/[A-Z]\w*/y);
    return word === undefined
      ? parseAttribute(scanner)
      : { kind: "enumeration", name: enumerationOf(key), value: word };
  });
  const texts = values.map((value) => (value.kind === "number" && value.type === undefined ? value.text : undefined));
  return texts.every((text) => text !== undefined)
    ? { kind: "denseArray", element: "i64", values: texts }
    : { kind: "array", values };
}

function enumerationOf(key: string): string {
  return key === "precision_config" ? "precision" : key;
}

/** `contracting_dims = [2] x [0]` adds to the structure `dot_dimension_numbers`. */
function addDotDimensions(scanner: Scanner, attributes: Record<string, Attribute>, key: string): void {
  const left = parsePrettyList(scanner, key);
  scanner.expect("x");
  const right = parsePrettyList(scanner, key);
  const previous = attributes.dot_dimension_numbers;
  const fields = previous?.kind === "structure" ? previous.fields : {};
  const suffix = key === "batching_dims" ? "batching_dimensions" : "contracting_dimensions";
  attributes.dot_dimension_numbers = {
    kind: "structure",
    name: "stablehlo.dot",
    fields: { ...fields, [`lhs_${suffix}`]: asArray(left), [`rhs_${suffix}`]: asArray(right) },
  };
}

/** The form that structures have in the generic syntax: `[0, 1]`. */
function asArray(attribute: Attribute): Attribute {
  return attribute.kind === "denseArray"
    ? { kind: "array", values: attribute.values.map((text) => ({ kind: "number", text })) }
    : attribute;
}

function addWords(scanner: Scanner, op: string, words: readonly string[], attributes: Record<string, Attribute>): void {
  if (words.length === 0) {
    return;
  }
  if (!op.endsWith("compare") || words.length > 2) {
    throw scanner.problem(`unexpected '${words[0]}' in ${op}`);
  }
  attributes.comparison_direction = { kind: "enumeration", name: "comparison_direction", value: words[0] };
  if (words.length === 2) {
    attributes.compare_type = { kind: "enumeration", name: "comparison_type", value: words[1] };
  }
}

/** The types after `:`, spread over operands and results as the operation's form says. */
export function parseTypes(
  scanner: Scanner,
  name: string,
  operands: number,
  results: number,
): Pick<Operation, "operandTypes" | "resultTypes"> {
  if (!scanner.accept(":")) {
    if (operands > 0 || results > 0) {
      throw scanner.problem(`expected ':' and the types of ${name}`);
    }
    return { operandTypes: [], resultTypes: [] };
  }
  const start = scanner.offset;
  const types = parseTypeList(scanner);
  if (types.length === 1 && types[0].kind === "function") {
    return checkedTypes(
      scanner,
      name,
      operands,
      { operandTypes: types[0].inputs, resultTypes: types[0].results },
      start,
    );
  }
  if (scanner.accept("->")) {
    return checkedTypes(scanner, name, operands, { operandTypes: types, resultTypes: parseTypesOrOne(scanner) }, start);
  }
  return checkedTypes(scanner, name, operands, spreadTypes(name, types, operands, results), start);
}

function parseTypeList(scanner: Scanner): Type[] {
  const types = [scanner.sees("(") ? parseFunctionType(scanner) : parseType(scanner)];
  while (scanner.accept(",")) {
    types.push(parseType(scanner));
  }
  return types;
}

function checkedTypes(
  scanner: Scanner,
  name: string,
  operands: number,
  types: Pick<Operation, "operandTypes" | "resultTypes">,
  start: number,
): Pick<Operation, "operandTypes" | "resultTypes"> {
  if (types.operandTypes.length !== operands) {
    throw scanner.problem(`${name} has ${operands} operands and ${types.operandTypes.length} operand types`, start);
  }
  return types;
}

function spreadTypes(
  name: string,
  types: readonly Type[],
  operands: number,
  results: number,
): Pick<Operation, "operandTypes" | "resultTypes"> {
  const last = types[types.length - 1];
  if (name.endsWith(".return")) {
    return { operandTypes: types, resultTypes: [] };
  }
  if (name === "stablehlo.select" && types.length === 2) {
    return { operandTypes: [types[0], last, last], resultTypes: [last] };
  }
  if (name === "stablehlo.tuple" && last.kind === "tuple") {
    return { operandTypes: last.types, resultTypes: [last] };
  }
  if (name === "stablehlo.complex") {
    return { operandTypes: Array.from({ length: operands }, () => partOfComplex(last)), resultTypes: [last] };
  }
  if (types.length === operands && results === operands) {
    return { operandTypes: types, resultTypes: types };
  }
  const operandTypes = types.length === 1 ? Array.from({ length: operands }, () => last) : types;
  return { operandTypes, resultTypes: results === 0 ? [] : [last] };
}

function partOfComplex(type: Type): Type {
  const element = type.kind === "tensor" ? /^complex<(\w+)>$/.exec(type.element)?.[1] : undefined;
  return type.kind === "tensor" && element !== undefined ? { ...type, element } : type;
}

/** The rank-0 tensor type of a tensor type's elements. */
export function elementTensor(type: Type): Type {
  return type.kind === "tensor" ? { kind: "tensor", shape: [], element: type.element } : type;
}
