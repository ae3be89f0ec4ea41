/**
 * Operations whose pretty form has a grammar of its own: functions, calls, constants, loops, reductions, slices,
 * convolutions. Each is read into the generic form.
 */
import type { Attribute, Attributes, BlockArgument, Operation, Type } from "./ast.js";
import { parseConvolutionNumbers, parseDense, parseDictionary, parseSymbol } from "./attributes.js";
import {
  type Body,
  elementTensor,
  type Form,
  optionalDictionary,
  parsePlain,
  parsePrettyValue,
  parseTypes,
  type Reader,
} from "./pretty.js";
import { type Scanner, scanString } from "./scanner.js";
import { parseType, skipBalanced } from "./types.js";

const PRETTY_NAMES: Readonly<Record<string, string>> = {
  return: "func.return",
  call: "func.call",
  module: "builtin.module",
};

/** Reads the rest of a pretty operation, by its own form if it has one. */
export function parsePretty(reader: Reader, written: string, count: number): Body {
  const name = Object.hasOwn(PRETTY_NAMES, written) ? PRETTY_NAMES[written] : written;
  const form = Object.hasOwn(FORMS, name) ? FORMS[name] : parsePlain;
  return form(reader, name, count);
}

const FORMS: Readonly<Record<string, Form>> = {
  "builtin.module": parseModule,
  "func.func": parseFunction,
  "func.call": parseCall,
  "stablehlo.constant": parseConstant,
  "stablehlo.custom_call": parseCall,
  "stablehlo.composite": parseComposite,
  "stablehlo.slice": parseSlice,
  "stablehlo.get_tuple_element": parseTupleElement,
  "stablehlo.while": parseWhile,
  "stablehlo.reduce": parseReduce,
  "stablehlo.convolution": parseConvolution,
  "sdy.mesh": parseMesh,
  "sdy.sharding_constraint": parseConstraint,
};

/** `module @name attributes {…} { … }`. */
function parseModule(reader: Reader, name: string): Body {
  const { scanner } = reader;
  const attributes: Record<string, Attribute> = {};
  if (scanner.sees("@")) {
    attributes.sym_name = { kind: "string", value: parseSymbol(scanner) };
  }
  if (scanner.accept("attributes")) {
    Object.assign(attributes, parseDictionary(scanner));
  }
  return { name, operands: [], attributes, regions: [reader.region()], operandTypes: [], resultTypes: [] };
}

interface TypedAttributes {
  readonly type: Type;
  readonly attributes: Attributes;
}

/** `func.func private @name(%a: type {…} loc(…), …) -> (type {…}, …) attributes {…} { … }`. */
function parseFunction(reader: Reader, name: string): Body {
  const { scanner } = reader;
  const visibility = scanner.match(/(?:public|private|nested)\b/y);
  const symbol = parseSymbol(scanner);
  const given: (BlockArgument & TypedAttributes)[] = scanner.list("(", ")", () => parseArgument(reader));
  const results = scanner.accept("->") ? parseResults(scanner) : [];
  const own = scanner.accept("attributes") ? parseDictionary(scanner) : {};
  const type: Type = {
    kind: "function",
    inputs: given.map((argument) => argument.type),
    results: results.map((result) => result.type),
  };
  const attributes: Record<string, Attribute> = { ...own, sym_name: { kind: "string", value: symbol } };
  attributes.function_type = { kind: "type", type };
  if (visibility !== undefined) {
    attributes.sym_visibility = { kind: "string", value: visibility };
  }
  addDictionaries(attributes, "arg_attrs", given);
  addDictionaries(attributes, "res_attrs", results);
  const args = given.map(({ name, type, location }) =>
    location === undefined ? { name, type } : { name, type, location },
  );
  const regions = scanner.sees("{") ? [reader.region(args)] : [];
  return { name, operands: [], attributes, regions, operandTypes: [], resultTypes: [] };
}

function parseArgument(reader: Reader): BlockArgument & TypedAttributes {
  const { scanner } = reader;
  if (!scanner.sees("%")) {
    // A declaration without a body names no arguments.
    return { name: "", type: parseType(scanner), attributes: optionalDictionary(scanner) };
  }
  const name = reader.value();
  scanner.expect(":");
  const type = parseType(scanner);
  const attributes = optionalDictionary(scanner);
  const location = reader.optionalLocation();
  return location === undefined ? { name, type, attributes } : { name, type, attributes, location };
}

function parseResults(scanner: Scanner): TypedAttributes[] {
  if (!scanner.sees("(")) {
    return [{ type: parseType(scanner), attributes: {} }];
  }
  return scanner.list("(", ")", () => ({ type: parseType(scanner), attributes: optionalDictionary(scanner) }));
}

