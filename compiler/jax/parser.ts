/**
 * StableHLO text → syntax tree, by recursive descent. Reads the generic form of any operation here and the pretty
 * forms by `pretty.ts`. A syntax error costs the rest of its line only: reading goes on, and all problems are thrown
 * together, each with line and column.
 */
import { fail } from "../../ir/diagnostics.js";
import type { Attribute, Attributes, BlockArgument, Location, Module, Operation, Region } from "./ast.js";
import { parseAttribute, parseDictionary } from "./attributes.js";
import type { Reader } from "./pretty.js";
import { parsePretty } from "./pretty-forms.js";
import { failWith, Scanner, SyntaxProblem, scanString } from "./scanner.js";
import { parseFunctionType, parseType } from "./types.js";

/** As many problems as anyone reads. */
const MOST_PROBLEMS = 20;
const VALUE = /%(?:\d+|[A-Za-z_$.-][\w$.-]*)(?:#\d+)?/y;
const RESULT_COUNT = /:[ \t]*\d+/y;
const ALIAS = /#[A-Za-z_][\w$.-]*[ \t]*=/y;
const WORD = /[A-Za-z_][\w$]*(?:\.[\w$]+)*/y;
const MOST_RESULTS = 4096;

/**
 * Parses a module, or several separated by comments. `file` is what diagnostics call the text.
 * Throws a PumacError (E0302) with every syntax error found.
 */
export function parseStableHlo(text: string, file = "module"): Module {
  return new Parser(new Scanner(text, file)).module();
}

class Parser implements Reader {
  private readonly problems: SyntaxProblem[] = [];
  private readonly attributeAliases: Record<string, Attribute> = Object.create(null);
  private readonly locationAliases: Record<string, Location> = Object.create(null);

  constructor(readonly scanner: Scanner) {}

  module(): Module {
    const operations = this.operations(true);
    if (this.problems.length === 0 && operations.length === 0) {
      throw fail({ code: "E0302", what: "the module is empty", where: this.scanner.place({ line: 1, column: 1 }) });
    }
    if (this.problems.length > 0) {
      failWith(this.scanner, this.problems);
    }
    const { attributeAliases, locationAliases } = this;
    return { operations, attributeAliases, locationAliases };
  }

  /** Operations up to the closing brace, or to the end of the text at the top. */
  private operations(top: boolean): Operation[] {
    const { scanner } = this;
    const operations: Operation[] = [];
    while (!scanner.atEnd() && (top || !scanner.sees("}"))) {
      const start = scanner.offset;
      try {
        if (!(top && this.aliasDefinition())) {
          operations.push(this.operation());
        }
      } catch (error) {
        this.recover(error, start);
      }
    }
    return operations;
  }

  private recover(error: unknown, start: number): void {
    if (!(error instanceof SyntaxProblem)) {
      throw error;
    }
    this.problems.push(error);
    if (this.problems.length >= MOST_PROBLEMS) {
      failWith(this.scanner, this.problems);
    }
    const newline = this.scanner.text.indexOf("\n", Math.max(start, error.offset, this.scanner.offset - 1));
    this.scanner.offset = newline === -1 ? this.scanner.text.length : newline + 1;
  }

  /** `#loc3 = loc(…)` or `#name = attribute`. */
  private aliasDefinition(): boolean {
    const found = this.scanner.match(ALIAS);
    if (found === undefined) {
      return false;
    }
    const name = found.slice(1, -1).trim();
    const location = this.optionalLocation();
    if (location !== undefined) {
      this.locationAliases[name] = location;
    } else {
      this.attributeAliases[name] = parseAttribute(this.scanner);
    }
    return true;
  }

  private operation(): Operation {
    return this.scanner.nested(() => {
      const { scanner } = this;
      scanner.skipTrivia();
      const start = scanner.offset;
      const groups = scanner.sees("%") ? this.resultGroups() : [];
      scanner.skipTrivia();
      const nameOffset = scanner.offset;
      const count = groups.reduce((sum, group) => sum + group.count, 0);
      const body = scanner.sees('"') ? this.genericBody() : this.prettyBody(count);
      if (body.resultTypes.length !== count && count > 0) {
        const what = `'${body.name}' has ${body.resultTypes.length} results, and ${count} are named`;
        throw scanner.problem(what, nameOffset);
      }
      const location = this.optionalLocation();
      const results = groups.flatMap(namesOfGroup);
      const operation = { ...body, results, position: scanner.positionAt(start) };
      return location === undefined ? operation : { ...operation, location };
    });
  }

  private resultGroups(): { name: string; count: number }[] {
    const { scanner } = this;
    const groups: { name: string; count: number }[] = [];
    do {
      const name = this.value();
      const count = Number(scanner.match(RESULT_COUNT)?.slice(1) ?? 1);
      if (count < 1 || count > MOST_RESULTS) {
        throw scanner.problem(`${count} results`);
      }
      groups.push({ name, count });
    } while (scanner.accept(","));
    scanner.expect("=");
    return groups;
  }

  private genericBody(): Omit<Operation, "results" | "position" | "location"> {
    const { scanner } = this;
    const name = scanString(scanner);
    const operands = scanner.list("(", ")", () => this.value());
    let attributes: Attributes = {};
    if (scanner.accept("<{")) {
      scanner.offset--;
      attributes = parseDictionary(scanner);
      scanner.expect(">");
    }
    const regions = scanner.sees("(") ? scanner.list("(", ")", () => this.region()) : [];
    if (scanner.sees("{")) {
      attributes = { ...attributes, ...parseDictionary(scanner) };
    }
    scanner.expect(":");
    const { inputs, results } = parseFunctionType(scanner);
    if (inputs.length !== operands.length) {
      throw scanner.problem(`'${name}' has ${operands.length} operands and ${inputs.length} operand types`);
    }
    return { name, operands, attributes, regions, operandTypes: inputs, resultTypes: results };
  }

  private prettyBody(count: number): Omit<Operation, "results" | "position" | "location"> {
    const name = this.scanner.expectMatch(WORD, "an operation");
    return parsePretty(this, name, count);
  }

  value(): string {
    return this.scanner.expectMatch(VALUE, "a value (%name)");
  }

  region(named?: readonly BlockArgument[]): Region {
    return this.scanner.nested(() => {
      const { scanner } = this;
      scanner.expect("{");
      let args: readonly BlockArgument[] = named ?? [];
      if (scanner.match(/\^[\w$.-]+/y) !== undefined) {
        args = scanner.sees("(") ? scanner.list("(", ")", () => this.blockArgument()) : [];
        scanner.expect(":");
      }
      const operations = this.operations(false);
      if (scanner.sees("^")) {
        throw scanner.problem("a region with several blocks");
      }
      scanner.expect("}");
      return { args, operations };
    });
  }

  blockArgument(): BlockArgument {
    const name = this.value();
    this.scanner.expect(":");
    const type = parseType(this.scanner);
    const location = this.optionalLocation();
    return location === undefined ? { name, type } : { name, type, location };
  }

  optionalLocation(): Location | undefined {
    const { scanner } = this;
    if (!scanner.sees("loc")) {
      return undefined;
    }
    scanner.expect("loc");
    scanner.expect("(");
    const location = this.location();
    scanner.expect(")");
    return location;
  }

  private location(): Location {
    return this.scanner.nested(() => {
      const { scanner } = this;
      const alias = scanner.match(/#[A-Za-z_][\w$.-]*/y);
      if (alias !== undefined) {
        return { kind: "alias", name: alias.slice(1) };
      }
      if (scanner.accept("unknown")) {
        return { kind: "unknown" };
      }
      if (scanner.accept("callsite")) {
        return this.callsite();
      }
      return scanner.accept("fused") ? this.fused() : this.nameOrFile();
    });
  }

  private callsite(): Location {
    this.scanner.expect("(");
    const callee = this.location();
    this.scanner.expect("at");
    const caller = this.location();
    this.scanner.expect(")");
    return { kind: "callsite", callee, caller };
  }

  private fused(): Location {
    if (this.scanner.accept("<")) {
      parseAttribute(this.scanner);
      this.scanner.expect(">");
    }
    return { kind: "fused", locations: this.scanner.list("[", "]", () => this.location()) };
  }

  private nameOrFile(): Location {
    const { scanner } = this;
    const name = scanString(scanner);
    const place = scanner.match(/:\d+:\d+(?:[ \t]+to[ \t]+(?:\d+)?:\d+(?::\d+)?)?/y);
    if (place !== undefined) {
      return { kind: "file", text: JSON.stringify(name) + place };
    }
    if (scanner.accept("(")) {
      const child = this.location();
      scanner.expect(")");
      return { kind: "name", name, child };
    }
    return { kind: "name", name };
  }
}

function namesOfGroup({ name, count }: { name: string; count: number }): string[] {
  return count === 1 ? [name] : Array.from({ length: count }, (_, i) => `${name}#${i}`);
}
