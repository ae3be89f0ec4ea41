/**
 * Reads one line of graph text, piece by piece from the left. Every method skips blanks, takes a piece and returns it,
 * or throws an error that says what stands there instead. No look-ahead beyond one piece.
 */
import type { AttributeKind, AttributeKinds, AttributeValue } from "./graph.js";
import { parseTensorType, sizeOf, type TensorValue } from "./tensor/value.js";

const PIECES = {
  word: /[A-Za-z][A-Za-z0-9]*/y,
  reference: /%[A-Za-z0-9_]+/y,
  number: /NaN|-?Infinity|-?\d+(?:\.\d+)?(?:e[+-]?\d+)?/y,
  string: /"[^"\\]*(?:\\.[^"\\]*)*"/y,
  type: /[A-Za-z][A-Za-z0-9]*(?:<[\d, -]*>)?\[[\d, ]*\]/y,
  boolean: /true|false/y,
} as const;

export class Scanner {
  private at = 0;

  constructor(private readonly line: string) {}

  private skipBlanks(): void {
    while (this.line[this.at] === " " || this.line[this.at] === "\t" || this.line[this.at] === "\r") {
      this.at++;
    }
  }

  private piece(kind: keyof typeof PIECES): string {
    this.skipBlanks();
    const pattern = PIECES[kind];
    pattern.lastIndex = this.at;
    const match = pattern.exec(this.line);
    if (match === null) {
      throw this.unexpected(`a ${kind}`);
    }
    this.at += match[0].length;
    return match[0];
  }

  private unexpected(wanted: string): Error {
    const found = this.line.slice(this.at, this.at + 20);
    return new Error(`expected ${wanted} at column ${this.at + 1}, found ${found === "" ? "the end" : `'${found}'`}`);
  }

  /** Whether the next characters are these; takes nothing. */
  sees(text: string): boolean {
    this.skipBlanks();
    return this.line.startsWith(text, this.at);
  }

  /** Takes these characters if they are next. */
  takes(text: string): boolean {
    const found = this.sees(text);
    this.at += found ? text.length : 0;
    return found;
  }

  expect(text: string): void {
    if (!this.takes(text)) {
      throw this.unexpected(`'${text}'`);
    }
  }

  end(): void {
    this.skipBlanks();
    if (this.at < this.line.length) {
      throw this.unexpected("the end of the line");
    }
  }

  word(): string {
    return this.piece("word");
  }

  /** A node's name with its `%`. */
  reference(): string {
    return this.piece("reference");
  }

  /** The text of a type of either language. */
  type(): string {
    return this.piece("type");
  }

  string(): string {
    return JSON.parse(this.piece("string")) as string;
  }

  number(): number {
    return Number(this.piece("number"));
  }

  integer(): number {
    const value = this.number();
    if (!Number.isInteger(value)) {
      throw new Error(`${value} is not an integer`);
    }
    return value;
  }

  boolean(): boolean {
    return this.piece("boolean") === "true";
  }

  list<E>(element: () => E): E[] {
    const elements: E[] = [];
    this.expect("[");
    while (!this.takes("]")) {
      elements.push(element());
      if (!this.sees("]")) {
        this.expect(",");
      }
    }
    return elements;
  }

  tensor(): TensorValue {
    const type = parseTensorType(this.type());
    const data = this.sees('"') ? doublesOf(Buffer.from(this.string(), "base64")) : this.elements(sizeOf(type.shape));
    if (data.length !== sizeOf(type.shape)) {
      throw new Error(`a tensor of shape [${type.shape.join(",")}] has ${data.length} elements`);
    }
    return { ...type, data };
  }

  /** Numbers, each perhaps with how often it is repeated; not more than so many. */
  private elements(most: number): Float64Array {
    const data: number[] = [];
    this.list(() => {
      const element = this.number();
      const count = this.takes("*") ? this.integer() : 1;
      if (count < 1 || data.length + count > most) {
        throw new Error(`more elements than ${most}, or a run of ${count}`);
      }
      for (let i = 0; i < count; i++) {
        data.push(element);
      }
    });
    return Float64Array.from(data);
  }

  attribute(kind: AttributeKind): AttributeValue {
    return ATTRIBUTES[kind](this);
  }
}

const ATTRIBUTES: { readonly [K in AttributeKind]: (scanner: Scanner) => AttributeKinds[K] } = {
  integer: (scanner) => scanner.integer(),
  integers: (scanner) => scanner.list(() => scanner.integer()),
  number: (scanner) => scanner.number(),
  numbers: (scanner) => scanner.list(() => scanner.number()),
  string: (scanner) => scanner.string(),
  strings: (scanner) => scanner.list(() => scanner.string()),
  boolean: (scanner) => scanner.boolean(),
  tensor: (scanner) => scanner.tensor(),
};

function doublesOf(bytes: Buffer): Float64Array {
  if (bytes.length % 8 !== 0) {
    throw new Error(`${bytes.length} bytes are no doubles`);
  }
  return Float64Array.from({ length: bytes.length / 8 }, (_, i) => bytes.readDoubleLE(8 * i));
}
