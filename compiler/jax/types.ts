/**
 * MLIR types, read and printed. Tensors, tuples and functions have structure; any other type (tokens, quantised
 * elements, types of other dialects) is kept as its text with the spaces normalised.
 */
import type { Type } from "./ast.js";
import type { Scanner } from "./scanner.js";

const DIMENSION = /[ \t]*(?:\?|\d+)[ \t]*x/y;
const WORD = /!?[A-Za-z_][\w$.]*/y;
const PRIMITIVE = /(?:[su]?i\d+|bf16|f\d+\w*|tf32|index|none)\b/y;
/** Dimensions beyond this are a corrupt file: a tensor of that size exists nowhere. */
const LARGEST = 2 ** 40;

/** Reads one type: `tensor<2x?xf32>`, `tuple<…>`, `(…) -> …`, `i64`, `!stablehlo.token`, `vector<…>`. */
export function parseType(scanner: Scanner): Type {
  return scanner.nested(() => {
    if (scanner.sees("(")) {
      return parseFunctionType(scanner);
    }
    if (scanner.accept("tensor")) {
      return parseTensorType(scanner);
    }
    if (scanner.accept("tuple")) {
      return { kind: "tuple", types: scanner.list("<", ">", () => parseType(scanner)) };
    }
    const word = scanner.match(PRIMITIVE) ?? scanner.expectMatch(WORD, "a type");
    return { kind: "other", text: word + balancedTail(scanner) };
  });
}

/** `(types) -> type` or `(types) -> (types)`. */
export function parseFunctionType(scanner: Scanner): Type & { kind: "function" } {
  const inputs = scanner.list("(", ")", () => parseType(scanner));
  scanner.expect("->");
  return { kind: "function", inputs, results: parseTypesOrOne(scanner) };
}

/** A type, or a list of types in parentheses. */
export function parseTypesOrOne(scanner: Scanner): Type[] {
  return scanner.sees("(") ? scanner.list("(", ")", () => parseType(scanner)) : [parseType(scanner)];
}

function parseTensorType(scanner: Scanner): Type {
  scanner.expect("<");
  const shape: (number | undefined)[] = [];
  for (let found = scanner.match(DIMENSION); found !== undefined; found = scanner.match(DIMENSION)) {
    const digits = found.slice(0, -1).trim();
    const dimension = digits === "?" ? undefined : Number(digits);
    if (dimension !== undefined && dimension > LARGEST) {
      throw scanner.problem(`dimension ${digits} is too large`);
    }
    shape.push(dimension);
  }
  const element = printType(parseType(scanner));
  if (scanner.accept(",")) {
    // An encoding (`#stablehlo.bounds<…>`, a layout) says nothing about the values: read and dropped.
    skipBalanced(scanner);
  }
  scanner.expect(">");
  return { kind: "tensor", shape, element };
}

/** The `<…>` that follows a type's name, as text without trivia; "" if there is none. */
function balancedTail(scanner: Scanner): string {
  if (!scanner.sees("<")) {
    return "";
  }
  const start = scanner.offset;
  scanner.expect("<");
  skipBalanced(scanner);
  scanner.expect(">");
  return normaliseSpaces(scanner.text.slice(start, scanner.offset));
}

const PLAIN = /[^<>[\](){}"]+/y;
const QUOTED = /"(?:[^"\\\n]|\\[\s\S])*"/y;
const CLOSERS: Readonly<Record<string, string>> = { "<": ">", "(": ")", "[": "]", "{": "}" };

/** Skips text up to the bracket that closes the one already open. `->` does not close anything. */
export function skipBalanced(scanner: Scanner): void {
  const expected: string[] = [];
  for (;;) {
    scanner.matchHere(PLAIN);
    const character = scanner.text[scanner.offset];
    if (character === undefined) {
      throw scanner.problem("unexpected end inside brackets");
    }
    if (character === '"') {
      if (scanner.matchHere(QUOTED) === undefined) {
        throw scanner.problem("unterminated string");
      }
    } else if (Object.hasOwn(CLOSERS, character)) {
      expected.push(CLOSERS[character]);
      scanner.offset++;
    } else if (character === ">" && scanner.text[scanner.offset - 1] === "-") {
      scanner.offset++;
    } else if (expected.length === 0) {
      return;
    } else if (expected.pop() === character) {
      scanner.offset++;
    } else {
      throw scanner.problem("brackets do not match");
    }
  }
}

/** Text without comments and with single spaces, so that two spellings of one thing compare equal. */
export function normaliseSpaces(text: string): string {
  return text
    .replace(/\/\/[^\n]*/g, " ")
    .replace(/\s+/g, " ")
    .replace(/\s*([<>,:{}[\]()=])\s*/g, "$1");
}

export function printType(type: Type): string {
  switch (type.kind) {
    case "tensor":
      return `tensor<${type.shape.map((n) => `${n ?? "?"}x`).join("")}${type.element}>`;
    case "tuple":
      return `tuple<${type.types.map(printType).join(", ")}>`;
    case "function":
      return `(${type.inputs.map(printType).join(", ")}) -> ${printTypes(type.results)}`;
    case "other":
      return type.text;
  }
}

/** Result types: always in parentheses, so that a function type inside cannot be misread. */
export function printTypes(types: readonly Type[]): string {
  return `(${types.map(printType).join(", ")})`;
}
