/**
 * The package as users get it (`installed.ts`): imported by its name, type-checked, and started, on a small model. The
 * examples, the demo and the program of docs/library.md run in `package.long.ts`.
 */
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { folder, install, MODEL, modules, pumac, ROOT, typeErrors, writeTyped } from "./installed.js";

const packed = install();

/** What a program in the folder prints as JSON. */
function run(name: string, text: string) {
  const path = join(folder, name);
  writeFileSync(path, text);
  return JSON.parse(execFileSync(process.execPath, [path], { cwd: folder, encoding: "utf8" }));
}

it("holds what users need and nothing else", () => {
  const others = packed()
    .files.map(({ path }) => path)
    .filter((path) => !/^(dist\/.*(\.js|\.d\.ts)|docs\/(api\/)?[\w-]+\.(md|svg))$/.test(path))
    .filter((path) => !/^(schemas\/[a-z]+\.json|examples\/[a-z-]+\.mjs)$/.test(path))
    .filter((path) => !/^prebuilds\/[\w-]+\/pumac[\w.]*\.node$/.test(path));
  expect(others.toSorted()).toEqual([
    ...["ARCHITECTURE.md", "CHANGELOG.md", "README.md"],
    ...["bert_sst2.legacy.op14.onnx", "config.json", "sentences.json", "tokenizer.json"].map(
      (name) => `models/bert-sst2/${name}`,
    ),
    ...["package.json", "pumac"],
  ]);
  const rooms = new Set(
    packed()
      .files.map(({ path }) => path.split("/")[1])
      .filter((room) => !/\./.test(room ?? ".")),
  );
  expect([...rooms]).not.toContain("test");
  expect(readdirSync(join(modules, "pumac"))).not.toContain("index.ts");
});

it("compiles, inspects and simulates by its name", () => {
  const { rounds, bytes, measured, logits, shape } = run(
    "use.mjs",
    `import { compile, inspect, simulate } from "pumac";
const folder = ${JSON.stringify(join(MODEL, "test_data_set_0"))};
const plan = await compile(${JSON.stringify(join(MODEL, "model.onnx"))}, {
  dims: { batch: 1, seq: 8 }, calibrate: [{ folder }],
});
plan.save("bert.pumac");
const { cost } = inspect("bert.pumac", { network: "wan" });
const { outputs, measured } = await simulate("bert.pumac", { folder }, { seed: 1 });
const { shape, data } = outputs.get("logits");
console.log(JSON.stringify({ rounds: cost.rounds, bytes: cost.bytes, measured, logits: [...data], shape }));`,
  );
  expect(measured.rounds).toBe(rounds);
  expect(measured.bytes.total).toBe(bytes.total);
  expect(shape).toEqual([1, logits.length]);
  expect(logits.every(Number.isFinite)).toBe(true);
});

it("rejects with values, and ends when it is told to", () => {
  const found = run(
    "errors.mjs",
    `import { compile, openPlan, PumacError, simulate } from "pumac";
const missing = await compile("none.onnx").catch((error) => error);
const folder = ${JSON.stringify(join(MODEL, "test_data_set_0"))};
const plan = openPlan("bert.pumac", [${JSON.stringify(join(MODEL, "model.onnx"))}]);
const wrong = await simulate(plan, { tensors: { input_ids: [[1, 2]], other: 3 } }).catch((error) => error);
const ending = new AbortController();
const onProgress = (done) => done > 3 && ending.abort(new Error("enough"));
const ended = await simulate(plan, { folder }, { signal: ending.signal, onProgress }).catch((error) => error);
const never = await simulate(plan, { folder }, { signal: AbortSignal.abort("before") }).catch((error) => error);
const codesOf = (error) => error instanceof PumacError && error.diagnostics.map(({ code, where }) => [code, where]);
console.log(JSON.stringify({ codes: [missing, wrong].map(codesOf), ended: ended.message, never }));`,
  );
  expect(found.codes[0]).toEqual([["E0301", "none.onnx"]]);
  expect(found.codes[1].map(([code]: string[]) => code)).toContain("E0202");
  expect(found.codes[1].map(([, where]: string[]) => where)).toContain("input_ids");
  expect([found.ended, found.never]).toEqual(["enough", "before"]);
});

it("is typed", () => {
  expect(typeErrors([writeTyped()], { strict: true, skipLibCheck: true })).toBe("");
});

it("has examples that call what there is", () => {
  const names = readdirSync(join(modules, "pumac", "examples"));
  expect(names.length).toBeGreaterThan(3);
  names.forEach((name) => void cpSync(join(modules, "pumac", "examples", name), join(folder, name)));
  expect(typeErrors(names, { allowJs: true, checkJs: true, skipLibCheck: true })).toBe("");
});

describe("as a command", () => {
  it("starts, and builds nothing", () => {
    const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
    expect(pumac(["--version"])).toEqual({ status: 0, stdout: `${version}\n`, stderr: "" });
    expect(pumac(["inspect", "bert.pumac"]).stdout).toMatch(/rounds/);
  });

  it("has the native kernels with it, where there are any for the system", () => {
    const { checks } = JSON.parse(pumac(["doctor", "--json"]).stdout);
    const { state, detail } = checks.find(({ name }: { readonly name: string }) => name === "kernels");
    expect(`${state} ${detail}`).toMatch(existsSync(join(ROOT, "prebuilds")) ? /^ok native/ : /^slow/);
  });

  it("runs on the TypeScript kernels where there are no native ones, and says so once", () => {
    const data = join(MODEL, "test_data_set_0");
    const words = ["run", "bert.pumac", "--inputs", data, "--weights", join(MODEL, "model.onnx"), "--expect", data];
    renameSync(join(modules, "pumac", "prebuilds"), join(folder, "away"));
    const { status, stderr } = pumac(words);
    renameSync(join(folder, "away"), join(modules, "pumac", "prebuilds"));
    expect(stderr.match(/^slow: .*$/gm)).toHaveLength(1);
    expect(stderr).toMatch(
      /^slow: the TypeScript kernels run, many times slower than the native ones would: No native/m,
    );
    expect(status).toBe(0);
  });
});
