/**
 * The package as users get it: packed, unpacked in an empty folder beside the dependencies, imported there by its name,
 * type-checked there, and started there. Nothing of the checkout is in reach but what package.json names.
 */
import { execFileSync, spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { dataFolder } from "../jax/data.js";

const ROOT = join(import.meta.dirname, "..", "..");
const MODEL = join(ROOT, "models", "fixtures", "bert_cls.t5.legacy.eager.op11.dyn");
const STORIES = dataFolder("llama-stories260k");
const folder = mkdtempSync(join(tmpdir(), "pumac-package-"));
const modules = join(folder, "node_modules");
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Packed {
  readonly filename: string;
  readonly files: readonly { readonly path: string }[];
}

let packed: Packed;

beforeAll(() => {
  const args = ["pack", "--json", "--ignore-scripts", "--pack-destination", folder];
  [packed] = JSON.parse(
    execFileSync("npm", args, { cwd: ROOT, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }),
  );
  execFileSync("tar", ["-xzf", join(folder, packed.filename), "-C", folder]);
  const manifest = JSON.parse(readFileSync(join(ROOT, "package-lock.json"), "utf8"));
  for (const [path, { dev }] of Object.entries<{ readonly dev?: boolean }>(manifest.packages)) {
    const isTop = /^node_modules\/(@[^/]+\/)?[^/]+$/.test(path);
    if (isTop && (dev !== true || path === "node_modules/@types/node" || path === "node_modules/undici-types")) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      symlinkSync(join(ROOT, path), join(folder, path));
    }
  }
  execFileSync("mv", [join(folder, "package"), join(modules, "pumac")]);
  writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module" }));
}, 120_000);

/** What a program in the folder prints as JSON. */
function run(name: string, text: string) {
  const path = join(folder, name);
  writeFileSync(path, text);
  return JSON.parse(execFileSync(process.execPath, [path], { cwd: folder, encoding: "utf8" }));
}

it("holds what users need and nothing else", () => {
  const others = packed.files
    .map(({ path }) => path)
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
  const rooms = new Set(packed.files.map(({ path }) => path.split("/")[1]).filter((room) => !/\./.test(room ?? ".")));
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

it("does what docs/library.md shows", () => {
  const [, program] = /```js\n(.*?)```/s.exec(readFileSync(join(ROOT, "docs", "library.md"), "utf8"))!;
  const place = join(folder, "shown");
  mkdirSync(place);
  cpSync(MODEL, place, { recursive: true });
  writeFileSync(join(place, "shown.mjs"), program);
  const printed = execFileSync(process.execPath, ["shown.mjs"], { cwd: place, encoding: "utf8" });
  expect(printed).toMatch(/^(\d+) rounds, \d+ bytes over all parties\nlogits -?[\d.]+,-?[\d.]+, \1 rounds\nE0202 /);
});

it("is typed", () => {
  writeFileSync(
    join(folder, "use.ts"),
    `import { compile, type CostReport, type Diagnostic, inspect, PumacError, simulate } from "pumac";
export async function answer(model: string): Promise<readonly number[]> {
  const calibrate = [{ texts: ["a"], tokenizer: "t" }];
  const plan = await compile(model, { dims: { batch: 1 }, profile: "fourier", calibrate });
  const report: CostReport = inspect(plan);
  const { outputs, measured } = await simulate(plan, { tensors: { x: [[1, 2]] } }, { signal: AbortSignal.timeout(9) });
  return [report.cost.rounds, measured.rounds, ...outputs.get("y")!.data];
}
export const causes = (error: unknown): readonly Diagnostic[] => (error instanceof PumacError ? error.diagnostics : []);
// @ts-expect-error: there is no such profile
void compile("model", { profile: "exact" });
// @ts-expect-error: a text is no tensor
void simulate("plan", { tensors: { x: "text" } });
`,
  );
  const options = {
    strict: true,
    module: "NodeNext",
    target: "ES2022",
    lib: ["ES2023"],
    noEmit: true,
    types: ["node"],
  };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions: options, files: ["use.ts"] }));
  const tsc = join(ROOT, "node_modules", "typescript", "bin", "tsc");
  const checked = () => execFileSync(process.execPath, [tsc, "-p", folder], { encoding: "utf8", stdio: "pipe" });
  expect(checked).not.toThrow();
});

/** Runs an example as a user of the package would. */
function example(name: string, ...words: readonly string[]) {
  const program = join(modules, "pumac", "examples", name);
  expect(readFileSync(program, "utf8").split("\n").length).toBeLessThan(40);
  cpSync(program, join(folder, name));
  const { stdout, stderr, status } = spawnSync(process.execPath, [name, ...words], { cwd: folder, encoding: "utf8" });
  return { stdout, stderr, status };
}

describe("the examples", () => {
  const demo = join(modules, "pumac", "models", "bert-sst2");

  it("classify", () => {
    expect(example("classify.mjs", demo, "A fine film.").stdout).toMatch(
      /^\d+ rounds, \d+ bytes\npositive 0\.99\d\d\n$/,
    );
    const { stderr, status } = example("classify.mjs", folder, "A fine film.");
    expect([stderr, status]).toEqual([expect.stringMatching(/^E0301 /), 3]);
  });
  it("gate a build on what a model costs", () => {
    const model = join(demo, "bert_sst2.legacy.op14.onnx");
    const within = example("cost.mjs", model, "bytes<10MB,rounds<100");
    expect(within.stdout).toMatch(/^lan: 0\.\d\d s, most of it for \w+\nwan: .*\nwithin the budget\n$/);
    expect(within.status).toBe(0);
    expect(example("cost.mjs", model, "bytes<1kB").status).toBe(5);
  });
  it("answer a data set", () => {
    writeFileSync(join(folder, "reviews.tsv"), "sentence\tlabel\nA fine film.\t1\nA dull, bad film.\t0\n");
    const { stdout } = example("data-set.mjs", demo, "reviews.tsv");
    expect(stdout).toMatch(/^1 positive 0\.\d+\n2 negative 0\.\d+\n2 of 2 as the table says\n$/);
  });
});

describe.skipIf(STORIES === undefined)("the example that writes", () => {
  it("generates", () => {
    const name = join(STORIES!, "stories260K.dynamo.op18.static32.onnx");
    const words = [name, join(STORIES!, "tok512.bin"), "Once upon a", "2"];
    expect(example("generate.mjs", ...words).stdout).toMatch(/^a token: \d+ rounds, \d+ bytes\n time,\n$/);
  });
});

describe("as a command", () => {
  const pumac = (words: readonly string[], environment: Readonly<Record<string, string>> = {}) => {
    const options = { cwd: folder, encoding: "utf8", env: { ...process.env, ...environment } } as const;
    const { status, stdout, stderr } = spawnSync(join(modules, "pumac", "pumac"), words, options);
    return { status, stdout, stderr };
  };

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

  it("shows the demo, with the answer in the clear that it carries", () => {
    const { status, stdout } = pumac(["demo"]);
    expect(stdout).toMatch(/^in the clear, onnxruntime .* positive$/m);
    expect(stdout).toMatch(/^rounds and bytes are those predicted, exactly$/m);
    expect(status).toBe(0);
    const own = pumac(["demo", "A dull film, badly acted.", "-o", "own.pumac"]);
    expect(own.stdout).toMatch(/^in the clear, here .* negative$/m);
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