function addDictionaries(attributes: Record<string, Attribute>, key: string, of: readonly TypedAttributes[]): void {
  if (of.some((each) => Object.keys(each.attributes).length > 0)) {
    attributes[key] = { kind: "array", values: of.map((each) => ({ kind: "dictionary", entries: each.attributes })) };
  }
}

/** `call @f(%a) : …` and `stablehlo.custom_call @target(%a) {…} : …`. */
function parseCall(reader: Reader, name: string, count: number): Body {
  const { scanner } = reader;
  const symbol = parseSymbol(scanner);
  const operands = scanner.list("(", ")", () => reader.value());
  const target: Attributes =
    name === "func.call"
      ? { callee: { kind: "symbol", name: symbol } }
      : { call_target_name: { kind: "string", value: symbol } };
  const attributes = { ...target, ...optionalDictionary(scanner) };
  return { name, operands, attributes, regions: [], ...parseTypes(scanner, name, operands.length, count) };
}

/** `stablehlo.composite "name" %a, %b {…} : …`. */
function parseComposite(reader: Reader, name: string, count: number): Body {
  const composite = scanString(reader.scanner);
  const body = parsePlain(reader, name, count);
  return { ...body, attributes: { name: { kind: "string", value: composite }, ...body.attributes } };
}

function parseConstant(reader: Reader, name: string): Body {
  const { scanner } = reader;
  const own = optionalDictionary(scanner);
  scanner.expect("dense");
  const value = parseDense(scanner);
  return {
    name,
    operands: [],
    attributes: { ...own, value },
    regions: [],
    operandTypes: [],
    resultTypes: [value.type],
  };
}

const INTEGER = /-?\d+/y;

/** `%x [0:2, 0:12:2] : …`. */
function parseSlice(reader: Reader, name: string, count: number): Body {
  const { scanner } = reader;
  const operands = [reader.value()];
  const rows = scanner.list("[", "]", () => {
    const row = [scanner.expectMatch(INTEGER, "a number")];
    while (row.length < 3 && scanner.accept(":")) {
      row.push(scanner.expectMatch(INTEGER, "a number"));
    }
    return row;
  });
  const column = (at: number, missing: string): Attribute => ({
    kind: "denseArray",
    element: "i64",
    values: rows.map((row) => row[at] ?? missing),
  });
  const attributes: Attributes = {
    start_indices: column(0, "0"),
    limit_indices: column(1, "0"),
    strides: column(2, "1"),
    ...optionalDictionary(scanner),
  };
  return { name, operands, attributes, regions: [], ...parseTypes(scanner, name, 1, count) };
}

/** `%tuple[1] : …`. */
function parseTupleElement(reader: Reader, name: string, count: number): Body {
  const { scanner } = reader;
  const operands = [reader.value()];
  scanner.expect("[");
  const text = scanner.expectMatch(INTEGER, "an index");
  scanner.expect("]");
  const attributes = { index: { kind: "number", text } as const, ...optionalDictionary(scanner) };
  return { name, operands, attributes, regions: [], ...parseTypes(scanner, name, 1, count) };
}

/** `(%i = %a, %j = %b) : types attributes {…} cond {…} do {…}`. */
function parseWhile(reader: Reader, name: string): Body {
  const { scanner } = reader;
  const bindings = scanner.list("(", ")", () => {
    const argument = reader.value();
    scanner.expect("=");
    return { argument, operand: reader.value() };
  });
  const types: Type[] = [];
  if (scanner.accept(":")) {
    do {
      types.push(parseType(scanner));
    } while (scanner.accept(","));
  }
  if (types.length !== bindings.length) {
    throw scanner.problem(`a loop over ${bindings.length} values has ${types.length} types`);
  }
  const attributes = scanner.accept("attributes") ? parseDictionary(scanner) : {};
  const args = bindings.map(({ argument }, i) => ({ name: argument, type: types[i] }));
  scanner.expect("cond");
  const condition = reader.region(args);
  scanner.expect("do");
  const body = reader.region(args);
  const operands = bindings.map((binding) => binding.operand);
  return { name, operands, attributes, regions: [condition, body], operandTypes: types, resultTypes: types };
}

/** `(%a init: %i), (%b init: %j) across dimensions = [1] : … reducer(%x: t, %y: t) … {…}`, or `applies` one op. */
function parseReduce(reader: Reader, name: string, count: number): Body {
  const { scanner } = reader;
  const inputs: string[] = [];
  const inits: string[] = [];
  do {
    scanner.expect("(");
    inputs.push(reader.value());
    scanner.expect("init");
    scanner.expect(":");
    inits.push(reader.value());
    scanner.expect(")");
  } while (scanner.accept(","));
  const applied = scanner.accept("applies") ? scanner.expectMatch(/[A-Za-z_]\w*\.\w+/y, "an operation") : undefined;
  scanner.expect("across");
  scanner.expect("dimensions");
  scanner.expect("=");
  const dimensions = parsePrettyValue(scanner, "dimensions");
  const attributes = { dimensions, ...optionalDictionary(scanner) };
  const operands = [...inputs, ...inits];
  const types = parseTypes(scanner, name, operands.length, count);
  const region = applied === undefined ? parseReducer(reader) : appliedRegion(reader, applied, types.operandTypes);
  return { name, operands, attributes, regions: [region], ...types };
}

