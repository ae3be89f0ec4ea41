/** The house rules hold for every source of ours, and each rule finds what it is there to find. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { ROOMS } from "../../scripts/rooms.mjs";
import { unused, wrongImports } from "./libraries.js";
import * as rules from "./rules.js";
import { parseSource, ROOT, readSources } from "./sources.js";

const sources = readSources();
const FOLDERS = ROOMS.map(({ name }) => name).filter((name) => !name.includes("/"));

describe("the sources", () => {
  it("import along the arrows of ARCHITECTURE.md, without circles, and nothing that only developers have", async () => {
    expect(await wrongImports(ROOT, FOLDERS)).toEqual([]);
  });
  it("hold nothing that is used nowhere, and use nothing that is not installed", () => {
    expect(unused(ROOT)).toEqual([]);
  });
  it("keep files, functions and lines short", () => {
    expect(rules.tooLong(sources)).toEqual([]);
  });
  it("keep the command line thin: it parses, calls, prints and exits", () => {
    const lines = sources.filter(({ path }) => path.startsWith("cli/")).map(({ text }) => text.split("\n").length - 1);
    expect(lines.reduce((sum, each) => sum + each)).toBeLessThan(2200);
  });
  it("have no any, no enum, no default export, and open with a comment", () => {
    expect(rules.forbiddenConstructs(sources)).toEqual([]);
  });
  it("print and exit only in the command line", () => {
    expect(rules.printing(sources)).toEqual([]);
  });
  it("touch no socket, clock or randomness at compile time", () => {
    expect(rules.undetermined(sources)).toEqual([]);
  });
  it("decide a plan's bytes with arithmetic that is the same everywhere", () => {
    expect(rules.varyingArithmetic(sources)).toEqual([]);
  });
});

describe("the one list of rooms", () => {
  const included = (file: string) => JSON.parse(readFileSync(join(ROOT, file), "utf8")).include as readonly string[];
  const shipped = ROOMS.filter(({ ships }) => ships).map(({ name }) => name);

  it("is what TypeScript checks and what it translates for users", () => {
    expect(included("tsconfig.json")).toEqual([...FOLDERS, "vitest.config.ts"]);
    expect(included("tsconfig.build.json")).toEqual(shipped);
  });
  it("is where ./pumac looks for what is newer than the build", () => {
    const found = /find (.*) native \\/.exec(readFileSync(join(ROOT, "pumac"), "utf8"));
    expect(found?.[1].split(" ")).toEqual(shipped);
  });
  it("names rooms that exist, and each has its paragraph in ARCHITECTURE.md", () => {
    const page = readFileSync(join(ROOT, "ARCHITECTURE.md"), "utf8");
    for (const { name, imports } of ROOMS) {
      expect(existsSync(join(ROOT, name)), name).toBe(true);
      expect(imports.filter((other) => !ROOMS.some((room) => room.name === other))).toEqual([]);
    }
    for (const name of FOLDERS) {
      expect(page, name).toContain(name.endsWith(".ts") ? `**\`${name}\`` : `**\`${name}/\``);
    }
  });
});

describe("the rules", () => {
  const comment = "/** A file. */\n";
  const parse = (path: string, text: string) => parseSource(path, comment + text);

  it("find what is too long", () => {
    const body = "  call();\n".repeat(69);
    const long = parse("ir/a.ts", `function f() {\n${body}}\n// ${"x".repeat(130)}\n`);
    expect(rules.tooLong([long])).toEqual(["ir/a.ts:73: 133 characters", "ir/a.ts:2: a function of 71 lines"]);
    expect(rules.tooLong([parse("ir/b.ts", `${"\n".repeat(500)}f();`)])).toEqual(["ir/b.ts: 502 lines"]);
  });
  it("find forbidden constructs", () => {
    const file = parseSource("ir/a.ts", "export default 1;\nenum E { A }\nlet x: any;\nexport default function f() {}");
    expect(rules.forbiddenConstructs([file])).toEqual([
      "ir/a.ts: does not open with a comment",
      "ir/a.ts:1: default export",
      "ir/a.ts:2: enum",
      "ir/a.ts:3: any",
      "ir/a.ts:4: default export",
    ]);
    expect(rules.forbiddenConstructs([parse("ir/b.ts", "switch (x) { default: f(); }")])).toEqual([]);
  });
  it("find printing, clocks and sockets where they do not belong", () => {
    const text = `import { connect } from "node:net";\nconsole.log(Math.random(), Date.now());\nprocess.exit(1);`;
    expect(rules.printing([parse("runtime/a.ts", text), parse("cli/a.ts", text)])).toEqual([
      "runtime/a.ts:3: console.log",
      "runtime/a.ts:4: process.exit",
    ]);
    expect(rules.undetermined([parse("passes/a.ts", text), parse("runtime/a.ts", text)])).toEqual([
      "passes/a.ts:3: Math.random",
      "passes/a.ts:3: Date",
    ]);
  });
  it("find arithmetic that varies between engines, where it decides a plan", () => {
    const text = "const y = Math.exp(x) + Math.sqrt(x) + x ** 3 + 2 ** n + 10n ** 3n;\nlet z = y; z **= 2;";
    expect(rules.varyingArithmetic([parse("compiler/a.ts", text), parse("cli/a.ts", text)])).toEqual([
      "compiler/a.ts:2: Math.exp",
      "compiler/a.ts:2: x **",
      "compiler/a.ts:3: z **",
    ]);
  });
});

