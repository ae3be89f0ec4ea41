/**
 * The house rules as functions from sources to violations, each one line of text: who may import whom, no circles,
 * lengths, forbidden constructs, dead exports. The rules themselves are tested on small made-up sources.
 */
import { alg, Graph } from "@dagrejs/graphlib";
import ts from "typescript";
import { ROOMS } from "../../scripts/rooms.mjs";
import { lineOf, type Source, walk } from "./sources.js";

const LONGEST_FILE = 500;
const LONGEST_FUNCTION = 70;
const LONGEST_LINE = 120;

/** Modules that reach out of the process; compile time may not. */
const OUTSIDE = [
  "net",
  "tls",
  "http",
  "https",
  "dgram",
  "child_process",
  "cluster",
  "readline",
  "tty",
  "worker_threads",
];
/** Names that bring clock or randomness in. */
const UNDETERMINED = ["Date", "performance", "randomBytes", "randomInt", "randomUUID", "getRandomValues"];

/** Programs that a room starts as processes of their own, which they end themselves. */
const PROGRAMS = ["client/local/party-process.ts"];

/** The room of a path: that of the longest name. */
function roomOf(path: string): string {
  const names = ROOMS.map(({ name }) => name).filter((name) => path === name || path.startsWith(`${name}/`));
  return names.sort((one, other) => other.length - one.length)[0];
}

/** Imports that point against the arrows between rooms. */
export function wrongArrows(sources: readonly Source[]): readonly string[] {
  return sources.flatMap(({ path, imports }) => {
    const room = roomOf(path);
    const allowed = [room, ...(ROOMS.find(({ name }) => name === room)?.imports ?? [])];
    return imports
      .filter(({ isLocal, target }) => isLocal && !allowed.includes(roomOf(target)))
      .map(({ target }) => `${path}: ${room} may not import ${target}`);
  });
}

/** Circles of imports, type imports included, each as its sorted members. */
export function circles(sources: readonly Source[]): readonly string[] {
  const graph = new Graph({ directed: true });
  for (const { path, imports } of sources) {
    graph.setNode(path);
    for (const { isLocal, target } of imports) {
      if (isLocal) {
        graph.setEdge(path, target);
      }
    }
  }
  return alg.findCycles(graph).map((members) => `circle: ${[...members].sort().join(" ")}`);
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
    .filter(({ path }) => !/^(cli|test|bench)\b/.test(roomOf(path)) && !PROGRAMS.includes(path))
    .flatMap((source) =>
      membersUsed(source)
        .filter(({ text }) => /^(console\.|process\.(exit|stdout|stderr|exitCode))/.test(text))
        .map(({ text, line }) => `${source.path}:${line}: ${text}`),
    );
}

/** Sockets, clock and randomness at compile time (law 5: the same model gives the same plan). */
export function undetermined(sources: readonly Source[]): readonly string[] {
  return sources
    .filter(({ path }) => ["ir", "passes", "formats", "compiler", "models"].includes(roomOf(path)))
    .flatMap((source) => [
      ...source.imports
        .filter(({ target }) => OUTSIDE.includes(target.replace(/^node:/, "")))
        .map(({ target }) => `${source.path}: imports ${target}`),
      ...membersUsed(source)
        .filter(({ text }) => text === "Math.random" || UNDETERMINED.includes(text))
        .map(({ text, line }) => `${source.path}:${line}: ${text}`),
    ]);
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

/** Exports that no other file imports. Types may be exported for a declaration of their own file. */
export function deadExports(sources: readonly Source[]): readonly string[] {
  const files = new Map(sources.map((source) => [source.path, source]));
  const used = new Set<string>();
  for (const { imports } of sources) {
    for (const { isLocal, target, names, reexported } of imports) {
      if (isLocal && !(reexported && names[0] === "*")) {
        names.forEach((name) => {
          use(files, used, target, name);
        });
      }
    }
  }
  return sources.flatMap((source) =>
    source.exports
      .filter(({ name }) => !used.has(`${source.path} ${name}`))
      .filter(({ name, isType }) => !(isType && mentions(source, name) > 1))
      .map(({ name }) => `${source.path}: export '${name}' is used nowhere`),
  );
}

/** Marks a name of a file as used, through `export … from` chains. */
function use(files: ReadonlyMap<string, Source>, used: Set<string>, path: string, name: string): void {
  const source = files.get(path);
  if (source === undefined || used.has(`${path} ${name}`)) {
    return;
  }
  used.add(`${path} ${name}`);
  if (name === "*") {
    source.exports.forEach((each) => {
      use(files, used, path, each.name);
    });
  }
  for (const { isLocal, target, names, reexported } of source.imports) {
    if (isLocal && reexported && names[0] === "*") {
      use(files, used, target, name);
    }
  }
}

function mentions({ tree }: Source, name: string): number {
  let count = 0;
  walk(tree, (node) => {
    count += ts.isIdentifier(node) && node.text === name ? 1 : 0;
  });
  return count;
}