/** Each pair of parentheses has one input's accumulator and element; the block takes all accumulators first. */
function parseReducer(reader: Reader): Operation["regions"][number] {
  const { scanner } = reader;
  scanner.expect("reducer");
  const pairs: BlockArgument[][] = [];
  do {
    pairs.push(scanner.list("(", ")", () => reader.blockArgument()));
  } while (scanner.sees("("));
  if (pairs.some((pair) => pair.length !== 2)) {
    throw scanner.problem("a reducer takes pairs of arguments");
  }
  return reader.region([...pairs.map((pair) => pair[0]), ...pairs.map((pair) => pair[1])]);
}

function appliedRegion(reader: Reader, op: string, operandTypes: readonly Type[]): Operation["regions"][number] {
  if (operandTypes.length !== 2) {
    throw reader.scanner.problem("'applies' reduces one tensor");
  }
  const type = elementTensor(operandTypes[1]);
  const position = reader.scanner.positionAt(reader.scanner.offset);
  const args = [
    { name: "%lhs", type },
    { name: "%rhs", type },
  ];
  const common = { attributes: {}, regions: [], position };
  const apply: Operation = {
    ...common,
    name: op,
    results: ["%applied"],
    operands: ["%lhs", "%rhs"],
    operandTypes: [type, type],
    resultTypes: [type],
  };
  const give: Operation = {
    ...common,
    name: "stablehlo.return",
    results: [],
    operands: ["%applied"],
    operandTypes: [type],
    resultTypes: [],
  };
  return { args, operations: [apply, give] };
}

const WINDOW_KEYS: Readonly<Record<string, string>> = {
  stride: "window_strides",
  pad: "padding",
  lhs_dilate: "lhs_dilation",
  rhs_dilate: "rhs_dilation",
  reverse: "window_reversal",
};

/** `(%l, %r) dim_numbers = …, window = {…} {…} : …`. */
function parseConvolution(reader: Reader, name: string, count: number): Body {
  const { scanner } = reader;
  const operands = scanner.list("(", ")", () => reader.value());
  scanner.expect("dim_numbers");
  scanner.expect("=");
  const attributes: Record<string, Attribute> = { dimension_numbers: parseConvolutionNumbers(scanner) };
  if (scanner.accept(",")) {
    scanner.expect("window");
    scanner.expect("=");
    scanner.list("{", "}", () => {
      const key = scanner.expectMatch(/[a-z_]+/y, "a window's property");
      if (!Object.hasOwn(WINDOW_KEYS, key)) {
        throw scanner.problem(`a convolution's window has no '${key}'`);
      }
      scanner.expect("=");
      attributes[WINDOW_KEYS[key]] = parsePrettyValue(scanner, key);
    });
  }
  Object.assign(attributes, optionalDictionary(scanner));
  return { name, operands, attributes, regions: [], ...parseTypes(scanner, name, operands.length, count) };
}

/** `%y = sdy.sharding_constraint %x <@mesh, [{}, {"x"}]> : type`: where a value lies. Read, and kept as text. */
function parseConstraint(reader: Reader, name: string): Body {
  const { scanner } = reader;
  const operands = [reader.value()];
  const start = scanner.offset;
  scanner.expect("<");
  skipBalanced(scanner);
  scanner.expect(">");
  const sharding: Attribute = { kind: "string", value: scanner.text.slice(start, scanner.offset).trim() };
  const attributes = { sharding, ...optionalDictionary(scanner) };
  scanner.expect(":");
  const type = parseType(scanner);
  return { name, operands, attributes, regions: [], operandTypes: [type], resultTypes: [type] };
}

/** `sdy.mesh @mesh = <…>`: how a module is spread over devices. Ours runs on one: read, and kept as text. */
function parseMesh(reader: Reader, name: string): Body {
  const { scanner } = reader;
  const symbol = parseSymbol(scanner);
  scanner.expect("=");
  const start = scanner.offset;
  scanner.expect("<");
  skipBalanced(scanner);
  scanner.expect(">");
  optionalDictionary(scanner);
  const mesh: Attribute = { kind: "string", value: scanner.text.slice(start, scanner.offset).trim() };
  const attributes = { sym_name: { kind: "string", value: symbol } as const, mesh };
  return { name, operands: [], attributes, regions: [], operandTypes: [], resultTypes: [] };
}
