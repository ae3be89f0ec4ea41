/**
 * Binds a model's symbolic dimensions. A plan has fixed shapes, so every dimension of every graph input must get a
 * number: from the file, from a name bound by the user (`dims`), or from a whole shape given for an input (`shapes`),
 * which also binds the names it meets. Exporters write expressions such as `past_sequence_length + sequence_length`;
 * they are evaluated over the names that are bound. What stays open is reported all at once.
 */

import type { Dimension, ValueInfo } from "../../formats/onnx/schema.js";
import { type Diagnostic, fail } from "../../ir/diagnostics.js";

export interface Bindings {
  readonly dims?: Readonly<Record<string, number>>;
  readonly shapes?: Readonly<Record<string, readonly number[]>>;
}

/** The symbols a model's dimensions use, with their values. */
export type Symbols = ReadonlyMap<string, number>;

/** One dimension as a number, or `undefined` where its name is not bound. */
export function dimensionValue(dimension: Dimension, symbols: Symbols): number | undefined {
  if (dimension.value === "dimValue" && dimension.dimValue !== undefined && dimension.dimValue >= 0) {
    return dimension.dimValue;
  }
  return dimension.value === "dimParam" ? evaluateExpression(dimension.dimParam ?? "", symbols) : undefined;
}

/**
 * The shapes of `inputs` and the values of all symbols. E0203 with a list where a dimension stays open; E0202 where a
 * given shape contradicts the model or another binding.
 */
export function bindShapes(
  inputs: readonly ValueInfo[],
  bindings: Bindings,
): { readonly shapes: ReadonlyMap<string, readonly number[]>; readonly symbols: Symbols } {
  const symbols = new Map(Object.entries(bindings.dims ?? {}));
  const problems: Diagnostic[] = [...symbols].flatMap(([name, value]) => validDimension(name, value));
  const names = new Set(inputs.map((input) => input.name));
  for (const name of Object.keys(bindings.shapes ?? {})) {
    if (!names.has(name)) {
      problems.push(conflict(`the model has no input '${name}'`, `its inputs are: ${[...names].join(", ")}`));
    }
  }
  for (const input of inputs) {
    const given = ownShape(bindings, input.name);
    if (given !== undefined) {
      problems.push(...unify(input, given, symbols));
    }
  }
  if (problems.length > 0) {
    throw fail(...problems);
  }
  const shapes = new Map<string, readonly number[]>();
  const open: Diagnostic[] = [];
  for (const input of inputs) {
    const shape = ownShape(bindings, input.name) ?? closedShape(input, symbols, open);
    shapes.set(input.name, shape);
  }
  if (open.length > 0) {
    throw fail(...open);
  }
  return { shapes, symbols };
}

/** The names in the dimensions of inputs, and in their expressions. */
export function namesOfDimensions(inputs: readonly ValueInfo[]): readonly string[] {
  const texts = inputs.flatMap((input) => (dimensionsOf(input) ?? []).map(({ dimParam }) => dimParam ?? ""));
  const names = texts.flatMap((text) => [text, ...(text.match(/[A-Za-z_][\w.]*/g) ?? [])]);
  return [...new Set(names)].filter((name) => name !== "");
}

function ownShape(bindings: Bindings, name: string): readonly number[] | undefined {
  const shapes = bindings.shapes ?? {};
  return Object.hasOwn(shapes, name) ? shapes[name] : undefined;
}

function conflict(what: string, why: string): Diagnostic {
  return { code: "E0202", what, why, fix: "give shapes that the model declares" };
}

function validDimension(name: string, value: number): Diagnostic[] {
  return Number.isSafeInteger(value) && value >= 0
    ? []
    : [conflict(`dimension '${name}' is bound to ${value}`, "a dimension is a whole number, zero or more")];
}

function dimensionsOf(input: ValueInfo): readonly Dimension[] | undefined {
  return input.type?.tensorType?.shape?.dim;
}

/** An input's dimensions: numbers, or what the file calls those that are open. */
export function declaredShape(input: ValueInfo): readonly (number | string)[] {
  const numbers = new Map<string, number>();
  return (dimensionsOf(input) ?? []).map((each) => dimensionValue(each, numbers) ?? each.dimParam ?? "");
}

function unify(input: ValueInfo, given: readonly number[], symbols: Map<string, number>): Diagnostic[] {
  const declared = dimensionsOf(input);
  if (declared === undefined) {
    return given.flatMap((value) => validDimension(input.name, value));
  }
  if (declared.length !== given.length) {
    const why = `the model declares ${declared.length} dimensions, not ${given.length}`;
    return [conflict(`input '${input.name}' cannot have shape [${given.join(", ")}]`, why)];
  }
  return declared.flatMap((dimension, axis) => {
    const value = given[axis];
    const known = dimensionValue(dimension, symbols);
    const invalid = validDimension(input.name, value);
    if (invalid.length > 0) {
      return invalid;
    }
    if (known === undefined && dimension.value === "dimParam" && isName(dimension.dimParam ?? "")) {
      symbols.set(dimension.dimParam ?? "", value);
    } else if (known !== undefined && known !== value) {
      const symbol = dimension.value === "dimParam" ? ` ('${dimension.dimParam}')` : "";
      const why = `axis ${axis}${symbol} is ${known}, by the model or by another binding`;
      return [conflict(`input '${input.name}' cannot have shape [${given.join(", ")}]`, why)];
    }
    return [];
  });
}

