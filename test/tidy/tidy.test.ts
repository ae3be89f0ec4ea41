/** The house rules hold for every source of ours, and each rule finds what it is there to find. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ROOMS } from "../../scripts/rooms.mjs";
import * as rules from "./rules.js";
import { parseSource, ROOT, readSources } from "./sources.js";

const sources = readSources();

describe("the sources", () => {
  it("import along the arrows of ARCHITECTURE.md", () => {
    expect(rules.wrongArrows(sources)).toEqual([]);
  });
  it("import without circles", () => {
    expect(rules.circles(sources)).toEqual([]);
  });
  it("keep files, functions and lines short", () => {
    expect(rules.tooLong(sources)).toEqual([]);
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
  it("export nothing that is used nowhere", () => {
    expect(rules.deadExports(sources)).toEqual([]);
  });
});

describe("the one list of rooms", () => {
  const included = (file: string) => JSON.parse(readFileSync(join(ROOT, file), "utf8")).include as readonly string[];
  const folders = ROOMS.map(({ name }) => name).filter((name) => !name.includes("/"));
  const shipped = ROOMS.filter(({ ships }) => ships).map(({ name }) => name);

  it("is what TypeScript checks and what it translates for users", () => {
    expect(included("tsconfig.json")).toEqual([...folders, "vitest.config.ts"]);
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
    for (const name of folders) {
      expect(page, name).toContain(`**\`${name}/\``);
    }
  });
});

describe("the rules", () => {
  const comment = "/** A file. */\n";
  const parse = (path: string, text: string) => parseSource(path, comment + text);

  it("find an import against the arrows, dynamic and type imports too", () => {
    const runtime = parse("runtime/a.ts", `import { x } from "../compiler/x.js"; type T = import("../passes/y.js").Y;`);
    expect(rules.wrongArrows([runtime])).toEqual([
      "runtime/a.ts: runtime may not import compiler/x.ts",
      "runtime/a.ts: runtime may not import passes/y.ts",
    ]);
  });
  it("let nothing import the command line but its own tests", () => {
    const text = `import { x } from "../../cli/x.js";`;
    const files = [
      "client/local/a.ts",
      "bench/accuracy/a.ts",
      "test/share/a.ts",
      "test/cli/a.ts",
      "test/processes/a.ts",
    ];
    expect(rules.wrongArrows(files.map((path) => parse(path, text)))).toEqual([
      "client/local/a.ts: client may not import cli/x.ts",
      "bench/accuracy/a.ts: bench may not import cli/x.ts",
      "test/share/a.ts: test may not import cli/x.ts",
    ]);
  });
  it("find a circle", () => {
    const one = parse("ir/a.ts", `import type { B } from "./b.js";`);
    const two = parse("ir/b.ts", `export * from "./a.js";`);
    expect(rules.circles([one, two])).toEqual(["circle: ir/a.ts ir/b.ts"]);
  });
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
      "passes/a.ts: imports node:net",
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
  it("find dead exports, also behind an index", () => {
    const one = parse("ir/a.ts", "export const used = 1, dead = 2;\nexport interface Alone { x: 1 }");
    const index = parse("ir/index.ts", `export * from "./a.js";`);
    const user = parse("passes/b.ts", `import { used } from "../ir/index.js";`);
    expect(rules.deadExports([one, index, user])).toEqual([
      "ir/a.ts: export 'dead' is used nowhere",
      "ir/a.ts: export 'Alone' is used nowhere",
    ]);
  });
});
