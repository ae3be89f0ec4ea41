/**
 * The sources as the TypeScript compiler reads them: every file of ours with its syntax tree. The tidy test asks its
 * questions of this; nothing here is run.
 */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { ROOMS } from "../../scripts/rooms.mjs";

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

export interface Source {
  readonly path: string;
  readonly text: string;
  readonly tree: ts.SourceFile;
}

/** Every TypeScript file of ours, sorted by path. */
export function readSources(): readonly Source[] {
  const paths = ROOMS.filter(({ name }) => !name.includes("/"))
    .flatMap(({ name }) => filesUnder(join(ROOT, name)))
    .sort();
  return paths.map((path) => parseSource(relative(ROOT, path), readFileSync(path, "utf8")));
}

function filesUnder(folder: string): readonly string[] {
  if (statSync(folder).isFile()) {
    return [folder];
  }
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      return filesUnder(path);
    }
    return entry.name.endsWith(".ts") ? [path] : [];
  });
}

/** One file; `path` is relative to the repository. */
export function parseSource(path: string, text: string): Source {
  return { path, text, tree: ts.createSourceFile(path, text, ts.ScriptTarget.ES2022, true) };
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
