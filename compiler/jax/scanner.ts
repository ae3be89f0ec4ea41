/**
 * Characters to tokens, on demand: MLIR cannot be cut into tokens without knowing where one is (`0x3xf32` is a shape
 * inside `tensor<…>` and a hexadecimal number elsewhere), so the parser asks for what it expects at the cursor.
 */
import type { Diagnostic } from "../../ir/diagnostics.js";
import { fail } from "../../ir/diagnostics.js";
import type { Position } from "./ast.js";

/** A syntax error at a place; the parser collects them into diagnostics. */
export class SyntaxProblem extends Error {
  constructor(
    message: string,
    readonly offset: number,
  ) {
    super(message);
    this.name = "SyntaxProblem";
  }
}

const TRIVIA = /(?:[ \t\r\n]+|\/\/[^\n]*)*/y;
/** Deeper nesting than this is no module that an exporter writes. */
const DEEPEST = 200;

export class Scanner {
  offset = 0;
  private depth = 0;
  private lineStarts: number[] | undefined;

  constructor(
    readonly text: string,
    readonly file: string,
  ) {}

  skipTrivia(): void {
    TRIVIA.lastIndex = this.offset;
    TRIVIA.exec(this.text);
    this.offset = TRIVIA.lastIndex;
  }

  /** True at the end of the text. */
  atEnd(): boolean {
    this.skipTrivia();
    return this.offset >= this.text.length;
  }

  /** Does this literal text come next? Words are matched whole. */
  sees(literal: string): boolean {
    this.skipTrivia();
    if (!this.text.startsWith(literal, this.offset)) {
      return false;
    }
    const next = this.text[this.offset + literal.length] ?? "";
    return !(/\w$/.test(literal) && /[\w$]/.test(next));
  }

  accept(literal: string): boolean {
    const found = this.sees(literal);
    if (found) {
      this.offset += literal.length;
    }
    return found;
  }

  expect(literal: string): void {
    if (!this.accept(literal)) {
      throw this.problem(`expected '${literal}'`);
    }
  }

  /** The match of a sticky expression at the cursor, after trivia; undefined and nothing consumed if none. */
  match(expression: RegExp): string | undefined {
    this.skipTrivia();
    return this.matchHere(expression);
  }

  /** As `match`, without skipping trivia first. */
  matchHere(expression: RegExp): string | undefined {
    expression.lastIndex = this.offset;
    const found = expression.exec(this.text);
    if (found === null) {
      return undefined;
    }
    this.offset = expression.lastIndex;
    return found[0];
  }

  expectMatch(expression: RegExp, what: string): string {
    const found = this.match(expression);
    if (found === undefined) {
      throw this.problem(`expected ${what}`);
    }
    return found;
  }

  /** A parser one level deeper, refused where the nesting is absurd. */
  nested<T>(parse: () => T): T {
    if (this.depth >= DEEPEST) {
      throw this.problem("nested too deeply");
    }
    this.depth++;
    try {
      return parse();
    } finally {
      this.depth--;
    }
  }

  /** `open item, item, … close`; the list may be empty. */
  list<T>(open: string, close: string, parseItem: () => T): T[] {
    this.expect(open);
    const items: T[] = [];
    if (this.accept(close)) {
      return items;
    }
    do {
      items.push(this.nested(parseItem));
    } while (this.accept(","));
    this.expect(close);
    return items;
  }

  problem(message: string, offset: number = this.offset): SyntaxProblem {
    const near = this.text.slice(offset, offset + 24).split("\n")[0];
    return new SyntaxProblem(`${message}${near === "" ? "" : `, found '${near}'`}`, offset);
  }

  positionAt(offset: number): Position {
    this.lineStarts ??= lineStartsOf(this.text);
    let low = 0;
    let high = this.lineStarts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.lineStarts[middle] <= offset) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    return { line: low + 1, column: offset - this.lineStarts[low] + 1 };
  }

  diagnosticOf(problem: SyntaxProblem): Diagnostic {
    return { code: "E0302", what: problem.message, where: this.place(this.positionAt(problem.offset)) };
  }

  place(position: Position): string {
    return `${this.file}:${position.line}:${position.column}`;
  }
}

function lineStartsOf(text: string): number[] {
  const starts = [0];
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) {
    starts.push(at + 1);
  }
  return starts;
}

const STRING = /"(?:[^"\\\n]|\\[\s\S])*"/y;
const ESCAPE = /\\(?:([0-9A-Fa-f]{2})|([\s\S]))/g;
const ESCAPED: Readonly<Record<string, string>> = { n: "\n", t: "\t" };

/** A string literal's value; MLIR escapes are `\n`, `\t`, `\"`, `\\` and two hexadecimal digits. */
export function scanString(scanner: Scanner): string {
  const text = scanner.expectMatch(STRING, "a string");
  return unescapeBytes(text.slice(1, -1));
}

function unescapeBytes(text: string): string {
  if (!text.includes("\\")) {
    return text;
  }
  return text.replace(ESCAPE, (_, hex: string | undefined, character: string | undefined) =>
    hex === undefined ? (ESCAPED[character!] ?? character!) : String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

/** The literal that `scanString` reads back to the same value. */
export function printString(value: string): string {
  const body = value.replace(/["\\]|\p{Cc}/gu, (character) =>
    character === '"' || character === "\\"
      ? `\\${character}`
      : `\\${character.charCodeAt(0).toString(16).padStart(2, "0").toUpperCase()}`,
  );
  return `"${body}"`;
}

/** Throws all problems together. */
export function failWith(scanner: Scanner, problems: readonly SyntaxProblem[]): never {
  throw fail(...problems.map((problem) => scanner.diagnosticOf(problem)));
}