function closedShape(input: ValueInfo, symbols: Symbols, open: Diagnostic[]): readonly number[] {
  const declared = dimensionsOf(input);
  if (declared === undefined) {
    open.push(unbound(`input '${input.name}' declares no shape`, `--shape ${input.name}=AxB`));
    return [];
  }
  return declared.map((dimension, axis) => {
    const value = dimensionValue(dimension, symbols);
    if (value === undefined) {
      const name = dimension.value === "dimParam" ? (dimension.dimParam ?? "") : "";
      const shown = name === "" ? "has no name" : `is '${name}'`;
      const example = declared.map((each, i) => (i === axis ? "N" : (dimensionValue(each, symbols) ?? "M"))).join("x");
      const fix = isName(name) ? `--dim ${name}=N, or ` : "";
      open.push(
        unbound(`dimension ${axis} of input '${input.name}' ${shown}`, `${fix}--shape ${input.name}=${example}`),
      );
    }
    return value ?? 0;
  });
}

function unbound(what: string, option: string): Diagnostic {
  return { code: "E0203", what: `${what}, and is not bound`, why: "a plan has fixed shapes", fix: `add ${option}` };
}

function isName(text: string): boolean {
  return /^[^\s+\-*/()]+$/.test(text) && !/^\d+$/.test(text);
}

/**
 * `+ - * / // ( ) Min Max Mod floor ceil` over integers and bound names; `undefined` where a name is open or the form
 * unknown.
 */
function evaluateExpression(text: string, symbols: Symbols): number | undefined {
  const direct = symbols.get(text);
  if (direct !== undefined) {
    return direct;
  }
  const tokens = text.match(/\d+|[A-Za-z_][\w.]*|\/\/|[-+*/(),]/g) ?? [];
  if (tokens.length > 500 || tokens.join("") !== text.replace(/\s+/g, "")) {
    return undefined;
  }
  const parser = { tokens, at: 0, symbols };
  const value = parseSum(parser);
  return value !== undefined && parser.at === tokens.length && value >= 0 ? Math.floor(value) : undefined;
}

interface Parser {
  readonly tokens: readonly string[];
  at: number;
  readonly symbols: Symbols;
}

function parseSum(parser: Parser): number | undefined {
  let value = parseProduct(parser);
  while (parser.tokens[parser.at] === "+" || parser.tokens[parser.at] === "-") {
    const sign = parser.tokens[parser.at++] === "+" ? 1 : -1;
    const right = parseProduct(parser);
    value = value === undefined || right === undefined ? undefined : value + sign * right;
  }
  return value;
}

function parseProduct(parser: Parser): number | undefined {
  let value = parseAtom(parser);
  while (["*", "/", "//"].includes(parser.tokens[parser.at])) {
    const operator = parser.tokens[parser.at++];
    const right = parseAtom(parser);
    if (value === undefined || right === undefined) {
      return undefined;
    }
    value = operator === "*" ? value * right : operator === "/" ? value / right : Math.floor(value / right);
  }
  return value;
}

function parseAtom(parser: Parser): number | undefined {
  const token = parser.tokens[parser.at++];
  if (token === undefined) {
    return undefined;
  }
  if (/^\d/.test(token)) {
    return Number(token);
  }
  if (token === "-") {
    const value = parseAtom(parser);
    return value === undefined ? undefined : -value;
  }
  if (token !== "(" && parser.tokens[parser.at] !== "(") {
    return parser.symbols.get(token);
  }
  const name = token === "(" ? "" : token.toLowerCase();
  if (token !== "(") {
    parser.at++;
  }
  const values = parseArguments(parser);
  return values === undefined ? undefined : applyFunction(name, values);
}

/** Values up to the closing bracket, which is consumed. */
function parseArguments(parser: Parser): readonly number[] | undefined {
  const values: number[] = [];
  for (;;) {
    const value = parseSum(parser);
    const next = parser.tokens[parser.at++];
    if (value === undefined || (next !== "," && next !== ")")) {
      return undefined;
    }
    values.push(value);
    if (next === ")") {
      return values;
    }
  }
}

function applyFunction(name: string, values: readonly number[]): number | undefined {
  switch (name) {
    case "":
      return values.length === 1 ? values[0] : undefined;
    case "min":
      return Math.min(...values);
    case "max":
      return Math.max(...values);
    case "floor":
      return Math.floor(values[0]);
    case "ceil":
    case "ceiling":
      return Math.ceil(values[0]);
    case "mod":
      return values.length === 2 ? values[0] - values[1] * Math.floor(values[0] / values[1]) : undefined;
    default:
      return undefined;
  }
}
