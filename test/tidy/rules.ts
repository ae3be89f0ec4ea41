/**
 * The house rules as functions from sources to violations, each one line of text: lengths, forbidden constructs,
 * printing, clocks. They are tested on small made-up sources. Imports and dead exports: libraries.ts.
 */
import ts from "typescript";
import { lineOf, type Source, walk } from "./sources.js";

const LONGEST_FILE = 500;
const LONGEST_FUNCTION = 70;
const LONGEST_LINE = 120;

/** Names that bring clock or randomness in. */
const UNDETERMINED = ["Date", "performance", "randomBytes", "randomInt", "randomUUID", "getRandomValues"];

/** Programs that a room starts as processes of their own, which they end themselves. */
const PROGRAMS = ["party/process.ts"];

function roomOf(path: string): string {
  return path.split("/")[0];
}

/** Files, functions and lines that are too long. */
export function tooLong(sources: readonly Source[]): readonly string[] {
  return sources.flatMap(({ path, text, tree }) => {
    const lines = text.trimEnd().split("\n");
    const found = lines.length > LONGEST_FILE ? [`${path}: ${lines.length} lines`] : [];
    for (const [i, line] of lines.entries()) {
      if (line.length > LONGEST_LINE) {
        found.push(`${path}:${i + 1}: ${line.length} characters`);
      }
    }
    // A test file's outermost callback (`describe`) is a heading, not a function.
    walk(tree, (node) => {
      const length = ts.isFunctionLike(node) && !isHeading(node) ? heightOf(tree, node) : 0;
      if (length > LONGEST_FUNCTION) {
        found.push(`${path}:${lineOf(tree, node)}: a function of ${length} lines`);
      }
    });
    return found;
  });
}

function isHeading(node: ts.Node): boolean {
  const call = node.parent;
  return call !== undefined && ts.isCallExpression(call) && call.expression.getText().startsWith("describe");
}

function heightOf(tree: ts.SourceFile, node: ts.Node): number {
  return tree.getLineAndCharacterOfPosition(node.getEnd()).line + 2 - lineOf(tree, node);
}

/** `any`, default exports, enums, and a file that does not open with a comment. */
export function forbiddenConstructs(sources: readonly Source[]): readonly string[] {
  return sources.flatMap(({ path, text, tree }) => {
    const found = /^\s*\/[*/]/.test(text) ? [] : [`${path}: does not open with a comment`];
    walk(tree, (node) => {
      const what = forbidden(node);
      if (what !== undefined) {
        found.push(`${path}:${lineOf(tree, node)}: ${what}`);
      }
    });
    return found;
  });
}

function forbidden(node: ts.Node): string | undefined {
  if (node.kind === ts.SyntaxKind.AnyKeyword) {
    return "any";
  }
  if (ts.isEnumDeclaration(node)) {
    return "enum";
  }
  return ts.isExportAssignment(node) || node.kind === ts.SyntaxKind.DefaultKeyword ? defaultExport(node) : undefined;
}

/** `default` is also the last case of a switch, which is no export. */
function defaultExport(node: ts.Node): string | undefined {
  return ts.isExportAssignment(node) || !ts.isDefaultClause(node.parent) ? "default export" : undefined;
}

/** Printing and ending the process outside the command line. */
export function printing(sources: readonly Source[]): readonly string[] {
  return sources
    .filter(({ path }) => !["cli", "test", "bench"].includes(roomOf(path)) && !PROGRAMS.includes(path))
    .flatMap((source) =>
      membersUsed(source)
        .filter(({ text }) => /^(console\.|process\.(exit|stdout|stderr|exitCode))/.test(text))
        .map(({ text, line }) => `${source.path}:${line}: ${text}`),
    );
}

/** Clock and randomness at compile time (law 5: the same model gives the same plan). */
export function undetermined(sources: readonly Source[]): readonly string[] {
  return sources
    .filter(({ path }) => ["ir", "passes", "formats", "compiler", "models"].includes(roomOf(path)))
    .flatMap((source) =>
      membersUsed(source)
        .filter(({ text }) => text === "Math.random" || UNDETERMINED.includes(text))
        .map(({ text, line }) => `${source.path}:${line}: ${text}`),
    );
}

/** Functions whose last bits ECMAScript leaves to the engine; `ir/real.ts` has those that are the same everywhere. */
const VARYING: ReadonlySet<string> = new Set(
  ["acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cbrt", "cos", "cosh", "exp", "expm1", "hypot"].concat([
    "log",
    "log10",
    "log1p",
    "log2",
    "pow",
    "sin",
    "sinh",
    "tan",
    "tanh",
  ]),
);

/** Floating-point functions, and powers of anything but 2, where a plan's bytes are decided. */
export function varyingArithmetic(sources: readonly Source[]): readonly string[] {
  return sources
    .filter(({ path }) => ["ir", "passes", "compiler", "formats"].includes(roomOf(path)))
    .flatMap((source) => [...varyingCalls(source), ...varyingPowers(source)]);
}

function varyingCalls(source: Source): readonly string[] {
  return membersUsed(source)
    .filter(({ text }) => text.startsWith("Math.") && VARYING.has(text.slice("Math.".length)))
    .map(({ text, line }) => `${source.path}:${line}: ${text}`);
}

/** `2 ** n` of an integer n is exact in every engine, and so are powers of big integers. */
function varyingPowers({ path, tree }: Source): readonly string[] {
  const found: string[] = [];
  walk(tree, (node) => {
    if (ts.isBinaryExpression(node) && /^\*\*=?$/.test(node.operatorToken.getText(tree))) {
      const base = node.left.getText(tree);
      if (base !== "2" && !/^[0-9]+n$/.test(base)) {
        found.push(`${path}:${lineOf(tree, node)}: ${base} **`);
      }
    }
  });
  return found;
}

/** Every `a.b` of two names, and every name on its own, with its line. */
function membersUsed({ tree }: Source): readonly { readonly text: string; readonly line: number }[] {
  const found: { text: string; line: number }[] = [];
  walk(tree, (node) => {
    if (ts.isPropertyAccessExpression(node) && ts.isIdentifier(node.expression)) {
      found.push({ text: `${node.expression.text}.${node.name.text}`, line: lineOf(tree, node) });
    } else if (ts.isIdentifier(node) && !ts.isPropertyAccessExpression(node.parent)) {
      found.push({ text: node.text, line: lineOf(tree, node) });
    } else if (ts.isIdentifier(node) && node.parent.getChildAt(0) === node) {
      found.push({ text: node.text, line: lineOf(tree, node) });
    }
  });
  return found;
}