describe("the rules of kept libraries", () => {
  const folder = mkdtempSync(join(tmpdir(), "pumac-tidy-"));
  afterAll(() => rmSync(folder, { recursive: true }));

  function write(files: Readonly<Record<string, string>>): void {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), text);
    }
  }

  it("find an import against the arrows, of a type too, a circle, a socket and a development dependency", async () => {
    const command = `import { x } from "../../cli/x.js"; x;`;
    write({
      "package.json": `{ "type": "module", "dependencies": { "kept": "1" }, "devDependencies": { "tool": "1" } }`,
      "node_modules/tool/index.js": "export const tool = 1;",
      "node_modules/tool/package.json": `{ "name": "tool", "version": "1.0.0", "type": "module", "main": "index.js" }`,
      "cli/x.ts": "export const x = 1;",
      "compiler/x.ts": `import { connect } from "node:net"; export const x = connect;`,
      "passes/y.ts": "export interface Y {}",
      "runtime/a.ts": `import { x } from "../compiler/x.js"; x;`,
      "runtime/b.ts": `import type { Y } from "../passes/y.js"; export type Z = Y;`,
      "ir/a.ts": `import type { B } from "./b.js"; export type A = B;`,
      "ir/b.ts": `import type { A } from "./a.js"; export type B = A;`,
      "formats/a.ts": `import { tool } from "tool"; import { gone } from "./gone.js"; tool; gone;`,
      "client/local/a.ts": command,
      "bench/accuracy/a.ts": command,
      "test/share/a.ts": command,
      "test/cli/a.ts": command,
      "test/processes/a.ts": command,
    });
    expect((await wrongImports(folder, [...FOLDERS])).toSorted()).toEqual([
      "bench/accuracy/a.ts: bench may not import cli/x.ts",
      "client/local/a.ts: client may not import cli/x.ts",
      "compiler/x.ts: not at compile time net",
      "formats/a.ts: cannot be found ./gone.js",
      "formats/a.ts: needs at users' what is here for development only node_modules/tool/index.js",
      "ir/a.ts: circle ir/b.ts",
      "runtime/a.ts: runtime may not import compiler/x.ts",
      "runtime/b.ts: runtime may not import passes/y.ts",
      "test/share/a.ts: test may not import cli/x.ts",
    ]);
  });

  it("find dead exports, also behind an index, dead files and dead dependencies", () => {
    write({
      "cli/main.ts": `import { used } from "../ir/index.js"; used;`,
      "ir/index.ts": `export * from "./a.js";`,
      "ir/a.ts": "export const used = 1, dead = 2;\nexport interface Own { x: 1 }\nexport interface Alone { x: Own }",
      "ir/b.ts": "export const lost = 1;",
      "package.json": `{ "type": "module", "dependencies": { "kept": "1" } }`,
    });
    const ours = unused(folder).filter((line) => /^(ir|package)/.test(line));
    expect(ours.toSorted()).toEqual([
      "ir/a.ts: exports dead",
      "ir/a.ts: types Alone",
      "ir/b.ts: files ir/b.ts",
      "package.json: dependencies kept",
    ]);
  });
});
