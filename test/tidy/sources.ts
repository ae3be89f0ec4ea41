/**
 * The sources as the TypeScript compiler reads them: every file of ours with its syntax tree, its imports resolved to
 * files of the repository and its exports. The tidy test asks its questions of this; nothing here is run.
 */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize, relative } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { ROOMS } from "../../scripts/rooms.mjs";

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

export interface Import {
  /** The imported file's path in the repository, or the bare specifier of a package. */
  readonly target: string;
  readonly isLocal: boolean;
  /** The imported names; "*" stands for all of them. */
  readonly names: readonly string[];
  /** Whether the names are exported again under the same name (`export { x } from`, `export * from`). */
  readonly reexported: boolean;
}

export interface Export {
  readonly name: string;
  /** Interfaces and type aliases: a declaration may need them exported although only its own file names them. */
  readonly isType: boolean;
}

export interface Source {
  readonly path: string;
  readonly text: string;
  readonly tree: ts.SourceFile;
  readonly imports: readonly Import[];
  readonly exports: readonly Export[];
}

/** Every TypeScript file of ours, sorted by path. */
export function readSources(): readonly Source[] {
  const paths = ROOMS.filter(({ name }) => !name.includes("/"))
    .flatMap(({ name }) => filesUnder(join(ROOT, name)))
    .sort();
  return paths.map((path) => parseSource(relative(ROOT, path), readFileSync(path, "utf8")));
}

function filesUnder(folder: string): readonly string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      return filesUnder(path);
    }
    return entry.name.endsWith(".ts") ? [path] : [];
  });
}

/** One file's imports and exports; `path` is relative to the repository. */
export function parseSource(path: string, text: string): Source {
  const tree = ts.createSourceFile(path, text, ts.ScriptTarget.ES2022, true);
  const imports: Import[] = [];
  const exports: Export[] = [];
  walk(tree, (node) => {
    const found = importOf(node, path);
    if (found !== undefined) {
      imports.push(found);
    }
  });
  for (const statement of tree.statements) {
    exports.push(...exportsOf(statement));
  }
  return { path, text, tree, imports, exports };
}

/** Visits a node and everything under it. */
export function walk(node: ts.Node, visit: (node: ts.Node) => void): void {
  visit(node);
  ts.forEachChild(node, (child) => walk(child, visit));
}

/** The line of a node, from 1. */
export function lineOf(tree: ts.SourceFile, node: ts.Node): number {
  return tree.getLineAndCharacterOfPosition(node.getStart(tree)).line + 1;
}

function importOf(node: ts.Node, path: string): Import | undefined {
  if (ts.isImportDeclaration(node)) {
    return resolved(path, node.moduleSpecifier, importedNames(node.importClause), false);
  }
  if (ts.isExportDeclaration(node) && node.moduleSpecifier !== undefined) {
    const clause = node.exportClause;
    const names = clause !== undefined && ts.isNamedExports(clause) ? clause.elements.map(sourceName) : ["*"];
    return resolved(path, node.moduleSpecifier, names, clause === undefined || ts.isNamedExports(clause));
  }
  if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
    return resolved(path, node.arguments[0], ["*"], false);
  }
  if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
    const qualifier = node.qualifier;
    const name = qualifier === undefined ? "*" : qualifier.getText().split(".")[0];
    return resolved(path, node.argument.literal, [name], false);
  }
  return undefined;
}

function sourceName(element: ts.ImportSpecifier | ts.ExportSpecifier): string {
  return (element.propertyName ?? element.name).text;
}

function importedNames(clause: ts.ImportClause | undefined): readonly string[] {
  if (clause === undefined) {
    return [];
  }
  const bindings = clause.namedBindings;
  const named = bindings === undefined ? [] : ts.isNamedImports(bindings) ? bindings.elements.map(sourceName) : ["*"];
  return clause.name === undefined ? named : ["default", ...named];
}

function resolved(from: string, node: ts.Node, names: readonly string[], reexported: boolean): Import | undefined {
  if (!ts.isStringLiteralLike(node)) {
    return undefined;
  }
  const isLocal = node.text.startsWith(".");
  const target = isLocal ? normalize(join(dirname(from), node.text)).replace(/\.js$/, ".ts") : node.text;
  return { target, isLocal, names, reexported };
}

function exportsOf(statement: ts.Statement): readonly Export[] {
  if (ts.isExportDeclaration(statement) && statement.exportClause !== undefined) {
    const clause = statement.exportClause;
    const names = ts.isNamedExports(clause) ? clause.elements.map((element) => element.name.text) : [clause.name.text];
    return names.map((name) => ({ name, isType: statement.isTypeOnly }));
  }
  if (!hasExportModifier(statement)) {
    return [];
  }
  if (ts.isVariableStatement(statement)) {
    return statement.declarationList.declarations.map(({ name }) => ({ name: name.getText(), isType: false }));
  }
  const named = statement as ts.Statement & { readonly name?: ts.Identifier };
  const isType = ts.isInterfaceDeclaration(statement) || ts.isTypeAliasDeclaration(statement);
  return named.name === undefined ? [] : [{ name: named.name.text, isType }];
}

function hasExportModifier(statement: ts.Statement): boolean {
  const modifiers = ts.canHaveModifiers(statement) ? ts.getModifiers(statement) : undefined;
  return modifiers?.some((modifier) => modifier.kind === ts.SyntaxKind.ExportKeyword) ?? false;
}
